//! What ECS keeps: task definitions, services with their deployments and tasks. Data and small questions about it; no time passes here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::simulator::fault::Fault;
use crate::simulator::seed::Answers;

/// One revision of a task definition, kept as the JSON it came in.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub arn: String,
    pub body: Map<String, Value>,
    pub tags: Vec<Value>,
    pub active: bool,
    /// The version its tasks tell, whatever else says otherwise.
    pub told: Option<String>,
}

impl Definition {
    /// The container definitions.
    pub(crate) fn containers(&self) -> &[Value] {
        self.body.get("containerDefinitions").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

/// A service.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub region: String,
    pub cluster: String,
    pub cluster_arn: String,
    pub name: String,
    pub arn: String,
    pub status: &'static str,
    /// Everything set by CreateService and UpdateService that the service only keeps and shows.
    pub settings: Map<String, Value>,
    pub tags: Vec<Value>,
    pub desired: u32,
    pub created_at: Timestamp,
    /// All there ever were, oldest first; the last one is PRIMARY.
    pub deployments: Vec<Deployment>,
    pub tasks: Vec<Task>,
    pub events: VecDeque<(String, Timestamp, String)>,
    /// No task is started before this, after a failure.
    pub restart_at: Option<Timestamp>,
    /// Everything due until then has been done, or waits for something else than time.
    pub stepped_at: Timestamp,
    /// What DescribeServices still shows after a change, until when.
    pub stale: Option<(Value, Timestamp)>,
    pub fault: Fault,
    /// What is wrong with each task definition ever deployed while a fault was set.
    pub verdicts: BTreeMap<String, Fault>,
    /// Task definitions known to be good.
    pub good: BTreeSet<String>,
    pub answers: Answers,
    /// ARN of the task definition the service was made with.
    pub seeded: String,
    /// Hosts that lead to the application besides those of the load balancer.
    pub hosts: Vec<String>,
    pub hostile: Option<String>,
    /// Requests the application has answered; spreads and flaps.
    pub visits: u64,
    pub answer_lost: bool,
}

/// How far a service deployment is, as ECS names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "the names are the vendor's")]
pub(crate) enum Progress {
    Pending,
    InProgress,
    Successful,
    Stopped,
    StopRequested,
    RollbackRequested,
    RollbackInProgress,
    RollbackSuccessful,
    RollbackFailed,
}

impl Progress {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Progress::Pending => "PENDING",
            Progress::InProgress => "IN_PROGRESS",
            Progress::Successful => "SUCCESSFUL",
            Progress::Stopped => "STOPPED",
            Progress::StopRequested => "STOP_REQUESTED",
            Progress::RollbackRequested => "ROLLBACK_REQUESTED",
            Progress::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            Progress::RollbackSuccessful => "ROLLBACK_SUCCESSFUL",
            Progress::RollbackFailed => "ROLLBACK_FAILED",
        }
    }

    pub(crate) fn over(self) -> bool {
        matches!(self, Progress::Successful | Progress::Stopped | Progress::RollbackSuccessful | Progress::RollbackFailed)
    }
}

/// `rolloutState` of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rollout {
    InProgress,
    Completed,
    Failed,
}

impl Rollout {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Rollout::InProgress => "IN_PROGRESS",
            Rollout::Completed => "COMPLETED",
            Rollout::Failed => "FAILED",
        }
    }
}

/// What ends a failing deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Breaker {
    pub enabled: bool,
    pub rollback: bool,
    pub threshold: u32,
    pub triggered: bool,
}

/// Alarms watched during a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Alarms {
    pub names: Vec<String>,
    pub enabled: bool,
    pub rollback: bool,
    pub triggered: bool,
}

/// A rollback by ECS, told in the service deployment that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RolledBack {
    pub reason: String,
    pub at: Timestamp,
    /// Number of the revision gone back to.
    pub revision: String,
}

