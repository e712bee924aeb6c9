//! `mode: deploy` and `mode: rollback`, the whole walk: sign in, pin the images, open the journal, drive, and hand the journal to the report.

use crate::config::plan::{ImageSource, Mode, Plan, ServicePlan, Skip};
use crate::engine::journal::Journal;
use crate::engine::member::{Checks, Goal, Member};
use crate::engine::record::{FORMAT, Opening, Record};
use crate::engine::run::{Driver, Given, drive};
use crate::failure::{Failure, Result};
use crate::health::probe::Shipped;
use crate::runner::container;

use super::context::Context;
use super::keep;
use super::look;
use super::members::{self, Building, Images, Sessions};
use super::push::tags::TagsMove;
use super::push::{self, Registries, Stage};

/// Walks the whole way and answers with the journal, whatever the end. An error is one before anything could be changed.
pub(crate) async fn deploy(context: &Context, plan: &Plan) -> Result<Journal> {
    let sessions = members::sign_in(context, plan).await?;
    let (mut journal, _hold) = keep::open(context)?;
    write_plan(context, plan, &mut journal)?;
    keep::keep_born(context);
    journal.room_for(plan.services.len())?;
    let images = match &plan.mode {
        Mode::Rollback { .. } => Images::new(),
        _ => match Stage::of(context, plan, &sessions)?.images(&mut journal).await {
            Ok(images) => images,
            // The journal tells it, with the service whose image it is.
            Err(_) => return Ok(journal),
        },
    };
    let members = members(context, plan, &sessions, &images, &journal)?;
    let given =
        Given { driver: Driver::Main, members, http: context.http.clone(), clock: context.clock.clone(), stop: context.stop.clone() };
    let (journal, ended) = drive(given, journal).await;
    if let Err(failure) = ended {
        context.log.line(&format!("{failure}"));
    }
    Ok(journal)
}

/// `skip-deploy`: pushes what is to be pushed, and holds what runs to its proof.
pub(crate) async fn without_deploying(context: &Context, plan: &Plan) -> Result<Journal> {
    let pushes = plan.services.iter().any(|service| matches!(service.image, Some(ImageSource::Pushed(_))));
    if plan.push_only.is_none() && !pushes {
        return look::verify(context, plan).await;
    }
    let sessions = members::sign_in(context, plan).await?;
    let (mut journal, _hold) = keep::open(context)?;
    write_plan(context, plan, &mut journal)?;
    keep::keep_born(context);
    let stage = Stage::of(context, plan, &sessions)?;
    if stage.images(&mut journal).await.is_err() {
        return Ok(journal);
    }
    if let Some((name, push)) = &plan.push_only {
        let image = stage.push(name, push, &mut journal).await?;
        journal.append(Record::Pinned { service: name.clone(), image })?;
    }
    if !plan.skip.verify {
        look::verify_into(context, plan, &sessions, &mut journal).await?;
    }
    Ok(journal)
}

fn members(context: &Context, plan: &Plan, sessions: &Sessions, images: &Images, journal: &Journal) -> Result<Vec<Member>> {
    let checks = if plan.skip.verify { Checks::Skipped } else { Checks::Asked };
    let registries = Registries::of(context, &plan.auth.registries, sessions)?;
    let (mut moving, revisions) = (push::to_move(journal.entries()), push::revisions(journal.entries()));
    let building = Building { context, sessions, checks };
    let mut build = |service: &ServicePlan| {
        let goal = match &plan.mode {
            Mode::Rollback { to } => Goal::Release(to.clone()),
            _ => members::goal(service, images),
        };
        let member = members::member(&building, service, goal)?;
        let migrate = member.migrate.clone().filter(|_| !plan.skip.migrate);
        let epilogue = moving.remove(&service.name).map(|push| TagsMove::of(&registries, push));
        let shipped = match member.shipped {
            Shipped::Build { digest, .. } => {
                Shipped::Build { revision: digest.as_ref().and_then(|digest| revisions.get(digest)).cloned(), digest }
            }
            Shipped::AnyBuild => Shipped::AnyBuild,
        };
        Ok(Member { migrate, epilogue, shipped, ..member })
    };
    plan.services.iter().map(&mut build).collect()
}

/// The lines from which the post step rebuilds everything it needs.
pub(crate) fn write_plan(context: &Context, plan: &Plan, journal: &mut Journal) -> Result<()> {
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
    }
    Ok(())
}

fn skipped(skip: Skip) -> Vec<String> {
    let stages = [("push", skip.push), ("migrate", skip.migrate), ("deploy", skip.deploy), ("verify", skip.verify)];
    stages.into_iter().filter(|(_, skipped)| *skipped).map(|(stage, _)| stage.to_owned()).collect()
}
