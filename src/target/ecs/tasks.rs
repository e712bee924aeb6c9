//! Migrations and backups by RunTask: the service's own network and launch type, its logs, and the exit codes that count.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::cloud::aws::signed::{self, LOGS};
use crate::failure::{Failure, Kind, Result};
use crate::target::{Before, RunsTask, TaskHandle, TaskLook, TaskOrder, TaskState, TaskWhat};

use super::evidence::LogStream;
use super::release::{Release, Snapshot};
use super::shown::{list, number, text};
use super::{Ecs, evidence, revision};

/// Pages of a job's log that are read, ten thousand lines each.
const PAGES: usize = 10;

/// Runs tasks beside one service.
pub(super) struct Tasks(pub(super) Arc<Ecs>);

impl RunsTask for Tasks {
    fn start(&self, order: TaskOrder) -> BoxFuture<'static, Result<TaskHandle>> {
        let ecs = self.0.clone();
        Box::pin(async move { start(&ecs, order).await })
    }

    fn find(&self, token: String) -> BoxFuture<'static, Result<Option<TaskHandle>>> {
        let ecs = self.0.clone();
        Box::pin(async move { find(&ecs, &token).await })
    }

    fn by_hand(&self, token: &str) -> Vec<String> {
        let (region, cluster, own) = (self.0.session.region(), &self.0.settings.cluster, started_by(token));
        let listed = |more: &str| format!("aws ecs list-tasks --region {region} --cluster {cluster} --started-by {own}{more}");
        vec![listed(""), listed(" --desired-status STOPPED")]
    }

    fn look(&self, handle: TaskHandle, seen: usize) -> BoxFuture<'static, Result<TaskLook>> {
        let ecs = self.0.clone();
        Box::pin(async move { look(&ecs, &handle, seen).await })
    }

    fn stop(&self, handle: TaskHandle, reason: String) -> BoxFuture<'static, Result<()>> {
        let ecs = self.0.clone();
        Box::pin(async move {
            let body = json!({ "cluster": ecs.settings.cluster, "task": handle.0, "reason": reason });
            let said = ecs.api.stop_task(body).await?;
            said.map(|_| ()).map_err(|refusal| ecs.refused(refusal, "the task could not be stopped", "ecs:StopTask"))
        })
    }
}

async fn start(ecs: &Ecs, order: TaskOrder) -> Result<TaskHandle> {
    let body = request(ecs, &order).await.map_err(Failure::unchanged)?;
    let said = ecs.api.run_task(body).await?;
    let answer = said.map_err(|refusal| ecs.refused(refusal, "the task could not be started", "ecs:RunTask and iam:PassRole"))?;
    match answer["tasks"][0]["taskArn"].as_str() {
        Some(arn) => Ok(TaskHandle(arn.to_owned())),
        None => Err(unplaced(ecs, &answer).unchanged()),
    }
}

/// What RunTask is sent. <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html> (2026-11)
async fn request(ecs: &Ecs, order: &TaskOrder) -> Result<Value> {
    let service = ecs.service().await?;
    let task_definition = task_definition(order)?;
    let definition = describe(ecs, &task_definition).await?;
    let mut body = json!({
        "cluster": ecs.settings.cluster,
        "taskDefinition": text(&definition, "taskDefinitionArn"),
        "count": 1,
        "startedBy": started_by(&order.token),
        "clientToken": order.token,
    });
    if text(&definition, "networkMode") == "awsvpc" {
        body["networkConfiguration"] = service["networkConfiguration"].clone();
    }
    let strategy = service["capacityProviderStrategy"].as_array().filter(|strategy| !strategy.is_empty());
    match strategy {
        Some(strategy) => body["capacityProviderStrategy"] = json!(strategy),
        None if service["launchType"].is_string() => body["launchType"] = service["launchType"].clone(),
        None => {}
    }
    if service["platformVersion"].is_string() {
        body["platformVersion"] = service["platformVersion"].clone();
    }
    if let TaskWhat::Command(command) = &order.what {
        let index = revision::container(&definition, &ecs.order, super::snapshot::balanced(&service))?;
        let name = text(&definition["containerDefinitions"][index], "name");
        body["overrides"] = json!({ "containerOverrides": [{ "name": name, "command": command }] });
    }
    Ok(body)
}

