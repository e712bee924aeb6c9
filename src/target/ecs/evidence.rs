//! Why tasks and deployments end, in words: pure readings of what ECS, Logs and the load balancer tell. It makes no call.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html> (2026-11)

use std::time::Duration;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::failure::{Evidence, cut};

use super::shown::{list, moment, number, short, text};

/// The longest piece of foreign text in a line.
const FOREIGN: usize = 200;
/// Lines of one kind that are worth a person's time.
const LINES: usize = 12;

/// What an exit code means, where it means something to everybody.
pub(super) fn exit_in_words(code: i64) -> Option<&'static str> {
    match code {
        0 => Some("ended by itself, without an error"),
        1 => Some("an error of the application"),
        2 => Some("wrong usage, or an error of the shell"),
        125 => Some("the container could not be run"),
        126 => Some("the command cannot be executed: its permissions, or built for another processor"),
        127 => Some("command not found"),
        130 => Some("interrupted, SIGINT"),
        134 => Some("aborted, SIGABRT"),
        137 => Some("killed, SIGKILL: out of memory, or it did not stop in time"),
        139 => Some("segmentation fault"),
        143 => Some("told to stop, SIGTERM"),
        255 => Some("an error of the application, or the wrong processor architecture"),
        _ => None,
    }
}

/// What a stop code means.
pub(super) fn stop_code_in_words(code: &str) -> &str {
    match code {
        "TaskFailedToStart" => "the task could not start",
        "EssentialContainerExited" => "an essential container ended",
        "UserInitiated" => "somebody stopped it",
        "ServiceSchedulerInitiated" => "ECS stopped it",
        "SpotInterruption" => "its spot capacity was taken away",
        "TerminationNotice" => "its host is being terminated",
        "InfrastructureHealth" => "its host is not healthy",
        other => other,
    }
}

/// How a task ended: stop code, reason, and each container that did not end well.
pub(super) fn task_in_words(task: &Value) -> String {
    let id = short_id(task);
    let code = text(task, "stopCode");
    let mut said = format!("task {id}: {}", if code.is_empty() { "it stopped" } else { stop_code_in_words(code) });
    let reason = bounded(text(task, "stoppedReason"));
    if !reason.is_empty() {
        said += &format!(" ({reason})");
    }
    for container in list(task, "containers").filter(|one| container_is_worth_telling(one, &reason)) {
        said += &format!("; {}", container_in_words(container, &reason));
    }
    said
}

fn container_is_worth_telling(container: &Value, told: &str) -> bool {
    let reason = text(container, "reason");
    exit_code(container).is_some_and(|code| code != 0)
        || (!reason.is_empty() && bounded(reason) != told)
        || text(container, "healthStatus") == "UNHEALTHY"
}

fn container_in_words(container: &Value, told: &str) -> String {
    let mut said = format!("container {}", text(container, "name"));
    if let Some(code) = exit_code(container) {
        said += &format!(" exit code {code}");
        said += &exit_in_words(code).map_or_else(String::new, |words| format!(" ({words})"));
    }
    let reason = bounded(text(container, "reason"));
    if !reason.is_empty() && reason != told {
        said += &format!(": {reason}");
    }
    if text(container, "healthStatus") == "UNHEALTHY" {
        said += ", its health check failed";
    }
    said
}

/// The reason a task of a service ended that will end the next one too; `None`: it may be chance, or was wanted.
/// Tasks with the same answer ended the same way. `essential`: names of the essential containers, where they are known.
pub(super) fn fatal(task: &Value, essential: &[String]) -> Option<String> {
    match text(task, "stopCode") {
        "TaskFailedToStart" => {
            let reason = text(task, "stoppedReason");
            let name = reason.split([':', ' ']).next().unwrap_or_default();
            Some(if name.ends_with("Error") { name.to_owned() } else { bounded(reason) })
        }
        "EssentialContainerExited" => {
            let counts = |one: &&Value| essential.is_empty() || essential.iter().any(|name| name == text(one, "name"));
            let bad = list(task, "containers").filter(counts).find(|one| exit_code(one).is_some_and(|code| code != 0))?;
            Some(format!("container {} ended with exit code {}", text(bad, "name"), exit_code(bad).unwrap_or_default()))
        }
        _ => failed_checks(task).map(str::to_owned),
    }
}

