//! Amazon ECS: the verbs of the trait. What really serves is `snapshot`'s, the new revision `revision`'s,
//! whether it has arrived `verdict`'s, why not `evidence`'s, where users reach it `address`'s.
//!
//! UpdateService takes no precondition: whether somebody else deployed is looked for directly before and after each write;
//! a deployment that begins within that second is found by the next look, not before.

mod address;
mod api;
mod evidence;
mod mark;
mod past;
mod release;
mod revision;
mod settings;
mod snapshot;
mod tasks;
mod verdict;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::cloud::aws::Session;
use crate::cloud::aws::signed::Refusal;
use crate::failure::{Evidence, Failure, Kind, Result};
use crate::target::{
    Before, Captured, Common, GathersEvidence, Lists, Marks, Observation, Opaque, Prepared, RunsTask, Step, Target, Undo, UndoCost,
};
use crate::values::{PinnedImage, Share};

use address::Found;
use api::Api;
use release::Way;
use verdict::{Seen, judge, primary, short, text};
use watch::Watch;

pub use release::{Release, Snapshot};
pub use settings::{EcsSettings, WaitUntil, default_cluster};
pub use watch::Clusters;

/// One ECS service.
pub struct Ecs {
    common: Common,
    settings: EcsSettings,
    /// The user's own task definition, already parsed.
    definition: Option<Value>,
    session: Session,
    api: Api,
    watch: Arc<Watch>,
    seen: Mutex<Remembered>,
    address: OnceCell<Found>,
}

/// What earlier looks found out; nothing that another process could not find out again.
#[derive(Debug, Clone, Default)]
struct Remembered {
    /// The deployment that is ours.
    ours: Option<String>,
    /// ARN of our service deployment.
    deployment: Option<String>,
    /// Whether service deployments may not be seen; said once.
    blind: bool,
}

