//! `mode: deploy` and `mode: rollback`, the whole walk: sign in, pin the images, open the journal, drive, and hand the journal to the report.

use crate::config::plan::{Mode, Plan, ServicePlan, Skip};
use crate::engine::journal::Journal;
use crate::engine::member::{Checks, Goal, Member};
use crate::engine::record::{FORMAT, Opening, Record};
use crate::engine::run::{Driver, Given, drive};
use crate::failure::{Failure, Result};
use crate::runner::container;

use super::context::Context;
use super::members::{self, Images, Sessions};
use super::{images, keep};

/// Walks the whole way and answers with the journal, whatever the end. An error is one before anything could be changed.
pub(crate) async fn deploy(context: &Context, plan: &Plan) -> Result<Journal> {
    let sessions = members::sign_in(context, plan).await?;
    let images = match &plan.mode {
        Mode::Rollback { .. } => Images::new(),
        _ => images::pin(plan, &sessions).await?,
    };
    let members = members(context, plan, &sessions, &images)?;
    let (mut journal, _hold) = keep::open(context)?;
    write_plan(context, plan, &images, &mut journal)?;
    keep::keep_born(context);
    journal.room_for(plan.services.len())?;
    let given =
        Given { driver: Driver::Main, members, http: context.http.clone(), clock: context.clock.clone(), stop: context.stop.clone() };
    let (journal, ended) = drive(given, journal).await;
    if let Err(failure) = ended {
        context.log.line(&format!("{failure}"));
    }
    Ok(journal)
}

fn members(context: &Context, plan: &Plan, sessions: &Sessions, images: &Images) -> Result<Vec<Member>> {
    let checks = if plan.skip.verify { Checks::Skipped } else { Checks::Asked };
    let build = |service: &ServicePlan| {
        let goal = match &plan.mode {
            Mode::Rollback { to } => Goal::Release(to.clone()),
            _ => members::goal(service, images),
        };
        let member = members::member(context, service, sessions, goal, checks)?;
        Ok(if plan.skip.migrate { Member { migrate: None, ..member } } else { member })
    };
    plan.services.iter().map(build).collect()
}

/// The lines from which the post step rebuilds everything it needs.
pub(crate) fn write_plan(context: &Context, plan: &Plan, images: &Images, journal: &mut Journal) -> Result<()> {
    journal.append(Record::Opened(Opening {
        format: FORMAT,
        run: context.run.clone(),
        mode: plan.mode.name().to_owned(),
        step: context.step(),
        origin: context.origin(plan.environment.clone()),
        groups: plan.groups.clone(),
        skipped: skipped(plan.skip),
        auth: serde_json::to_value(&plan.auth.aws).unwrap_or_default(),
        container: container::own_id(),
    }))?;
    for note in &plan.notes {
        journal.append(Record::Noted { service: None, note: note.clone() })?;
    }
    for service in &plan.services {
        let settings = serde_json::to_value(service)
            .map_err(|error| Failure::bug("a service's settings cannot be written into the journal").why(error.to_string()))?;
        journal.append(Record::Planned { service: service.name.clone(), target: service.target.name().to_owned(), settings })?;
        if let Some(image) = images.get(&service.name) {
            journal.append(Record::Pinned { service: service.name.clone(), image: image.clone() })?;
        }
    }
    Ok(())
}

fn skipped(skip: Skip) -> Vec<String> {
    let stages = [("push", skip.push), ("migrate", skip.migrate), ("deploy", skip.deploy), ("verify", skip.verify)];
    stages.into_iter().filter(|(_, skipped)| *skipped).map(|(stage, _)| stage.to_owned()).collect()
}
