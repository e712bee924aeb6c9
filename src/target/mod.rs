//! What a platform must be able to do, and the table of platforms. A target knows one platform's facts;
//! it never waits, never judges health, never decides to roll back: the engine does.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::failure::{Evidence, Failure, Result};
use crate::values::{Address, PinnedImage, RunId, ServiceName, Share};

pub mod any;
pub mod ecs;

/// A snapshot or a release as the journal holds it: the engine carries it and does not look inside.
pub type Opaque = serde_json::Value;

/// What stood before the deploy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before<S> {
    /// There is no such service.
    Absent,
    /// The service exists and has never served anybody: the commonest first deploy, made by Terraform.
    NeverServed(S),
    /// This served.
    Running(S),
}

/// What `snapshot` found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Captured<S> {
    /// What to go back to.
    pub before: Before<S>,
    /// The serving revision as the platform names it, e.g. `web:41`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The serving image, with its digest where the platform tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where users reach it now; the baseline is probed here. `None`: the platform names no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The mark an earlier run left on the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Box<Mark>>,
    /// What its containers run on, as images name it (`linux/arm64`), where the platform says so; not in the journal.
    #[serde(skip)]
    pub runs_on: Option<&'static str>,
    /// Whether what pulls its images is known to read layers compressed by zstd; not in the journal.
    #[serde(skip)]
    pub reads_zstd: bool,
    /// Another deployment of the service runs right now, in a person's words; the engine waits or fails as `in-flight` asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<String>,
    /// Lines worth a notice, e.g. which permission is missing and what that costs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What stands on the platform about our own runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// A run has begun to change the service and has not said that it is done.
    Open {
        /// Which.
        by: Holder,
        /// When it must have ended.
        until: Timestamp,
        /// The revision that served when it began: what a repair goes back to.
        back_to: String,
        /// The revision it was about to make the service run: only this is ever repaired.
        to: String,
    },
    /// The last run proved this revision.
    Proven {
        /// The revision as the platform names it.
        revision: String,
    },
    /// The last run is done with the service and proved nothing.
    Closed {
        /// Which.
        by: Holder,
    },
}

/// Who has a service: a step of a run. A run may have several steps for one service, and several attempts at each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run.
    pub run: RunId,
    /// What tells the step from every other; it gives nothing away.
    pub step: String,
}

/// What `prepare` made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepared<R> {
    /// What `apply` will make the platform point at.
    pub release: R,
    /// Its name on the platform, e.g. `web:42`.
    pub revision: String,
    /// What differs from what serves, key by key (`image: a → b`); empty: nothing, and `apply` is not called.
    pub changes: Vec<String>,
}

/// What `observe` saw.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// Not there yet.
    Progressing {
        /// Where it stands, in a few words: `1 of 2 tasks running`.
        note: String,
    },
    /// The platform says the release has arrived.
    Ready(Arrival),
    /// It will not arrive; the failure says why. Kind `Superseded` when somebody else's deployment took its place.
    Broken(Failure),
}

/// A release that has arrived, as the platform tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Arrival {
    /// Where all users reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main: Option<Address>,
    /// Where only the new release answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Address>,
    /// The platform's facts that prove it: `2 of 2 tasks run sha256:…`, `2 targets healthy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// Lines worth a notice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One exposure after `apply`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// How many of the users it reaches.
    pub share: Share,
}

/// What `rollback` began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undo<R> {
    /// On its way; observed and verified like any release.
    Begun(R),
    /// The platform already points at what stood before.
    NothingToUndo,
    /// Somebody else's deployment serves: left alone.
    Superseded {
        /// What serves now.
        by: String,
    },
}

/// How an undo can be sent when a signal leaves seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoCost {
    /// One idempotent call: it may be sent at once.
    OneCall,
    /// More than that (a swap, several calls): left to the post step.
    Several,
}

