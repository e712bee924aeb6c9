//! A service as the engine drives it: its target and what the settings ask. No state; that is `service`'s.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::failure::Result;
use crate::health::HealthSettings;
use crate::health::probe::Shipped;
use crate::target::any::AnyTarget;
use crate::target::{Holder, InFlight, TaskWhat};
use crate::values::{PinnedImage, RunId, ServiceName, Share};

use super::record::{Job, JobRollback};
use super::service::Wants;

/// One service with everything its steps need.
pub struct Member {
    /// Its name in logs and records.
    pub name: ServiceName,
    /// This run.
    pub run: RunId,
    /// What tells this step from every other of the run: a job started by another step is not this one's.
    pub nonce: String,
    /// Tells of another step, by the name its mark has, what is known of it.
    pub fate: FateOf,
    /// Its platform.
    pub target: Arc<dyn AnyTarget>,
    /// What is to serve.
    pub goal: Goal,
    /// What a version rule compares with.
    pub shipped: Shipped,
    /// How health is asked and judged.
    pub health: HealthSettings,
    /// Whether it is.
    pub checks: Checks,
    /// Shares for the new release.
    pub shares: Vec<Share>,
    /// Hold time between them.
    pub hold: Duration,
    /// What to do when another deployment runs.
    pub in_flight: InFlight,
    /// A job first of all.
    pub before: Option<JobPlan>,
    /// A job between prepare and apply.
    pub migrate: Option<JobPlan>,
    /// What else is done once the group stands.
    pub epilogue: Option<Arc<dyn Epilogue>>,
    /// From `apply` to proven.
    pub timeout: Duration,
    /// From the undo to proven.
    pub rollback_timeout: Duration,
}

/// Something that is done once the group stands, beside what the target tidies up: tags that move. Repeatable.
pub trait Epilogue: Send + Sync {
    /// Does it.
    fn run(self: Arc<Self>) -> BoxFuture<'static, Result<()>>;
}

/// Tells what is known of the step of this name.
pub type FateOf = Arc<dyn Fn(&str) -> Fate + Send + Sync>;

/// What is known of another step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing: it may be alive.
    Unknown,
    /// It has ended, and what it did was never committed.
    Lost,
    /// It has ended after a commit: what it did stands.
    Committed,
}

/// The name of a step in its marks: made from its nonce, and not the other way round.
pub fn step_of(nonce: &str) -> String {
    hex(nonce, 5)
}

fn hex(text: &str, bytes: usize) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

/// What is to serve in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// A new release of this image.
    Image(PinnedImage),
    /// A release the platform has already: this one, or the last known-good one.
    Release(Option<String>),
    /// What stood before: the post step only goes back.
    WhatStoodBefore,
}

/// Whether health is asked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// As the settings say.
    Asked,
    /// `skip-verify`: nothing is proven, and the report says so.
    Skipped,
}

/// A migration or a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobPlan {
    /// What to run; not in the journal: a command may hold a secret, and the post step starts no job.
    #[serde(skip)]
    pub what: TaskWhat,
    /// How long it may take.
    pub timeout: Duration,
    /// What a cancellation does to it.
    pub on_cancel: JobOnCancel,
    /// Whether the old release can still run after it.
    pub rollback: JobRollback,
}

/// What a cancellation does to a running job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobOnCancel {
    /// It runs to its end.
    #[default]
    Finish,
    /// It is stopped.
    Stop,
}

impl Member {
    /// What the pure part needs to know of the settings.
    pub fn wants(&self) -> Wants {
        Wants { before: self.before.is_some(), migrate: self.migrate.is_some(), steps: self.target.steps(&self.shares) }
    }

    /// The token `job` is started with and found again by: the same in main and in post of one step, and of no other.
    pub(crate) fn token(&self, job: Job) -> String {
        hex(&format!("{}/{}/{}/{}/{job:?}", self.run.id, self.run.attempt, self.nonce, self.name), 16)
    }

    /// Who it is on the platform.
    pub(crate) fn holder(&self) -> Holder {
        Holder { run: self.run.clone(), step: step_of(&self.nonce) }
    }

    /// The plan of `job`, which the settings ask for.
    pub(crate) fn job(&self, job: Job) -> Option<&JobPlan> {
        match job {
            Job::Before => self.before.as_ref(),
            Job::Migrate => self.migrate.as_ref(),
        }
    }
}
