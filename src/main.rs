//! The binary: `touchdown`, and `touchdown-post` as the post step. Signals first, then the environment, then the mode.

use std::process::ExitCode;

use touchdown::clock::Clock;
use touchdown::mode::{self, Invocation};
use touchdown::runner::env::Env;
use touchdown::runner::log::{Log, Style};
use touchdown::runner::signals::Stop;

fn main() -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(8).enable_all().build()?;
    let status = runtime.block_on(async {
        let stop = Stop::manual();
        let env = Env::of_process();
        let style = if env.get("GITHUB_ACTIONS") == Some("true") { Style::GitHub } else { Style::Plain };
        let log = Log::new(Box::new(std::io::stdout()), style);
        mode::run(Invocation { args: std::env::args().collect(), env, log, clock: Clock::real(), stop }).await
    });
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    Ok(ExitCode::from(status))
}
