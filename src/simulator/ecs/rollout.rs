//! The service scheduler: what ECS does by itself as time passes - starts and stops tasks, ends deployments, rolls back.
//! Rolling updates are here; `stages` has the strategies that shift traffic.

use serde_json::Value;

use crate::clock::Timestamp;
use crate::simulator::ecs::life;
use crate::simulator::ecs::model::{Deployment, Fitness, Phase, Progress, RolledBack, Rollout, Service, Task};
use crate::simulator::ecs::{releases, stages};
use crate::simulator::fault::Fault;
use crate::simulator::world::Platform;

/// Why a deployment is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    CircuitBreaker,
    Alarm,
    /// StopServiceDeployment.
    Request,
    /// A pause hook answered with ROLLBACK, or not at all.
    Hook,
}

/// Does everything that is due at `at`.
pub(crate) fn step(service: &mut Service, platform: &mut Platform, at: Timestamp) {
    if service.restart_at.is_some_and(|restart| restart <= at) {
        service.restart_at = None;
    }
    // Bounded by the work there is; a rollout of no length finishes here.
    for _ in 0..1000 {
        let lived = life::advance(service, platform, at);
        let scheduled = schedule(service, platform, at);
        if !lived && !scheduled {
            break;
        }
    }
    service.stepped_at = service.stepped_at.max(at);
}

fn schedule(service: &mut Service, platform: &mut Platform, at: Timestamp) -> bool {
    if move_on(service, platform, at) || disturb(service, platform, at) || pause_over(service, platform, at) || trip(service, platform, at)
    {
        return true;
    }
    let Some(primary) = service.deployments.last() else { return false };
    if primary.rollout == Rollout::Failed {
        return false;
    }
    let shifts = service.shifting() && service.deployments.len() > 1 && primary.rollback_of.is_none();
    if shifts && primary.rollout == Rollout::InProgress {
        return stages::schedule(service, platform, at);
    }
    let started = start_missing(service, platform, at, false);
    let stopped = stop_surplus(service, platform, at);
    started || stopped || complete_if_done(service, platform, at)
}

/// Out of PENDING; out of STOP_REQUESTED into the rollback.
fn move_on(service: &mut Service, platform: &mut Platform, at: Timestamp) -> bool {
    let Some(primary) = service.deployments.last_mut() else { return false };
    if primary.due.is_none_or(|due| due > at) {
        return false;
    }
    primary.due = None;
    primary.updated_at = at;
    match primary.progress {
        Progress::Pending => primary.progress = Progress::InProgress,
        Progress::StopRequested => {
            primary.progress = Progress::RollbackRequested;
            primary.due = Some(at.plus(platform.pace.lag / 2));
        }
        Progress::RollbackRequested => fail(service, platform, at, (Cause::Request, true)),
        _ => {}
    }
    true
}

/// What the fault of the release brings in the middle of the rollout.
fn disturb(service: &mut Service, platform: &mut Platform, at: Timestamp) -> bool {
    let Some(primary) = service.deployments.last_mut() else { return false };
    if primary.disturb_at.is_none_or(|due| due > at) {
        return false;
    }
    primary.disturb_at = None;
    match primary.fault {
        Fault::Superseded => releases::deploy_by_somebody_else(service, platform, at),
        Fault::Alarm => {
            primary.alarms.triggered = true;
            let rollback = primary.alarms.rollback;
            fail(service, platform, at, (Cause::Alarm, rollback));
        }
        Fault::Placement => {
            primary.disturb_at = Some(at.plus(platform.pace.start.max(std::time::Duration::from_secs(5))));
            let cause =
                "because no container instance met all of its requirements. Reason: No Container Instances were found in your cluster.";
            let text = format!("(service {}) was unable to place a task {cause}", service.name);
            let id = platform.uuid();
            service.event(id, at, text);
        }
        _ => {}
    }
    true
}

/// Nobody answered a pause hook in time.
fn pause_over(service: &mut Service, platform: &mut Platform, at: Timestamp) -> bool {
    let Some(pause) = service.deployments.last_mut().and_then(|primary| primary.pause.as_mut()) else { return false };
    if pause.status != "AWAITING_ACTION" || pause.expires > at {
        return false;
    }
    pause.status = "TIMED_OUT";
    if pause.rollback_on_timeout {
        fail(service, platform, at, (Cause::Hook, true));
    }
    true
}

