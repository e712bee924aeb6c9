//! Where the journal is kept and found again: the runner's state file and a copy in `$HOME`, the fence and the kept credentials beside it.

use std::sync::PoisonError;

use crate::engine::journal::{Journal, Keeper, Saved, nonces, read};
use crate::engine::member::{Fate, step_of};
use crate::engine::narrate;
use crate::engine::record::Record;
use crate::failure::{Failure, Kind, Result};
use crate::runner::env::Env;
use crate::runner::hold::{Hold, Main};
use crate::runner::home::{Copy, Home};
use crate::runner::log::Level;
use crate::runner::state::{self, StateFile};
use crate::values::Secret;

use super::context::Context;

/// What the post step finds of main's journal.
pub(crate) enum Found {
    /// Nothing: main never came that far.
    None,
    /// The journal.
    One(Saved),
    /// Several, and nothing tells which is genuine.
    Several,
}

struct InState(StateFile);
struct InHome(Copy);

impl Keeper for InState {
    fn keep(&mut self, key: &str, value: &str) -> std::io::Result<()> {
        self.0.append(key, value)
    }

    fn name(&self) -> &'static str {
        "the state file (GITHUB_STATE)"
    }
}

impl Keeper for InHome {
    fn keep(&mut self, key: &str, value: &str) -> std::io::Result<()> {
        self.0.append(key, value)
    }

    fn name(&self) -> &'static str {
        "the copy in HOME"
    }
}

/// What a person can do where the runner's folders do not reach the action.
const SHARE_FOLDERS: &str = "without it a cancelled run could not be put back; a runner that is itself a container must share its _temp folder with the Docker host under the same path";

/// Opens a new journal, and holds main's lock. Refused before anything is changed: no copy of it can be kept, or post could not hold this run off.
/// One copy lost: a warning that names the cause.
pub(crate) fn open(context: &Context) -> Result<(Journal, Option<Hold>)> {
    if !context.in_workflow() {
        return Ok((watched(context, Journal::new(context.nonce.clone(), vec![Box::new(Nowhere)], context.clock.clone())), None));
    }
    let (keepers, lost) = keepers(context, &context.nonce);
    refuse_without_copies(&keepers, &lost)?;
    let hold = hold(context)?;
    for cause in &lost {
        context.log.annotate(Level::Warning, "one copy of the journal cannot be kept, the other is", cause);
    }
    Ok((watched(context, Journal::new(context.nonce.clone(), keepers, context.clock.clone())), Some(hold)))
}

/// The lock that tells post whether main still runs, where main looks for post's fence.
fn hold(context: &Context) -> Result<Hold> {
    let held = context.home.as_ref().map_err(Clone::clone);
    held.and_then(|home| home.hold(&context.nonce).map_err(|error| error.to_string())).map_err(|cause| {
        Failure::new(Kind::Config, "the post step could not hold this run off, so nothing is changed")
            .why(format!("neither HOME nor RUNNER_TEMP is a folder that both can write: {cause}"))
            .fix(SHARE_FOLDERS)
    })
}

fn refuse_without_copies(keepers: &[Box<dyn Keeper>], lost: &[String]) -> Result<()> {
    if !keepers.is_empty() {
        return Ok(());
    }
    let failure = Failure::new(Kind::Config, "the journal cannot be kept anywhere, so nothing is changed");
    Err(lost.iter().fold(failure, |failure, cause| failure.why(cause.clone())).fix(SHARE_FOLDERS))
}

/// New credentials of the run: kept once there is a journal by which the post step finds them, and removes them.
pub(crate) fn credentials(context: &Context, credentials: &Secret) {
    let mut born = context.born.lock().unwrap_or_else(PoisonError::into_inner);
    if born.kept {
        write_credentials(context, credentials);
    } else {
        born.newest = Some(credentials.clone());
    }
}

/// The journal has its first line: the credentials that wait for it are kept.
pub(crate) fn keep_born(context: &Context) {
    let mut born = context.born.lock().unwrap_or_else(PoisonError::into_inner);
    born.kept = true;
    if let Some(newest) = born.newest.take() {
        write_credentials(context, &newest);
    }
}

fn write_credentials(context: &Context, credentials: &Secret) {
    let Ok(home) = &context.home else { return };
    if let Err(error) = home.keep_credentials(&context.nonce, credentials.expose()) {
        tracing::debug!("the credentials cannot be kept for the post step: {error}");
    }
}

/// Where there is no post step (at a terminal, in a look, in a rehearsal) the journal lives as long as the process.
pub(crate) struct Nowhere;

impl Keeper for Nowhere {
    fn keep(&mut self, _: &str, _: &str) -> std::io::Result<()> {
        Ok(())
    }

    fn name(&self) -> &'static str {
        "memory"
    }
}

/// Goes on with a journal that main left.
pub(crate) fn resume(context: &Context, saved: Saved) -> Result<Journal> {
    let (mut keepers, _) = keepers(context, &saved.nonce);
    keepers.push(Box::new(Nowhere));
    Ok(watched(context, Journal::resumed(saved, keepers, context.clock.clone())))
}

