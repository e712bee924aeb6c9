//! The outcome in a sentence: of the whole run, and of how each service stands now. Pure words over the report.

use crate::engine::narrate::job_name;
use crate::engine::record::Job as Which;

use super::phrase::{Phrase, count, named, names};
use super::{Ending, Job, JobEnd, Report, Service, Stood, Trouble};

/// More services than this of one ending are counted, not named.
const MANY: usize = 6;

/// The outcome of the run in one sentence, without a full stop.
pub(super) fn sentence(report: &Report) -> Phrase {
    let told = match (&report.failure, report.services.as_slice()) {
        (Some(failure), services) if services.iter().all(|service| service.outcome == Ending::Untouched) => nothing_done(report, failure),
        (_, []) => match report.images.first() {
            Some(image) => Phrase::name(&image.name).and(" was pushed: ").code(&image.image),
            None => Phrase::words("there was nothing to do"),
        },
        (_, [service]) => alone(service, &report.mode),
        (_, services) => together(services, &report.mode),
    };
    let led = match (report.taken_over, report.mode.as_str()) {
        (true, _) if report.interrupted.is_some() => Phrase::words("the post step took over from the cancelled run, and ").then(told),
        (true, _) => Phrase::words("the post step took over from the lost run, and ").then(told),
        (false, "rehearse") => Phrase::words("rehearsal: ").then(told),
        (false, _) => told,
    };
    capital(led)
}

fn nothing_done(report: &Report, failure: &Trouble) -> Phrase {
    let looking = matches!(report.mode.as_str(), "plan" | "verify" | "history");
    Phrase::words(if looking { "nothing was looked at: " } else { "nothing was changed: " }).and(failure.what.clone())
}

/// The failure that came first: what a person asks for after reading the outcome.
pub(super) fn cause(report: &Report) -> Option<(Option<&Service>, &Trouble)> {
    if let Some(failure) = &report.failure {
        return Some((None, failure));
    }
    let first = report.timeline.iter().filter(|moment| moment.sign == super::Sign::Bad).find_map(|moment| {
        let service = report.services.iter().find(|service| Some(&service.name) == moment.service.as_ref())?;
        Some((Some(service), service.failure.as_ref().or(service.rollback_failure.as_ref())?))
    });
    let any = || report.services.iter().find_map(|service| Some((Some(service), service.failure.as_ref()?)));
    first.or_else(any)
}

fn alone(service: &Service, mode: &str) -> Phrase {
    let name = || Phrase::name(&service.name);
    let (new, was) = (new(service), was(service));
    let proven = if service.unproven.is_some() { ", not proven" } else { ", proven" };
    match (service.outcome, &service.before) {
        (Ending::Live, _) if mode == "rollback" => name().and(" is back on ").code(new).and(proven),
        (Ending::Live, Stood::Absent | Stood::NeverServed) => name().and(" is live for the first time, on ").code(new).and(proven),
        (Ending::Live, _) => name().and(" is live on ").code(new).and(proven),
        (Ending::Unchanged, _) if mode == "history" => name().and(format!(": {}", count(service.releases.len(), "release"))),
        (Ending::Unchanged, _) if service.revision.is_none() => name().and(" was not changed, and its health was not asked"),
        (Ending::Unchanged, _) => name().and(" is unchanged: ").code(new).and(" serves already").and(proven),
        (Ending::RolledBack, Stood::Running { .. }) => {
            let proven = if was_unhealthy(service) { ", no healthier than before" } else { proven };
            name().and(" was rolled back: ").code(was).and(" serves again").and(proven)
        }
        (Ending::RolledBack, _) => name().and(" was taken back: nothing served before, and nothing does now"),
        (Ending::Untouched | Ending::Failed | Ending::RollingBack, _) if !service.touched && has_run_jobs(service) => after_jobs(service),
        (Ending::RollingBack, Stood::Running { .. }) => {
            name().and(" is being rolled back to ").code(was).and("; this step ended before that was done")
        }
        (Ending::RollingBack, _) => name().and(" is being taken back, as nothing served before; this step ended before that was done"),
        (Ending::Superseded, _) => match service.superseded_by.as_deref().and_then(|by| by.split(' ').next()) {
            Some(by) => name().and(" was superseded: somebody else's ").code(by).and(" serves and was left alone"),
            None => name().and(" was superseded: somebody else's deployment serves and was left alone"),
        },
        (Ending::Untouched, Stood::Running { .. }) => name().and(" was not touched: ").code(was).and(" serves as before"),
        (Ending::Untouched, _) => name().and(" was not touched"),
        (Ending::Failed, _) if goes_forward(service) => {
            let left = name().and(" failed after its migration changed the database: ").code(new).and(" was left in place, as ");
            left.code(was).and(" may not work with the database any more")
        }
        (Ending::Failed, _) if service.failure.is_some() => name().and(" failed: ").code(new).and(" was left in place, not proven"),
        (Ending::Failed, _) => name().and(" was left on ").code(new).and(", not proven"),
        (Ending::Stuck, Stood::Running { .. }) => {
            name().and(" is stuck: ").code(was).and(" could not be put back; what serves now is not known, perhaps nothing")
        }
        (Ending::Stuck, _) => name().and(" is stuck: ").code(new).and(" could not be taken away; what serves now is not known"),
        (Ending::Planned, _) if service.changes.is_empty() => name().and(" would not change"),
        (Ending::Planned, _) => name().and(format!(" would change in {}", count(service.changes.len(), "place"))),
        (Ending::Healthy, _) if service.unproven.is_some() => name().and(" is healthy by the platform's own checks; nobody asked it"),
        (Ending::Healthy, _) => name().and(" is healthy"),
        (Ending::Unhealthy, _) => name().and(" is not healthy"),
    }
}