/// The circuit breaker.
fn trip(service: &mut Service, platform: &mut Platform, at: Timestamp) -> bool {
    let Some(primary) = service.deployments.last_mut() else { return false };
    let breaker = &mut primary.breaker;
    let running = primary.rollout == Rollout::InProgress;
    if !running || !breaker.enabled || breaker.triggered || primary.failed < breaker.threshold {
        return false;
    }
    breaker.triggered = true;
    let rollback = breaker.rollback;
    fail(service, platform, at, (Cause::CircuitBreaker, rollback));
    true
}

/// Starts what is missing of the PRIMARY deployment, within the maximum; true when something was started.
pub(crate) fn start_missing(service: &mut Service, platform: &mut Platform, at: Timestamp, beside: bool) -> bool {
    let Some(primary) = service.deployments.last() else { return false };
    if service.restart_at.is_some() || primary.fault == Fault::Placement || primary.progress == Progress::Pending {
        return false;
    }
    let missing = service.desired.saturating_sub(service.count(&primary.number, Task::live));
    let most = share_of(service, "/maximumPercent", 200, |whole| whole / 100);
    let live = u32::try_from(service.tasks.iter().filter(|task| task.live()).count()).unwrap_or(u32::MAX);
    let room = if beside { missing } else { most.max(1).saturating_sub(live) };
    let count = missing.min(room);
    for _ in 0..count {
        start_one(service, platform, at);
    }
    if count > 0 {
        let (id, ids) = (platform.uuid(), started_ids(service, count));
        service.event(id, at, format!("(service {}) has started {count} tasks: {ids}.", service.name));
    }
    count > 0
}

fn started_ids(service: &Service, count: u32) -> String {
    let ids: Vec<String> = service.tasks.iter().rev().take(count as usize).map(|task| format!("(task {})", task.id)).collect();
    ids.join(" ")
}

fn share_of(service: &Service, path: &str, default: u64, rounding: fn(u64) -> u64) -> u32 {
    let percent = service.configured(path).and_then(Value::as_u64).unwrap_or(default);
    u32::try_from(rounding(u64::from(service.desired) * percent)).unwrap_or(u32::MAX)
}

fn start_one(service: &mut Service, platform: &mut Platform, at: Timestamp) {
    let Some(primary) = service.deployments.last() else { return };
    let (number, fault, alternate) = (primary.number.clone(), primary.fault, primary.alternate);
    let Some(definition) = platform.definition(&service.region, &primary.definition).cloned() else { return };
    let how = life::Start { region: &service.region, cluster: &service.cluster, definition: &definition, fault };
    let mut task = life::start(platform, &how, at);
    task.started_by = format!("ecs-svc/{number}");
    task.deployment = number;
    task.group = format!("service:{}", service.name);
    task.alternate = alternate;
    task.balanced = service.balanced();
    task.launch_type = service.settings.get("launchType").and_then(Value::as_str).unwrap_or("FARGATE").to_owned();
    task.version = releases::version_of(service, &definition, &task);
    service.tasks.push(task);
}

/// Stops tasks of older deployments, and what is too much of the newest, down to the minimum.
fn stop_surplus(service: &mut Service, platform: &mut Platform, at: Timestamp) -> bool {
    let Some(primary) = service.deployments.last() else { return false };
    if primary.pause.as_ref().is_some_and(|pause| pause.status == "AWAITING_ACTION") || wait_at_hook(service, at) {
        return false;
    }
    let Some(primary) = service.deployments.last() else { return false };
    let number = primary.number.clone();
    let least = share_of(service, "/minimumHealthyPercent", 100, |whole| whole.div_ceil(100));
    let fit = u32::try_from(service.tasks.iter().filter(|task| task.fit()).count()).unwrap_or(u32::MAX);
    let new = service.count(&number, Task::live);
    let mut spare = fit.saturating_sub(least);
    let mut extra = new.saturating_sub(service.desired);
    let mut stopped = 0;
    let reason = format!("Scaling activity initiated by (deployment ecs-svc/{number})");
    for task in &mut service.tasks {
        let old = task.deployment != number;
        let surplus = if old { !task.fit() || spare > 0 } else { extra > 0 };
        if !task.live() || !surplus {
            continue;
        }
        if task.fit() {
            spare = spare.saturating_sub(1);
        }
        extra = extra.saturating_sub(u32::from(!old));
        life::stop(platform, task, at, ("ServiceSchedulerInitiated", reason.clone()));
        stopped += 1;
    }
    if stopped > 0 {
        let id = platform.uuid();
        service.event(id, at, format!("(service {}) has stopped {stopped} running tasks.", service.name));
    }
    stopped > 0
}

