//! The modes: each reads top to bottom as the story of what it does.

mod context;
mod demo;
mod deploy;
mod keep;
mod look;
mod members;
mod push;
mod recover;
mod rehearse;
mod secrets;
mod tell;

use crate::clock::Clock;
use crate::config::flags::{self, Command, Flags};
use crate::config::plan::{Mode, Plan};
use crate::config::{self, Config, help};
use crate::engine::journal::Journal;
use crate::failure::{Failure, Result};
use crate::runner::env::Env;
use crate::runner::log::Log;
use crate::runner::oidc::{Claims, Oidc};
use crate::runner::signals::Stop;

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
    // At a terminal nobody deploys by a bare word.
    let bare = args.len() < 2 && !surroundings.env.in_workflow();
    let shown = match flags::command(&args) {
        Ok(Command::Run(_)) if bare => help::help(),
        Ok(Command::Run(flags)) => return main(surroundings, &flags).await,
        Ok(Command::Demo) => return demo::demo(&surroundings).await,
        Ok(Command::Help) => help::help(),
        Ok(Command::Version) => concat!("touchdown ", env!("CARGO_PKG_VERSION")).to_owned(),
        Err(mistakes) => return tell::tell(&surroundings, Told::Early(&config::failure(&mistakes))),
    };
    surroundings.log.line(shown.trim_end());
    0
}

/// The step itself, or the same at a terminal.
async fn main(surroundings: Surroundings, flags: &Flags) -> u8 {
    let plan = match settle(&surroundings, flags).await {
        Ok(plan) => plan,
        Err(failure) => return tell::tell(&surroundings, Told::Early(&failure)),
    };
    secrets::hide(&surroundings.log, &plan);
    match walk(&surroundings, &plan).await {
        Ok(journal) => tell::tell(&surroundings, Told::Journal(&journal)),
        Err(failure) => tell::tell(&surroundings, Told::Early(&failure)),
    }
}

/// The plan. GitHub's issuer is asked for the job's environment where the file differs by environment and none was named.
async fn settle(surroundings: &Surroundings, flags: &Flags) -> Result<Plan> {
    let config = Config::read(&surroundings.env, flags);
    let environment = if config.asks_for_the_jobs_environment() { jobs_environment(surroundings).await? } else { None };
    config.plan(environment.as_deref()).map_err(|mistakes| config::failure(&mistakes))
}

async fn jobs_environment(surroundings: &Surroundings) -> Result<Option<String>> {
    let explained = |failure: Failure| {
        let fix = "name the environment yourself: environment: NAME (or --environment NAME)";
        failure.why("the file differs by environment, and which one this job has stands in its identity token").fix(fix)
    };
    let (hosts, aws) = config::endpoints_of(&surroundings.env);
    let context = Context::new(surroundings.clone(), Overrides { aws, hosts }, Fencing::Main)?;
    let oidc = Oidc::of(&surroundings.env, context.http.clone(), surroundings.log.clone()).map_err(explained)?;
    let token = oidc.token("touchdown").await.map_err(explained)?;
    Ok(Claims::decode(&token).and_then(|claims| claims.environment))
}

async fn walk(surroundings: &Surroundings, plan: &Plan) -> Result<Journal> {
    if let Mode::Rehearse { fault } = &plan.mode {
        return rehearse::rehearse(surroundings, plan, fault.as_deref()).await;
    }
    let overrides = Overrides { aws: plan.aws_endpoints.clone(), hosts: plan.endpoints.clone() };
    let context = Context::new(surroundings.clone(), overrides, Fencing::Main)?;
    match &plan.mode {
        Mode::Deploy if plan.skip.deploy => {
            let journal = deploy::without_deploying(&context, plan).await;
            keep::leave(&context, journal.as_ref().ok());
            journal
        }
        Mode::Rollback { .. } if plan.skip.deploy => look::verify(&context, plan).await,
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
    keep::drop_all_credentials(&surroundings.env);
    match recovered {
        Ok(Recovered::Settled) => 0,
        Ok(Recovered::Went(journal)) => tell::tell(&surroundings, Told::Journal(&journal)),
        Ok(Recovered::Refused(failure)) | Err(failure) => tell::tell(&surroundings, Told::Early(&failure)),
    }
}
