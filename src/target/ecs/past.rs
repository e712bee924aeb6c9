//! Going back: the rollback ladder, and the history it may go back along. Nothing is ever deregistered.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::failure::{Failure, Kind, Result};
use crate::target::{Before, Listed, Lists, Opaque, Prepared, Undo};

use super::Ecs;
use super::release::{Release, Snapshot, Way};
use super::shown::{moment, primary, short, text};
use super::verdict::service_deployment;

/// Begins to put `before` back: nothing, if ECS has done it; following, if ECS does it; the service deployment stopped, if it is
/// under way; else UpdateService.
pub(super) async fn rollback(ecs: &Ecs, before: &Before<Snapshot>, release: &Release) -> Result<Undo<Release>> {
    let (Before::Running(snapshot) | Before::NeverServed(snapshot)) = before else { return Ok(Undo::NothingToUndo) };
    let service = ecs.service().await?;
    let back = back_to(ecs, snapshot, release, &service);
    let ours = ecs.ours(release, &service);
    let records = ecs.records(release, &service).await;
    let deployment = ours.as_deref().and_then(|id| service_deployment(records.of(), id));
    let status = deployment.map(|one| text(one, "status").to_owned()).unwrap_or_default();
    let by_ecs = Release { way: Way::BackByEcs, deployment_before: ours.clone().unwrap_or_default(), ..back.clone() };
    if matches!(status.as_str(), "STOP_REQUESTED" | "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS") {
        put_count_back(ecs, &back, &service).await?;
        return Ok(Undo::Begun(by_ecs));
    }
    match guard(&service, release, snapshot) {
        Guard::Theirs(by) => return Ok(Undo::Superseded { by }),
        Guard::Untouched if ecs.may_still_show(release) => {
            return Err(Failure::new(Kind::Transient, "ECS may have taken the update and not show it yet: waiting for it"));
        }
        Guard::Untouched | Guard::Restored => {
            put_count_back(ecs, &back, &service).await?;
            return Ok(Undo::NothingToUndo);
        }
        Guard::Returning => {
            put_count_back(ecs, &back, &service).await?;
            let followed = if status.starts_with("ROLLBACK") { by_ecs } else { as_begun(back, release, ours) };
            return Ok(Undo::Begun(followed));
        }
        Guard::Stranded => return anew(ecs, back, &service).await,
        Guard::Ours => {}
    }
    if let Some(deployment) = deployment
        && matches!(status.as_str(), "PENDING" | "IN_PROGRESS")
        && matches!(before, Before::Running(_))
        && stop(ecs, deployment).await?
    {
        put_count_back(ecs, &back, &service).await?;
        return Ok(Undo::Begun(by_ecs));
    }
    if release.task_definition == snapshot.task_definition && back.desired_count.is_none() {
        return Ok(Undo::NothingToUndo);
    }
    ecs.update(&back, &service).await?;
    match before {
        Before::NeverServed(_) => Ok(Undo::NothingToUndo),
        Before::Absent | Before::Running(_) => Ok(Undo::Begun(back)),
    }
}

fn back_to(ecs: &Ecs, snapshot: &Snapshot, release: &Release, service: &Value) -> Release {
    Release {
        task_definition: snapshot.task_definition.clone(),
        from: release.task_definition.clone(),
        deployment_before: primary(service).map(|primary| text(primary, "id").to_owned()).unwrap_or_default(),
        image: String::new(),
        container: release.container.clone(),
        at: ecs.session.http().clock().now(),
        way: Way::Back,
        forced: false,
        desired_count: release.desired_count.map(|_| snapshot.desired_count),
    }
}

/// A way back that had begun before: it is known as the deployment after ours, not after the one that is PRIMARY now.
fn as_begun(back: Release, release: &Release, ours: Option<String>) -> Release {
    Release { deployment_before: ours.unwrap_or_else(|| release.deployment_before.clone()), at: release.at, ..back }
}

/// ECS's own way back failed: what stood before is deployed once more.
async fn anew(ecs: &Ecs, back: Release, service: &Value) -> Result<Undo<Release>> {
    let again = Release { forced: true, from: back.task_definition.clone(), ..back };
    ecs.update(&again, service).await?;
    Ok(Undo::Begun(again))
}