/// The fault `paused-hook` on a rolling update: it waits once the new tasks are up.
fn wait_at_hook(service: &mut Service, at: Timestamp) -> bool {
    let Some(primary) = service.deployments.last() else { return false };
    let up = service.count(&primary.number, Task::fit) >= service.desired;
    let Some(primary) = service.deployments.last_mut() else { return false };
    if primary.fault != Fault::PausedHook || primary.pause.is_some() || primary.rollout != Rollout::InProgress || !up {
        return false;
    }
    primary.pause = Some(stages::pause(primary, at, None));
    true
}

/// The PRIMARY deployment is complete when all its tasks are fit and no older task is left.
fn complete_if_done(service: &mut Service, platform: &mut Platform, at: Timestamp) -> bool {
    let Some(primary) = service.deployments.last() else { return false };
    let open = primary.rollout == Rollout::InProgress && matches!(primary.progress, Progress::InProgress);
    let undisturbed = primary.disturb_at.is_none();
    let up = service.count(&primary.number, Task::fit) >= service.desired && primary.fault != Fault::Placement;
    let alone = service.tasks.iter().all(|task| task.deployment == primary.number || task.phase == Phase::Stopped);
    if !(open && undisturbed && up && alone) {
        return false;
    }
    complete(service, platform, at);
    true
}

/// Ends the PRIMARY deployment well.
pub(crate) fn complete(service: &mut Service, platform: &mut Platform, at: Timestamp) {
    let (completed, steady) = (platform.uuid(), platform.uuid());
    let Some(primary) = service.deployments.last_mut() else { return };
    primary.rollout = Rollout::Completed;
    primary.ended_at = Some(at);
    primary.updated_at = at;
    primary.finished_at = Some(at);
    primary.progress = Progress::Successful;
    primary.stage = None;
    let (number, fault, definition, owner) =
        (primary.number.clone(), primary.fault, primary.definition.clone(), primary.rollback_of.clone());
    if owner.is_none() {
        primary.rollout_reason = format!("ECS deployment ecs-svc/{number} completed.");
    }
    if fault == Fault::None {
        service.good.insert(definition);
    }
    for task in service.tasks.iter_mut().filter(|task| task.deployment == number && fault == Fault::UnhealthyAfterBake) {
        task.breaks_at = Some(at.plus(platform.break_after));
    }
    end_of_rollback(service, owner, at, Progress::RollbackSuccessful);
    let name = service.name.clone();
    service.event(completed, at, format!("(service {name}) (deployment ecs-svc/{number}) deployment completed."));
    service.event(steady, at, format!("(service {name}) has reached a steady state."));
}

fn end_of_rollback(service: &mut Service, owner: Option<String>, at: Timestamp, progress: Progress) {
    let failed = service.deployments.iter_mut().find(|deployment| Some(&deployment.number) == owner.as_ref());
    if let Some(failed) = failed {
        failed.progress = progress;
        failed.finished_at = Some(at);
        failed.updated_at = at;
    }
}

/// Ends the PRIMARY deployment badly, and begins the rollback where one is asked and possible.
pub(crate) fn fail(service: &mut Service, platform: &mut Platform, at: Timestamp, (cause, rollback): (Cause, bool)) {
    let target = service.last_completed().map(|good| (good.revision.clone(), good.definition.clone(), good.number.clone(), good.alternate));
    let (event, name) = (platform.uuid(), service.name.clone());
    let Some(primary) = service.deployments.last_mut() else { return };
    let (words, because) = words_of(primary, cause);
    primary.rollout = Rollout::Failed;
    primary.ended_at = Some(at);
    primary.rollout_reason = words.to_owned();
    primary.updated_at = at;
    (primary.due, primary.disturb_at, primary.stage) = (None, None, None);
    primary.reason = Some(format!("Service deployment failed because {because}"));
    let (number, owner) = (primary.number.clone(), primary.rollback_of.clone());
    service.event(event, at, format!("(service {name}) (deployment ecs-svc/{number}) deployment failed: {}", tail(words)));
    if owner.is_some() {
        end_of_rollback(service, owner, at, Progress::RollbackFailed);
        return;
    }
    match target.filter(|_| rollback) {
        Some(target) => roll_back(service, platform, at, target),
        None => give_up(service, at, cause),
    }
}