impl Ecs {
    /// The service `common.service` of a cluster; targets of one cluster share `clusters`.
    pub fn new(common: Common, settings: EcsSettings, definition: Option<Value>, session: Session, clusters: &Clusters) -> Self {
        let api = Api::new(&session);
        let watch = clusters.watch(&api, session.region(), &settings.cluster);
        Self { common, settings, definition, session, api, watch, seen: Mutex::default(), address: OnceCell::new() }
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets which deployment is ours: another one will be.
    fn forget(&self) {
        let mut seen = self.remembered();
        *seen = Remembered { blind: seen.blind, ..Remembered::default() };
    }

    /// The service, which must be there.
    async fn service(&self) -> Result<Value> {
        match self.watch.look(&self.common.service).await? {
            Ok(Some(service)) => Ok(service),
            Ok(None) => Err(snapshot::missing(self)),
            Err(refusal) => Err(snapshot::unreadable(self, refusal)),
        }
    }

    /// A refused call, with the permission that would allow it.
    fn refused(&self, refusal: Refusal, what: &str, permission: &str) -> Failure {
        let denied = refusal.is_denied();
        let failure = refusal.into_failure(format!("{}: {what}", self.common.name));
        if denied {
            let who = &self.session.identity().arn;
            return failure
                .why(format!("signed in as {who}"))
                .fix(format!("allow {permission} to this role (examples/aws/policy.json has every permission)"));
        }
        failure
    }

    /// The address users reach it at, looked up once.
    async fn found(&self, service: &Value) -> Found {
        if self.common.address_given || self.common.health_waived {
            return Found::default();
        }
        let group = service["loadBalancers"].as_array().into_iter().flatten().find_map(|balancer| balancer["targetGroupArn"].as_str());
        let Some(group) = group else { return Found::default() };
        let look = || async {
            address::find(&self.session, group).await.unwrap_or_else(|failure| Found { address: None, notes: vec![failure.to_string()] })
        };
        self.address.get_or_init(look).await.clone()
    }

    /// UpdateService, unless it has been done already: a call whose answer was lost is not sent twice.
    async fn update(&self, release: &Release, service: &Value) -> Result<()> {
        let mut body = json!({
            "cluster": self.settings.cluster,
            "service": self.common.service,
            "taskDefinition": release.task_definition,
        });
        if release.forced {
            body["forceNewDeployment"] = json!(true);
        }
        if let Some(count) = release.desired_count.filter(|count| service["desiredCount"].as_u64() != Some(*count)) {
            body["desiredCount"] = json!(count);
        }
        let said = self.api.update_service(body).await?;
        let answer =
            said.map_err(|refusal| self.refused(refusal, "the service could not be updated", "ecs:UpdateService and iam:PassRole"))?;
        if let Some(primary) = primary(&answer["service"]).filter(|primary| text(primary, "taskDefinition") == release.task_definition) {
            self.remembered().ours = Some(text(primary, "id").to_owned());
        }
        Ok(())
    }

    /// Whether UpdateService for `release` has taken effect.
    fn done_already(&self, release: &Release, service: &Value) -> bool {
        let Some(primary) = primary(service) else { return false };
        let points_there = text(primary, "taskDefinition") == release.task_definition;
        let anew = !release.waits_for_new_deployment() || text(primary, "id") != release.deployment_before;
        let counted = release.desired_count.is_none_or(|count| service["desiredCount"].as_u64() == Some(count));
        points_there && anew && counted
    }

    /// Our service deployment as ECS shows it now; `None`: not known, or not for us to see.
    async fn service_deployment(&self, release: &Release, service: &Value) -> Option<Value> {
        if self.remembered().blind {
            return None;
        }
        let known = self.remembered().deployment.clone();
        let arn = match known {
            Some(arn) => arn,
            None => self.find_service_deployment(release, service).await?,
        };
        match self.api.describe_service_deployments(json!({ "serviceDeploymentArns": [arn] })).await {
            Ok(Ok(answer)) => answer["serviceDeployments"].get(0).cloned(),
            Ok(Err(refusal)) => self.blinded(&refusal),
            Err(_) => None,
        }
    }

    async fn find_service_deployment(&self, release: &Release, service: &Value) -> Option<String> {
        let ours = self.remembered().ours.clone()?;
        let number = ours.rsplit('/').next()?.to_owned();
        let after = serde_json::Number::from_f64(seconds(release.at) - 60.0)?;
        let body = json!({ "cluster": self.settings.cluster, "service": text(service, "serviceArn"), "createdAt": { "after": after } });
        match self.api.list_service_deployments(body).await {
            Ok(Ok(answer)) => {
                let all = answer["serviceDeployments"].as_array().cloned().unwrap_or_default();
                let found = all.iter().find(|deployment| text(deployment, "targetServiceRevisionArn").ends_with(&number))?;
                let arn = text(found, "serviceDeploymentArn").to_owned();
                self.remembered().deployment = Some(arn.clone());
                Some(arn)
            }
            Ok(Err(refusal)) => self.blinded(&refusal),
            Err(_) => None,
        }
    }

    /// Says once what is lost without the permission to see service deployments.
    fn blinded<T>(&self, refusal: &Refusal) -> Option<T> {
        let already = std::mem::replace(&mut self.remembered().blind, refusal.is_denied());
        if refusal.is_denied() && !already {
            tracing::warn!(
                service = %self.common.name,
                "without ecs:ListServiceDeployments and ecs:DescribeServiceDeployments the stages, the circuit breaker's count and the alarms are not seen, and a rollback goes by UpdateService"
            );
        }
        None
    }

    async fn look(&self, release: &Release) -> Result<Seen> {
        let service = self.service().await?;
        if let Some(primary) = primary(&service)
            && self.done_already(release, &service)
            && release.way == Way::Forward
        {
            self.remembered().ours.get_or_insert_with(|| text(primary, "id").to_owned());
        }
        let deployment = self.service_deployment(release, &service).await;
        let failing = primary(&service).is_some_and(|primary| primary["failedTasks"].as_u64().unwrap_or_default() > 0);
        let stopped = if failing { self.stopped(release).await } else { Vec::new() };
        let ours = self.remembered().ours.clone();
        Ok(Seen { service, deployment, stopped, ours, now: self.session.http().clock().now() })
    }

    /// Stopped tasks of the release, newest first; none when we may not see them.
    async fn stopped(&self, release: &Release) -> Vec<Value> {
        self.tasks(release, "STOPPED").await
    }

    async fn tasks(&self, release: &Release, desired: &str) -> Vec<Value> {
        let body = json!({ "cluster": self.settings.cluster, "serviceName": self.common.service, "desiredStatus": desired });
        let Ok(Ok(listed)) = self.api.list_tasks(body).await else { return Vec::new() };
        let arns: Vec<Value> = listed["taskArns"].as_array().into_iter().flatten().take(100).cloned().collect();
        if arns.is_empty() {
            return Vec::new();
        }
        let body = json!({ "cluster": self.settings.cluster, "tasks": arns });
        let Ok(Ok(described)) = self.api.describe_tasks(body).await else { return Vec::new() };
        let mut tasks = described["tasks"].as_array().cloned().unwrap_or_default();
        tasks.retain(|task| text(task, "taskDefinitionArn") == release.task_definition);
        tasks.sort_by(|a, b| b["createdAt"].as_f64().unwrap_or_default().total_cmp(&a["createdAt"].as_f64().unwrap_or_default()));
        tasks
    }

    /// Facts beyond ECS's own word: tasks that run our digest, and what container health says.
    async fn proof(&self, release: &Release) -> Vec<String> {
        let running = self.tasks(release, "RUNNING").await;
        let digest = release.image.split('@').nth(1).unwrap_or_default();
        let ours = |task: &&Value| {
            let mut containers = task["containers"].as_array().into_iter().flatten();
            containers.any(|container| container["name"] == release.container && text(container, "imageDigest") == digest)
        };
        let mut facts = Vec::new();
        let count = running.iter().filter(ours).count();
        if count > 0 && !digest.is_empty() {
            facts.push(format!("{count} running with {}", &digest[..digest.len().min(19)]));
        }
        let healthy = running.iter().filter(|task| task["healthStatus"] == "HEALTHY").count();
        if healthy > 0 {
            facts.push(format!("{healthy} healthy by their container's own check"));
        }
        facts
    }
}

/// Seconds since the epoch, as AWS's JSON has them.
fn seconds(at: crate::clock::Timestamp) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
    let milliseconds = at.0 as f64;
    milliseconds / 1000.0
}

