//! One service: the fold of its events, and what it needs next. Pure: no async, no IO, no clock of its own.

use crate::clock::Timestamp;
use crate::failure::Failure;
use crate::health::Baseline;
use crate::target::{Arrival, Captured, Opaque, Prepared, Step, TaskHandle};

use super::record::{Asked, Event, Job, JobRollback, Outcome};

/// Where a service stands on its way.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Phase {
    /// Nothing has been read yet.
    #[default]
    New,
    /// A lost run's leavings are being put back.
    Repairing,
    /// What stood before is known.
    Captured,
    /// A job was about to start; whether it did is not known.
    JobStarted(Job),
    /// A job runs on the platform.
    JobRunning(Job, TaskHandle),
    /// The release has a name.
    Prepared,
    /// The platform may or may not point at it.
    Applying,
    /// The platform points at it.
    Applied,
    /// It has arrived.
    Settled,
    /// It is proven at the present share.
    Verified,
    /// It may or may not have a larger share.
    Advancing(Step),
    /// It will not be.
    Failed,
    /// The undo may or may not have been sent.
    Undoing,
    /// The platform puts it back.
    UndoBegun,
    /// Nothing was there to put back.
    Undone,
    /// Put back and proven.
    RolledBack,
    /// Could not be put back.
    RollbackFailed,
    /// Somebody else's deployment serves.
    Superseded,
}

/// The state of one service.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Service {
    /// Where it stands.
    pub phase: Phase,
    /// What stood before.
    pub captured: Option<Captured<Opaque>>,
    /// What answered before.
    pub baseline: Option<Baseline>,
    /// What was made.
    pub prepared: Option<Prepared<Opaque>>,
    /// How the release arrived.
    pub arrival: Option<Arrival>,
    /// What proves it.
    pub proof: Vec<String>,
    /// Whether it does.
    pub asked: Asked,
    /// Why it failed, first failure first.
    pub failure: Option<Failure>,
    /// When `apply` was first about to be called: from here on the platform may have been changed.
    pub touched: Option<Timestamp>,
    /// An open mark of this run may stand on the platform.
    pub marked: bool,
    /// Steps given so far.
    pub taken: usize,
    /// The jobs that ended well.
    pub jobs_done: Vec<Job>,
    /// What an undo is observed by.
    pub undo: Option<Opaque>,
    /// When the undo was first about to be sent.
    pub undo_started: Option<Timestamp>,
    /// Whether the old release can still run: not once an unsafe migration has begun.
    pub rollback: JobRollback,
    /// It was changed and is not put back; the commands to do it by hand.
    pub kept: Option<Vec<String>>,
}

/// What the settings ask of a service besides the release itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wants {
    /// A job first of all.
    pub before: bool,
    /// A migration.
    pub migrate: bool,
    /// The exposures after `apply`.
    pub steps: Vec<Step>,
}

/// What a service needs next on its way forward.
#[derive(Debug, Clone, PartialEq)]
pub enum Need {
    /// Read what stands.
    Capture,
    /// Start a job.
    StartJob(Job),
    /// See a running job to its end.
    FollowJob(Job, TaskHandle),
    /// Make and name the release.
    Prepare,
    /// Point the platform at it.
    Apply,
    /// See it arrive.
    Settle,
    /// Prove it.
    Verify,
    /// Give it a larger share.
    Advance(Step),
    /// Proven at full share: keep looking until the group commits.
    Watch,
    /// It has failed or is being undone: nothing forward.
    Nothing,
}

/// What a service needs on its way back.
#[derive(Debug, Clone, PartialEq)]
pub enum Back {
    /// Send the undo.
    Undo,
    /// See it arrive and prove it; `None`: the platform points there already.
    Follow(Option<Opaque>),
    /// Look whether a job began whose start was not answered.
    FindJob(Job),
    /// See a job to its end first: it must not be left alone.
    FollowJob(Job, TaskHandle),
    /// It must stay as it is: say so, with the commands.
    Keep,
    /// Nothing more can or need be done.
    Nothing,
}

