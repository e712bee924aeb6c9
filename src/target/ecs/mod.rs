//! Amazon ECS: the verbs of the trait. What really serves is `snapshot`'s, the new revision `revision`'s, how it is followed
//! `follow`'s, whether it has arrived `verdict`'s, why not `evidence`'s, the way back `past`'s, where users reach it `address`'s.
//!
//! UpdateService takes no precondition: whether somebody else deployed is looked for directly before and after each write;
//! a deployment that begins within that second is found by the next look, not before.

mod address;
mod api;
mod crossed;
mod evidence;
mod follow;
mod gather;
mod mark;
mod past;
mod proof;
mod release;
mod revision;
mod settings;
mod shown;
pub(crate) mod snapshot;
mod tasks;
mod verdict;
mod watch;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::cloud::aws::Session;
use crate::cloud::aws::signed::Refusal;
use crate::failure::{Failure, Kind, Result};
use crate::target::{
    Arrival, Before, Captured, GathersEvidence, Lists, Marks, Observation, Prepared, RunsTask, ServiceOrder, Step, Target, Undo, UndoCost,
};
use crate::values::{PinnedImage, Share};

use address::Found;
use api::Api;
use crossed::Crossed;
use follow::Remembered;
use proof::Proof;
use release::Way;
use shown::{list, primary, short, text};
use verdict::{Verdict, WITHOUT_DEPLOYMENTS};
use watch::Watch;

pub use release::{Release, Snapshot};
pub use settings::{EcsSettings, WaitUntil, default_cluster};
pub use watch::Clusters;

/// One ECS service.
pub struct Ecs {
    order: ServiceOrder,
    settings: EcsSettings,
    /// The user's own task definition, already parsed.
    definition: Option<Value>,
    session: Session,
    api: Api,
    watch: Arc<Watch>,
    seen: Mutex<Remembered>,
    /// Service deployments may not be seen; said once.
    blind: AtomicBool,
    address: OnceCell<Found>,
}

/// How long DescribeServices may go on without an UpdateService that was sent, be its answer lost or not.
const UNSEEN: Duration = Duration::from_secs(10);

impl Ecs {
    /// The service `order.service` of a cluster; targets of one cluster share `clusters`.
    pub fn new(order: ServiceOrder, settings: EcsSettings, definition: Option<Value>, session: Session, clusters: &Clusters) -> Self {
        let api = Api::new(&session);
        let watch = clusters.watch(&api, session.region(), &settings.cluster);
        Self {
            order,
            settings,
            definition,
            session,
            api,
            watch,
            seen: Mutex::default(),
            blind: AtomicBool::default(),
            address: OnceCell::new(),
        }
    }

    /// The service, which must be there.
    async fn service(&self) -> Result<Value> {
        match self.watch.look(&self.order.service).await? {
            Ok(Some(service)) => Ok(service),
            Ok(None) => Err(snapshot::missing(self)),
            Err(refusal) => Err(snapshot::unreadable(self, refusal)),
        }
    }

    /// A refused call, with the permission that would allow it.
    fn refused(&self, refusal: Refusal, what: &str, permission: &str) -> Failure {
        let denied = refusal.is_denied();
        let failure = refusal.into_failure(format!("{}: {what}", self.order.name));
        if denied {
            let who = &self.session.identity().arn;
            return failure
                .why(format!("signed in as {who}"))
                .fix(format!("allow {permission} to this role (examples/aws/policy.json has every permission)"));
        }
        failure
    }

    /// The address users reach it at, looked up once.
    async fn found(&self, service: &Value) -> Result<Found> {
        if self.order.address_given || self.order.health_waived {
            return Ok(Found::default());
        }
        let group = list(service, "loadBalancers").find_map(|balancer| balancer["targetGroupArn"].as_str());
        let Some(group) = group else { return Ok(Found::default()) };
        Ok(self.address.get_or_try_init(|| address::find(&self.session, group)).await?.clone())
    }

    /// UpdateService. Only what changes is sent, and the desired count only where one was asked for.
    async fn update(&self, release: &Release, service: &Value) -> Result<()> {
        let mut body = json!({
            "cluster": self.settings.cluster,
            "service": self.order.service,
            "taskDefinition": release.task_definition,
        });
        if release.forced {
            body["forceNewDeployment"] = json!(true);
        }
        if let Some(count) = release.desired_count.filter(|count| service["desiredCount"].as_u64() != Some(*count)) {
            body["desiredCount"] = json!(count);
        }
        self.memory(release).sent = Some(self.session.http().clock().now());
        let said = self.api.update_service(body).await?;
        let answer = said.map_err(|refusal| {
            self.memory(release).sent = None;
            self.refused(refusal, "the service could not be updated", "ecs:UpdateService and iam:PassRole")
        })?;
        self.ours(release, &answer["service"]);
        match crossed::crossed(release, service, &answer["service"]) {
            Crossed::Nothing => Ok(()),
            Crossed::Replaced(theirs) => {
                let name = &self.order.name;
                tracing::warn!(service = %name, "another deployment, of {theirs}, began a moment before this one and is replaced by it");
                Ok(())
            }
            Crossed::Superseded(failure) => Err(failure),
        }
    }