/// One platform. Every verb is one bounded, repeatable piece of work: called twice it does its work once.
pub trait Target: Send + Sync + Sized + 'static {
    /// Addresses of what stood before: at most 2 KiB of JSON, never a secret.
    type Snapshot: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What *ours* means: enough to recognise it on the platform.
    type Release: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Reads what really serves.
    fn snapshot(&self) -> impl Future<Output = Result<Captured<Self::Snapshot>>> + Send;

    /// Says what `prepare` would change, key by key, and changes nothing.
    fn plan(&self, image: &PinnedImage, before: &Before<Self::Snapshot>) -> impl Future<Output = Result<Vec<String>>> + Send;

    /// Makes only what no user can reach (registers a revision, chooses a name) and names it.
    fn prepare(&self, image: &PinnedImage, before: &Before<Self::Snapshot>)
    -> impl Future<Output = Result<Prepared<Self::Release>>> + Send;

    /// Points the platform at the release. Looks first: a call whose answer was lost is not sent twice. A failure of a call that
    /// certainly changed nothing says so ([`Failure::unchanged`]).
    fn apply(&self, release: &Self::Release, before: &Before<Self::Snapshot>) -> impl Future<Output = Result<()>> + Send;

    /// One look at how far the release has come.
    fn observe(&self, release: &Self::Release) -> impl Future<Output = Result<Observation>> + Send;

    /// The exposures after `apply`; none where `apply` already reaches everyone.
    fn steps(&self, asked: &[Share]) -> Vec<Step>;

    /// Gives the release the share of `step`.
    fn advance(&self, release: &Self::Release, before: &Before<Self::Snapshot>, step: &Step) -> impl Future<Output = Result<()>> + Send;

    /// Begins to put back what stood before.
    fn rollback(
        &self,
        before: &Before<Self::Snapshot>,
        release: &Self::Release,
    ) -> impl Future<Output = Result<Undo<Self::Release>>> + Send;

    /// After the commit: tidy up. Repeatable; the post step completes it.
    fn finish(&self, release: &Self::Release, before: &Before<Self::Snapshot>) -> impl Future<Output = Result<()>> + Send;

    /// How an undo is sent.
    fn undo_cost(&self) -> UndoCost;

    /// The commands a person would type to put `before` back by hand, for reports of what could not be done.
    fn by_hand(&self, before: &Before<Self::Snapshot>) -> Vec<String>;

    /// Migrations and backups, where the platform can run a task.
    fn runs_task(self: Arc<Self>) -> Option<Arc<dyn RunsTask>> {
        None
    }

    /// Why a release failed, in the platform's own material.
    fn evidence(self: Arc<Self>) -> Option<Arc<dyn GathersEvidence>> {
        None
    }

    /// The open mark, where the platform can carry one.
    fn marks(self: Arc<Self>) -> Option<Arc<dyn Marks>> {
        None
    }

    /// The history of releases, where the platform keeps one.
    fn lists(self: Arc<Self>) -> Option<Arc<dyn Lists>> {
        None
    }
}

/// Runs a task to its end beside the service: a migration, a backup.
pub trait RunsTask: Send + Sync {
    /// Starts it, or finds the one already started with this token. A failure of a call that certainly started none says so.
    fn start(&self, task: TaskOrder) -> BoxFuture<'static, Result<TaskHandle>>;
    /// One look for the task that was started with this token, running or ended.
    fn find(&self, token: String) -> BoxFuture<'static, Result<Option<TaskHandle>>>;
    /// The commands by which a person finds it.
    fn by_hand(&self, token: &str) -> Vec<String>;
    /// One look; `seen` is how many log lines the caller already has.
    fn look(&self, handle: TaskHandle, seen: usize) -> BoxFuture<'static, Result<TaskLook>>;
    /// Stops it.
    fn stop(&self, handle: TaskHandle, reason: String) -> BoxFuture<'static, Result<()>>;
}

/// Which task to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskOrder {
    /// The command line, or the platform's name of a job.
    pub what: TaskWhat,
    /// The release whose image and environment it runs with; `None` before one exists: what serves now.
    pub release: Option<Opaque>,
    /// What stood before.
    pub before: Before<Opaque>,
    /// At most 64 characters; the same token never starts a second task.
    pub token: String,
}

