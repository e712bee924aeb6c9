//! One look at a release under way: the service, its service deployments and its stopped tasks, handed to the verdict.
//! What earlier looks found out is remembered; another process could find it all out again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::cloud::aws::signed::Refusal;
use crate::failure::{Kind, Result};

use super::Ecs;
use super::release::{Release, Way};
use super::shown::{list, number, primary, seconds, short, text};
use super::verdict::{self, Awaited, Deployments, Ours, Seen, Verdict};

/// Stopped tasks are also looked for at every so many looks while tasks are missing: ECS forgets its count of failed
/// tasks as soon as one runs, so a crash after the start is not counted.
const UNCOUNTED: u32 = 3;

/// What earlier looks at a release found out.
#[derive(Debug, Clone, Default)]
pub(super) struct Remembered {
    /// The release this is about: its task definition and when it was made.
    of: Option<(String, Timestamp)>,
    /// The deployment that is ours.
    pub(super) ours: Option<String>,
    /// ARNs of service deployments by deployment id.
    records: BTreeMap<String, String>,
    /// Names of the release's essential containers.
    essential: Option<Vec<String>>,
    looks: u32,
    /// When its UpdateService was last sent; nothing when it was refused.
    pub(super) sent: Option<Timestamp>,
}

/// What could be seen of service deployments.
pub(super) enum Records {
    Hidden,
    Known(Vec<Value>),
}

impl Records {
    pub(super) fn of(&self) -> Deployments<'_> {
        match self {
            Records::Hidden => Deployments::Hidden,
            Records::Known(all) => Deployments::Known(all),
        }
    }
}

impl Release {
    /// How its deployment is known in this look at the service.
    fn awaited<'a>(&'a self, service: &Value) -> Awaited<'a> {
        let stays = primary(service).is_some_and(|primary| {
            text(primary, "id") == self.deployment_before && text(primary, "taskDefinition") == self.task_definition
        });
        match self.way {
            Way::Forward | Way::Back if stays && !self.waits_for_new_deployment() => Awaited::Present,
            Way::Forward | Way::Back => Awaited::After(&self.deployment_before),
            Way::BackByEcs => Awaited::WayBack(&self.deployment_before),
        }
    }

    /// The task definition a rollback by ECS would go to.
    fn previous(&self) -> Option<&str> {
        match self.way {
            Way::Forward => Some(&self.from),
            Way::Back | Way::BackByEcs => None,
        }
    }
}

impl Ecs {
    /// One look, and what it means. The service is read before its deployments: where these tell of an end, what took the place of
    /// ours may not be seen yet, nor ECS's reason for it, so both are read once more.
    pub(super) async fn follow(&self, release: &Release) -> Result<(Value, Verdict)> {
        let service = self.service().await?;
        let stopped = if self.looks_for_the_dead(release, &service) { self.tasks(release, "STOPPED").await } else { Vec::new() };
        match self.judged(release, &service, &stopped).await {
            Verdict::Broken(_) => {
                let service = self.service().await?;
                let verdict = self.judged(release, &service, &stopped).await;
                Ok((service, verdict))
            }
            verdict @ (Verdict::Progressing(_) | Verdict::Arrived { .. }) => Ok((service, verdict)),
        }
    }

    async fn judged(&self, release: &Release, service: &Value, stopped: &[Value]) -> Verdict {
        let records = self.records(release, service).await;
        let essential = if stopped.is_empty() { Vec::new() } else { self.essential(release).await };
        let ours = self.ours(release, service);
        let now = self.session.http().clock().now();
        let seen = Seen { service, deployments: records.of(), stopped, now };
        verdict::judge(&seen, &awaited(self, release, service, (ours.as_deref(), &essential)))
    }

    /// The id of the release's deployment: the first one seen with its task definition.
    pub(super) fn ours(&self, release: &Release, service: &Value) -> Option<String> {
        let found = verdict::id_of_ours(service, &awaited(self, release, service, (None, &[]))).map(str::to_owned);
        let mut memory = self.memory(release);
        if memory.ours.is_none() {
            memory.ours = found;
        }
        memory.ours.clone()
    }

