//! The report: one fold of the journal, and its renderings (job summary, outputs, annotations, JSON, the log's last block).
//! It reads records and writes text. It decides nothing, asks no platform, and prints nothing itself.

mod advice;
pub mod annotations;
pub mod ending;
mod fold;
mod headline;
pub mod json;
pub mod outputs;
mod phrase;
mod redact;
pub mod summary;
pub mod text;
mod timeline;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::record::Entry;
use crate::failure::{Evidence, Failure, Kind};
use crate::runner::origin::Origin;

use ending::Ending;

/// The number of the JSON report's format; it grows when a field changes its meaning or goes.
pub const FORMAT: u16 = 1;

/// What a run came to: the JSON report, and what every other rendering is made from. Every key is always there; a later version may add some.
/// The texts may be foreign: whoever shows them disarms them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(title = "Touchdown's report")]
pub struct Report {
    /// The format of this document.
    #[schemars(extend("const" = FORMAT))]
    pub format: u16,
    /// What was asked.
    #[schemars(extend("enum" = ["deploy", "plan", "verify", "rollback", "history", "rehearse"]))]
    pub mode: String,
    /// How it ended: of several services the one that needs a person most.
    pub outcome: Ending,
    /// The outcome in one sentence.
    pub sentence: String,
    /// Where the run came from.
    pub run: Run,
    /// When the first line of the journal was written, RFC 3339 in UTC; empty when nothing was begun.
    pub began: String,
    /// From the first line of the journal to the last, in seconds.
    pub duration_seconds: f64,
    /// Stages skipped by flag; they are never reported as passed.
    pub skipped: Vec<String>,
    /// Who interrupted the run, if anybody did: `SIGINT`, …
    pub interrupted: Option<String>,
    /// Whether the post step took over what another process had begun.
    pub taken_over: bool,
    /// Lines a person should know that belong to no service.
    pub notes: Vec<String>,
    /// What went wrong before or beside every service: mistakes in the settings, a refused sign-in.
    pub failure: Option<Trouble>,
    /// The services in the order of the settings.
    pub services: Vec<Service>,
    /// Images that were pushed and are deployed by none of the services.
    pub images: Vec<PushedImage>,
    /// Services that stand or fall together.
    pub groups: Vec<Group>,
    /// What happened, in its order.
    pub timeline: Vec<Moment>,
}

/// An image that was pushed and deployed nowhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PushedImage {
    /// The last part of its repository.
    pub name: String,
    /// Where it is now, by its digest.
    pub image: String,
    /// The digest alone.
    pub digest: String,
}

/// Where a run came from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Run {
    /// The run's number; empty when nothing was begun.
    pub id: String,
    /// Which attempt of it.
    pub attempt: u32,
    /// Its address.
    pub url: Option<String>,
    /// `owner/name`.
    pub repository: String,
    /// The commit.
    pub commit: String,
    /// Branch or tag, as Git names it: `refs/heads/main`.
    pub reference: String,
    /// The environment, where the job has one.
    pub environment: Option<String>,
    /// Who started it.
    pub actor: Option<String>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Service {
    /// Its name in the settings.
    pub name: String,
    /// Its platform, as users write it: `ecs`.
    pub target: String,
    /// How it ended.
    pub outcome: Ending,
    /// How it stands now, in one sentence.
    pub stands: String,
    /// Where users reach it.
    pub url: Option<String>,
    /// The image of this run's release, with its digest.
    pub image: Option<String>,
    /// The tag people know the image by.
    pub tag: Option<String>,
    /// The digest alone.
    pub digest: Option<String>,
    /// The platform's name of this run's release, whether or not it serves now.
    pub revision: Option<String>,
    /// What served before this run.
    pub before: Stood,
    /// What serves now, as far as this run saw.
    pub serving: Option<String>,
    /// The last release that was proven: what `mode: rollback` would go back to, or stay on.
    pub known_good: Option<String>,
    /// The lines that prove what serves now; what was looked at, where `unproven` says why they prove nothing.
    pub proof: Vec<String>,
    /// Why nothing was proven, where nothing was: a waived check, a skipped one.
    pub unproven: Option<String>,
    /// Jobs that were started beside it, whatever they came to: what they did is never undone.
    pub jobs: Vec<Job>,
    /// Whether the platform was told to serve this run's release.
    pub touched: bool,
    /// What differs from what served, key by key.
    pub changes: Vec<String>,
    /// Why it failed.
    pub failure: Option<Trouble>,
    /// Why it could not be put back.
    pub rollback_failure: Option<Trouble>,
    /// Why it was left as it is.
    pub kept: Option<String>,
    /// What a person can type to put it back.
    pub by_hand: Vec<String>,
    /// Somebody else's deployment, which was left alone.
    pub superseded_by: Option<String>,
    /// The member of its group whose trouble it was put back, or not started, for.
    pub because_of: Option<String>,
    /// An earlier run whose leavings were put back first.
    pub repaired: Option<String>,
    /// Lines a person should know.
    pub notes: Vec<String>,
    /// Its releases, newest first (`mode: history`).
    pub releases: Vec<String>,
    /// From its first event to its last, in seconds.
    pub duration_seconds: f64,
}

