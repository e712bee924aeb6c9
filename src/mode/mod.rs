//! The modes: each reads top to bottom as the story of what it does.

mod context;
mod demo;
mod deploy;
mod images;
mod keep;
mod look;
mod members;
mod recover;
mod rehearse;

use crate::clock::Clock;
use crate::engine::journal::Journal;
use crate::failure::Failure;
use crate::runner::env::Env;
use crate::runner::log::Log;
use crate::runner::signals::Stop;

use context::Surroundings;

/// What a process was started with.
pub struct Invocation {
    /// The arguments, the name it was called by first.
    pub args: Vec<String>,
    /// The environment.
    pub env: Env,
    /// Where it prints.
    pub log: Log,
    /// Its clock.
    pub clock: Clock,
    /// Its signals.
    pub stop: Stop,
}

/// Runs it and answers with the exit status.
pub async fn run(invocation: Invocation) -> u8 {
    let Invocation { args, env, log, clock, stop } = invocation;
    let surroundings = Surroundings { env, log: log.clone(), clock, stop };
    if args.get(1).map(String::as_str) == Some("demo") {
        return match demo::demo(&surroundings).await {
            Ok(journals) => journals.iter().map(|journal| show(&log, journal)).last().unwrap_or(0),
            Err(failure) => failed(&log, &failure),
        };
    }
    0
}

fn show(log: &Log, journal: &Journal) -> u8 {
    for (name, service) in crate::engine::state::fold(journal.entries()).services {
        log.line(&format!("{name}: {:?}", service.outcome(true)));
    }
    0
}

fn failed(log: &Log, failure: &Failure) -> u8 {
    log.line(&failure.to_string());
    1
}