/// A pause hook that a deployment waits at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    pub hook: String,
    pub expires: Timestamp,
    pub status: &'static str,
    /// What happens when nobody answers.
    pub rollback_on_timeout: bool,
}

/// One deployment: at once an entry of `deployments` and a service deployment.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    /// The digits after `ecs-svc/`.
    pub number: String,
    /// The digits in the service revision's ARN; a rollback by ECS goes back to an older revision.
    pub revision: String,
    pub definition: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// When the rollout was completed or failed; a rollback comes after it.
    pub ended_at: Option<Timestamp>,
    /// ListServiceDeployments does not know it before this.
    pub visible_at: Timestamp,
    pub progress: Progress,
    pub reason: Option<String>,
    pub rollout: Rollout,
    pub rollout_reason: String,
    pub failed: u32,
    pub breaker: Breaker,
    pub alarms: Alarms,
    pub fault: Fault,
    /// The revision that served before.
    pub source: Option<String>,
    pub rollback: Option<RolledBack>,
    /// Set on a deployment that ECS began by itself: the number of the one that failed.
    pub rollback_of: Option<String>,
    /// The settings of the service at that time: the rest of the revision.
    pub settings: Map<String, Value>,
    /// When it moves on by itself: out of PENDING, out of STOP_REQUESTED.
    pub due: Option<Timestamp>,
    /// When what the fault brings comes.
    pub disturb_at: Option<Timestamp>,
    pub pause: Option<Pause>,
    /// Blue/green, linear, canary: the stage, and when it ends by itself.
    pub stage: Option<(&'static str, Timestamp)>,
    /// Share of production traffic, in per cent.
    pub weight: f64,
    /// Which of the two target groups its tasks are in.
    pub alternate: bool,
}

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Provisioning,
    Pending,
    Running,
    Deactivating,
    Stopped,
}

impl Phase {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Phase::Provisioning => "PROVISIONING",
            Phase::Pending => "PENDING",
            Phase::Running => "RUNNING",
            Phase::Deactivating => "DEACTIVATING",
            Phase::Stopped => "STOPPED",
        }
    }
}

/// What the load balancer or the container health check thinks of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fitness {
    /// Nobody checks.
    Unchecked,
    Initial,
    Healthy,
    Unhealthy,
    Draining,
}

/// A container of a task.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub name: String,
    pub image: String,
    pub digest: String,
    pub essential: bool,
    pub exit_code: Option<i64>,
    pub reason: Option<String>,
    /// Log group, stream and region, where the container logs to CloudWatch.
    pub log: Option<(String, String, String)>,
    pub checked: bool,
}

/// A task: of a service, or run by hand.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub id: String,
    pub arn: String,
    pub definition: String,
    /// Number of the deployment; empty for a task run by hand.
    pub deployment: String,
    pub started_by: String,
    pub group: String,
    pub phase: Phase,
    pub due: Option<Timestamp>,
    pub fitness: Fitness,
    pub fitness_due: Option<Timestamp>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub stopping_at: Option<Timestamp>,
    pub stopped_at: Option<Timestamp>,
    pub stop: Option<(&'static str, String)>,
    /// The scheduler or a person wanted it to end: no failure.
    pub told_to_stop: bool,
    pub containers: Vec<Container>,
    pub ip: String,
    pub fault: Fault,
    /// When `unhealthy-after-bake` breaks it.
    pub breaks_at: Option<Timestamp>,
    pub version: String,
    pub alternate: bool,
    pub balanced: bool,
    pub launch_type: String,
    pub awsvpc: bool,
}

impl Task {
    /// Starting or running, and nobody told it to stop.
    pub(crate) fn live(&self) -> bool {
        matches!(self.phase, Phase::Provisioning | Phase::Pending | Phase::Running)
    }

