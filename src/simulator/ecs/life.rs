//! The life of a task: pulled, started, checked, drained, stopped, each at its moment, and what a fault does to it.
//! It decides nothing about services: `rollout` starts and stops tasks.

use std::time::Duration;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::simulator::ecr;
use crate::simulator::ecs::model::{Container, Definition, Fitness, Phase, Service, Task};
use crate::simulator::fault::Fault;
use crate::simulator::world::{Platform, hex_of};

/// What a new task is made from.
pub(crate) struct Start<'a> {
    pub region: &'a str,
    pub cluster: &'a str,
    pub definition: &'a Definition,
    pub fault: Fault,
}

/// Makes a task that begins to start at `at`.
pub(crate) fn start(platform: &mut Platform, start: &Start<'_>, at: Timestamp) -> Task {
    let id = platform.hex(32);
    let address = platform.serial();
    let containers: Vec<Container> =
        start.definition.containers().iter().map(|body| container(platform, start.region, body, &id)).collect();
    let arn = crate::simulator::world::arn("ecs", start.region, &format!("task/{}/{id}", start.cluster));
    let awsvpc = start.definition.body.get("networkMode").and_then(Value::as_str) == Some("awsvpc");
    Task {
        arn,
        id,
        definition: start.definition.arn.clone(),
        deployment: String::new(),
        started_by: String::new(),
        group: String::new(),
        phase: Phase::Provisioning,
        due: Some(at.plus(platform.pace.start / 3)),
        fitness: Fitness::Unchecked,
        fitness_due: None,
        created_at: at,
        started_at: None,
        stopping_at: None,
        stopped_at: None,
        stop: None,
        told_to_stop: false,
        containers,
        ip: format!("10.0.{}.{}", address / 250 % 250, address % 250 + 4),
        fault: start.fault,
        breaks_at: None,
        version: String::new(),
        alternate: false,
        balanced: false,
        launch_type: "FARGATE".to_owned(),
        awsvpc,
    }
}

fn container(platform: &Platform, region: &str, body: &Value, task: &str) -> Container {
    let name = crate::simulator::wire::text(body, "name").to_owned();
    let image = crate::simulator::wire::text(body, "image").to_owned();
    let option = |key: &str| body.pointer("/logConfiguration/options").and_then(|options| options.get(key)).and_then(Value::as_str);
    let awslogs = body.pointer("/logConfiguration/logDriver").and_then(Value::as_str) == Some("awslogs");
    let log = option("awslogs-group").filter(|_| awslogs).map(|group| {
        let stream = option("awslogs-stream-prefix").map_or(task.to_owned(), |prefix| format!("{prefix}/{name}/{task}"));
        (group.to_owned(), stream, option("awslogs-region").unwrap_or(region).to_owned())
    });
    Container {
        digest: digest_of(platform, &image),
        essential: body.get("essential").and_then(Value::as_bool).unwrap_or(true),
        exit_code: None,
        reason: None,
        log,
        checked: body.get("healthCheck").is_some_and(Value::is_object),
        name,
        image,
    }
}

/// What an image reference resolves to: its own digest, the registry's for its tag, or one made up from the reference.
pub(crate) fn digest_of(platform: &Platform, image: &str) -> String {
    match image.split_once('@') {
        Some((_, digest)) => digest.to_owned(),
        None => ecr::digest_of_tag(&platform.repositories, image).unwrap_or_else(|| format!("sha256:{}", hex_of(image, 64))),
    }
}

/// Brings every task of a service to `at`; true when something changed.
pub(crate) fn advance(service: &mut Service, platform: &mut Platform, at: Timestamp) -> bool {
    let mut tasks = std::mem::take(&mut service.tasks);
    let mut changed = false;
    for task in &mut tasks {
        while task.next_due().is_some_and(|due| due <= at) {
            advance_one(service, platform, task, at);
            changed = true;
        }
    }
    // ECS shows stopped tasks for at least an hour.
    let hour = Duration::from_secs(3600);
    tasks.retain(|task| task.stopped_at.is_none_or(|stopped| at.since(stopped) < hour));
    service.tasks = tasks;
    changed
}