fn new(service: &Service) -> &str {
    service.revision.as_deref().unwrap_or("the new release")
}

fn was(service: &Service) -> &str {
    service.before.revision().unwrap_or("what stood before")
}

fn was_unhealthy(service: &Service) -> bool {
    matches!(&service.before, Stood::Running { health: Some(health), .. } if health.starts_with("not healthy"))
}

/// Whether jobs did anything, or are what it failed by.
fn has_run_jobs(service: &Service) -> bool {
    service.jobs.iter().any(|job| job.ended != JobEnd::NotStarted || service.failure.is_some())
}

/// Its jobs ran, and then nothing else did: the service was not touched, what the jobs work on may have been.
fn after_jobs(service: &Service) -> Phrase {
    let told = Phrase::name(&service.name).and(" was not deployed: ");
    let stays = match &service.before {
        Stood::Running { .. } => Phrase::default().code(was(service)).and(" serves as before"),
        Stood::Absent | Stood::NeverServed | Stood::Unknown => Phrase::words("the service was not touched"),
    };
    match (service.jobs.iter().find(|job| job.ended != JobEnd::Well), migration(service)) {
        (Some(job), Some(_)) if job.ended == JobEnd::Unseen => {
            told.and(format!("its {} job was not seen to end, and the database may have been changed", job.name))
        }
        (Some(job), migration) => {
            let told = told.and(format!("its {} job {}; the service was not touched", job.name, ended(job.ended)));
            if migration.is_some() { told.and(", the database may have been") } else { told }
        }
        (None, Some(_)) => told.then(stays).and("; what its migration did to the database stays"),
        (None, None) => told.then(stays),
    }
}

fn ended(end: JobEnd) -> &'static str {
    match end {
        JobEnd::Well => "ended well",
        JobEnd::Failed => "failed",
        JobEnd::Stopped => "was stopped before its end",
        JobEnd::NotStarted => "was not started",
        JobEnd::Unseen => "was not seen to end",
    }
}

/// The migration, where it may have changed the database.
pub(super) fn migration(service: &Service) -> Option<&Job> {
    service.jobs.iter().find(|job| job.name == job_name(Which::Migrate) && job.ended != JobEnd::NotStarted)
}

/// Whether going back may do more harm than good: what stood before may not work with the changed database.
pub(super) fn goes_forward(service: &Service) -> bool {
    service.outcome == Ending::Failed && migration(service).is_some_and(|job| !job.old_release_can_run)
}

