//! A registry by the distribution spec: who is let in, manifests, blobs, uploads, and an image in it as a source.
//! It knows each registry's demands by its table of rules, and nothing of pushes, tags that move or deploys.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md> (2026-11)

pub mod blobs;
mod calls;
pub mod challenge;
pub mod google;
pub mod keychain;
pub mod login;
pub mod manifests;
mod name;
mod patience;
mod referrers;
mod refusal;
mod rules;
pub mod source;
mod tokens;
pub mod upload;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::http::Http;
use crate::runner::log::Log;

use crate::image::reference::RepositoryName;
use login::Supplier;
use patience::Budget;
use rules::{Rules, rules_of};
use tokens::{Scope, Tokens};

/// What getting into a registry needs.
#[derive(Clone)]
pub struct Entrance {
    /// The client.
    pub http: Http,
    /// The log that masks what is born here.
    pub log: Log,
    /// Knows what the registry is to be shown.
    pub supplier: Arc<dyn Supplier>,
}

/// What a repository is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Reading.
    Pull,
    /// Reading and writing.
    Push,
}

/// Whether a repository that is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// By whoever supplies the login, where the registry does not do it by itself.
    Make,
    /// No: it is a mistake.
    Refuse,
}

/// A repository, as this run may use it. Cheap to clone.
#[derive(Clone)]
pub struct Repository {
    name: RepositoryName,
    purpose: Purpose,
    absent: Absent,
    scope: Scope,
    registry: Arc<Registry>,
}

/// What all repositories of one registry share.
struct Registry {
    http: Http,
    api: String,
    tokens: Tokens,
    budget: Budget,
    requests: Arc<AtomicU64>,
    /// Repositories made by this run.
    made: Mutex<Vec<RepositoryName>>,
}

impl Repository {
    /// Opens nothing yet: the first request does.
    pub fn new(name: RepositoryName, purpose: Purpose, entrance: Entrance) -> Self {
        let Entrance { http, log, supplier } = entrance;
        let (api, budget, requests) = (name::api(&name), Budget::new(http.clock().clone()), Arc::<AtomicU64>::default());
        let tokens = Tokens {
            http: http.clone(),
            log,
            supplier,
            rules: rules_of(&name),
            api: api.clone(),
            budget: budget.clone(),
            requests: requests.clone(),
            state: Mutex::default(),
        };
        let registry = Registry { http, api, tokens, budget, requests, made: Mutex::default() };
        Self { scope: scope(&name, purpose), name, purpose, absent: Absent::Refuse, registry: Arc::new(registry) }
    }

    /// Another repository of the same registry, with the same login.
    #[must_use]
    pub fn beside(&self, name: RepositoryName, purpose: Purpose) -> Self {
        Self { scope: scope(&name, purpose), name, purpose, absent: Absent::Refuse, registry: self.registry.clone() }
    }

    /// The same, and what to do where it does not exist.
    #[must_use]
    pub fn when_absent(self, absent: Absent) -> Self {
        Self { absent, ..self }
    }

    /// The same, allowed to mount blobs of `source`, which lies in the same registry.
    #[must_use]
    pub fn mounting(self, source: &RepositoryName) -> Self {
        let mut scope = self.scope.clone();
        scope.0.extend(self::scope(source, Purpose::Pull).0.into_iter().filter(|_| *source != self.name));
        Self { scope, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &RepositoryName {
        &self.name
    }

    /// How many requests were sent to its registry so far, tokens included.
    pub fn requests(&self) -> u64 {
        self.registry.requests.load(Ordering::Relaxed)
    }

    /// The client underneath.
    pub fn http(&self) -> &Http {
        &self.registry.http
    }

    fn rules(&self) -> &'static Rules {
        self.registry.tokens.rules
    }
}

fn scope(name: &RepositoryName, purpose: Purpose) -> Scope {
    let actions = match purpose {
        Purpose::Pull => "pull",
        Purpose::Push => "pull,push",
    };
    Scope(vec![format!("repository:{}:{actions}", name.path())])
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("name", &self.name).field("purpose", &self.purpose).finish_non_exhaustive()
    }
}
