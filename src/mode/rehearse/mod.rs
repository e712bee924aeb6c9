//! `mode: rehearse`: the user's own configuration against the built-in simulator, with a fault of the user's choice.
//! No credentials, no network, an hour in seconds; nothing is left for a post step.

mod adjust;
mod faults;
mod seed;

use std::time::Duration;

use crate::clock::Clock;
use crate::cloud::aws::AwsEndpoints;
use crate::config::plan::Plan;
use crate::engine::journal::Journal;
use crate::engine::state;
use crate::failure::{Failure, Result};
use crate::http::Endpoints;
use crate::runner::env::Env;
use crate::simulator::Simulator;
use crate::simulator::fault::Fault;

use super::context::{Context, Fencing, Overrides, Surroundings};
use super::deploy;

use faults::Faults;

/// How many times as fast as the wall a rehearsal's clock runs.
const PACE: f64 = 60.0;
/// How long a rollout of a rehearsal takes on that clock.
const ROLLOUT: Duration = Duration::from_secs(45);
/// How long after the rollout a release breaks that was healthy at first.
const BREAKS_AFTER: Duration = Duration::from_secs(60);
/// The shortest timeout of a health request, in real time, by which a slow answer is told from a busy machine.
const TOLD_APART: Duration = Duration::from_secs(2);
/// The role of a rehearsal whose settings name none.
const ROLE: &str = "arn:aws:iam::123456789012:role/rehearsal";
/// Variables of the workflow that a rehearsal may see.
const SEEN: [&str; 8] = [
    "GITHUB_REPOSITORY",
    "GITHUB_SHA",
    "GITHUB_REF",
    "GITHUB_SERVER_URL",
    "GITHUB_RUN_ID",
    "GITHUB_RUN_ATTEMPT",
    "GITHUB_ACTOR",
    "GITHUB_EVENT_NAME",
];

/// The whole walk against the simulator.
pub(crate) async fn rehearse(surroundings: &Surroundings, plan: &Plan, fault: Option<&str>) -> Result<Journal> {
    let faults = Faults::parse(fault, plan)?;
    let pace = pace(plan, &faults);
    let clock = Clock::scaled(pace);
    let simulator = Simulator::start(clock.clone()).await;
    let simulator = simulator.map_err(|error| Failure::bug("the simulator cannot listen on 127.0.0.1").why(error.to_string()))?;
    let mut plan = plan.clone();
    plan.auth.aws.role.get_or_insert_with(|| ROLE.to_owned());
    adjust::to_a_rehearsal(&mut plan);
    seed::seed(&simulator, &plan, &faults)?;
    simulator.world().set_rollout_time(ROLLOUT.mul_f64(pace / PACE));
    simulator.world().set_break_after(BREAKS_AFTER);
    let endpoints = simulator.endpoints();
    let seen = SEEN.iter().filter_map(|name| Some(((*name).to_owned(), surroundings.env.get(name)?.to_owned())));
    let issuer = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL".to_owned(), endpoints.token_request_url.clone()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN".to_owned(), endpoints.token_request_bearer.clone()),
    ];
    let env: Env = seen.chain(issuer).collect();
    let aws = AwsEndpoints { all: Some(endpoints.aws.clone()), ..AwsEndpoints::default() };
    let hosts = endpoints.hosts.iter().map(|host| (Endpoints::key(host), endpoints.aws.clone())).collect();
    let surroundings = Surroundings { env, clock, ..surroundings.clone() };
    let context = Context::new(surroundings, Overrides { aws, hosts: Endpoints(hosts) }, Fencing::Main)?;
    let journal = deploy::deploy(&context, &plan).await?;
    faults.noticed(&plan, &state::fold(journal.entries()))?;
    Ok(journal)
}

/// Where answers are slow, the clock runs so that the time they are given is real: else a slow answer would pass for one in time.
fn pace(plan: &Plan, faults: &Faults) -> f64 {
    let shortest = plan.services.iter().map(|service| service.health.timeout).min().unwrap_or(TOLD_APART);
    if faults.any(Fault::SlowHealth) { (shortest.as_secs_f64() / TOLD_APART.as_secs_f64()).clamp(1.0, PACE) } else { PACE }
}
