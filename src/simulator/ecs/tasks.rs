//! Tasks: ListTasks, DescribeTasks, RunTask, StopTask.

use serde_json::{Value, json};

use crate::simulator::ecs::model::{Definition, Task};
use crate::simulator::ecs::{cluster_of, life, rollout, views};
use crate::simulator::fault::Fault;
use crate::simulator::wire::{Outcome, Refusal, text, texts};
use crate::simulator::world::State;

/// ListTasks; `startedBy` allows no other filter.
pub(crate) fn list(state: &mut State, region: &str, body: &Value) -> Outcome {
    let cluster = cluster_of(state, region, text(body, "cluster"))?.arn.clone();
    let (service, started_by, family) = (text(body, "serviceName"), text(body, "startedBy"), text(body, "family"));
    let others = !service.is_empty() || !family.is_empty();
    if !started_by.is_empty() && others {
        return Err(Refusal::parameter("startedBy cannot be combined with other filters."));
    }
    let service = service.rsplit('/').next().unwrap_or_default();
    if !service.is_empty() && !state.services.iter().any(|one| one.cluster_arn == cluster && one.name == service) {
        return Err(Refusal::new("ServiceNotFoundException", "Service not found."));
    }
    let stopped = text(body, "desiredStatus") == "STOPPED";
    let group = format!("service:{service}");
    let arns: Vec<String> = tasks(state, &cluster)
        .filter(|task| task.live() != stopped)
        .filter(|task| service.is_empty() || task.group == group)
        .filter(|task| started_by.is_empty() || task.started_by == started_by)
        .filter(|task| family.is_empty() || task.definition.contains(&format!("task-definition/{family}:")))
        .map(|task| task.arn.clone())
        .collect();
    Ok(json!({ "taskArns": arns.into_iter().rev().take(100).collect::<Vec<_>>() }))
}

fn tasks<'a>(state: &'a State, cluster: &'a str) -> impl Iterator<Item = &'a Task> {
    let of_services = state.services.iter().filter(move |service| service.cluster_arn == cluster).flat_map(|service| &service.tasks);
    of_services.chain(state.jobs.iter().filter(move |(place, _)| place == cluster).map(|(_, task)| task))
}

