//! `mode: rehearse`: the user's own configuration against the built-in simulator, with a fault of the user's choice.
//! No credentials, no network, an hour in seconds; nothing is left for a post step.

use std::time::Duration;

use crate::clock::Clock;
use crate::cloud::aws::AwsEndpoints;
use crate::config::plan::{ImageSource, Plan, ServicePlan, TargetPlan};
use crate::engine::journal::Journal;
use crate::failure::{Failure, Result};
use crate::health::{HealthAt, HealthSettings, StatusSet, VersionAt, VersionIs};
use crate::http::Endpoints;
use crate::runner::env::Env;
use crate::simulator::Simulator;
use crate::simulator::fault::Fault;
use crate::simulator::seed::{Answers, RequestReply, ServiceSeed};

use super::context::{Context, Fencing, Overrides, Surroundings};
use super::deploy;

/// How many times as fast as the wall a rehearsal's clock runs.
const PACE: f64 = 60.0;
/// How long a rollout of a rehearsal takes on that clock.
const ROLLOUT: Duration = Duration::from_secs(45);
/// The shortest timeout of a health request, in real time, by which a slow answer is told from a busy machine.
const TOLD_APART: Duration = Duration::from_secs(2);
/// The role of a rehearsal whose settings name none.
const ROLE: &str = "arn:aws:iam::123456789012:role/rehearsal";
/// What the release before tells as its version.
const BEFORE: &str = "before";
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
pub(crate) async fn rehearse(surroundings: &Surroundings, plan: &Plan, fault: Fault) -> Result<Journal> {
    let pace = pace(plan, fault);
    let clock = Clock::scaled(pace);
    let simulator = Simulator::start(clock.clone()).await;
    let simulator = simulator.map_err(|error| Failure::bug("the simulator cannot listen on 127.0.0.1").why(error.to_string()))?;
    let mut plan = plan.clone();
    plan.auth.aws.role.get_or_insert_with(|| ROLE.to_owned());
    without_patterns(&mut plan);
    seed(&simulator, &plan, fault)?;
    simulator.world().set_rollout_time(ROLLOUT.mul_f64(pace / PACE));
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
    deploy::deploy(&context, &plan).await
}

/// Where answers are slow, the clock runs so that the time they are given is real: else a slow answer would pass for one in time.
fn pace(plan: &Plan, fault: Fault) -> f64 {
    let shortest = plan.services.iter().map(|service| service.health.timeout).min().unwrap_or(TOLD_APART);
    if fault == Fault::SlowHealth { (shortest.as_secs_f64() / TOLD_APART.as_secs_f64()).clamp(1.0, PACE) } else { PACE }
}

/// A world in which every service of the plan serves its release before.
fn seed(simulator: &Simulator, plan: &Plan, fault: Fault) -> Result<()> {
    let world = simulator.world();
    let roles = plan.auth.aws.role.iter();
    roles.for_each(|role| world.add_role(role, &["*"]));
    let external = plan.auth.aws.external_id.as_ref().map(|id| id.expose().to_owned());
    let last = plan.auth.aws.role_chain.len().saturating_sub(1);
    for (index, role) in plan.auth.aws.role_chain.iter().enumerate() {
        world.add_chained_role(role, external.as_deref().filter(|_| index == last));
    }
    for service in &plan.services {
        world.add_service(&service_seed(service))?;
        world.set_fault(&service.service, fault);
        if let Some(ImageSource::Tagged { repository, tag }) = &service.image
            && let Some(place) = crate::cloud::aws::ecr::Repository::parse(repository)
        {
            world.add_image(&place.region, &place.name, tag);
        }
    }
    Ok(())
}

fn service_seed(plan: &ServicePlan) -> ServiceSeed {
    let TargetPlan::Ecs(settings) = &plan.target;
    let mut seed = ServiceSeed::new(&plan.service);
    seed.region.clone_from(&settings.region);
    seed.cluster.clone_from(&settings.cluster);
    if let Some(container) = &plan.container {
        seed.container.clone_from(container);
    }
    if let Some(ImageSource::Pinned(crate::values::PinnedImage { repository, .. }) | ImageSource::Tagged { repository, .. }) = &plan.image {
        seed.image = format!("{repository}:before");
    }
    if let HealthAt::Url(url) = &plan.health.at
        && let Some(host) = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned))
    {
        seed.hosts.push(host);
    }
    seed.answers = answers(plan);
    seed
}

/// Patterns of bodies are left out, and the summary says so: the application of a rehearsal has no text that would match one.
fn without_patterns(plan: &mut Plan) {
    let mut notes = Vec::new();
    for service in &mut plan.services {
        let bodies = std::iter::once(&mut service.health.body).chain(service.health.smoke.iter_mut().map(|test| &mut test.body));
        for body in bodies.filter(|body| body.as_deref().and_then(crate::health::pattern).is_some()) {
            let pattern = body.take().unwrap_or_default();
            notes.push(format!("{}: the rehearsal has no body that matches {pattern}: this was not rehearsed", service.name));
        }
    }
    plan.notes.extend(notes);
}

/// A status of the set, 200 where it is among them.
fn wanted(set: &StatusSet) -> u16 {
    let first = set.0.first().map_or(200, |(from, _)| *from);
    if set.0.iter().any(|(from, to)| (*from..=*to).contains(&200)) { 200 } else { first }
}

/// The application answers as the settings expect it to.
fn answers(plan: &ServicePlan) -> Answers {
    let HealthSettings { at, json, header, body, version, smoke, status, .. } = &plan.health;
    let mut answers = Answers { old: Some(BEFORE.to_owned()), json: json.clone(), headers: header.clone(), ..Answers::default() };
    answers.text.clone_from(body);
    answers.status = wanted(status);
    match at {
        HealthAt::Path(path) => answers.paths.push(path.clone()),
        HealthAt::Url(url) => answers.paths.extend(url::Url::parse(url).ok().map(|url| url.path().to_owned())),
        HealthAt::Waived(_) => {}
    }
    answers.replies.extend(smoke.iter().map(|test| RequestReply {
        method: test.method.clone(),
        path: test.path.split('?').next().unwrap_or_default().to_owned(),
        status: wanted(&test.status),
        text: test.body.clone(),
        json: test.json.clone(),
    }));
    if let Some(rule) = version {
        match &rule.at {
            VersionAt::Pointer(pointer) => answers.version_pointer.clone_from(pointer),
            VersionAt::Header(name) => answers.version_header.clone_from(name),
        }
        answers.new = match &rule.expected {
            VersionIs::Commit(text) | VersionIs::Text(text) => Some(text.clone()),
            VersionIs::Digest => None,
        };
    }
    answers
}
