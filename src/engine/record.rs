//! What the journal holds: one record per line, appended before it is acted on. State is the fold of these and nothing else.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::failure::{Evidence, Failure};
use crate::health::Baseline;
use crate::target::{Arrival, Captured, Opaque, Prepared, Step, TaskHandle};
use crate::values::{Digest, PinnedImage, RunId, ServiceName};

/// The journal's format; another number is refused, never guessed at.
pub const FORMAT: u16 = 1;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// 0, 1, 2, … without a gap.
    pub seq: u32,
    /// When it was written.
    pub at: Timestamp,
    /// What happened or is about to.
    pub record: Record,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The first line.
    Opened(Opening),
    /// A service's plan, with its settings as post will need them, without secrets.
    Planned {
        /// Which service.
        service: ServiceName,
        /// Its target, as users write it: `ecs`.
        target: String,
        /// The settings post rebuilds the target from.
        settings: serde_json::Value,
    },
    /// An image is about to be pushed.
    PushStarted {
        /// For which service.
        service: ServiceName,
        /// Where it lies, as users write it.
        from: String,
        /// The repository.
        to: String,
    },
    /// It has arrived.
    Pushed {
        /// For which service.
        service: ServiceName,
        /// What came of it.
        push: PushRecord,
    },
    /// An image was pinned, with or without a push.
    Pinned {
        /// Which service.
        service: ServiceName,
        /// The image.
        image: PinnedImage,
    },
    /// Something a person should know; at most one annotation is made of all of them.
    Noted {
        /// Which service, if one.
        service: Option<ServiceName>,
        /// The note.
        note: String,
    },
    /// Something happened to a service.
    Service {
        /// Which service.
        name: ServiceName,
        /// What.
        event: Event,
    },
    /// The group stands: from here nothing is undone.
    Committed {
        /// Index into `Opening::groups`.
        group: u16,
    },
    /// Tidied up.
    Finished {
        /// Index into `Opening::groups`.
        group: u16,
    },
    /// A signal: nothing new starts.
    Interrupted {
        /// `SIGINT`, `SIGTERM`, or who asked.
        by: String,
    },
    /// The post step took over.
    TakenOver,
}

/// What came of a push.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PushRecord {
    /// The image where it is now.
    pub image: PinnedImage,
    /// Bytes that were sent.
    pub sent: u64,
    /// Bytes that were there.
    pub skipped: u64,
    /// Requests to the registry.
    pub requests: u64,
    /// On the clock.
    pub took: Duration,
    /// Each tag asked for, and what became of it.
    pub tags: Vec<TagRecord>,
    /// How many that refer to it went along; none where nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrers: Option<usize>,
    /// Where it comes from, as it says.
    #[serde(default)]
    pub origin: OriginRecord,
}

/// Where an image comes from, as its labels and annotations say: foreign text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginRecord {
    /// The commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The repository's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
}

/// A tag of a pushed image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TagRecord {
    /// The tag.
    pub tag: String,
    /// What became of it.
    pub fate: TagFate,
    /// What it meant before, where it meant something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Digest>,
}

/// What became of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TagFate {
    /// It is new.
    Written,
    /// It meant the image already.
    Same,
    /// It meant another image, and means this one now.
    Moved,
    /// It means another image until the group stands.
    ToMove,
}

impl TagRecord {
    /// Whether it moves once the group stands.
    pub fn is_to_move(&self) -> bool {
        self.fate == TagFate::ToMove
    }
}

/// The first line of a journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// [`FORMAT`].
    pub format: u16,
    /// Which run.
    pub run: RunId,
    /// `deploy`, `rollback`, `rehearse`, …
    pub mode: String,
    /// Which step of which job, as the runner names it in main and in post alike; empty outside a workflow.
    #[serde(default)]
    pub step: String,
    /// Where the run came from, for the report.
    pub origin: Origin,
    /// The groups; every service is in exactly one.
    pub groups: Vec<GroupPlan>,
    /// Stages skipped by flag: `push`, `verify`, …
    pub skipped: Vec<String>,
    /// How to sign in again, without secrets.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub auth: serde_json::Value,
    /// The container main runs in: the only one the post step may stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// Where a run came from: claims and variables, for people.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// `owner/name`.
    pub repository: String,
    /// The commit.
    pub commit: String,
    /// Branch or tag.
    pub reference: String,
    /// The environment, where the job has one.
    pub environment: Option<String>,
    /// Address of the run.
    pub run_url: Option<String>,
    /// Who started it.
    pub actor: Option<String>,
}

/// Services that stand or fall together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupPlan {
    /// The members.
    pub members: Vec<MemberPlan>,
    /// What a failure does.
    pub on_failure: OnTrouble,
    /// What a cancellation does.
    pub on_cancel: OnTrouble,
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberPlan {
    /// Which service.
    pub service: ServiceName,
    /// Services that must be verified (same group) or committed (another group) first.
    pub after: Vec<ServiceName>,
}