/// DescribeTasks.
pub(crate) fn describe(state: &mut State, region: &str, body: &Value) -> Outcome {
    let cluster = cluster_of(state, region, text(body, "cluster"))?.arn.clone();
    let asked = texts(body, "tasks");
    if asked.is_empty() || asked.len() > 100 {
        return Err(Refusal::parameter("Tasks cannot be empty and may have at most 100 entries."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in asked {
        let id = name.rsplit('/').next().unwrap_or(&name);
        match tasks(state, &cluster).find(|task| task.id == id) {
            Some(task) => found.push(views::task(task, &cluster)),
            None => failures.push(json!({ "arn": name, "reason": "MISSING" })),
        }
    }
    Ok(json!({ "tasks": found, "failures": failures }))
}

/// RunTask; the same `clientToken` with the same parameters answers with the same tasks.
pub(crate) fn run(state: &mut State, region: &str, body: &Value) -> Outcome {
    let cluster = cluster_of(state, region, text(body, "cluster"))?.clone();
    let definition = state.platform.definition(region, text(body, "taskDefinition")).filter(|definition| definition.active);
    let definition = definition.cloned().ok_or_else(|| Refusal::client("TaskDefinition not found."))?;
    check_run(&definition, body)?;
    let token = text(body, "clientToken").to_owned();
    let parameters = body.to_string();
    if let Some((first, arns)) = state.platform.job_tokens.get(&token).filter(|_| !token.is_empty()) {
        if *first != parameters {
            let message = "The RunTask request could not be processed because the provided clientToken was used with other parameters.";
            let mut refusal = Refusal::new("ConflictException", message);
            refusal.resources.clone_from(arns);
            return Err(refusal);
        }
        let again: Vec<Value> =
            tasks(state, &cluster.arn).filter(|task| arns.contains(&task.arn)).map(|task| views::task(task, &cluster.arn)).collect();
        return Ok(json!({ "tasks": again, "failures": [] }));
    }
    let count = body.get("count").and_then(Value::as_u64).unwrap_or(1);
    let fault = job_fault(state);
    if fault == Fault::Placement {
        return Ok(json!({ "tasks": [], "failures": [{ "arn": cluster.arn, "reason": "RESOURCE:CPU" }] }));
    }
    let (at, mut views_of_new) = (state.platform.now, Vec::new());
    let mut arns = Vec::new();
    for _ in 0..count {
        let start = life::Start { region, cluster: &cluster.name, definition: &definition, fault };
        let mut task = life::start(&mut state.platform, &start, at);
        task.started_by = text(body, "startedBy").to_owned();
        task.group = format!("family:{}", text(&Value::Object(definition.body.clone()), "family"));
        views_of_new.push(views::task(&task, &cluster.arn));
        arns.push(task.arn.clone());
        state.jobs.push((cluster.arn.clone(), task));
    }
    if !token.is_empty() {
        state.platform.job_tokens.insert(token, (parameters, arns));
    }
    Ok(json!({ "tasks": views_of_new, "failures": [] }))
}

/// Faults of services that concern what is run by hand.
fn job_fault(state: &State) -> Fault {
    let concerning = [Fault::MigrationFails, Fault::Placement];
    let set = state.services.iter().map(|service| service.fault).find(|fault| concerning.contains(fault));
    set.unwrap_or_default()
}

fn check_run(definition: &Definition, body: &Value) -> Outcome<()> {
    let awsvpc = definition.body.get("networkMode").and_then(Value::as_str) == Some("awsvpc");
    let network = body.get("networkConfiguration").is_some();
    if awsvpc && !network {
        return Err(Refusal::parameter("Network Configuration must be provided when networkMode 'awsvpc' is specified."));
    }
    if !awsvpc && network {
        return Err(Refusal::parameter("Network Configuration is not valid for the given networkMode of this task definition."));
    }
    if body.get("launchType").is_some() && body.get("capacityProviderStrategy").is_some() {
        return Err(Refusal::parameter("Specifying both a launch type and capacity provider strategy is not supported."));
    }
    if text(body, "startedBy").len() > 128 || text(body, "clientToken").len() > 64 {
        return Err(Refusal::parameter("startedBy may have 128 characters and clientToken 64."));
    }
    if body.get("count").and_then(Value::as_u64).is_some_and(|count| count == 0 || count > 10) {
        return Err(Refusal::parameter("Count must be between 1 and 10."));
    }
    let overrides = body.pointer("/overrides/containerOverrides").and_then(Value::as_array);
    let unknown = |one: &&Value| !definition.containers().iter().any(|container| text(container, "name") == text(one, "name"));
    match overrides.into_iter().flatten().find(unknown) {
        Some(one) => {
            Err(Refusal::parameter(format!("Override for container named {} is not a container in the TaskDefinition.", text(one, "name"))))
        }
        None => Ok(()),
    }
}

/// StopTask.
pub(crate) fn stop(state: &mut State, region: &str, body: &Value) -> Outcome {
    let cluster = cluster_of(state, region, text(body, "cluster"))?.arn.clone();
    let id = text(body, "task").rsplit('/').next().unwrap_or_default().to_owned();
    let State { services, jobs, platform, .. } = state;
    let why =
        ("UserInitiated", Some(text(body, "reason")).filter(|reason| !reason.is_empty()).unwrap_or("Task stopped by user").to_owned());
    let at = platform.now;
    if let Some((_, task)) = jobs.iter_mut().find(|(place, task)| *place == cluster && task.id == id) {
        life::stop(platform, task, at, why);
        return Ok(json!({ "task": views::task(task, &cluster) }));
    }
    for service in services.iter_mut().filter(|service| service.cluster_arn == cluster) {
        if let Some(task) = service.tasks.iter_mut().find(|task| task.id == id) {
            life::stop(platform, task, at, why);
            let view = views::task(task, &cluster);
            rollout::step(service, platform, at);
            return Ok(json!({ "task": view }));
        }
    }
    Err(Refusal::parameter("The referenced task was not found."))
}
