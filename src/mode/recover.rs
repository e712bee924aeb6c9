//! The post step: does nothing when the journal is settled; else fences an orphan main, then finishes what it committed
//! or undoes what it began, within 240 s. It reads its settings from the journal, never from files, which may have changed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::config;
use crate::config::plan::ServicePlan;
use crate::engine::journal::{Journal, Saved};
use crate::engine::member::{Checks, Goal, Member};
use crate::engine::record::{Entry, Event, Opening, Record};
use crate::engine::run::{Driver, Given, drive};
use crate::engine::service::Phase;
use crate::engine::state::{self, State};
use crate::failure::{Failure, Result};
use crate::http::{LONGEST_CHANGE, docker};
use crate::runner::hold::Main;
use crate::runner::signals::Stop;

use super::context::Context;
use super::keep::{self, Found};
use super::members::{self, Building};
use super::push::tags::TagsMove;
use super::push::{self, Registries};

/// Everything the post step does ends within this; the runner gives about 285 s.
const BUDGET: Duration = Duration::from_secs(240);
/// What a fenced main gets to end by itself before its container is stopped.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(8);

/// What the post step came to.
pub(crate) enum Recovered {
    /// Nothing was left to do.
    Settled,
    /// It went on with this journal.
    Went(Journal),
    /// Somebody else's journal, or two of them: nothing was touched.
    Refused(Failure),
}

/// Does what is left.
pub(crate) async fn recover(context: &Context) -> Result<Recovered> {
    let saved = match keep::find(context) {
        Found::None => return Ok(Recovered::Settled),
        Found::One(saved) => saved,
        Found::Several => {
            let failure = Failure::bug("more than one journal was found, and nothing tells which is genuine")
                .fix("look at the platform: nothing was touched by the post step");
            return Ok(Recovered::Refused(failure));
        }
    };
    let began = context.clock.now();
    let saved = fence(context, saved).await;
    let state = state::fold(&saved.entries);
    if state.settled() {
        keep::clean(context, &saved.nonce);
        return Ok(Recovered::Settled);
    }
    wait_for_lost_request(context, &state).await;
    let nonce = saved.nonce.clone();
    let journal = keep::resume(context, saved)?;
    let journal = match go_on(context, journal, &nonce, began).await {
        Ok(journal) => journal,
        Err(failure) => {
            keep::drop_credentials(&context.env, &nonce);
            return Err(failure);
        }
    };
    keep::clean(context, &nonce);
    Ok(Recovered::Went(journal))
}

/// Makes sure that main changes nothing any more, and reads what it wrote until then.
async fn fence(context: &Context, saved: Saved) -> Saved {
    let main = keep::main(context, &saved);
    if main == Main::Ended && state::fold(&saved.entries).settled() {
        return saved;
    }
    keep::raise_fence(context, &saved);
    let saved = again(context, saved);
    match main {
        Main::Ended => return saved,
        Main::Unknown if state::fold(&saved.entries).settled() => return saved,
        Main::Alive => {
            context.log.line("the step is still running: it is held off, and its work is taken over");
            let until = context.clock.now().plus(ORPHAN_PATIENCE);
            while keep::main(context, &saved) == Main::Alive && context.clock.now() < until {
                context.clock.sleep(Duration::from_millis(250)).await;
            }
            if keep::main(context, &saved) == Main::Alive {
                stop_container(context, &saved).await;
            }
        }
        Main::Unknown => {
            context.log.line("whether the step still runs cannot be told: it is held off, and its work is taken over");
            if !stop_container(context, &saved).await {
                context.clock.sleep(LONGEST_CHANGE).await;
            }
        }
    }
    again(context, saved)
}

/// What stands in the journal by now.
fn again(context: &Context, saved: Saved) -> Saved {
    match keep::find(context) {
        Found::One(found) if found.nonce == saved.nonce => found,
        Found::One(_) | Found::None | Found::Several => saved,
    }
}

/// Stops the container that main recorded, that one only. Whether it has certainly ended.
async fn stop_container(context: &Context, saved: &Saved) -> bool {
    let Some(id) = opening(&saved.entries).and_then(|opening| opening.container.as_deref()) else { return false };
    let stopped = docker::stop_container(Path::new("/var/run/docker.sock"), id, Duration::from_secs(1)).await;
    if let Err(failure) = &stopped {
        context.log.line(&format!("{failure}"));
    }
    stopped.is_ok()
}

