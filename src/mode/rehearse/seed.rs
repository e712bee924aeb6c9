//! The world of a rehearsal: every service of the plan serves a release before, and its application answers as the settings expect.

use serde_json::{Value, json};

use super::adjust::copied;
use crate::cloud::aws::ecr::Repository;

use crate::config::plan::{ImageSource, Plan, ServicePlan, TargetPlan};
use crate::failure::Result;
use crate::health::{HealthAt, HealthSettings, StatusSet, VersionAt, VersionIs};
use crate::simulator::Simulator;
use crate::simulator::seed::{Answers, RequestReply, ServiceSeed};
use crate::target::ecs::snapshot::runs_on;

use super::faults::Faults;

/// What the release before tells as its version.
const BEFORE: &str = "before";

/// A world in which every service of the plan serves its release before.
pub(super) fn seed(simulator: &Simulator, plan: &Plan, faults: &Faults) -> Result<()> {
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
        world.set_fault(&service.service, faults.of(&service.name));
        if let Some(ImageSource::Tagged { repository, tag, .. }) = &service.image
            && let Some(place) = Repository::parse(&repository.to_string())
        {
            let platform = service.definition.as_ref().and_then(runs_on).unwrap_or("linux/amd64");
            world.add_image_for(platform, &place.region, &place.name, tag);
        }
        if let Some(ImageSource::Pushed(push)) = &service.image
            && let Some((repository, tag)) = copied(service, push)
            && let (Some(from), Some(to)) = (Repository::parse(&repository.to_string()), Repository::parse(&push.to.to_string()))
        {
            world.add_image(&from.region, &from.name, tag);
            world.add_repository(&to.region, &to.name, false);
            let before = world.add_image(&to.region, &to.name, BEFORE);
            // A tag without a number (`latest`, `staging`) names what serves.
            let names = push.tags.iter().filter(|tag| !tag.contains(|c: char| c.is_ascii_digit()));
            names.for_each(|tag| world.set_tag(&to.region, &to.name, tag, &before));
        }
    }
    Ok(())
}

fn service_seed(plan: &ServicePlan) -> ServiceSeed {
    let TargetPlan::Ecs(settings) = &plan.target;
    let mut seed = ServiceSeed::new(&plan.service);
    seed.region.clone_from(&settings.region);
    seed.cluster.clone_from(&settings.cluster);
    // One name on the platform may stand for several services, in regions or clusters of their own.
    seed.host = Some(format!("{}.example.com", plan.name));
    if let Some(container) = &plan.container {
        seed.container.clone_from(container);
    }
    if let Some(desired) = settings.desired_count {
        seed.desired = desired;
    }
    if let Some(image) = &plan.image {
        let repository = match image {
            ImageSource::Pinned(image) => image.repository.clone(),
            ImageSource::Tagged { repository, .. } => repository.to_string(),
            ImageSource::Pushed(push) => push.to.to_string(),
        };
        seed.image = format!("{repository}:{BEFORE}");
    }
    if let HealthAt::Url(url) = &plan.health.at
        && let Some(host) = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned))
    {
        seed.hosts.push(host);
    }
    if let Some(definition) = &plan.definition {
        like(&mut seed, definition);
    }
    seed.answers = answers(plan);
    seed
}

/// What runs before looks like the user's own task definition, with another image.
fn like(seed: &mut ServiceSeed, definition: &Value) {
    let mut definition = definition.clone();
    if definition["family"].as_str().is_none_or(str::is_empty) {
        definition["family"] = json!(seed.name);
    }
    let containers = definition["containerDefinitions"].as_array_mut().map(Vec::as_mut_slice).unwrap_or_default();
    let leads = |container: &Value| container["portMappings"].as_array().is_some_and(|ports| !ports.is_empty());
    let named = containers.iter().position(|container| container["name"] == seed.container.as_str());
    let Some(serving) = named.or_else(|| containers.iter().position(leads)).or(if containers.is_empty() { None } else { Some(0) }) else {
        return;
    };
    for container in containers.iter_mut() {
        if container["image"].as_str().is_none_or(str::is_empty) {
            container["image"] = json!(seed.image);
        }
    }
    let serving = &mut containers[serving];
    serving["image"] = json!(seed.image);
    if let Some(name) = serving["name"].as_str() {
        name.clone_into(&mut seed.container);
    }
    let port = serving.pointer("/portMappings/0/containerPort").and_then(Value::as_u64);
    match port.and_then(|port| u16::try_from(port).ok()) {
        Some(port) => seed.port = port,
        None => serving["portMappings"] = json!([{ "containerPort": seed.port, "protocol": "tcp" }]),
    }
    seed.definition = Some(definition);
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