/// Whose health checks a task failed, where ECS stopped it for them.
pub(super) fn failed_checks(task: &Value) -> Option<&'static str> {
    let reason = text(task, "stoppedReason");
    match text(task, "stopCode") {
        "ServiceSchedulerInitiated" if reason.contains("ELB health checks") => Some("the load balancer's health checks failed"),
        "ServiceSchedulerInitiated" if reason.contains("container health checks") => Some("the container's own health check failed"),
        _ => None,
    }
}

/// Whether ECS let the task run for `grace` after its start: only then do failed health checks tell anything.
pub(super) fn outlived(task: &Value, grace: Duration) -> bool {
    let end = moment(task, "stoppingAt").max(moment(task, "stoppedAt"));
    end.since(moment(task, "startedAt")) >= grace
}

/// Stopped because newer tasks took its place, or a person scaled: no failure.
pub(super) fn replaced(task: &Value) -> bool {
    text(task, "stoppedReason").starts_with("Scaling activity initiated by") || text(task, "stopCode") == "UserInitiated"
}

/// What to do where the load balancer finds new tasks unhealthy.
const BALANCER_CHECKS: &str =
    "the load balancer's health check fails: check its path, its codes and the grace period (healthCheckGracePeriodSeconds)";

/// What to do about targets like these.
pub(super) fn remedy_for_targets(targets: &[TargetHealth]) -> Option<String> {
    targets.iter().any(|target| target.state == "unhealthy").then(|| BALANCER_CHECKS.to_owned())
}

/// What to do about tasks that ended like these.
pub(super) fn remedies(tasks: &[&Value]) -> Vec<String> {
    let reasons = |task: &&Value| {
        let own = list(task, "containers").map(|one| text(one, "reason")).collect::<Vec<_>>().join(" ");
        format!("{} {own}", text(task, "stoppedReason"))
    };
    let all: String = tasks.iter().map(reasons).collect::<Vec<_>>().join(" ");
    let codes: Vec<i64> = tasks.iter().flat_map(|task| list(task, "containers")).filter_map(exit_code).collect();
    let has = |phrase: &str| all.contains(phrase);
    let fix = match () {
        () if has("CannotPullContainerError") && has("not found") => "check that the image is in the registry, under this very name",
        () if has("CannotPullContainerError") && (has("denied") || has("403") || has("authoriz")) => {
            "allow the execution role to pull: ecr:GetAuthorizationToken, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer"
        }
        () if has("CannotPullContainerError") => {
            "give the subnets a way to the registry: a NAT gateway, a public address, or VPC endpoints for ECR and S3"
        }
        () if has("does not match the host's architecture") || has("exec format error") => {
            "build the image for the processor of runtimePlatform in the task definition"
        }
        () if has("ResourceInitializationError") => {
            "check that the execution role may read the secrets and write the log group, and that the subnets reach both"
        }
        () if has("OutOfMemory") => "give the task more memory, or make the application need less at its start",
        () if has("ELB health checks") => BALANCER_CHECKS,
        () if has("container health checks") => "the container's own health check fails: check its command and startPeriod",
        () if codes.contains(&137) => "give the task more memory, or let the application stop in time (stopTimeout)",
        () if codes.contains(&127) || codes.contains(&126) => "check the command and entryPoint of the container",
        () if codes.iter().any(|code| *code != 0) => "read the application's last log lines: they tell why it ended",
        () => return Vec::new(),
    };
    vec![fix.to_owned()]
}

/// The circuit breaker's count and the alarms of a service deployment.
pub(super) fn deployment_in_words(deployment: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if text(&deployment["deploymentCircuitBreaker"], "status") == "TRIGGERED" {
        let (count, threshold) =
            (number(&deployment["deploymentCircuitBreaker"], "failureCount"), number(&deployment["deploymentCircuitBreaker"], "threshold"));
        lines.push(format!("the circuit breaker stopped it: {count} tasks failed, {threshold} are allowed"));
    }
    let names: Vec<&str> = list(&deployment["alarms"], "triggeredAlarmNames").filter_map(Value::as_str).collect();
    if !names.is_empty() {
        lines.push(format!("alarms in ALARM: {}", names.join(", ")));
    }
    let hooks = list(deployment, "lifecycleHookDetails");
    let failed = hooks.filter(|hook| matches!(text(hook, "status"), "FAILED" | "TIMED_OUT"));
    lines.extend(failed.map(|hook| format!("the lifecycle hook {} answered {}", text(hook, "hookId"), text(hook, "status"))));
    lines
}