fn advance_one(service: &mut Service, platform: &mut Platform, task: &mut Task, at: Timestamp) {
    if task.due.is_some_and(|due| due <= at) {
        task.due = None;
        match task.phase {
            Phase::Provisioning => {
                task.phase = Phase::Pending;
                let stuck = task.fault == Fault::Stuck;
                task.due = (!stuck).then(|| at.plus(platform.pace.start * 2 / 3));
            }
            Phase::Pending if missing(platform, task).is_some() => pull_failed(platform, task, at),
            Phase::Pending => run(service, platform, task, at),
            Phase::Running => crash(service, platform, task, at),
            Phase::Deactivating => stopped(task, at, Some(0)),
            Phase::Stopped => {}
        }
        if task.phase == Phase::Stopped && !task.told_to_stop {
            failed(service, platform, task, at);
        }
    }
    if task.fitness_due.is_some_and(|due| due <= at) {
        task.fitness_due = None;
        if task.phase == Phase::Running {
            judge(service, platform, task, at);
        }
    }
}

fn run(service: &mut Service, platform: &mut Platform, task: &mut Task, at: Timestamp) {
    task.phase = Phase::Running;
    task.started_at = Some(at);
    let line = format!("listening on 0.0.0.0:8080, version {}", task.version);
    say(platform, task, at, service.hostile.as_deref(), &line);
    if matches!(task.fault, Fault::CrashOnStart | Fault::OutOfMemory) {
        task.due = Some(at.plus(platform.pace.start / 5));
    }
    if task.balanced || task.containers.iter().any(|container| container.checked) {
        task.fitness = Fitness::Initial;
        task.fitness_due = Some(at.plus(platform.pace.register));
    }
}

/// The image that cannot be pulled.
fn missing(platform: &Platform, task: &Task) -> Option<String> {
    let by_fault = task.containers.iter().find(|container| task.fault == Fault::ImagePull && container.essential);
    let found = by_fault.or_else(|| task.containers.iter().find(|container| !ecr::can_be_pulled(platform, &container.image)));
    found.map(|container| container.image.clone())
}

fn pull_failed(platform: &Platform, task: &mut Task, at: Timestamp) {
    let image = missing(platform, task).unwrap_or_default();
    stopped(task, at, None);
    let reason = format!(
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {image}: {image}: not found"
    );
    for container in &mut task.containers {
        container.reason = Some(reason.clone());
    }
    task.stop = Some(("TaskFailedToStart", reason));
}

fn crash(service: &Service, platform: &mut Platform, task: &mut Task, at: Timestamp) {
    let memory = task.fault == Fault::OutOfMemory;
    let line = if memory { "loading the whole catalogue into memory" } else { "fatal: DATABASE_URL is not set" };
    say(platform, task, at, service.hostile.as_deref(), line);
    stopped(task, at, Some(0));
    for container in task.containers.iter_mut().filter(|container| container.essential) {
        container.exit_code = Some(if memory { 137 } else { 1 });
        container.reason = memory.then(|| "OutOfMemoryError: Container killed due to memory usage".to_owned());
    }
    let reason = if memory { "OutOfMemoryError: Container killed due to memory usage" } else { "Essential container in task exited" };
    let reason = service.hostile.as_ref().map_or(reason.to_owned(), |hostile| format!("{reason} {hostile}"));
    task.stop = Some(("EssentialContainerExited", reason));
}

/// The first verdict of whoever checks, and the end of a task that failed it.
fn judge(service: &mut Service, platform: &mut Platform, task: &mut Task, at: Timestamp) {
    let bad = task.fault == Fault::NeverHealthy;
    if !bad {
        task.fitness = Fitness::Healthy;
        return;
    }
    let heard_from = task.started_at.unwrap_or(at).plus(service.grace());
    if task.fitness == Fitness::Initial {
        task.fitness = Fitness::Unhealthy;
        task.fitness_due = Some(at.plus(platform.pace.register).max(heard_from));
        return;
    }
    let (what, reason) = unhealthy_words(service, task);
    let id = platform.uuid();
    service.event(id, at, what);
    say(platform, task, at, service.hostile.as_deref(), "GET /health 500");
    stopped(task, at, Some(143));
    task.stop = Some(("ServiceSchedulerInitiated", reason));
    failed(service, platform, task, at);
}