/// What a task says of who started it: at most 36 letters, as older ECS allows, and enough of the token to be found by.
fn started_by(token: &str) -> String {
    format!("touchdown/{}", token.get(..24).unwrap_or(token))
}

/// One look for a task of ours: among those that run, then among those that have stopped meanwhile.
async fn find(ecs: &Ecs, token: &str) -> Result<Option<TaskHandle>> {
    let own = started_by(token);
    let mut body = json!({ "cluster": ecs.settings.cluster, "startedBy": own });
    if let Some(arn) = listed(ecs, &body).await?.first() {
        return Ok(Some(TaskHandle(arn.clone())));
    }
    body["desiredStatus"] = json!("STOPPED");
    match listed(ecs, &body).await {
        Ok(stopped) => Ok(stopped.first().map(|arn| TaskHandle(arn.clone()))),
        // ECS's reference wants `startedBy` to be the only filter.
        Err(failure) if failure.kind == Kind::Config => among_all_stopped(ecs, &own).await,
        Err(failure) => Err(failure),
    }
}

async fn among_all_stopped(ecs: &Ecs, own: &str) -> Result<Option<TaskHandle>> {
    let arns = listed(ecs, &json!({ "cluster": ecs.settings.cluster, "desiredStatus": "STOPPED" })).await?;
    for some in arns.chunks(100) {
        let said = ecs.api.describe_tasks(json!({ "cluster": ecs.settings.cluster, "tasks": some })).await?;
        let answer = said.map_err(|refusal| ecs.refused(refusal, "the tasks cannot be read", "ecs:DescribeTasks"))?;
        let found = list(&answer, "tasks").find(|task| text(task, "startedBy") == own);
        if let Some(task) = found {
            return Ok(Some(TaskHandle(text(task, "taskArn").to_owned())));
        }
    }
    Ok(None)
}

/// The ARNs of all tasks `body` asks for, page by page.
async fn listed(ecs: &Ecs, body: &Value) -> Result<Vec<String>> {
    let (mut body, mut all) = (body.clone(), Vec::new());
    loop {
        let said = ecs.api.list_tasks(body.clone()).await?;
        let answer = said.map_err(|refusal| ecs.refused(refusal, "its tasks cannot be listed", "ecs:ListTasks"))?;
        all.extend(list(&answer, "taskArns").filter_map(Value::as_str).map(str::to_owned));
        let next = &answer["nextToken"];
        if next.is_null() || *next == body["nextToken"] {
            return Ok(all);
        }
        body["nextToken"] = next.clone();
    }
}

fn unplaced(ecs: &Ecs, answer: &Value) -> Failure {
    let failures = answer["failures"].as_array().cloned().unwrap_or_default();
    let failure = Failure::new(Kind::Conflict, format!("{}: ECS found no place for the task", ecs.order.name));
    let failure = failures.iter().fold(failure, |failure, one| failure.why(format!("{} {}", text(one, "reason"), text(one, "detail"))));
    failure.fix("give the cluster room (RESOURCE:…), or the task less to ask for")
}

/// What the task runs: the release's revision, before one exists the serving one, or the job's own family.
fn task_definition(order: &TaskOrder) -> Result<String> {
    if let TaskWhat::Job(family) = &order.what {
        return Ok(family.clone());
    }
    if let Some(release) = &order.release {
        let release: Release = serde_json::from_value(release.clone()).map_err(|error| Failure::bug(error.to_string()))?;
        return Ok(release.task_definition);
    }
    match &order.before {
        Before::Running(snapshot) | Before::NeverServed(snapshot) => {
            let snapshot: Snapshot = serde_json::from_value(snapshot.clone()).map_err(|error| Failure::bug(error.to_string()))?;
            Ok(snapshot.task_definition)
        }
        Before::Absent => Err(Failure::config("a job needs a service that exists, or a task definition of its own")),
    }
}