impl Target for Ecs {
    type Snapshot = Snapshot;
    type Release = Release;

    async fn snapshot(&self) -> Result<Captured<Snapshot>> {
        snapshot::take(self).await
    }

    async fn plan(&self, image: &PinnedImage, before: &Before<Snapshot>) -> Result<Vec<String>> {
        Ok(snapshot::next_revision(self, image, before).await?.changes)
    }

    async fn prepare(&self, image: &PinnedImage, before: &Before<Snapshot>) -> Result<Prepared<Release>> {
        let next = snapshot::next_revision(self, image, before).await?;
        let arn = if next.same_revision {
            next.serving.clone()
        } else {
            let said = self.api.register_task_definition(next.body.clone()).await?;
            let permission = "ecs:RegisterTaskDefinition, iam:PassRole on the task's roles, and ecs:TagResource where it has tags";
            let answer = said.map_err(|refusal| self.refused(refusal, "the new task definition was refused", permission))?;
            text(&answer["taskDefinition"], "taskDefinitionArn").to_owned()
        };
        let release = Release {
            task_definition: arn.clone(),
            from: next.serving,
            deployment_before: next.deployment,
            image: image.reference(),
            container: next.container,
            at: self.session.http().clock().now(),
            way: Way::Forward,
            forced: self.settings.force,
            desired_count: next.desired_count,
        };
        Ok(Prepared { release, revision: short(&arn), changes: next.changes })
    }

