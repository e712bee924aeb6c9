//! How a service, and a whole run, ended: the words of the `outcome` output. The engine's own fold says it; the looking modes have their own words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::engine::record::{GroupPlan, OnTrouble, Outcome};
use crate::engine::service::{Phase, Service};
use crate::failure::Kind;

/// The words of the `outcome` output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// What was asked for served already; nothing was changed.
    Unchanged,
    /// What would change is known; nothing was changed.
    Planned,
    /// What runs is healthy.
    Healthy,
    /// The new release serves; proven, unless the report says why not.
    Live,
    /// The service was not changed, and what was asked for was not reached. A job beside it may have run.
    Untouched,
    /// What runs is not healthy.
    Unhealthy,
    /// What stood before serves again; proven, unless the report says why not.
    RolledBack,
    /// Somebody else's deployment serves; it was left alone.
    Superseded,
    /// It is being put back; the end was not seen.
    RollingBack,
    /// It was changed, is not proven, and was left as it is.
    Failed,
    /// It could not be put back: a person is needed.
    Stuck,
}

impl Ending {
    /// As the output has it.
    pub fn word(self) -> &'static str {
        match self {
            Ending::Unchanged => "unchanged",
            Ending::Planned => "planned",
            Ending::Healthy => "healthy",
            Ending::Live => "live",
            Ending::Untouched => "untouched",
            Ending::Unhealthy => "unhealthy",
            Ending::RolledBack => "rolled-back",
            Ending::Superseded => "superseded",
            Ending::RollingBack => "rolling-back",
            Ending::Failed => "failed",
            Ending::Stuck => "stuck",
        }
    }

    /// As a table has it.
    pub(crate) fn phrase(self) -> &'static str {
        match self {
            Ending::Untouched => "not touched",
            Ending::RolledBack => "rolled back",
            Ending::RollingBack => "rolling back",
            other => other.word(),
        }
    }

    /// Its sign, for people in a hurry.
    pub(crate) fn glyph(self) -> &'static str {
        match self {
            Ending::Live | Ending::Unchanged | Ending::Healthy => "✅",
            Ending::Planned => "📋",
            Ending::Untouched => "⛔",
            Ending::Unhealthy | Ending::Failed => "❌",
            Ending::RolledBack => "↩️",
            Ending::Superseded => "🔀",
            Ending::RollingBack => "⏳",
            Ending::Stuck => "🚨",
        }
    }

    /// Whether the run may end with status 0 on it.
    pub(crate) fn is_good(self) -> bool {
        match self {
            Ending::Unchanged | Ending::Planned | Ending::Healthy | Ending::Live => true,
            Ending::Untouched
            | Ending::Unhealthy
            | Ending::RolledBack
            | Ending::Superseded
            | Ending::RollingBack
            | Ending::Failed
            | Ending::Stuck => false,
        }
    }
}

/// What else bears on how a service ended.
pub(super) struct Standing<'a> {
    pub(super) mode: &'a str,
    pub(super) committed: bool,
    pub(super) group: Option<&'a GroupPlan>,
    pub(super) trouble_in_group: bool,
    pub(super) interrupted: bool,
    pub(super) skip_verify: bool,
}

/// How `service` ended.
pub(super) fn of(service: &Service, standing: &Standing) -> Ending {
    let failed = service.failure.as_ref();
    match standing.mode {
        "plan" => failed.map_or(Ending::Planned, |_| Ending::Untouched),
        "history" => failed.map_or(Ending::Unchanged, |_| Ending::Untouched),
        "verify" => match failed.map(|failure| failure.kind) {
            None if service.phase == Phase::Verified && (standing.skip_verify || !service.asked.proves()) => Ending::Unchanged,
            None if service.phase == Phase::Verified => Ending::Healthy,
            // Nothing was to be done with it: an image was pushed, and nothing else.
            None if standing.skip_verify && !standing.interrupted => Ending::Unchanged,
            Some(Kind::Unhealthy | Kind::TimedOut) => Ending::Unhealthy,
            None | Some(_) => Ending::Untouched,
        },
        _ => deployed(service, standing),
    }
}

fn deployed(service: &Service, standing: &Standing) -> Ending {
    match service.outcome(standing.committed) {
        Outcome::Live => Ending::Live,
        Outcome::Unchanged => Ending::Unchanged,
        Outcome::Untouched => Ending::Untouched,
        Outcome::RolledBack => Ending::RolledBack,
        Outcome::Superseded => Ending::Superseded,
        Outcome::Stuck => Ending::Stuck,
        Outcome::RollingBack => Ending::RollingBack,
        Outcome::Failed | Outcome::Underway if will_be_put_back(service, standing) => Ending::RollingBack,
        Outcome::Failed | Outcome::Underway => Ending::Failed,
    }
}

/// Changed, and its undo not yet begun: the post step does that where the settings ask for it.
fn will_be_put_back(service: &Service, standing: &Standing) -> bool {
    let asked = standing.group.map(|group| if standing.trouble_in_group { group.on_failure } else { group.on_cancel });
    let possible = service.rollback == crate::engine::record::JobRollback::Safe && service.kept.is_none();
    standing.interrupted && possible && asked == Some(OnTrouble::Rollback)
}

/// How the whole ended: as the service that needs a person most. Without services only an early failure tells.
pub(super) fn whole(services: impl Iterator<Item = Ending>, failed_early: bool, mode: &str) -> Ending {
    let worst = services.max();
    match (worst, failed_early) {
        (Some(ending), false) => ending,
        (Some(ending), true) => ending.max(Ending::Untouched),
        (None, true) => Ending::Untouched,
        (None, false) if mode == "plan" => Ending::Planned,
        (None, false) => Ending::Unchanged,
    }
}