/// The stopped tasks of a deployment, equal ends counted together, newest first. `definition`: their task definition's ARN.
pub(super) fn stopped_tasks(tasks: &[Value], definition: &str) -> Option<Evidence> {
    let mut own: Vec<&Value> = tasks.iter().filter(|task| text(task, "taskDefinitionArn") == definition && !replaced(task)).collect();
    own.sort_by_key(|task| std::cmp::Reverse(moment(task, "stoppedAt")));
    let mut lines: Vec<(String, String, usize)> = Vec::new();
    for task in own {
        let said = task_in_words(task);
        let key = said.split_once(": ").map_or(said.as_str(), |(_, rest)| rest).to_owned();
        match lines.iter_mut().find(|(known, _, _)| *known == key) {
            Some((_, _, count)) => *count += 1,
            None => lines.push((key, said, 1)),
        }
    }
    let told = lines.into_iter().map(|(_, said, count)| if count > 1 { format!("{said} ({count} tasks)") } else { said });
    evidence(format!("stopped tasks of {}", short(definition)), told.take(LINES).collect())
}

/// How long a task may take to start before that is worth telling, in seconds.
const NOTICEABLE: u64 = 30;

/// The tasks that should run and do not, a line each: how long each has waited, and for what.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html> (2026-11)
pub(super) fn waiting_tasks(tasks: &[Value], now: Timestamp) -> Option<Evidence> {
    let lines = tasks.iter().filter_map(|task| {
        let status = text(task, "lastStatus");
        let what = match status {
            "PROVISIONING" => "its place and its network interface are being made",
            "PENDING" => "its image is being pulled, or its containers wait to be started",
            "ACTIVATING" => "its containers run and are being registered with the load balancer",
            _ => return None,
        };
        let seconds = now.since(moment(task, "createdAt")).as_secs();
        (seconds >= NOTICEABLE).then(|| format!("task {} has been {status} for {seconds} s: {what}", short_id(task)))
    });
    evidence("tasks that do not run yet".to_owned(), lines.take(LINES).collect())
}

/// The first eight characters of a task's id.
fn short_id(task: &Value) -> String {
    short(text(task, "taskArn")).chars().take(8).collect()
}

/// What makes an event worth telling.
const KEYWORDS: [&str; 10] =
    ["fail", "unhealthy", "error", "throttle", "unable", "missing", "alarm detected", "rolling back", "insufficient", "timed out"];

/// The service's events since `since` that tell of trouble, each once, newest first.
pub(super) fn events(service: &Value, since: Timestamp) -> Option<Evidence> {
    let mut seen: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    let all = list(service, "events");
    for event in all.filter(|event| moment(event, "createdAt") >= since) {
        let message = text(event, "message");
        let lower = message.to_lowercase();
        let key = without_ids(message);
        if KEYWORDS.iter().any(|word| lower.contains(word)) && !seen.contains(&key) {
            seen.push(key);
            lines.push(format!("{} {}", moment(event, "createdAt").rfc3339(), bounded(message)));
        }
    }
    lines.truncate(LINES);
    evidence("events of the service".to_owned(), lines)
}

/// The message without what differs from task to task.
fn without_ids(message: &str) -> String {
    let is_id = |word: &str| word.len() >= 12 && word.chars().any(|letter| letter.is_ascii_digit());
    message.split([' ', '(', ')', '/']).filter(|word| !is_id(word)).collect::<Vec<_>>().join(" ")
}

/// A log stream in CloudWatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogStream {
    /// The container that writes it.
    pub container: String,
    /// Region of the log group; `None`: the service's own.
    pub region: Option<String>,
    /// Log group.
    pub group: String,
    /// Stream.
    pub stream: String,
}