/// `rolloutStateReason`, and why a service deployment is not successful.
fn words_of(primary: &Deployment, cause: Cause) -> (&'static str, &'static str) {
    match cause {
        Cause::CircuitBreaker if primary.fault == Fault::NeverHealthy => {
            ("ECS deployment circuit breaker: tasks failed health checks.", "the circuit breaker threshold was exceeded.")
        }
        Cause::CircuitBreaker => ("ECS deployment circuit breaker: tasks failed to start.", "the circuit breaker threshold was exceeded."),
        Cause::Alarm => ("ECS deployment failed: alarm detected.", "one or more alarms were detected."),
        Cause::Request => ("ECS deployment stopped by request.", "of a StopServiceDeployment request."),
        Cause::Hook => ("ECS deployment failed: a lifecycle hook failed.", "a lifecycle hook failed."),
    }
}

fn tail(words: &str) -> &str {
    words.split_once(": ").map_or(words, |(_, tail)| tail)
}

/// There is no rollback: ECS leaves it at that.
fn give_up(service: &mut Service, at: Timestamp, cause: Cause) {
    let Some(primary) = service.deployments.last_mut() else { return };
    primary.progress = if cause == Cause::Request { Progress::RollbackFailed } else { Progress::Stopped };
    primary.finished_at = Some(at);
    let number = primary.number.clone();
    // Tasks still starting are given up; nothing new is started.
    for task in service.tasks.iter_mut().filter(|task| task.deployment == number && task.phase != Phase::Running && task.live()) {
        task.told_to_stop = true;
        task.phase = Phase::Stopped;
        task.stopped_at = Some(at);
        task.fitness = Fitness::Unchecked;
        task.stop = Some(("ServiceSchedulerInitiated", format!("Scaling activity initiated by (deployment ecs-svc/{number})")));
    }
}

fn roll_back(
    service: &mut Service,
    platform: &mut Platform,
    at: Timestamp,
    (revision, definition, source, alternate): (String, String, String, bool),
) {
    let (number, event) = (platform.number(), platform.uuid());
    let Some(failed) = service.deployments.last_mut() else { return };
    failed.progress = Progress::RollbackInProgress;
    let because = failed.reason.clone().unwrap_or_default().replacen("failed", "rolled back", 1);
    failed.rollback = Some(RolledBack { reason: because.clone(), at, revision: revision.clone() });
    failed.reason = Some(because);
    failed.weight = 0.0;
    let who = if failed.breaker.triggered { "ECS deployment circuit breaker" } else { "ECS deployment" };
    let mut next = failed.clone();
    next.rollback_of = Some(failed.number.clone());
    next.rollout_reason = format!("{who}: rolling back to deploymentId ecs-svc/{source}.");
    let fails = service.fault == Fault::RollbackFails;
    next.fault = if fails { Fault::ImagePull } else { Fault::None };
    next.breaker = releases::breaker_for_rollback(fails);
    (next.number, next.revision, next.definition, next.alternate) = (number, revision, definition.clone(), alternate);
    (next.created_at, next.updated_at, next.finished_at, next.ended_at) = (at, at, None, None);
    (next.progress, next.rollout, next.failed) = (Progress::InProgress, Rollout::InProgress, 0);
    (next.rollback, next.reason, next.pause, next.stage, next.weight) = (None, None, None, None, 100.0);
    service.deployments.push(next);
    service.settings.insert("taskDefinition".to_owned(), Value::String(definition));
    service.restart_at = None;
    let name = service.name.clone();
    service.event(event, at, format!("(service {name}) rolling back to deployment ecs-svc/{source}."));
    if service.shifting() {
        stages::flip_back(service, &source);
    }
}