    /// Running and, where somebody checks, healthy.
    pub(crate) fn fit(&self) -> bool {
        self.phase == Phase::Running && matches!(self.fitness, Fitness::Healthy | Fitness::Unchecked)
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        if self.phase == Phase::Stopped {
            return None;
        }
        [self.due, self.fitness_due].into_iter().flatten().min()
    }
}

impl Service {
    pub(crate) fn primary(&self) -> Option<&Deployment> {
        self.deployments.last()
    }

    /// The newest deployment before the PRIMARY one that was completed: what a rollback goes to.
    pub(crate) fn last_completed(&self) -> Option<&Deployment> {
        self.deployments.iter().rev().skip(1).find(|deployment| deployment.rollout == Rollout::Completed)
    }

    pub(crate) fn count(&self, number: &str, which: fn(&Task) -> bool) -> u32 {
        let counted = self.tasks.iter().filter(|task| task.deployment == number && which(task)).count();
        u32::try_from(counted).unwrap_or(u32::MAX)
    }

    pub(crate) fn event(&mut self, id: String, at: Timestamp, text: String) {
        let text = match &self.hostile {
            Some(hostile) => format!("{text} {hostile}"),
            None => text,
        };
        self.events.push_front((id, at, text));
        self.events.truncate(100);
    }

    pub(crate) fn revision_arn(&self, revision: &str) -> String {
        format!("{}/{revision}", self.arn.replacen(":service/", ":service-revision/", 1))
    }

    pub(crate) fn deployment_arn(&self, number: &str) -> String {
        format!("{}/{}", self.arn.replacen(":service/", ":service-deployment/", 1), short(number))
    }

    /// The setting at `path` of the deployment configuration.
    pub(crate) fn configured(&self, path: &str) -> Option<&Value> {
        self.settings.get("deploymentConfiguration").and_then(|configuration| configuration.pointer(path))
    }

    /// How long after a task's start the scheduler takes no notice of its health checks.
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_secs(self.settings.get("healthCheckGracePeriodSeconds").and_then(Value::as_u64).unwrap_or_default())
    }

    /// Target groups of the service: the first, and the alternate one of blue/green.
    pub(crate) fn target_groups(&self) -> (Option<&str>, Option<&str>) {
        let first = self.settings.get("loadBalancers").and_then(|balancers| balancers.get(0));
        let group = first.and_then(|balancer| balancer.get("targetGroupArn")).and_then(Value::as_str);
        let other = first.and_then(|balancer| balancer.pointer("/advancedConfiguration/alternateTargetGroupArn")).and_then(Value::as_str);
        (group, other)
    }

    /// Behind a Classic Load Balancer ECS tells no rollout state.
    pub(crate) fn classic(&self) -> bool {
        let first = self.settings.get("loadBalancers").and_then(|balancers| balancers.get(0));
        first.is_some_and(|balancer| balancer.get("loadBalancerName").is_some())
    }

    pub(crate) fn balanced(&self) -> bool {
        self.target_groups().0.is_some() || self.classic()
    }

    pub(crate) fn shifting(&self) -> bool {
        matches!(self.configured("/strategy").and_then(Value::as_str), Some("BLUE_GREEN" | "LINEAR" | "CANARY"))
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        let tasks = self.tasks.iter().filter_map(Task::next_due);
        let primary = self.primary().into_iter().flat_map(|deployment| {
            let stage = deployment.stage.map(|(_, until)| until);
            let pause = deployment.pause.as_ref().filter(|pause| pause.status == "AWAITING_ACTION").map(|pause| pause.expires);
            [deployment.due, deployment.disturb_at, stage, pause].into_iter().flatten()
        });
        tasks.chain(primary).chain(self.restart_at).filter(|due| *due > self.stepped_at).min()
    }
}

/// The id in a service deployment's ARN is not the deployment's number; it is made from it.
pub(crate) fn short(number: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, number.as_bytes());
    digest.as_ref().iter().map(|byte| char::from(b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"[usize::from(byte % 34)])).take(21).collect()
}
