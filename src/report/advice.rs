//! What to do now, and why a run came to no good end where nothing failed: in the summary, the annotation and the log the same words.

use super::headline::{cause, goes_forward, migration};
use super::phrase::{Phrase, named, names};
use super::{Ending, JobEnd, Report, Service};

/// Why a run came to no good end although nothing failed.
pub(super) fn without_failure(report: &Report) -> Option<Phrase> {
    if let Some(by) = &report.interrupted {
        return Some(Phrase::words("the run was interrupted (").and(by.as_str()).and(") before it was done"));
    }
    let other = report.services.iter().find_map(|service| service.superseded_by.as_deref());
    match (other, report.taken_over) {
        (Some(other), _) => Some(Phrase::words("somebody deployed ").then(named(other)).and(" in the meantime")),
        (None, true) => Some(Phrase::words("the step was lost (killed, crashed or out of time) before it was done")),
        (None, false) => None,
    }
}

/// What to do, where no remedy of the failure that came first says just that.
pub(super) fn besides_the_fix(report: &Report) -> Option<Phrase> {
    let fix = cause(report).and_then(|(_, trouble)| trouble.fix.first()).map(|fix| below(fix));
    to_do(report).filter(|to_do| report.failure.is_none() && Some(to_do) != fix.as_ref())
}

/// What to do. Where a database may have been changed, that comes first.
pub(super) fn to_do(report: &Report) -> Option<Phrase> {
    forward(report).or_else(|| by_hand(report)).or_else(|| otherwise(report))
}

/// Whether the commands to put `service` back are worth showing, and only as the last resort.
pub(super) fn last_resort(service: &Service) -> bool {
    !service.by_hand.is_empty() && service.touched && goes_forward(service)
}

/// Whether the commands to put `service` back are the thing to do, or one of two.
pub(super) fn first_resort(service: &Service) -> bool {
    !service.by_hand.is_empty() && service.touched && !goes_forward(service)
}

/// The job that nobody can tell of, where the commands are there to look for it.
pub(super) fn job_to_look_for(service: &Service) -> Option<&str> {
    let unseen = service.jobs.iter().find(|job| job.ended == JobEnd::Unseen).filter(|_| !service.touched && !service.by_hand.is_empty());
    unseen.map(|job| job.name.as_str())
}

fn subject(report: &Report, wanted: impl Fn(&Service) -> bool) -> Option<Phrase> {
    let of: Vec<&str> = report.services.iter().filter(|service| wanted(service)).map(|service| service.name.as_str()).collect();
    (!of.is_empty()).then(|| names(&of))
}

fn forward(report: &Report) -> Option<Phrase> {
    if let Some(left) = subject(report, |service| service.touched && goes_forward(service)) {
        let forward = Phrase::words("fix forward: deploy a release of ").then(left).and(" that works with the changed database");
        return Some(forward.and("; going back comes last, and only after a look at the database"));
    }
    let ended_badly = |service: &Service| !service.touched && migration(service).is_some_and(|job| job.ended != JobEnd::Well);
    let left = subject(report, ended_badly)?;
    if report.interrupted.is_some() && !report.taken_over {
        return Some(Phrase::words("wait for the post step of this job: it sees the migration of ").then(left).and(" to its end"));
    }
    if report.services.iter().any(|service| job_to_look_for(service).is_some()) {
        let look = Phrase::words("look whether the migration of ").then(left).and(" still runs, and what it left in the database");
        return Some(look.and(", before anything else"));
    }
    let look = Phrase::words("fix forward: look at what the migration of ").then(left).and(" left in the database, then correct the ");
    Some(look.and("migration and deploy again"))
}

fn by_hand(report: &Report) -> Option<Phrase> {
    if let Some(stuck) = subject(report, |service| first_resort(service) && service.outcome == Ending::Stuck) {
        return Some(Phrase::words("put ").then(stuck).and(" back by hand now"));
    }
    let left = subject(report, first_resort)?;
    Some(Phrase::words("deploy a release of ").then(left).and(" that works, or put back by hand what stood before"))
}

fn otherwise(report: &Report) -> Option<Phrase> {
    if report.outcome == Ending::RollingBack && !report.taken_over {
        return Some(Phrase::words("wait for the post step of this job: it goes on, and tells how it ended"));
    }
    let open = |service: &Service| matches!(service.outcome, Ending::Stuck | Ending::Failed | Ending::RollingBack);
    if let Some(open) = subject(report, open) {
        return Some(Phrase::words("look at ").then(open).and(" on the platform: nobody saw where it ended"));
    }
    match cause(report) {
        Some((_, trouble)) => trouble.fix.first().map(|fix| below(fix)),
        None if report.outcome == Ending::Superseded => {
            Some(Phrase::words("deploy one after the other: give the jobs one ").code("concurrency").and(" group"))
        }
        None => Some(Phrase::words("nothing is left to repair; run it again to deploy")),
    }
}

/// The first line of a remedy; of a snippet its heading.
pub(super) fn below(fix: &str) -> Phrase {
    let first = fix.lines().next().unwrap_or_default();
    match first.strip_suffix(':') {
        Some(heading) => Phrase::default().prose(heading).and(", as below"),
        None => Phrase::default().prose(first),
    }
}
