//! The binary: `touchdown`, and `touchdown-post` as the post step. Signals first, then the environment, then the mode.

use std::process::ExitCode;

use touchdown::clock::Clock;
use touchdown::mode::{self, Invocation};
use touchdown::runner::env::{self, Env};
use touchdown::runner::log::Log;
use touchdown::runner::signals::Signals;
use touchdown::runner::trace::Lines;

fn main() -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(8).enable_all().build()?;
    let status = runtime.block_on(async {
        let stop = Signals::install()?.stop();
        let env = Env::of_process();
        let log = Log::to_stdout(&env);
        Lines::new(log.clone(), &env).install();
        anyhow::Ok(mode::run(Invocation { args: env::arguments(), env, log, clock: Clock::real(), stop }).await)
    })?;
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    Ok(ExitCode::from(status))
}
