//! The outcome in a sentence: of the whole run, and of how each service stands now. Pure words over the report.

use crate::engine::narrate::job_name;
use crate::engine::record::Job;

use super::phrase::{Phrase, count, named, names};
use super::{Ending, Report, Service, Stood, Trouble};

/// More services than this of one ending are counted, not named.
const MANY: usize = 6;

/// The outcome of the run in one sentence, without a full stop.
pub(super) fn sentence(report: &Report) -> Phrase {
    let told = match (&report.failure, report.services.as_slice()) {
        (Some(failure), services) if services.iter().all(|service| service.outcome == Ending::Untouched) => nothing_done(report, failure),
        (_, []) => Phrase::words("there was nothing to do"),
        (_, [service]) => alone(service, &report.mode),
        (_, services) => together(services, &report.mode),
    };
    let led = match (report.taken_over, report.mode.as_str()) {
        (true, _) if report.interrupted.is_some() => Phrase::words("the post step took over from the cancelled run: ").then(told),
        (true, _) => Phrase::words("the post step took over from the lost run: ").then(told),
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
    let new = service.revision.as_deref().unwrap_or("the new release");
    let was = service.before.revision().unwrap_or("what stood before");
    let proven = if service.unproven.is_some() { ", and nobody proved it" } else { ", proven" };
    match (service.outcome, &service.before) {
        (Ending::Live, _) if mode == "rollback" => name().and(" is back on ").code(new).and(proven),
        (Ending::Live, Stood::Absent | Stood::NeverServed) => name().and(" is live for the first time, on ").code(new).and(proven),
        (Ending::Live, _) => name().and(" is live on ").code(new).and(proven),
        (Ending::Unchanged, _) if mode == "history" => name().and(format!(": {}", count(service.releases.len(), "release"))),
        (Ending::Unchanged, _) => name().and(" is unchanged: ").code(new).and(" serves already").and(proven),
        (Ending::RolledBack, Stood::Running { .. }) => name().and(" was rolled back: ").code(was).and(" serves again").and(proven),
        (Ending::RolledBack, _) => name().and(" was taken back: nothing served before, and nothing does now"),
        (Ending::RollingBack, _) => name().and(" is being rolled back to ").code(was),
        (Ending::Superseded, _) => match service.superseded_by.as_deref().and_then(|by| by.split(' ').next()) {
            Some(by) => name().and(" was superseded: ").code(by).and(" serves and was left alone"),
            None => name().and(" was superseded: somebody else's deployment serves and was left alone"),
        },
        (Ending::Untouched, Stood::Running { .. }) => name().and(" was not touched: ").code(was).and(" serves as before"),
        (Ending::Untouched, _) => name().and(" was not touched"),
        (Ending::Failed, _) => name().and(" failed and was left as it is"),
        (Ending::Stuck, _) => name().and(" is stuck: ").code(was).and(" could not be put back"),
        (Ending::Planned, _) if service.changes.is_empty() => name().and(" would not change"),
        (Ending::Planned, _) => name().and(format!(" would change in {}", count(service.changes.len(), "place"))),
        (Ending::Healthy, _) => name().and(" is healthy"),
        (Ending::Unhealthy, _) => name().and(" is not healthy"),
    }
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
            phrase.then(subject(&of)).and(format!(" {}", predicate(ending, &of, mode)))
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

fn predicate(ending: Ending, of: &[&Service], mode: &str) -> String {
    let (is, was) = if of.len() == 1 { ("is", "was") } else { ("are", "were") };
    let unproven = of.iter().filter(|service| service.unproven.is_some()).count();
    let proven = if unproven == 0 { ", proven".to_owned() } else { format!(", {unproven} of {} not proven", of.len()) };
    match ending {
        Ending::Live if mode == "rollback" => format!("{is} back on an earlier release{proven}"),
        Ending::Live => format!("{is} live{proven}"),
        Ending::Unchanged if mode == "history" => {
            format!("have {}", count(of.iter().map(|service| service.releases.len()).sum(), "release"))
        }
        Ending::Unchanged => format!("{is} unchanged{proven}"),
        Ending::Planned => "would change".to_owned(),
        Ending::Healthy => format!("{is} healthy"),
        Ending::Unhealthy => format!("{is} not healthy"),
        Ending::Untouched => format!("{was} not touched"),
        Ending::RolledBack => format!("{was} rolled back{proven}"),
        Ending::Superseded => format!("{was} superseded and left alone"),
        Ending::RollingBack => format!("{is} being rolled back: the end was not seen"),
        Ending::Failed => "failed and stayed as left".to_owned(),
        Ending::Stuck => format!("{is} stuck: not put back"),
    }
}

/// How `service` stands now, in one sentence. What a migration did stays, whatever serves.
pub(super) fn stands(service: &Service) -> Phrase {
    let put_back = matches!(service.outcome, Ending::RolledBack | Ending::RollingBack | Ending::Untouched | Ending::Stuck);
    let migrated = put_back && service.jobs.iter().any(|job| job == job_name(Job::Migrate));
    if migrated { serves(service).and("; what its migration did stays") } else { serves(service) }
}

fn serves(service: &Service) -> Phrase {
    let new = service.revision.as_deref().unwrap_or("the new release");
    let was = service.before.revision().unwrap_or("what stood before");
    let empty = Phrase::default;
    match (service.outcome, &service.before) {
        (Ending::Live, _) if service.unproven.is_some() => empty().code(new).and(" serves; nobody proved it"),
        (Ending::Live, _) => empty().code(new).and(" serves, proven"),
        (Ending::Unchanged, _) if service.revision.is_none() => empty().and("nothing was changed"),
        (Ending::Unchanged, _) => empty().code(new).and(" serves, as before"),
        (Ending::RolledBack, Stood::Running { health: Some(health), .. }) if health.starts_with("not healthy") => {
            empty().code(was).and(" serves again, no healthier than before the run")
        }
        (Ending::RolledBack, Stood::Running { .. }) => {
            let stands = empty().code(was).and(" serves again; ").code(new).and(" serves nobody");
            service.because_of.as_ref().map_or(stands.clone(), |other| stands.and(", as ").then(Phrase::name(other)).and(" was not proven"))
        }
        (Ending::RolledBack, _) => empty().and("nothing serves, as before; ").code(new).and(" serves nobody"),
        (Ending::RollingBack, Stood::Running { .. }) => empty().and("on its way back to ").code(was).and("; the end was not seen"),
        (Ending::RollingBack, _) => empty().and("on its way back to serving nobody; the end was not seen"),
        (Ending::Superseded, _) => named(service.superseded_by.as_deref().unwrap_or("somebody's")).and(" serves; left alone"),
        (Ending::Planned, Stood::Running { .. }) => empty().code(was).and(" serves"),
        (Ending::Untouched, Stood::Running { .. }) => empty().code(was).and(" serves, as before"),
        (Ending::Planned, Stood::Absent) => empty().and("there is no such service"),
        (Ending::Planned, Stood::NeverServed) => empty().and("nothing serves"),
        (Ending::Untouched, Stood::Absent) => empty().and("there is no such service, as before"),
        (Ending::Untouched, Stood::NeverServed) => empty().and("nothing serves, as before"),
        (Ending::Untouched | Ending::Planned, Stood::Unknown) => empty().and("not touched"),
        (Ending::Failed, _) => empty().and("left on ").code(new).and(", which is not proven"),
        (Ending::Stuck, Stood::Running { .. }) => empty().and("between ").code(was).and(" and ").code(new).and(": a person must look"),
        (Ending::Stuck, _) => empty().and("left on ").code(new).and(": a person must look"),
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
