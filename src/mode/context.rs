//! What every mode is handed: the environment read once, the log, the clock, the client, and who is running.

use crate::clock::Clock;
use std::sync::{Arc, Mutex};

use crate::cloud::aws::AwsEndpoints;
use crate::engine::record;
use crate::failure::{Failure, Result};
use crate::http::{Endpoints, Fence, Http, Options};
use crate::runner::env::Env;
use crate::runner::home::Home;
use crate::runner::log::Log;
use crate::runner::origin::Origin;
use crate::runner::random;
use crate::runner::signals::Stop;
use crate::values::{RunId, Secret};

/// Everything a mode may use.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) env: Env,
    pub(crate) log: Log,
    pub(crate) clock: Clock,
    pub(crate) stop: Stop,
    pub(crate) http: Http,
    /// What main and post share beside the state file, or why there is nothing.
    pub(crate) home: Result<Home, String>,
    pub(crate) aws: AwsEndpoints,
    pub(crate) run: RunId,
    pub(crate) nonce: String,
    /// Credentials wait here until there is a journal by which the post step finds them.
    pub(crate) born: Arc<Mutex<Born>>,
}

/// The newest credentials of the run.
#[derive(Default)]
pub(crate) struct Born {
    /// The journal is open: they are kept at once.
    pub(crate) kept: bool,
    /// What is not kept yet.
    pub(crate) newest: Option<Secret>,
}

/// What a process brings along.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) env: Env,
    pub(crate) log: Log,
    pub(crate) clock: Clock,
    pub(crate) stop: Stop,
}

/// Addresses to be used instead of the clouds' own, already checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overrides {
    pub(crate) aws: AwsEndpoints,
    pub(crate) hosts: Endpoints,
}

/// Who holds the client: main's is fenced, post's is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fencing {
    /// Nothing changes any more once the fence stands.
    Main,
    /// It is the one who put the fence up.
    Post,
}

/// Variables that shape the client: proxies and a company's own certificates.
const CLIENT: [&str; 7] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE"];

impl Context {
    pub(crate) fn new(surroundings: Surroundings, overrides: Overrides, fencing: Fencing) -> Result<Self> {
        let Surroundings { env, log, clock, stop } = surroundings;
        let nonce = random::hex().map_err(|error| Failure::bug(error.to_string()))?;
        let shared = env.in_workflow().then(|| Home::of(&env).map_err(|error| error.to_string()));
        let home = shared.unwrap_or_else(|| Err("there is no runner".to_owned()));
        let fence = match fencing {
            Fencing::Main => home.as_ref().ok().map(|home| home.fence(&nonce)),
            Fencing::Post => None,
        };
        let environment = CLIENT.iter().filter_map(|name| Some(((*name).to_owned(), env.get(name)?.to_owned()))).collect();
        let http = Http::new(Options { clock: clock.clone(), endpoints: overrides.hosts, fence: Fence(fence), environment })?;
        let run = Origin::of(&env).run.unwrap_or_else(|| RunId { id: format!("local-{}", &nonce[..8]), attempt: 1 });
        Ok(Self { env, log, clock, stop, http, home, aws: overrides.aws, run, nonce, born: Arc::default() })
    }

    /// Whether a post step will follow.
    pub(crate) fn in_workflow(&self) -> bool {
        self.env.in_workflow()
    }

    /// Which step of which job this is. The runner names it alike in main and in post
    /// (<https://github.com/actions/runner/blob/main/src/Runner.Worker/StepsRunner.cs>, 2026-11); empty outside a workflow.
    pub(crate) fn step(&self) -> String {
        let named = self.env.get("GITHUB_ACTION");
        named.map(|action| format!("{}/{action}", self.env.get("GITHUB_JOB").unwrap_or_default())).unwrap_or_default()
    }

    /// Where the run came from, for the report.
    pub(crate) fn origin(&self, environment: Option<String>) -> record::Origin {
        let origin = Origin::of(&self.env);
        record::Origin {
            repository: origin.repository,
            commit: origin.commit,
            reference: origin.reference,
            environment,
            run_url: origin.run_url,
            actor: origin.actor,
        }
    }
}
