//! `mode: plan`, `mode: verify` and `mode: history`: they look, touch nothing, and leave nothing for a post step.

use crate::config::plan::Plan;
use crate::engine::journal::Journal;
use crate::engine::look::Looking;
use crate::engine::member::{Checks, Member};
use crate::engine::record::{Event, Record};
use crate::failure::Result;
use crate::target::Listed;

use super::context::Context;
use super::deploy::write_plan;
use super::keep;
use super::members::{self, Building, Images, Sessions};
use super::push::Stage;

/// How many releases of a service `history` shows.
const RELEASES: usize = 20;

/// What would change, key by key.
pub(crate) async fn plan(context: &Context, plan: &Plan) -> Result<Journal> {
    let sessions = members::sign_in(context, plan).await?;
    let images = Stage::of(context, plan, &sessions)?.images_to_be().await?;
    let looking = looking(context);
    let mut journal = journal(context, plan, &images)?;
    for service in &plan.services {
        let member =
            members::member(&Building { context, sessions: &sessions, checks: Checks::Asked }, service, members::goal(service, &images))?;
        write(&mut journal, &member, looking.plan(&member).await)?;
    }
    Ok(journal)
}

/// Health, smoke tests and latency of what runs now.
pub(crate) async fn verify(context: &Context, plan: &Plan) -> Result<Journal> {
    let sessions = members::sign_in(context, plan).await?;
    let mut journal = journal(context, plan, &Images::new())?;
    verify_into(context, plan, &sessions, &mut journal).await?;
    Ok(journal)
}

/// The same, told in a journal that is open already.
pub(crate) async fn verify_into(context: &Context, plan: &Plan, sessions: &Sessions, journal: &mut Journal) -> Result<()> {
    let building = Building { context, sessions, checks: Checks::Asked };
    for service in &plan.services {
        let member = members::member(&building, service, members::goal(service, &Images::new()))?;
        write(journal, &member, looking(context).verify(&member).await)?;
    }
    Ok(())
}

/// The releases of each service, which one serves, which were proven.
pub(crate) async fn history(context: &Context, plan: &Plan) -> Result<Journal> {
    let sessions = members::sign_in(context, plan).await?;
    let mut journal = journal(context, plan, &Images::new())?;
    for service in &plan.services {
        let member = members::member(
            &Building { context, sessions: &sessions, checks: Checks::Asked },
            service,
            members::goal(service, &Images::new()),
        )?;
        let Some(lists) = member.target.clone().lists() else {
            let note = "this platform keeps no history".to_owned();
            journal.append(Record::Noted { service: Some(member.name.clone()), note })?;
            continue;
        };
        match lists.releases(RELEASES).await {
            Ok(releases) => releases.iter().try_for_each(|release| {
                let note = line(release);
                journal.append(Record::Noted { service: Some(member.name.clone()), note }).map(|_| ())
            })?,
            Err(failure) => write(&mut journal, &member, vec![Event::Failed { failure }])?,
        }
    }
    Ok(journal)
}

fn line(release: &Listed) -> String {
    let at = release.at.map(crate::clock::Timestamp::rfc3339).unwrap_or_default();
    [release.revision.as_str(), &at, release.note.as_str(), release.image.as_deref().unwrap_or_default()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("  ")
}

fn looking(context: &Context) -> Looking {
    Looking { http: context.http.clone(), clock: context.clock.clone() }
}

fn journal(context: &Context, plan: &Plan, images: &Images) -> Result<Journal> {
    let journal = Journal::new("look".to_owned(), vec![Box::new(keep::Nowhere)], context.clock.clone());
    let mut journal = keep::watched(context, journal);
    write_plan(context, plan, &mut journal)?;
    for (service, image) in images {
        journal.append(Record::Pinned { service: service.clone(), image: image.clone() })?;
    }
    Ok(journal)
}

fn write(journal: &mut Journal, member: &Member, events: Vec<Event>) -> Result<()> {
    events.into_iter().try_for_each(|event| journal.append(Record::Service { name: member.name.clone(), event }).map(|_| ()))
}