/// Several services: those that need a person most first.
fn together(services: &[Service], mode: &str) -> Phrase {
    let mut endings: Vec<Ending> = services.iter().map(|service| service.outcome).collect();
    endings.sort_unstable_by(|a, b| b.cmp(a));
    endings.dedup();
    let mut phrase = Phrase::default();
    for (index, ending) in endings.into_iter().enumerate() {
        let of: Vec<&Service> = services.iter().filter(|service| service.outcome == ending).collect();
        let joint = if index == 0 { "" } else { "; " };
        phrase = phrase.and(joint);
        phrase = if ending == Ending::Planned {
            phrase.then(planned(&of))
        } else {
            phrase.then(subject(&of)).then(predicate(ending, &of, mode))
        };
    }
    phrase
}

fn subject(of: &[&Service]) -> Phrase {
    if of.len() > MANY {
        return Phrase::words(format!("{} services", of.len()));
    }
    names(&of.iter().map(|service| service.name.as_str()).collect::<Vec<_>>())
}

fn planned(of: &[&Service]) -> Phrase {
    let (same, changed): (Vec<&Service>, Vec<&Service>) = of.iter().partition(|service| service.changes.is_empty());
    match (changed.is_empty(), same.is_empty()) {
        (true, _) => subject(&same).and(" would not change"),
        (false, true) => subject(&changed).and(" would change"),
        (false, false) => subject(&changed).and(" would change, ").then(subject(&same)).and(" would not"),
    }
}

fn predicate(ending: Ending, of: &[&Service], mode: &str) -> Phrase {
    let (is, was) = if of.len() == 1 { ("is", "was") } else { ("are", "were") };
    let to = |words: String, revision: Option<&str>| match revision.filter(|_| of.len() == 1) {
        Some(revision) => Phrase::words(format!(" {words} ")).code(revision),
        None => Phrase::words(format!(" {}", words.rsplit_once(' ').map_or("", |(words, _)| words))),
    };
    let unproven = of.iter().filter(|service| service.unproven.is_some()).count();
    let proven = match (unproven, of.len()) {
        (0, _) => ", proven".to_owned(),
        (1, 1) => ", not proven".to_owned(),
        (unproven, all) => format!(", {unproven} of {all} not proven"),
    };
    let first = of.first();
    let words = match ending {
        Ending::Live if mode == "rollback" => format!("{is} back on an earlier release{proven}"),
        Ending::Live => return to(format!("{is} live on"), first.and_then(|one| one.revision.as_deref())).and(proven),
        Ending::Unchanged if mode == "history" => {
            format!("have {}", count(of.iter().map(|service| service.releases.len()).sum(), "release"))
        }
        Ending::Unchanged => format!("{is} unchanged{proven}"),
        Ending::Planned => "would change".to_owned(),
        Ending::Healthy => format!("{is} healthy"),
        Ending::Unhealthy => format!("{is} not healthy"),
        Ending::Untouched => format!("{was} not touched{}", migrations(of)),
        Ending::RolledBack => return to(format!("{was} rolled back to"), first.and_then(|one| one.before.revision())).and(proven),
        Ending::Superseded => format!("{was} superseded by somebody else's deployment and left alone"),
        Ending::RollingBack => format!("{is} being rolled back (not done when this step ended)"),
        Ending::Failed if of.iter().any(|service| service.touched) => format!("failed and {was} left in place, not proven"),
        Ending::Failed => format!("{was} not deployed{}", migrations(of)),
        Ending::Stuck => format!("{is} stuck (not put back; what serves now is not known, perhaps nothing)"),
    };
    Phrase::words(format!(" {words}"))
}

/// That what was not touched has a database that may have been.
fn migrations(of: &[&Service]) -> String {
    match (of.iter().filter(|service| migration(service).is_some()).count(), of.len()) {
        (0, _) => String::new(),
        (_, 1) => ", but its database may have been changed".to_owned(),
        (1, _) => ", but the database of one may have been changed".to_owned(),
        (some, _) => format!(", but the databases of {some} may have been changed"),
    }
}

