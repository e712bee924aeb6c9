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
mod tell;

use crate::clock::Clock;
use crate::config;
use crate::config::plan::{Mode, Plan};
use crate::engine::journal::Journal;
use crate::failure::{Failure, Result};
use crate::runner::env::Env;
use crate::runner::log::Log;
use crate::runner::signals::Stop;
use crate::simulator::fault::Fault;

use context::{Context, Fencing, Overrides, Surroundings};
use recover::Recovered;
use tell::Told;

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
    let surroundings = Surroundings { env, log, clock, stop };
    let name = args.first().map(String::as_str).unwrap_or_default();
    if name.ends_with("touchdown-post") {
        return post(surroundings).await;
    }
    match args.get(1).map(String::as_str) {
        Some("demo") => demo::demo(&surroundings).await,
        Some("--version") => {
            surroundings.log.line(concat!("touchdown ", env!("CARGO_PKG_VERSION")));
            0
        }
        Some(other) => {
            let failure = Failure::config(format!("{other:?} is no command"))
                .why("settings are read from the step's inputs; flags at a terminal are not served yet")
                .fix("write no argument, or demo, or --version");
            tell::tell(&surroundings, Told::Early(&failure))
        }
        None => main(surroundings).await,
    }
}

/// The step itself.
async fn main(surroundings: Surroundings) -> u8 {
    let plan = match config::of_inputs(&surroundings.env) {
        Ok(plan) => plan,
        Err(mistakes) => return tell::tell(&surroundings, Told::Early(&config::failure(&mistakes))),
    };
    match walk(&surroundings, &plan).await {
        Ok(journal) => tell::tell(&surroundings, Told::Journal(&journal)),
        Err(failure) => tell::tell(&surroundings, Told::Early(&failure)),
    }
}

async fn walk(surroundings: &Surroundings, plan: &Plan) -> Result<Journal> {
    if let Mode::Rehearse { fault } = &plan.mode {
        let fault = fault.as_deref().map_or(Ok(Fault::None), Fault::parse)?;
        return rehearse::rehearse(surroundings, plan, fault).await;
    }
    let overrides = Overrides { aws: plan.aws_endpoints.clone(), hosts: plan.endpoints.clone() };
    let context = Context::new(surroundings.clone(), overrides, Fencing::Main)?;
    match &plan.mode {
        Mode::Deploy | Mode::Rollback { .. } if plan.skip.deploy => look::verify(&context, plan).await,
        Mode::Deploy | Mode::Rollback { .. } => {
            let journal = deploy::deploy(&context, plan).await;
            keep::leave(&context, journal.as_ref().ok());
            journal
        }
        Mode::Plan => look::plan(&context, plan).await,
        Mode::Verify => look::verify(&context, plan).await,
        Mode::History => look::history(&context, plan).await,
        Mode::Rehearse { .. } => Err(Failure::bug("a rehearsal was to be done twice")),
    }
}

/// The post step.
async fn post(surroundings: Surroundings) -> u8 {
    let (endpoints, aws) = config::endpoints_of(&surroundings.env);
    let overrides = Overrides { aws, hosts: endpoints };
    let recovered = match Context::new(surroundings.clone(), overrides, Fencing::Post) {
        Ok(context) => recover::recover(&context).await,
        Err(failure) => Err(failure),
    };
    match recovered {
        Ok(Recovered::Settled) => 0,
        Ok(Recovered::Went(journal)) => tell::tell(&surroundings, Told::Journal(&journal)),
        Ok(Recovered::Refused(failure)) | Err(failure) => tell::tell(&surroundings, Told::Early(&failure)),
    }
}