fn keepers(context: &Context, nonce: &str) -> (Vec<Box<dyn Keeper>>, Vec<String>) {
    let (mut keepers, mut lost): (Vec<Box<dyn Keeper>>, Vec<String>) = (Vec::new(), Vec::new());
    match StateFile::open(&context.env) {
        Ok(file) => keepers.push(Box::new(InState(file))),
        Err(error) => lost.push(error.to_string()),
    }
    match context.home.as_ref().map_err(Clone::clone).and_then(|home| home.journal(nonce).map_err(|error| error.to_string())) {
        Ok(copy) => keepers.push(Box::new(InHome(copy))),
        Err(cause) => lost.push(format!("HOME: {cause}")),
    }
    (keepers, lost)
}

pub(crate) fn watched(context: &Context, journal: Journal) -> Journal {
    let (log, secrets) = (context.log.clone(), context.log.clone());
    let journal = journal.redacted(Box::new(move |text| secrets.redact(text)));
    journal.watched(Box::new(move |entry| {
        if let Some((service, line)) = narrate::line(entry) {
            log.line(&service.map_or_else(|| line.clone(), |service| format!("{service}: {line}")));
        }
    }))
}

/// Main's journal. What the runner hands back decides which it is, and the copy in `$HOME` only adds lines to it. Where the runner hands
/// back none, it is the one in `$HOME` that this very step began: other steps of the job leave theirs there too.
pub(crate) fn find(context: &Context) -> Found {
    let state = state::saved(&context.env);
    let shared = Home::shared(&context.env);
    let in_home = |nonce: &str| shared.iter().flat_map(|home| home.lines_of(nonce)).collect::<Vec<_>>();
    let mut lines = state.clone();
    lines.extend(nonces(&state).iter().flat_map(|nonce| in_home(nonce)));
    let mut found = read(&lines);
    if found.len() > 1 {
        found.retain(|saved| read(&in_home(&saved.nonce)).iter().any(|copy| copy.nonce == saved.nonce));
        return one_of(found);
    }
    if found.is_empty() {
        found = read(&shared.iter().flat_map(Home::lines).collect::<Vec<_>>());
        found.retain(|saved| is_ours(context, saved));
    }
    if found.is_empty() { Found::None } else { one_of(found) }
}

fn one_of(mut found: Vec<Saved>) -> Found {
    if found.len() == 1 { Found::One(found.remove(0)) } else { Found::Several }
}

fn is_ours(context: &Context, saved: &Saved) -> bool {
    let step = context.step();
    matches!(saved.entries.first().map(|entry| &entry.record),
        Some(Record::Opened(opening)) if !step.is_empty() && opening.step == step && opening.run == context.run)
}

/// What can be told of main.
pub(crate) fn main(context: &Context, saved: &Saved) -> Main {
    told_of(&Home::shared(&context.env), &saved.nonce)
}

fn told_of(shared: &[Home], nonce: &str) -> Main {
    shared.iter().map(|home| home.main(nonce)).find(|main| *main != Main::Unknown).unwrap_or(Main::Unknown)
}

/// What the folders shared on this runner tell of the step that goes by this name on the platform: its lock whether it has ended, its
/// journal whether it committed anything.
pub(crate) fn fate(env: &Env, step: &str) -> Fate {
    let shared = Home::shared(env);
    let Some(nonce) = shared.iter().flat_map(Home::nonces).find(|nonce| step_of(nonce) == step) else { return Fate::Unknown };
    if told_of(&shared, &nonce) != Main::Ended {
        return Fate::Unknown;
    }
    let lines: Vec<_> = shared.iter().flat_map(|home| home.lines_of(&nonce)).collect();
    let committed = read(&lines).iter().any(|saved| saved.entries.iter().any(|entry| matches!(entry.record, Record::Committed { .. })));
    if committed { Fate::Committed } else { Fate::Lost }
}

/// Keeps main from changing anything more: where its lock lies it looks for the fence, and without a lock it may look anywhere.
pub(crate) fn raise_fence(context: &Context, saved: &Saved) {
    let shared = Home::shared(&context.env);
    let held = shared.iter().filter(|home| home.main(&saved.nonce) != Main::Unknown).cloned().collect::<Vec<_>>();
    let places = if held.is_empty() { shared } else { held };
    let raised: Vec<_> = places.iter().map(|home| home.raise_fence(&saved.nonce)).collect();
    let raised_somewhere = raised.iter().any(std::result::Result::is_ok);
    for error in raised.into_iter().filter_map(std::result::Result::err).filter(|_| !raised_somewhere) {
        context.log.annotate(Level::Warning, "a step that still runs cannot be held off", &error.to_string());
    }
}

/// Main is done: with nothing left for the post step, nothing of ours stays in `HOME` but the journal, which post removes.
pub(crate) fn leave(context: &Context, journal: Option<&Journal>) {
    let settled = journal.is_none_or(|journal| crate::engine::state::fold(journal.entries()).settled());
    if settled && let Ok(home) = &context.home {
        home.drop_credentials(&context.nonce);
    }
}

/// Removes what is not needed any more; the credentials in any case.
pub(crate) fn clean(context: &Context, nonce: &str) {
    Home::shared(&context.env).iter().for_each(|home| home.clean(nonce));
}

/// Removes what was kept to sign in with.
pub(crate) fn drop_credentials(env: &Env, nonce: &str) {
    Home::shared(env).iter().for_each(|home| home.drop_credentials(nonce));
}

/// However the post step ends, nothing to sign in with outlives it.
pub(crate) fn drop_all_credentials(env: &Env) {
    nonces(&state::saved(env)).iter().for_each(|nonce| drop_credentials(env, nonce));
}