    /// The service deployments of ours, of what is being left, and of whatever else runs our task definition now.
    pub(super) async fn records(&self, release: &Release, service: &Value) -> Records {
        if self.is_blind() {
            return Records::Hidden;
        }
        let mut wanted: Vec<String> = self.ours(release, service).into_iter().collect();
        match release.way {
            Way::BackByEcs => wanted.push(release.deployment_before.clone()),
            Way::Forward | Way::Back => wanted.extend(primary(service).map(|primary| text(primary, "id").to_owned())),
        }
        wanted.retain(|id| !id.is_empty());
        let unknown = wanted.iter().any(|id| !self.memory(release).records.contains_key(id));
        if unknown && let Err(hidden) = self.list_records(release, service).await {
            return hidden;
        }
        let known = self.memory(release).records.clone();
        let mut arns: Vec<&String> = wanted.iter().filter_map(|id| known.get(id)).collect();
        arns.dedup();
        if arns.is_empty() {
            return Records::Known(Vec::new());
        }
        match self.api.describe_service_deployments(json!({ "serviceDeploymentArns": arns })).await {
            Ok(Ok(answer)) => Records::Known(list(&answer, "serviceDeployments").cloned().collect()),
            Ok(Err(refusal)) => self.not_seen(&refusal),
            Err(_) => Records::Known(Vec::new()),
        }
    }

    async fn list_records(&self, release: &Release, service: &Value) -> Result<(), Records> {
        let mut body = json!({ "cluster": self.settings.cluster, "service": text(service, "serviceArn"), "maxResults": 100 });
        if release.way == Way::Forward {
            // This runner's clock need not be AWS's.
            body["createdAt"] = json!({ "after": seconds(release.at) - 600.0 });
        }
        let answer = match self.api.list_service_deployments(body).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(refusal)) => return Err(self.not_seen(&refusal)),
            Err(_) => return Ok(()),
        };
        let mut memory = self.memory(release);
        for one in list(&answer, "serviceDeployments") {
            let number = short(text(one, "targetServiceRevisionArn"));
            memory.records.entry(format!("ecs-svc/{number}")).or_insert_with(|| text(one, "serviceDeploymentArn").to_owned());
        }
        Ok(())
    }

    /// A refused look at service deployments: for ever where that is not for us, said once; for now where it is only busy.
    pub(super) fn not_seen(&self, refusal: &Refusal) -> Records {
        if refusal.kind() == Kind::Transient {
            return Records::Known(Vec::new());
        }
        if !self.blind.swap(true, std::sync::atomic::Ordering::Relaxed) {
            // What that costs is said once, in the notes of what has arrived.
            tracing::info!(service = %self.order.name, "service deployments are not for this role to see ({})", refusal.code);
        }
        Records::Hidden
    }

    /// Whether service deployments are not for us to see.
    pub(super) fn is_blind(&self) -> bool {
        self.blind.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn looks_for_the_dead(&self, release: &Release, service: &Value) -> bool {
        let mut memory = self.memory(release);
        memory.looks = memory.looks.wrapping_add(1);
        primary(service).is_some_and(|primary| {
            let missing = number(primary, "runningCount") < number(primary, "desiredCount");
            number(primary, "failedTasks") > 0 || (missing && memory.looks.is_multiple_of(UNCOUNTED))
        })
    }

    async fn essential(&self, release: &Release) -> Vec<String> {
        if let Some(known) = self.memory(release).essential.clone() {
            return known;
        }
        let asked = json!({ "taskDefinition": release.task_definition });
        let Ok(Ok(answer)) = self.api.describe_task_definition(asked).await else { return Vec::new() };
        let containers = list(&answer["taskDefinition"], "containerDefinitions").filter(|one| one["essential"] != false);
        let names: Vec<String> = containers.map(|one| text(one, "name").to_owned()).collect();
        self.memory(release).essential = Some(names.clone());
        names
    }

    /// What is remembered of `release`; another release begins with nothing.
    pub(super) fn memory(&self, release: &Release) -> std::sync::MutexGuard<'_, Remembered> {
        let mut memory = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let of = (release.task_definition.clone(), release.at);
        if memory.of.as_ref() != Some(&of) {
            *memory = Remembered { of: Some(of), ..Remembered::default() };
        }
        memory
    }
}

fn awaited<'a>(ecs: &Ecs, release: &'a Release, service: &Value, (ours, essential): (Option<&'a str>, &'a [String])) -> Ours<'a> {
    Ours {
        task_definition: &release.task_definition,
        previous: release.previous(),
        awaited: release.awaited(service),
        deployment: ours,
        since: release.at,
        sent: ecs.memory(release).sent.unwrap_or(release.at),
        wait_until: ecs.settings.wait_until,
        essential,
    }
}