/// What a task runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskWhat {
    /// In the release's own container.
    Command(Vec<String>),
    /// The platform's own job (ECS: a task definition family; Cloud Run: a job).
    Job(String),
}

impl Default for TaskWhat {
    fn default() -> Self {
        Self::Command(Vec::new())
    }
}

/// The platform's name of a running task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskHandle(pub String);

/// What a look at a task saw.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskLook {
    /// Log lines not seen before.
    pub lines: Vec<String>,
    /// How it stands.
    pub state: TaskState,
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskState {
    /// Not ended.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed(Failure),
}

/// Tells why a release failed: events, exit codes, log tails. Each call may be refused; then there is less.
pub trait GathersEvidence: Send + Sync {
    /// Everything about this release that helps a person.
    fn gather(self: Arc<Self>, release: Opaque) -> BoxFuture<'static, Gathered>;
}

/// What the platform tells about a release that failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gathered {
    /// Everything that helps a person.
    pub evidence: Vec<Evidence>,
    /// What follows from it to be done.
    pub remedies: Vec<String>,
}

/// Carries the open mark.
pub trait Marks: Send + Sync {
    /// Writes the mark.
    fn write(&self, mark: Mark) -> BoxFuture<'static, Result<()>>;
    /// The mark the service carries now.
    fn read(&self) -> BoxFuture<'static, Result<Option<Mark>>>;
    /// Takes the open mark of `holder` away, if that is the mark the service carries: it is done and nothing of it is to be repaired.
    fn close(&self, holder: Holder) -> BoxFuture<'static, Result<()>>;
    /// One look at what stands of the run that left the open mark `mark`.
    fn leavings(&self, mark: Mark) -> BoxFuture<'static, Result<Leavings>>;
    /// Puts back what an open mark of a lost run names; answered like a rollback.
    fn repair(&self, mark: Mark) -> BoxFuture<'static, Result<Undo<Opaque>>>;
}

/// What a lost run has left on the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leavings {
    /// Nothing: what stood before is what the platform points at, or somebody else's release is.
    Nothing,
    /// The platform points at its release.
    Release,
}

/// Lists releases, newest first.
pub trait Lists: Send + Sync {
    /// At most `limit` of them.
    fn releases(&self, limit: usize) -> BoxFuture<'static, Result<Vec<Listed>>>;
    /// The release `to`, or the last known-good one before what serves now, ready to be applied. Makes nothing.
    fn release(&self, to: Option<String>, before: Before<Opaque>) -> BoxFuture<'static, Result<Prepared<Opaque>>>;
}

/// One release in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The platform's name of it.
    pub revision: String,
    /// Its image.
    pub image: Option<String>,
    /// When it was made.
    pub at: Option<Timestamp>,
    /// Whether it serves now, was proven, or failed, in the platform's words.
    pub note: String,
}

/// What is to be done with a service, as every target is told it, whatever the platform.
#[derive(Debug, Clone)]
pub struct ServiceOrder {
    /// The key in `touchdown.yml`; for logs.
    pub name: ServiceName,
    /// The service's name on the platform.
    pub service: String,
    /// Which container of the service takes the image; `None`: the only one, else the one with the port.
    pub container: Option<String>,
    /// Changes to the environment.
    pub env: BTreeMap<String, EnvChange>,
    /// The platform's own secret references by variable name.
    pub secrets: BTreeMap<String, String>,
    /// What to do when another deployment of the service runs.
    pub in_flight: InFlight,
    /// The address comes from `health.url`, so the target need not find one.
    pub address_given: bool,
    /// Health needs no address at all (`health.path: none` with a reason).
    pub health_waived: bool,
    /// This run.
    pub run: RunId,
    /// `timeout`: bounds every wait for this service.
    pub timeout: Duration,
}

/// A change to one environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvChange {
    /// Has this value.
    Set(String),
    /// Is removed.
    Unset,
}

/// What to do when another deployment of the service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InFlight {
    /// Wait for its end.
    #[default]
    Wait,
    /// Replace it.
    Supersede,
    /// Fail.
    Fail,
}