/// Where the containers of `task` write, those that ended badly first; only `awslogs` can be read.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/using_awslogs.html> (2026-11)
pub(super) fn log_streams(definition: &Value, task: &Value) -> Vec<LogStream> {
    let id = short(text(task, "taskArn"));
    let ended_well =
        |name: &str| !list(task, "containers").any(|one| text(one, "name") == name && exit_code(one).is_some_and(|code| code != 0));
    let mut streams: Vec<LogStream> = list(definition, "containerDefinitions")
        .filter(|one| text(&one["logConfiguration"], "logDriver") == "awslogs")
        .filter_map(|one| {
            let option = |key: &str| one["logConfiguration"]["options"][key].as_str();
            let container = text(one, "name").to_owned();
            let stream = format!("{}/{container}/{id}", option("awslogs-stream-prefix")?);
            let region = option("awslogs-region").map(str::to_owned);
            Some(LogStream { container, region, group: option("awslogs-group")?.to_owned(), stream })
        })
        .collect();
    streams.sort_by_key(|stream| ended_well(&stream.container));
    streams
}

/// The lines of a GetLogEvents answer, oldest first.
pub(super) fn log_lines(answer: &Value) -> Vec<String> {
    let events = list(answer, "events");
    events.flat_map(|event| text(event, "message").lines()).map(bounded).collect()
}

/// What a load balancer thinks of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TargetHealth {
    /// Private address, instance or function.
    pub id: String,
    /// Port.
    pub port: u16,
    /// `healthy`, `initial`, `unhealthy`, `draining`, `unused`, …
    pub state: String,
    /// `Target.ResponseCodeMismatch`, …; empty when healthy.
    pub reason: String,
    /// In the load balancer's words.
    pub description: String,
}

/// The targets of a DescribeTargetHealth answer.
pub(super) fn targets(xml: &str) -> Vec<TargetHealth> {
    let Ok(document) = roxmltree::Document::parse(xml) else { return Vec::new() };
    let lists = document.descendants().filter(|node| node.tag_name().name() == "TargetHealthDescriptions");
    let members = lists.flat_map(|list| list.children().filter(|child| child.tag_name().name() == "member").collect::<Vec<_>>());
    members
        .map(|member| {
            let inside = |parent: &str, name: &str| {
                let parent = member.children().find(|child| child.tag_name().name() == parent);
                let found = parent.and_then(|parent| parent.children().find(|child| child.tag_name().name() == name));
                found.and_then(|found| found.text()).unwrap_or_default().to_owned()
            };
            TargetHealth {
                id: inside("Target", "Id"),
                port: inside("Target", "Port").parse().unwrap_or_default(),
                state: inside("TargetHealth", "State"),
                reason: inside("TargetHealth", "Reason"),
                description: inside("TargetHealth", "Description"),
            }
        })
        .collect()
}

/// The targets that are not healthy, a line each.
pub(super) fn unhealthy_targets(targets: &[TargetHealth]) -> Option<Evidence> {
    let lines = targets.iter().filter(|target| !matches!(target.state.as_str(), "healthy" | "draining" | "unused")).map(|target| {
        let why = [target.reason.as_str(), target.description.as_str()].into_iter().filter(|part| !part.is_empty());
        let why: Vec<String> = why.map(bounded).collect();
        let why = if why.is_empty() { String::new() } else { format!(": {}", why.join(", ")) };
        format!("{}:{} is {}{why}", target.id, target.port, target.state)
    });
    evidence("targets of the load balancer".to_owned(), lines.take(LINES).collect())
}

/// The address a task has in its load balancer's eyes, where it has a network interface of its own.
pub(super) fn private_address(task: &Value) -> Option<&str> {
    let mut details = list(task, "attachments").flat_map(|one| list(one, "details"));
    details.by_ref().filter(|one| text(one, "name") == "privateIPv4Address").map(|one| text(one, "value")).next()
}

fn exit_code(container: &Value) -> Option<i64> {
    container["exitCode"].as_i64()
}

fn bounded(foreign: &str) -> String {
    let mut foreign = foreign.to_owned();
    cut(&mut foreign, FOREIGN);
    foreign
}

fn evidence(title: String, lines: Vec<String>) -> Option<Evidence> {
    (!lines.is_empty()).then_some(Evidence { title, lines })
}

#[cfg(test)]
mod tests;