/// A rollback by ECS takes the revision back; the number of tasks is no part of it. Nothing to do unless we had changed it.
async fn put_count_back(ecs: &Ecs, back: &Release, service: &Value) -> Result<()> {
    let Some(count) = back.desired_count.filter(|count| service["desiredCount"].as_u64() != Some(*count)) else { return Ok(()) };
    let body = json!({ "cluster": ecs.settings.cluster, "service": ecs.order.service, "desiredCount": count });
    let said = ecs.api.update_service(body).await?;
    said.map(|_| ()).map_err(|refusal| ecs.refused(refusal, "the desired count could not be put back", "ecs:UpdateService"))
}

/// Stops the service deployment with a rollback; false: ECS does not do that here, UpdateService must.
async fn stop(ecs: &Ecs, deployment: &Value) -> Result<bool> {
    let body = json!({ "serviceDeploymentArn": deployment["serviceDeploymentArn"], "stopType": "ROLLBACK" });
    match ecs.api.stop_service_deployment(body).await? {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.kind() == Kind::Transient => Err(refusal.into_failure("the deployment could not be stopped")),
        Err(refusal) => {
            tracing::info!(service = %ecs.order.name, "the deployment cannot be stopped ({}): going back by UpdateService", refusal.code);
            Ok(false)
        }
    }
}

/// What an undo finds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Guard {
    /// What was PRIMARY before is so still.
    Untouched,
    /// The release, or another deployment of its task definition: undo it.
    Ours,
    /// What stood before is PRIMARY again, and its tasks are still being started.
    Returning,
    /// What stood before is PRIMARY again, and its deployment failed.
    Stranded,
    /// What stood before serves again.
    Restored,
    /// Somebody else's.
    Theirs(String),
}

/// Who is PRIMARY, seen from an undo.
fn guard(service: &Value, release: &Release, snapshot: &Snapshot) -> Guard {
    let Some(primary) = primary(service) else { return Guard::Untouched };
    let task_definition = text(primary, "taskDefinition");
    match text(primary, "rolloutState") {
        _ if text(primary, "id") == release.deployment_before => Guard::Untouched,
        _ if task_definition == release.task_definition => Guard::Ours,
        _ if task_definition != snapshot.task_definition => Guard::Theirs(short(task_definition)),
        "IN_PROGRESS" => Guard::Returning,
        "FAILED" => Guard::Stranded,
        _ => Guard::Restored,
    }
}

/// The history of a service: ECS's own service deployments.
pub(super) struct Past(pub(super) Arc<Ecs>);

impl Lists for Past {
    fn releases(&self, limit: usize) -> BoxFuture<'static, Result<Vec<Listed>>> {
        let ecs = self.0.clone();
        Box::pin(async move {
            let service = ecs.service().await?;
            let mut listed = deployments(&ecs, &service).await?;
            listed.truncate(limit);
            Ok(listed.into_iter().map(|(listed, _)| listed).collect())
        })
    }

    fn release(&self, to: Option<String>, before: Before<Opaque>) -> BoxFuture<'static, Result<Prepared<Opaque>>> {
        let ecs = self.0.clone();
        Box::pin(async move { release(&ecs, to, before).await })
    }
}