fn unhealthy_words(service: &Service, task: &Task) -> (String, String) {
    let (name, group) = (&service.name, service.target_groups().0.unwrap_or_default());
    if task.balanced {
        let cause = "due to (reason Health checks failed with these codes: [500])";
        let what = format!("(service {name}) (port 8080) is unhealthy in (target-group {group}) {cause}.");
        return (what, format!("Task failed ELB health checks in (target-group {group})"));
    }
    let what = format!("(service {name}) (task {}) failed container health checks.", task.id);
    (what, "Task failed container health checks".to_owned())
}

/// A task of the deployment under way ended by itself: counted, and the next one waits a little.
fn failed(service: &mut Service, platform: &Platform, task: &Task, at: Timestamp) {
    service.restart_at = Some(at.plus((platform.pace.start / 4).max(Duration::from_secs(1))));
    if let Some(deployment) = service.deployments.iter_mut().find(|deployment| deployment.number == task.deployment) {
        deployment.failed += 1;
        deployment.updated_at = at;
    }
}

fn stopped(task: &mut Task, at: Timestamp, exit_code: Option<i64>) {
    task.phase = Phase::Stopped;
    task.fitness = Fitness::Unchecked;
    (task.due, task.fitness_due) = (None, None);
    task.stopping_at = task.stopping_at.or(Some(at));
    task.stopped_at = Some(at);
    for container in &mut task.containers {
        container.exit_code = container.exit_code.or(exit_code);
    }
}

/// Ends a task on purpose: it drains first.
pub(crate) fn stop(platform: &Platform, task: &mut Task, at: Timestamp, why: (&'static str, String)) {
    task.told_to_stop = true;
    task.stop = Some(why);
    task.stopping_at = Some(at);
    task.fitness_due = None;
    if task.phase == Phase::Running {
        task.phase = Phase::Deactivating;
        task.fitness = if task.balanced { Fitness::Draining } else { Fitness::Unchecked };
        task.due = Some(at.plus(platform.pace.drain));
    } else {
        stopped(task, at, None);
    }
}

/// Brings a task run by hand to `at`: it runs once, to its end.
pub(crate) fn advance_job(task: &mut Task, platform: &mut Platform, at: Timestamp) {
    task.due = None;
    match task.phase {
        Phase::Provisioning => {
            task.phase = Phase::Pending;
            task.due = Some(at.plus(platform.pace.start * 2 / 3));
        }
        Phase::Pending if missing(platform, task).is_some() => pull_failed(platform, task, at),
        Phase::Pending => {
            task.phase = Phase::Running;
            task.started_at = Some(at);
            task.due = Some(at.plus(platform.pace.job));
            say(platform, task, at, None, "applying 3 migrations");
        }
        Phase::Running => {
            let bad = task.fault == Fault::MigrationFails;
            let line = if bad { "migration 2 failed: column \"email\" contains null values" } else { "3 migrations applied" };
            say(platform, task, at, None, line);
            stopped(task, at, Some(0));
            for container in task.containers.iter_mut().filter(|container| container.essential) {
                container.exit_code = Some(i64::from(bad));
            }
            task.stop = Some(("EssentialContainerExited", "Essential container in task exited".to_owned()));
        }
        Phase::Deactivating => stopped(task, at, Some(143)),
        Phase::Stopped => {}
    }
}

fn say(platform: &mut Platform, task: &Task, at: Timestamp, hostile: Option<&str>, line: &str) {
    for container in task.containers.iter().filter(|container| container.essential) {
        platform.log(container.log.as_ref(), at, line);
        if let Some(hostile) = hostile {
            platform.log(container.log.as_ref(), at, hostile);
        }
    }
}