    async fn apply(&self, release: &Release, _: &Before<Snapshot>) -> Result<()> {
        let service = self.service().await?;
        if self.done_already(release, &service) {
            return Ok(());
        }
        let now = primary(&service).map(|primary| text(primary, "id").to_owned()).unwrap_or_default();
        if now != release.deployment_before {
            let by = primary(&service).map(|primary| short(text(primary, "taskDefinition"))).unwrap_or_default();
            return Err(Failure::new(Kind::Superseded, format!("{by} (deployment {now})")));
        }
        self.update(release, &service).await
    }

    async fn observe(&self, release: &Release) -> Result<Observation> {
        let seen = self.look(release).await?;
        let Observation::Ready(mut arrival) = judge(&seen, release, self.settings.wait_until) else {
            return Ok(judge(&seen, release, self.settings.wait_until));
        };
        arrival.facts.extend(self.proof(release).await);
        let found = self.found(&seen.service).await;
        arrival.main = found.address;
        arrival.notes.extend(found.notes);
        Ok(Observation::Ready(arrival))
    }

    fn steps(&self, _: &[Share]) -> Vec<Step> {
        Vec::new()
    }

    async fn advance(&self, _: &Release, _: &Before<Snapshot>, _: &Step) -> Result<()> {
        Err(Failure::bug("ECS's own strategies shift the traffic: there is no step to take"))
    }

    async fn rollback(&self, before: &Before<Snapshot>, release: &Release) -> Result<Undo<Release>> {
        past::rollback(self, before, release).await
    }

    async fn finish(&self, _: &Release, _: &Before<Snapshot>) -> Result<()> {
        Ok(())
    }

    fn undo_cost(&self) -> UndoCost {
        UndoCost::OneCall
    }

    fn by_hand(&self, before: &Before<Snapshot>) -> Vec<String> {
        let (Before::Running(snapshot) | Before::NeverServed(snapshot)) = before else { return Vec::new() };
        let place = format!("--region {} --cluster {}", self.session.region(), self.settings.cluster);
        vec![
            format!(
                "aws ecs update-service {place} --service {} --task-definition {}",
                self.common.service,
                short(&snapshot.task_definition)
            ),
            format!("aws ecs wait services-stable {place} --services {}", self.common.service),
        ]
    }

    fn runs_task(self: Arc<Self>) -> Option<Arc<dyn RunsTask>> {
        Some(Arc::new(tasks::Tasks(self)))
    }

    fn evidence(self: Arc<Self>) -> Option<Arc<dyn GathersEvidence>> {
        Some(self)
    }

    fn marks(self: Arc<Self>) -> Option<Arc<dyn Marks>> {
        Some(Arc::new(mark::Tags(self)))
    }

    fn lists(self: Arc<Self>) -> Option<Arc<dyn Lists>> {
        Some(Arc::new(past::Past(self)))
    }
}

impl GathersEvidence for Ecs {
    fn gather(self: Arc<Self>, release: Opaque) -> BoxFuture<'static, Vec<Evidence>> {
        Box::pin(async move {
            let Ok(release) = serde_json::from_value::<Release>(release) else { return Vec::new() };
            let stopped = self.stopped(&release).await;
            let mut all = vec![evidence::ends(&stopped)];
            if let Ok(service) = self.service().await {
                all.push(evidence::events(&service, seconds(release.at)));
                for group in service["loadBalancers"].as_array().into_iter().flatten().filter_map(|one| one["targetGroupArn"].as_str()) {
                    all.push(evidence::target_health(&self.session, group).await);
                }
            }
            let asked = json!({ "taskDefinition": release.task_definition });
            if let Ok(Ok(answer)) = self.api.describe_task_definition(asked).await {
                let tasks = if stopped.is_empty() { self.tasks(&release, "RUNNING").await } else { stopped };
                all.extend(evidence::log_tails(&self.session, &answer["taskDefinition"], &tasks).await);
            }
            all.retain(|evidence| !evidence.lines.is_empty());
            all
        })
    }
}