async fn release(ecs: &Ecs, to: Option<String>, before: Before<Opaque>) -> Result<Prepared<Opaque>> {
    let (Before::Running(snapshot) | Before::NeverServed(snapshot)) = before else {
        return Err(super::snapshot::missing(ecs));
    };
    let snapshot: Snapshot = serde_json::from_value(snapshot).map_err(|error| Failure::bug(error.to_string()))?;
    let wanted = match to {
        Some(revision) => revision,
        None => known_good(ecs, &snapshot).await?,
    };
    let said = ecs.api.describe_task_definition(json!({ "taskDefinition": wanted })).await?;
    let answer = said.map_err(|refusal| match refusal.code.as_str() {
        "ClientException" => Failure::new(Kind::Missing, format!("{}: there is no task definition {wanted}", ecs.order.name))
            .why(refusal.message)
            .fix("name one as FAMILY:REVISION: `mode: history` lists them"),
        _ => ecs.refused(refusal, &format!("the task definition {wanted} cannot be read"), "ecs:DescribeTaskDefinition"),
    })?;
    let definition = &answer["taskDefinition"];
    if text(definition, "status") != "ACTIVE" {
        return Err(Failure::new(Kind::Missing, format!("{}: {wanted} is not active any more", ecs.order.name))
            .fix("choose another release: `mode: history` lists them"));
    }
    let arn = text(definition, "taskDefinitionArn").to_owned();
    let same = arn == snapshot.task_definition;
    let changes =
        if same { Vec::new() } else { vec![format!("task definition: {} → {}", short(&snapshot.task_definition), short(&arn))] };
    let index = super::revision::container(definition, &ecs.order, None).unwrap_or_default();
    let container = &definition["containerDefinitions"][index];
    let release = Release {
        task_definition: arn.clone(),
        from: snapshot.task_definition,
        deployment_before: snapshot.deployment,
        image: text(container, "image").to_owned(),
        container: text(container, "name").to_owned(),
        at: ecs.session.http().clock().now(),
        way: Way::Forward,
        forced: false,
        desired_count: None,
    };
    let release = serde_json::to_value(release).map_err(|error| Failure::bug(error.to_string()))?;
    Ok(Prepared { release, revision: short(&arn), changes })
}

/// The last successful release before the one that serves.
async fn known_good(ecs: &Ecs, snapshot: &Snapshot) -> Result<String> {
    let service = ecs.service().await?;
    let all = deployments(ecs, &service).await?;
    let good = |(listed, status): &&(Listed, String)| status == "SUCCESSFUL" && listed.revision != short(&snapshot.task_definition);
    all.iter().find(good).map(|(listed, _)| listed.revision.clone()).ok_or_else(|| {
        Failure::new(Kind::Missing, format!("{}: there is no earlier successful release to go back to", ecs.order.name))
            .why("ECS keeps service deployments for 90 days, and none of them but the present one was successful")
            .fix("name the release: to: FAMILY:REVISION")
    })
}

/// Service deployments, newest first, with their status.
async fn deployments(ecs: &Ecs, service: &Value) -> Result<Vec<(Listed, String)>> {
    let body = json!({ "cluster": ecs.settings.cluster, "service": text(service, "serviceArn") });
    let permission = "ecs:ListServiceDeployments and ecs:DescribeServiceRevisions";
    let said = ecs.api.list_service_deployments(body).await?;
    let answer = said.map_err(|refusal| ecs.refused(refusal, "the history cannot be read", permission))?;
    let all = answer["serviceDeployments"].as_array().cloned().unwrap_or_default();
    let arns: Vec<&Value> = all.iter().take(20).map(|deployment| &deployment["targetServiceRevisionArn"]).collect();
    if arns.is_empty() {
        return Ok(Vec::new());
    }
    let said = ecs.api.describe_service_revisions(json!({ "serviceRevisionArns": arns })).await?;
    let answer = said.map_err(|refusal| ecs.refused(refusal, "the history cannot be read", permission))?;
    let revisions = answer["serviceRevisions"].as_array().cloned().unwrap_or_default();
    let serving = primary(service).map(|primary| text(primary, "taskDefinition").to_owned()).unwrap_or_default();
    let mut serving_told = false;
    let mut listed = Vec::new();
    for deployment in &all {
        let revision = revisions.iter().find(|revision| revision["serviceRevisionArn"] == deployment["targetServiceRevisionArn"]);
        let Some(revision) = revision else { continue };
        let status = text(deployment, "status").to_owned();
        let mut note = status.to_lowercase().replace('_', " ");
        if text(revision, "taskDefinition") == serving && !std::mem::replace(&mut serving_told, true) {
            note.push_str(", serves");
        }
        let entry = Listed {
            revision: short(text(revision, "taskDefinition")),
            image: revision["containerImages"][0]["image"].as_str().map(str::to_owned),
            at: Some(moment(deployment, "createdAt")),
            note,
        };
        listed.push((entry, status));
    }
    Ok(listed)
}