/// A request of main that may still be under way lands, and shows, before anything is read or undone. Main may have sent it long after its
/// last line (it tries again), so the time counts from now, when it certainly sends nothing more.
async fn wait_for_lost_request(context: &Context, state: &State) {
    let under_way = |phase: &Phase| matches!(phase, Phase::Applying | Phase::Advancing(_) | Phase::Undoing);
    if state.services.values().any(|service| under_way(&service.phase)) {
        context.clock.sleep(context.clock.longest(LONGEST_CHANGE)).await;
    }
}

async fn go_on(context: &Context, mut journal: Journal, nonce: &str, began: Timestamp) -> Result<Journal> {
    journal.append(Record::TakenOver)?;
    let members = match members(context, journal.entries(), nonce).await {
        Ok(members) => members,
        Err(failure) => return note_undone(journal, failure),
    };
    let by_hand: BTreeMap<_, _> = members.iter().map(|member| (member.name.clone(), member.target.clone())).collect();
    let given = Given { driver: Driver::Post, members, http: context.http.clone(), clock: context.clock.clone(), stop: Stop::manual() };
    let stop = given.stop.clone();
    // What a scaled clock makes of the longest request is not taken from the time to put things back.
    let budget = BUDGET + context.clock.longest(LONGEST_CHANGE).saturating_sub(LONGEST_CHANGE);
    let left = budget.saturating_sub(context.clock.now().since(began));
    let alarm = {
        let clock = context.clock.clone();
        tokio::spawn(async move {
            clock.sleep(left).await;
            stop.request("the 240 seconds of the post step are over");
        })
    };
    let (mut journal, ended) = drive(given, journal).await;
    alarm.abort();
    ended?;
    for (name, service) in state::fold(journal.entries()).services {
        if matches!(service.phase, Phase::Undoing | Phase::UndoBegun | Phase::Undone)
            && let (Some(target), Some(captured)) = (by_hand.get(&name), &service.captured)
        {
            let why = "the post step's time was over before the rollback was proven".to_owned();
            let event = Event::Kept { why, by_hand: target.by_hand(&captured.before) };
            journal.append(Record::Service { name, event })?;
        }
    }
    Ok(journal)
}

/// The post step cannot even sign in: says so for every service that was changed.
fn note_undone(mut journal: Journal, failure: Failure) -> Result<Journal> {
    let changed: Vec<_> = state::fold(journal.entries())
        .services
        .into_iter()
        .filter(|(_, service)| service.undo_started.is_none() && (service.touched.is_some() || service.has_job_open()))
        .map(|(name, _)| name)
        .collect();
    for name in changed {
        let event = Event::RollbackFailed { failure: failure.clone(), by_hand: Vec::new() };
        journal.append(Record::Service { name, event })?;
    }
    Ok(journal)
}

async fn members(context: &Context, entries: &[Entry], nonce: &str) -> Result<Vec<Member>> {
    let plans = planned(entries);
    let opening = opening(entries);
    let auth = opening.and_then(|opening| serde_json::from_value(opening.auth.clone()).ok()).unwrap_or_default();
    let skipped = opening.is_some_and(|opening| opening.skipped.iter().any(|stage| stage == "verify"));
    let checks = if skipped { Checks::Skipped } else { Checks::Asked };
    let sessions = members::sign_in_again(context, &auth, &plans, nonce).await?;
    let registries = Registries::of(context, &config::registries_of(&context.env), &sessions)?;
    let (building, mut moving) = (Building { context, sessions: &sessions, checks }, push::to_move(entries));
    // By main's run and nonce its jobs and marks are known.
    let run = opening.map_or(&context.run, |opening| &opening.run);
    let mut build = |plan: &ServicePlan| {
        let epilogue = moving.remove(&plan.name).map(|push| TagsMove::of(&registries, push));
        let member = members::member(&building, plan, Goal::WhatStoodBefore)?;
        Ok(Member { run: run.clone(), nonce: nonce.to_owned(), epilogue, ..member })
    };
    plans.iter().map(&mut build).collect()
}

fn planned(entries: &[Entry]) -> Vec<ServicePlan> {
    let settings = entries.iter().filter_map(|entry| match &entry.record {
        Record::Planned { settings, .. } => Some(settings.clone()),
        _ => None,
    });
    settings.filter_map(|settings| serde_json::from_value(settings).ok()).collect()
}

fn opening(entries: &[Entry]) -> Option<&Opening> {
    entries.iter().find_map(|entry| match &entry.record {
        Record::Opened(opening) => Some(opening),
        _ => None,
    })
}
