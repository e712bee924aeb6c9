//! Every text of a report that may be foreign, handed to a redactor once. A test holds that none is forgotten.

use crate::failure::Evidence;

use super::{Group, Moment, PushedImage, Report, Run, Service, Stood, Trouble};

type Redact<'a> = &'a dyn Fn(&str) -> String;

pub(super) fn report(report: &mut Report, redact: Redact) {
    let Report { sentence, run, skipped, interrupted, notes, failure, services, images, groups, timeline, .. } = report;
    all([sentence], redact);
    let Run { id, url, repository, commit, reference, environment, actor, .. } = run;
    all([id, repository, commit, reference], redact);
    all(url.iter_mut().chain(environment).chain(actor).chain(interrupted), redact);
    all(skipped.iter_mut().chain(notes), redact);
    failure.iter_mut().for_each(|failure| trouble(failure, redact));
    services.iter_mut().for_each(|one| service(one, redact));
    for PushedImage { name, image, digest } in images {
        all([name, image, digest], redact);
    }
    for Group { members, mixture, .. } in groups {
        all(members.iter_mut().chain(mixture), redact);
    }
    for Moment { service, what, facts, .. } in timeline {
        all(service.iter_mut().chain([what]).chain(facts), redact);
    }
}

fn service(service: &mut Service, redact: Redact) {
    let Service { name, target, stands, url, image, tag, digest, revision, serving, known_good, unproven, kept, superseded_by, .. } =
        service;
    all([name, target, stands], redact);
    let named = [
        url,
        image,
        tag,
        digest,
        revision,
        serving,
        known_good,
        unproven,
        kept,
        superseded_by,
        &mut service.repaired,
        &mut service.because_of,
    ];
    all(named.into_iter().flatten(), redact);
    if let Stood::Running { revision, image, health } = &mut service.before {
        all([revision, image, health].into_iter().flatten(), redact);
    }
    all(service.jobs.iter_mut().map(|job| &mut job.name), redact);
    let lists = [&mut service.proof, &mut service.changes, &mut service.by_hand, &mut service.notes, &mut service.releases];
    all(lists.into_iter().flatten(), redact);
    service.failure.iter_mut().chain(&mut service.rollback_failure).for_each(|failure| trouble(failure, redact));
}

fn trouble(trouble: &mut Trouble, redact: Redact) {
    let Trouble { what, why, fix, evidence, .. } = trouble;
    all([what].into_iter().chain(why).chain(fix), redact);
    for Evidence { title, lines } in evidence {
        all([title].into_iter().chain(lines), redact);
    }
}

fn all<'a>(texts: impl IntoIterator<Item = &'a mut String>, redact: Redact) {
    texts.into_iter().for_each(|text| *text = redact(text));
}
