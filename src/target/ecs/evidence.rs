//! Why tasks died, in words: stop codes, exit codes, events, log tails, target health. The texts are pure; each call is optional.

use serde_json::{Value, json};

use crate::cloud::aws::Session;
use crate::cloud::aws::signed::{self, ELB, LOGS};
use crate::failure::{Evidence, cut};

use super::verdict::text;

/// Log lines kept of one container.
const LINES: u64 = 40;
/// Tasks whose ends are told.
const TASKS: usize = 5;

/// The cause of a task's end when it is one that will come again; `None`: an ordinary stop.
pub(super) fn fatal_cause(task: &Value) -> Option<String> {
    let code = text(task, "stopCode");
    let reason = text(task, "stoppedReason");
    match code {
        "TaskFailedToStart" => Some(clean(reason)),
        "EssentialContainerExited" => containers(task).iter().find_map(|container| exit(container)).or_else(|| Some(clean(reason))),
        _ if reason.contains("failed ELB health checks") || reason.contains("failed container health checks") => Some(clean(reason)),
        _ if reason.contains("CannotPullContainer") || reason.contains("ResourceInitializationError") => Some(clean(reason)),
        _ => None,
    }
}

fn containers(task: &Value) -> Vec<&Value> {
    task["containers"].as_array().into_iter().flatten().collect()
}

/// `container app exited with 137: killed, most often for its memory (OOM) …`; nothing for 0 or a container that never ran.
fn exit(container: &Value) -> Option<String> {
    let code = container["exitCode"].as_i64().filter(|code| *code != 0)?;
    let reason = text(container, "reason");
    let reason = if reason.is_empty() { String::new() } else { format!(" ({})", clean(reason)) };
    Some(format!("container {} exited with {code}: {}{reason}", text(container, "name"), exit_in_words(code)))
}

/// What an exit code usually means.
pub(super) fn exit_in_words(code: i64) -> &'static str {
    match code {
        0 => "it ended by itself",
        1 => "the application reported an error",
        2 => "wrong usage, or an error of the shell",
        126 => "the command cannot be executed",
        127 => "the command was not found",
        130 => "interrupted (SIGINT)",
        134 => "aborted (SIGABRT)",
        137 => "killed (SIGKILL), most often for want of memory",
        139 => "segmentation fault (SIGSEGV)",
        143 => "terminated (SIGTERM)",
        _ => "the application ended with this code",
    }
}

/// Task ids and addresses make the same cause look different each time: they go.
fn clean(reason: &str) -> String {
    let unique = |letter: char| letter.is_ascii_hexdigit();
    let words = reason.split(' ').map(|word| {
        let bare = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
        if bare.len() >= 32 && bare.chars().all(unique) { "…" } else { word }
    });
    let mut text = words.collect::<Vec<_>>().join(" ");
    cut(&mut text, 200);
    text
}

/// How the tasks ended.
pub(super) fn ends(stopped: &[Value]) -> Evidence {
    let lines = stopped.iter().take(TASKS).flat_map(|task| {
        let id = text(task, "taskArn").rsplit('/').next().unwrap_or_default();
        let first = format!("task {id}: {} {}", text(task, "stopCode"), clean(text(task, "stoppedReason")));
        std::iter::once(first).chain(containers(task).into_iter().filter_map(exit).map(|exit| format!("  {exit}")))
    });
    Evidence { title: "stopped tasks".to_owned(), lines: lines.collect() }
}

/// The service's events since the release was made, newest last, each once.
pub(super) fn events(service: &Value, since_seconds: f64) -> Evidence {
    let mut lines: Vec<String> = Vec::new();
    for event in service["events"].as_array().into_iter().flatten().rev() {
        let recent = event["createdAt"].as_f64().is_none_or(|at| at >= since_seconds);
        let message = clean(text(event, "message"));
        if recent && !message.is_empty() && !lines.contains(&message) {
            lines.push(message);
        }
    }
    lines.drain(..lines.len().saturating_sub(20));
    Evidence { title: "events of the service".to_owned(), lines }
}

/// The last log lines of the newest stopped (or running) task, container by container.
pub(super) async fn log_tails(session: &Session, definition: &Value, tasks: &[Value]) -> Vec<Evidence> {
    let Some(task) = tasks.first() else { return Vec::new() };
    let id = text(task, "taskArn").rsplit('/').next().unwrap_or_default();
    let mut tails = Vec::new();
    for container in definition["containerDefinitions"].as_array().into_iter().flatten() {
        let name = text(container, "name");
        let lines = log_lines(session, container, id).await;
        tails.push(Evidence { title: format!("last log lines of {name}"), lines });
    }
    tails.retain(|tail| !tail.lines.is_empty());
    tails
}

/// The last lines of one container of one task; none when it does not log to CloudWatch, or we may not read.
pub(super) async fn log_lines(session: &Session, container: &Value, task: &str) -> Vec<String> {
    let options = &container["logConfiguration"]["options"];
    if container["logConfiguration"]["logDriver"] != "awslogs" {
        return Vec::new();
    }
    let stream = format!("{}/{}/{task}", text(options, "awslogs-stream-prefix"), text(container, "name"));
    let body = json!({ "logGroupName": options["awslogs-group"], "logStreamName": stream, "limit": LINES, "startFromHead": false });
    match signed::json(session, LOGS, "GetLogEvents", &body).await {
        Ok(Ok(answer)) => {
            let events = answer["events"].as_array().cloned().unwrap_or_default();
            events.iter().map(|event| text(event, "message").to_owned()).collect()
        }
        Ok(Err(refusal)) if refusal.is_denied() => {
            vec![format!("(not readable: allow logs:GetLogEvents on {})", text(options, "awslogs-group"))]
        }
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// How the load balancer sees the targets of a target group.
pub(super) async fn target_health(session: &Session, target_group: &str) -> Evidence {
    let fields = [("TargetGroupArn".to_owned(), target_group.to_owned())];
    let lines = match signed::query(session, ELB, "DescribeTargetHealth", &fields).await {
        Ok(Ok(xml)) => super::address::targets(&xml).into_iter().map(|target| target.in_words()).collect(),
        Ok(Err(refusal)) if refusal.is_denied() => vec!["(not readable: allow elasticloadbalancing:DescribeTargetHealth)".to_owned()],
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    Evidence { title: "targets of the load balancer".to_owned(), lines }
}