    /// Whether an UpdateService for `release` may have been carried out although DescribeServices does not show it.
    fn may_still_show(&self, release: &Release) -> bool {
        let now = self.session.http().clock().now();
        self.memory(release).sent.is_some_and(|sent| now.since(sent) < UNSEEN)
    }

    /// Whether UpdateService for `release` has taken effect.
    fn done_already(&self, release: &Release, service: &Value) -> bool {
        let Some(primary) = primary(service) else { return false };
        let points_there = text(primary, "taskDefinition") == release.task_definition;
        let anew = !release.waits_for_new_deployment() || text(primary, "id") != release.deployment_before;
        let counted = release.desired_count.is_none_or(|count| service["desiredCount"].as_u64() == Some(count));
        points_there && anew && counted
    }

    /// The newest revision of the family where it already is what would be registered: made by an attempt before this one.
    async fn registered_before(&self, body: &Value) -> Option<String> {
        let asked = json!({ "taskDefinition": text(body, "family"), "include": ["TAGS"] });
        let Ok(Ok(answer)) = self.api.describe_task_definition(asked).await else { return None };
        let newest = &answer["taskDefinition"];
        let registered = revision::comparable(&revision::registrable(newest, &answer["tags"]));
        let same = text(newest, "status") == "ACTIVE" && registered == revision::comparable(body);
        same.then(|| text(newest, "taskDefinitionArn").to_owned())
    }

    /// Registers `body`, unless that has been done.
    async fn register(&self, body: Value) -> Result<String> {
        if let Some(arn) = self.registered_before(&body).await {
            return Ok(arn);
        }
        let said = self.api.register_task_definition(body).await?;
        let permission = "ecs:RegisterTaskDefinition, iam:PassRole on the task's roles, and ecs:TagResource where it has tags";
        let answer = said.map_err(|refusal| self.refused(refusal, "the new task definition was refused", permission))?;
        Ok(text(&answer["taskDefinition"], "taskDefinitionArn").to_owned())
    }
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
        let arn = if next.same_revision { next.serving.clone() } else { self.register(next.body).await? };
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
        let service = self.service().await.map_err(Failure::unchanged)?;
        if self.done_already(release, &service) {
            return Ok(());
        }
        let now = primary(&service).map(|primary| text(primary, "id").to_owned()).unwrap_or_default();
        if now != release.deployment_before {
            let by = primary(&service).map(|primary| short(text(primary, "taskDefinition"))).unwrap_or_default();
            return Err(Failure::new(Kind::Superseded, format!("{by} (deployment {now})")));
        }
        // The same update sent twice is one deployment, but for a forced one.
        if release.forced && self.may_still_show(release) {
            return Err(Failure::new(Kind::Transient, "ECS may have taken the update whose answer was lost: waiting for it to show"));
        }
        self.update(release, &service).await
    }

    async fn observe(&self, release: &Release) -> Result<Observation> {
        let (service, verdict) = self.follow(release).await?;
        let mut notes = match verdict {
            Verdict::Progressing(note) => return Ok(Observation::Progressing { note }),
            Verdict::Broken(failure) => return Ok(Observation::Broken(failure)),
            Verdict::Arrived { notes, .. } => notes,
        };
        let facts = match self.proof(release, &service).await {
            Proof::Facts(facts) => facts,
            Proof::NothingRuns => {
                let note = "ECS calls the deployment complete, and no running task of it is shown yet".to_owned();
                return Ok(Observation::Progressing { note });
            }
        };
        let found = self.found(&service).await?;
        notes.extend(found.notes);
        notes.extend(self.is_blind().then(|| WITHOUT_DEPLOYMENTS.to_owned()));
        Ok(Observation::Ready(Arrival { main: found.address, candidate: None, facts, notes }))
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
        // A stopped deployment takes the revision back, not the number of tasks: that is a second call.
        if self.settings.desired_count.is_some() { UndoCost::Several } else { UndoCost::OneCall }
    }

    fn by_hand(&self, before: &Before<Snapshot>) -> Vec<String> {
        let (Before::Running(snapshot) | Before::NeverServed(snapshot)) = before else { return Vec::new() };
        let place = format!("--region {} --cluster {}", self.session.region(), self.settings.cluster);
        let revision = short(&snapshot.task_definition);
        let count = self.settings.desired_count.map_or_else(String::new, |_| format!(" --desired-count {}", snapshot.desired_count));
        vec![
            format!("aws ecs update-service {place} --service {} --task-definition {revision}{count}", self.order.service),
            format!("aws ecs wait services-stable {place} --services {}", self.order.service),
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