async fn describe(ecs: &Ecs, task_definition: &str) -> Result<Value> {
    let said = ecs.api.describe_task_definition(json!({ "taskDefinition": task_definition })).await?;
    let what = format!("the task definition {task_definition} cannot be read");
    Ok(said.map_err(|refusal| ecs.refused(refusal, &what, "ecs:DescribeTaskDefinition"))?["taskDefinition"].clone())
}

async fn look(ecs: &Ecs, handle: &TaskHandle, seen: usize) -> Result<TaskLook> {
    let said = ecs.api.describe_tasks(json!({ "cluster": ecs.settings.cluster, "tasks": [handle.0] })).await?;
    let answer = said.map_err(|refusal| ecs.refused(refusal, "the task cannot be read", "ecs:DescribeTasks"))?;
    let Some(task) = answer["tasks"].get(0) else {
        let failure = Failure::new(Kind::Missing, format!("{}: the task {} is gone", ecs.order.name, handle.0));
        return Ok(TaskLook { lines: Vec::new(), state: TaskState::Failed(failure.why("ECS keeps stopped tasks for about an hour")) });
    };
    let definition = describe(ecs, text(task, "taskDefinitionArn")).await?;
    let lines = lines(ecs, &definition, task, seen).await;
    let state = if text(task, "lastStatus") == "STOPPED" { ended(ecs, task, &definition) } else { TaskState::Running };
    Ok(TaskLook { lines, state })
}

/// Only essential containers count, and one without an exit code never ran.
fn ended(ecs: &Ecs, task: &Value, definition: &Value) -> TaskState {
    let essential = |name: &str| {
        list(definition, "containerDefinitions").find(|one| text(one, "name") == name).is_none_or(|one| one["essential"] != false)
    };
    let ran: Vec<&Value> = list(task, "containers").filter(|one| essential(text(one, "name"))).collect();
    if !ran.is_empty() && ran.iter().all(|container| container["exitCode"] == 0) {
        return TaskState::Succeeded;
    }
    let failure = Failure::new(Kind::Unhealthy, format!("{}: the job failed", ecs.order.name)).why(evidence::task_in_words(task));
    let failure = evidence::remedies(&[task]).into_iter().fold(failure, Failure::fix);
    TaskState::Failed(failure.fix("correct the job and run again: nothing of the new release serves"))
}

/// Log lines not seen before, of all containers, in the order CloudWatch took them in: a later line never slips in before a seen one.
async fn lines(ecs: &Ecs, definition: &Value, task: &Value, seen: usize) -> Vec<String> {
    let mut all: Vec<(u64, String)> = Vec::new();
    for stream in evidence::log_streams(definition, task) {
        all.extend(events(ecs, &stream).await.iter().map(|event| (number(event, "ingestionTime"), text(event, "message").to_owned())));
    }
    all.sort_by_key(|(taken_in, _)| *taken_in);
    all.into_iter().map(|(_, line)| line).skip(seen).collect()
}

/// The events of a stream from its beginning, page by page; fewer when they may not be read.
async fn events(ecs: &Ecs, stream: &LogStream) -> Vec<Value> {
    let Some(session) = stream.session(&ecs.session) else { return Vec::new() };
    let mut body = json!({ "logGroupName": stream.group, "logStreamName": stream.stream, "startFromHead": true });
    let mut all = Vec::new();
    for _ in 0..PAGES {
        let Ok(Ok(answer)) = signed::json(&session, LOGS, "GetLogEvents", &body).await else { break };
        let before = all.len();
        all.extend(list(&answer, "events").cloned());
        let next = &answer["nextForwardToken"];
        if all.len() == before || next.is_null() || body["nextToken"] == *next {
            break;
        }
        body["nextToken"] = next.clone();
    }
    all
}