/// A job that was started beside a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Job {
    /// `before` or `migrate`.
    pub name: String,
    /// What it came to.
    pub ended: JobEnd,
    /// Whether the settings say that the release before this run's can still run after it.
    pub old_release_can_run: bool,
}

/// What a job came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobEnd {
    /// It ended well.
    Well,
    /// It ran and failed.
    Failed,
    /// It was stopped, or told to stop.
    Stopped,
    /// It could not be started.
    NotStarted,
    /// Nobody saw its end.
    Unseen,
}

/// What served before the run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "was")]
pub enum Stood {
    /// It was not read.
    #[default]
    Unknown,
    /// There was no such service.
    Absent,
    /// The service existed and had never served anybody.
    NeverServed,
    /// This served.
    Running {
        /// The platform's name of it.
        revision: Option<String>,
        /// Its image.
        image: Option<String>,
        /// Whether it was healthy, in words; `None`: nobody asked.
        health: Option<String>,
    },
}

impl Stood {
    /// The revision that served.
    pub fn revision(&self) -> Option<&str> {
        match self {
            Stood::Running { revision, .. } => revision.as_deref(),
            Stood::Unknown | Stood::Absent | Stood::NeverServed => None,
        }
    }
}

/// Services that stand or fall together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Group {
    /// Their names.
    pub members: Vec<String>,
    /// Whether all of them stay: from then on nothing was put back.
    pub committed: bool,
    /// What serves where, when they do not stand at one version.
    pub mixture: Option<String>,
}

/// A failure, as the report tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Trouble {
    /// What sort.
    pub kind: Kind,
    /// What could not be done or proven.
    pub what: String,
    /// The reasons, nearest first.
    pub why: Vec<String>,
    /// What to do; several lines are a snippet with its heading in the first.
    pub fix: Vec<String>,
    /// Log tails, events, stopped tasks.
    pub evidence: Vec<Evidence>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Moment {
    /// To which service; `None`: to the run.
    pub service: Option<String>,
    /// When it was done, in seconds after the run's beginning.
    pub at_seconds: f64,
    /// How long it took, where it took time.
    pub took_seconds: Option<f64>,
    /// What it means for the service.
    pub sign: Sign,
    /// What it was, in a few words.
    pub what: String,
    /// The facts that go with it.
    pub facts: Vec<String>,
}

/// What a moment means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// A step on the way.
    Step,
    /// Something is proven, or stays.
    Good,
    /// Something failed.
    Bad,
    /// Something is being put back.
    Back,
    /// Somebody interfered: a signal, another deployment.
    Outside,
}

impl Report {
    /// What `entries` come to. `early` is a failure before or beside every service; the entries may then be few or none
    /// (those known, e.g. `Opened`, tell the report whose run it was).
    pub fn of(entries: &[Entry], early: Option<&Failure>) -> Self {
        fold::report(entries, early)
    }

    /// The same report with where the run came from, if no entry has told it: a failure before the journal was opened.
    #[must_use]
    pub fn begun_by(mut self, origin: &Origin) -> Self {
        if self.run == Run::default() {
            let run = origin.run.clone();
            self.run = Run {
                id: run.as_ref().map(|run| run.id.clone()).unwrap_or_default(),
                attempt: run.map(|run| run.attempt).unwrap_or_default(),
                url: origin.run_url.clone(),
                repository: origin.repository.clone(),
                commit: origin.commit.clone(),
                reference: origin.reference.clone(),
                environment: None,
                actor: origin.actor.clone(),
            };
        }
        self
    }

    /// The same report with `redact` applied to every text that may be foreign. Call it before anything is rendered.
    #[must_use]
    pub fn redacted(mut self, redact: &dyn Fn(&str) -> String) -> Self {
        redact::report(&mut self, redact);
        self
    }

    /// The process's exit status: 0 only when what was asked for is so; 130 after a signal.
    pub fn exit_status(&self) -> u8 {
        match (self.outcome, &self.interrupted) {
            (Ending::Live | Ending::Unchanged | Ending::Planned | Ending::Healthy, _) => 0,
            (_, Some(_)) if !self.taken_over => 130,
            _ => 1,
        }
    }
}

impl From<&Failure> for Trouble {
    fn from(failure: &Failure) -> Self {
        let mut evidence: Vec<Evidence> = Vec::new();
        for piece in &failure.evidence {
            match evidence.iter_mut().find(|other| other.title == piece.title) {
                Some(other) => other.lines.extend(piece.lines.iter().cloned()),
                None => evidence.push(piece.clone()),
            }
        }
        Self { kind: failure.kind, what: failure.what.clone(), why: failure.why.clone(), fix: failure.fix.clone(), evidence }
    }
}