/// What happens to what was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnTrouble {
    /// It is put back.
    #[default]
    Rollback,
    /// It is left as it is.
    Leave,
}

/// A job beside the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// `before`: a backup, first of all.
    Before,
    /// `migrate`: between prepare and apply.
    Migrate,
}

/// Whether the old release can still run after a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobRollback {
    /// It can.
    #[default]
    Safe,
    /// It cannot: no automatic rollback after it.
    Unsafe,
}

/// What happened to one service, or is about to (…Started, Advancing).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// An earlier run was lost while it changed this service; what it left is being put back first.
    RepairStarted {
        /// Which run.
        lost: RunId,
    },
    /// It is put back.
    Repaired {
        /// What serves again.
        revision: String,
    },
    /// Snapshot and baseline.
    Captured {
        /// What stood before.
        captured: Captured<Opaque>,
        /// What answered before.
        baseline: Baseline,
    },
    /// A job is about to start.
    JobStarted {
        /// Which.
        job: Job,
        /// Whether the old release can still run once it has begun.
        rollback: JobRollback,
    },
    /// The platform has it.
    JobRunning {
        /// Which.
        job: Job,
        /// The platform's name of it.
        handle: TaskHandle,
    },
    /// The platform has none: its request never arrived.
    JobNotBegun {
        /// Which.
        job: Job,
    },
    /// It ended well.
    JobEnded {
        /// Which.
        job: Job,
        /// Its last lines.
        tail: Vec<String>,
    },
    /// The release has a name.
    Prepared {
        /// What was made.
        prepared: Prepared<Opaque>,
    },
    /// The platform is about to be pointed at it.
    ApplyStarted,
    /// The platform took it.
    Applied,
    /// The platform says it has arrived.
    Settled {
        /// Addresses and facts.
        arrival: Arrival,
    },
    /// Looked at, at the present share, and nothing was wrong.
    Verified {
        /// The lines that prove it.
        proof: Vec<String>,
        /// Whether they do.
        #[serde(default, skip_serializing_if = "Asked::is_health")]
        asked: Asked,
    },
    /// About to be given a larger share.
    Advancing {
        /// Which.
        step: Step,
    },
    /// It has it.
    Advanced {
        /// Which.
        step: Step,
    },
    /// It will not be.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Material of the failure, in pieces of at most one line of the journal.
    Evidence {
        /// One piece.
        evidence: Evidence,
    },
    /// What was changed is about to be put back.
    UndoStarted,
    /// The platform has begun.
    UndoBegun {
        /// What is observed until it serves again.
        release: Opaque,
    },
    /// Nothing was there to put back: the platform had done it, or never changed.
    UndoneAlready,
    /// Put back.
    RolledBack {
        /// The lines that prove it.
        proof: Vec<String>,
        /// Whether they do.
        #[serde(default, skip_serializing_if = "Asked::is_health")]
        asked: Asked,
    },
    /// Could not be put back.
    RollbackFailed {
        /// Why.
        failure: Failure,
        /// What a person can type.
        by_hand: Vec<String>,
    },
    /// Changed and not put back: as the settings ask, or because the old release cannot run any more.
    Kept {
        /// Why it is not put back.
        why: String,
        /// What a person can type to put it back.
        by_hand: Vec<String>,
    },
    /// Somebody else's deployment serves; left alone.
    Superseded {
        /// What serves.
        by: String,
    },
}

/// What was asked before something was called proven; the platform's own facts are looked at in any case.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// Its health; or nothing serves, and there is nothing to ask.
    #[default]
    Health,
    /// Nothing: `skip-verify`.
    Nothing,
    /// Nothing: the settings waive it.
    Waived {
        /// Why.
        reason: String,
    },
    /// No address: it has none, and its targets' and containers' health, by the platform's own checks, is the proof.
    Platform,
}

impl Asked {
    /// Whether what stands on it may be called proven.
    pub fn proves(&self) -> bool {
        matches!(self, Asked::Health | Asked::Platform)
    }

    /// What is told in the place of answers.
    pub fn facts(&self) -> Vec<String> {
        match self {
            Asked::Platform => vec!["it has no address to ask: the platform's own checks are the proof".to_owned()],
            Asked::Health | Asked::Nothing | Asked::Waived { .. } => Vec::new(),
        }
    }

    fn is_health(&self) -> bool {
        *self == Asked::Health
    }
}

/// How a service stands in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The new release serves.
    Live,
    /// The release that was asked for served already.
    Unchanged,
    /// Nothing of it was changed.
    Untouched,
    /// Put back.
    RolledBack,
    /// Being put back; the end was not seen.
    RollingBack,
    /// Somebody else's deployment serves.
    Superseded,
    /// Left as asked, or because a rollback would hurt.
    Failed,
    /// A rollback failed.
    Stuck,
    /// Not ended.
    Underway,
}