/// How `service` stands now, in one sentence. What a migration did stays, whatever serves.
pub(super) fn stands(service: &Service) -> Phrase {
    let put_back = matches!(service.outcome, Ending::RolledBack | Ending::RollingBack | Ending::Untouched | Ending::Stuck);
    let serves = serves(service);
    match migration(service).filter(|_| put_back || service.outcome == Ending::Failed) {
        None => serves,
        Some(job) if goes_forward(service) => {
            let has = if job.ended == JobEnd::Well { "has" } else { "may have" };
            let told = serves.and(format!("; its migration {has} changed the database, and "));
            told.code(was(service)).and(" may not work with it")
        }
        Some(job) if job.ended == JobEnd::Well => serves.and("; what its migration did to the database stays"),
        Some(job) => serves.and(format!("; its migrate job {}, and may have changed the database", ended(job.ended))),
    }
}

fn serves(service: &Service) -> Phrase {
    let (new, was, empty) = (new(service), was(service), Phrase::default);
    match (service.outcome, &service.before) {
        (Ending::Live, _) if service.unproven.is_some() => empty().code(new).and(" serves, not proven"),
        (Ending::Live, _) => empty().code(new).and(" serves, proven"),
        (Ending::Unchanged, _) if service.revision.is_none() => empty().and("nothing was changed"),
        (Ending::Unchanged, _) => empty().code(new).and(" serves, as before"),
        (Ending::RolledBack, Stood::Running { .. }) if was_unhealthy(service) => {
            empty().code(was).and(" serves again, no healthier than before the run")
        }
        (Ending::RolledBack, Stood::Running { .. }) => {
            let stands = empty().code(was).and(" serves again; ").code(new).and(" serves nobody");
            service
                .because_of
                .as_ref()
                .map_or(stands.clone(), |other| stands.and(", as ").then(Phrase::name(other)).and(" did not go live"))
        }
        (Ending::RolledBack, _) => empty().and("nothing serves, as before; ").code(new).and(" serves nobody"),
        (Ending::RollingBack, Stood::Running { .. }) if !service.touched => empty().code(was).and(" serves, as before"),
        (Ending::RollingBack, Stood::Running { .. }) => empty().and("on its way back to ").code(was).and("; nobody has seen it arrive yet"),
        (Ending::RollingBack, _) => empty().and("on its way back to serving nobody, as before; nobody has seen the end yet"),
        (Ending::Superseded, _) => named(service.superseded_by.as_deref().unwrap_or("somebody's")).and(" serves; left alone"),
        (Ending::Planned, Stood::Running { .. }) => empty().code(was).and(" serves"),
        (Ending::Untouched, Stood::Running { .. }) => empty().code(was).and(" serves, as before"),
        (Ending::Planned, Stood::Absent) => empty().and("there is no such service"),
        (Ending::Planned, Stood::NeverServed) => empty().and("nothing serves"),
        (Ending::Untouched, Stood::Absent) => empty().and("there is no such service, as before"),
        (Ending::Untouched, Stood::NeverServed) => empty().and("nothing serves, as before"),
        (Ending::Untouched | Ending::Planned, Stood::Unknown) => empty().and("not touched"),
        (Ending::Failed, Stood::Running { .. }) if !service.touched => empty().code(was).and(" serves, as before"),
        (Ending::Failed, _) if !service.touched => empty().and("not touched"),
        (Ending::Failed, _) => empty().and("left on ").code(new).and(", not proven"),
        (Ending::Stuck, Stood::Running { .. }) => {
            empty().and("neither ").code(was).and(" nor ").code(new).and(" is known to serve: it may serve nobody")
        }
        (Ending::Stuck, _) => empty().code(new).and(" may or may not serve: a person must look"),
        (Ending::Healthy, _) => empty().code(was).and(" serves, healthy"),
        (Ending::Unhealthy, _) => empty().code(was).and(" serves, not healthy"),
    }
}

fn capital(mut phrase: Phrase) -> Phrase {
    if let Some(super::phrase::Part::Words(text)) = phrase.0.first_mut()
        && let Some(first) = text.get(..1).map(str::to_ascii_uppercase)
    {
        text.replace_range(..1, &first);
    }
    phrase
}