impl Service {
    /// The state after `event`, written at `at`.
    pub fn fold(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::RepairStarted { .. } => self.phase = Phase::Repairing,
            Event::Repaired { .. } => self.phase = Phase::New,
            Event::Captured { captured, baseline } => {
                self.captured = Some(captured.clone());
                self.baseline = Some(baseline.clone());
                self.phase = Phase::Captured;
            }
            Event::JobStarted { job, rollback } => {
                self.rollback = if *job == Job::Migrate { *rollback } else { self.rollback };
                self.marked |= *job == Job::Migrate;
                self.phase = Phase::JobStarted(*job);
            }
            Event::JobRunning { job, handle } => self.phase = Phase::JobRunning(*job, handle.clone()),
            Event::JobNotBegun { job } => self.job_not_begun(*job),
            Event::JobEnded { job, .. } => self.job_ended(*job),
            Event::Prepared { prepared } => {
                self.prepared = Some(prepared.clone());
                self.phase = Phase::Prepared;
            }
            Event::ApplyStarted => {
                self.touched.get_or_insert(at);
                self.marked = true;
                self.phase = Phase::Applying;
            }
            Event::Applied => self.phase = Phase::Applied,
            Event::Settled { arrival } => {
                self.arrival = Some(arrival.clone());
                self.phase = Phase::Settled;
            }
            Event::Verified { proof, asked } => {
                self.proof.clone_from(proof);
                self.asked.clone_from(asked);
                self.phase = Phase::Verified;
            }
            Event::Advancing { step } => self.phase = Phase::Advancing(*step),
            Event::Advanced { .. } => {
                self.taken += 1;
                self.phase = Phase::Applied;
            }
            Event::Failed { failure } => self.failed(failure),
            Event::Evidence { evidence } => {
                if let Some(failure) = &mut self.failure {
                    failure.evidence.push(evidence.clone());
                }
            }
            Event::UndoStarted
            | Event::UndoBegun { .. }
            | Event::UndoneAlready
            | Event::RolledBack { .. }
            | Event::RollbackFailed { .. }
            | Event::Kept { .. }
            | Event::Superseded { .. } => self.fold_back(event, at),
        }
    }

    fn fold_back(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::UndoStarted => {
                self.undo_started.get_or_insert(at);
                self.phase = Phase::Undoing;
            }
            Event::UndoBegun { release } => {
                self.undo = Some(release.clone());
                self.phase = Phase::UndoBegun;
            }
            Event::UndoneAlready => self.phase = Phase::Undone,
            Event::RolledBack { proof, asked } => {
                self.asked.clone_from(asked);
                self.proof.clone_from(proof);
                self.phase = Phase::RolledBack;
            }
            Event::RollbackFailed { failure, .. } => {
                self.failure.get_or_insert_with(|| failure.clone());
                self.phase = Phase::RollbackFailed;
            }
            Event::Kept { by_hand, .. } => self.kept = Some(by_hand.clone()),
            Event::Superseded { .. } => self.phase = Phase::Superseded,
            _ => {}
        }
    }

    fn job_ended(&mut self, job: Job) {
        self.jobs_done.push(job);
        self.phase = self.without(job);
    }

    fn job_not_begun(&mut self, job: Job) {
        if job == Job::Migrate {
            self.rollback = JobRollback::Safe;
        }
        self.phase = self.without(job);
    }

    /// Where it stands when `job` does not run.
    fn without(&self, job: Job) -> Phase {
        match (&self.failure, job) {
            (Some(_), _) => Phase::Failed,
            (None, Job::Before) => Phase::Captured,
            (None, Job::Migrate) => Phase::Prepared,
        }
    }

    fn failed(&mut self, failure: &Failure) {
        self.failure.get_or_insert_with(|| failure.clone());
        match self.phase {
            Phase::JobStarted(job) if failure.unchanged => self.job_not_begun(job),
            // The request may have arrived all the same: it is looked for.
            Phase::JobStarted(_) => {}
            Phase::Applying if failure.unchanged => {
                self.touched = None;
                self.phase = Phase::Failed;
            }
            _ => self.phase = Phase::Failed,
        }
    }

    /// Whether what was asked for serves already.
    pub fn unchanged(&self) -> bool {
        self.prepared.as_ref().is_some_and(|prepared| prepared.changes.is_empty())
    }

    /// What it needs on its way forward.
    pub fn forward(&self, wants: &Wants) -> Need {
        match &self.phase {
            Phase::New | Phase::Repairing => Need::Capture,
            Phase::Captured if wants.before && !self.jobs_done.contains(&Job::Before) => Need::StartJob(Job::Before),
            Phase::Captured => Need::Prepare,
            Phase::JobStarted(job) => Need::StartJob(*job),
            Phase::JobRunning(job, handle) => Need::FollowJob(*job, handle.clone()),
            Phase::Prepared if self.unchanged() => Need::Settle,
            Phase::Prepared if wants.migrate && !self.jobs_done.contains(&Job::Migrate) => Need::StartJob(Job::Migrate),
            Phase::Prepared | Phase::Applying => Need::Apply,
            Phase::Applied => Need::Settle,
            Phase::Settled => Need::Verify,
            Phase::Advancing(step) => Need::Advance(*step),
            Phase::Verified => match wants.steps.get(self.taken) {
                Some(step) if !self.unchanged() => Need::Advance(*step),
                _ => Need::Watch,
            },
            Phase::Failed
            | Phase::Undoing
            | Phase::UndoBegun
            | Phase::Undone
            | Phase::RolledBack
            | Phase::RollbackFailed
            | Phase::Superseded => Need::Nothing,
        }
    }

    /// What it needs on its way back.
    pub fn backward(&self) -> Back {
        match &self.phase {
            Phase::RolledBack | Phase::RollbackFailed | Phase::Superseded => Back::Nothing,
            Phase::UndoBegun => Back::Follow(self.undo.clone()),
            Phase::Undone => Back::Follow(None),
            Phase::JobStarted(job) if self.kept.is_none() => Back::FindJob(*job),
            Phase::JobRunning(job, handle) => Back::FollowJob(*job, handle.clone()),
            _ if self.rollback == JobRollback::Unsafe => self.keep(),
            _ if self.touched.is_none() => Back::Nothing,
            _ => Back::Undo,
        }
    }

    /// Whether a job of it runs or may run.
    pub fn has_job_open(&self) -> bool {
        matches!(self.phase, Phase::JobStarted(_) | Phase::JobRunning(..))
    }

    /// What is left to do for a service that stays as it is.
    pub fn keep(&self) -> Back {
        let changed = self.touched.is_some() || self.rollback == JobRollback::Unsafe;
        if changed && self.kept.is_none() { Back::Keep } else { Back::Nothing }
    }

    /// Whether the release is proven at full share.
    pub fn proven(&self, wants: &Wants) -> bool {
        self.phase == Phase::Verified && self.forward(wants) == Need::Watch
    }

    /// Whether it has failed, by itself or by somebody else's deployment.
    pub fn in_trouble(&self) -> bool {
        self.failure.is_some() || matches!(self.phase, Phase::Superseded | Phase::RollbackFailed)
    }

    /// How it stands, once nothing more is going on. `committed`: its group stands.
    pub fn outcome(&self, committed: bool) -> Outcome {
        match &self.phase {
            _ if committed && self.unchanged() => Outcome::Unchanged,
            _ if committed => Outcome::Live,
            Phase::Superseded => Outcome::Superseded,
            Phase::RolledBack => Outcome::RolledBack,
            Phase::RollbackFailed => Outcome::Stuck,
            Phase::Undoing | Phase::UndoBegun | Phase::Undone => Outcome::RollingBack,
            _ if self.kept.is_some() => Outcome::Failed,
            Phase::JobStarted(_) => Outcome::Underway,
            _ if self.rollback == JobRollback::Unsafe || self.touched.is_some() => Outcome::Failed,
            _ => Outcome::Untouched,
        }
    }
}
