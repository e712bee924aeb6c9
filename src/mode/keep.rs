//! Where the journal is kept and found again: the runner's state file and a copy in `$HOME`, the fence and the kept credentials beside it.

use std::sync::PoisonError;

use crate::engine::journal::{Journal, Keeper, Saved, read};
use crate::engine::narrate;
use crate::failure::{Failure, Kind, Result};
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

/// Opens a new journal. Refused before anything is changed: no copy of it can be kept, or post could not hold this run off.
/// One copy lost: a warning that names the cause.
pub(crate) fn open(context: &Context) -> Result<Journal> {
    if !context.in_workflow() {
        return Ok(watched(context, Journal::new(context.nonce.clone(), vec![Box::new(Nowhere)], context.clock.clone())));
    }
    let (keepers, lost) = keepers(context, &context.nonce);
    refuse_without_copies(&keepers, &lost)?;
    if let Err(cause) = &context.home {
        return Err(Failure::new(Kind::Config, "the post step could not hold this run off, so nothing is changed")
            .why(format!("neither HOME nor RUNNER_TEMP is a folder that both can write: {cause}"))
            .fix(SHARE_FOLDERS));
    }
    for cause in &lost {
        context.log.annotate(Level::Warning, "one copy of the journal cannot be kept, the other is", cause);
    }
    keep_born(context);
    Ok(watched(context, Journal::new(context.nonce.clone(), keepers, context.clock.clone())))
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

fn keep_born(context: &Context) {
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

/// Main's journal: from the state the runner hands back and the copy in `$HOME`. Of several, the one that stands in both.
pub(crate) fn find(context: &Context) -> Found {
    let state = state::saved(&context.env);
    let home = context.home.as_ref().map(Home::lines).unwrap_or_default();
    let both = read(&[state.clone(), home.clone()].concat());
    let (in_state, in_home) = (read(&state), read(&home));
    let genuine = |saved: &Saved| {
        let known = |journals: &[Saved]| journals.is_empty() || journals.iter().any(|other| other.nonce == saved.nonce);
        known(&in_state) && known(&in_home)
    };
    let mut genuine: Vec<Saved> = both.into_iter().filter(genuine).collect();
    match genuine.len() {
        0 => Found::None,
        1 => Found::One(genuine.remove(0)),
        _ => Found::Several,
    }
}

/// Whether main still holds its copy.
pub(crate) fn main_is_alive(context: &Context, saved: &Saved) -> bool {
    context.home.as_ref().is_ok_and(|home| home.is_held(&saved.nonce))
}

/// Keeps main from changing anything more.
pub(crate) fn raise_fence(context: &Context, saved: &Saved) {
    if let Ok(home) = &context.home
        && let Err(error) = home.raise_fence(&saved.nonce)
    {
        context.log.annotate(Level::Warning, "the step that still runs cannot be held off", &error.to_string());
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
    if let Ok(home) = &context.home {
        home.clean(nonce);
    }
}
