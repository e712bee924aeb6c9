//! Settings as written (inputs, flags, `touchdown.yml`) → a valid plan. Every mistake is reported at once, before any cloud is asked
//! anything. It knows what settings mean, and calls nobody.

mod endpoints;
mod file;
pub mod flags;
mod given;
mod groups;
mod health;
pub mod help;
mod image;
pub mod plan;
mod reader;
mod run;
pub mod schema;
mod service;
pub mod settings;
pub mod smoke;
mod variables;
mod yaml;

use crate::cloud::aws::AwsEndpoints;
use crate::failure::Failure;
use crate::http::Endpoints;
use crate::runner::env::Env;
use crate::runner::inputs::Inputs;
use crate::runner::mistake::Mistake;
use crate::runner::origin::Origin;
use crate::runner::workspace::Workspace;

use crate::values::Secret;

use endpoints::Allowed;
use file::File;
use flags::Flags;
use given::{Given, Settings};
use plan::Plan;

/// The file that is read when it exists and nothing of a service is written as inputs.
const DEFAULT_FILE: &str = ".github/touchdown.yml";

/// What was written, with the mistakes found so far; [`Config::plan`] tells them with all others.
pub struct Config {
    env: Env,
    workspace: Workspace,
    origin: Origin,
    /// Inputs and flags.
    given: Settings,
    /// Several services, and the file's path.
    file: Option<(String, File)>,
    mistakes: Vec<Mistake>,
}

impl Config {
    /// Reads inputs, flags over them, and the file.
    pub fn read(env: &Env, flags: &Flags) -> Config {
        let (inputs, mistakes) = Settings::of_inputs(&Inputs::of(env));
        let mut config = Config {
            workspace: Workspace::of(env),
            origin: Origin::of(env),
            given: inputs.under(flags.0.clone()),
            env: env.clone(),
            file: None,
            mistakes,
        };
        if let Some(path) = config.path() {
            let read = config.workspace.read(&path);
            config.file = Some(match read {
                Ok(text) => {
                    let (file, mistakes) = file::read(&path, &text);
                    config.mistakes.extend(mistakes);
                    (path, file)
                }
                Err(failure) => {
                    let why = failure.why.first().map(|why| format!(": {why}")).unwrap_or_default();
                    let what = format!("cannot be used: {}{why}", failure.what);
                    config.mistakes.push(Mistake::new("config", what, "name a file beneath the workspace, after a checkout"));
                    (path, File::default())
                }
            });
        }
        config
    }

    /// The file to read, if there is one.
    fn path(&self) -> Option<String> {
        let named = self.given.get("config").and_then(|given| given.scalar().ok().flatten());
        let single = self.given.iter().any(|(name, _)| settings::Setting::named(name).is_some_and(settings::Setting::is_of_service));
        match named {
            Some(path) => Some(path.text),
            None if !single && self.workspace.has(DEFAULT_FILE) => Some(DEFAULT_FILE.to_owned()),
            None => None,
        }
    }

    /// Whether the file differs by environment and none was named: then the job's own is to be given to [`Config::plan`].
    pub fn asks_for_the_jobs_environment(&self) -> bool {
        let differs = self.file.as_ref().is_some_and(|(_, file)| !file.environments.is_empty());
        differs && self.mistakes.is_empty() && !self.has("environment") && !self.is_rehearsal()
    }

    fn has(&self, name: &str) -> bool {
        matches!(self.given.get(name).map(Given::scalar), Some(Ok(Some(_))))
    }

    fn is_rehearsal(&self) -> bool {
        let mode = self.given.get("mode").and_then(|given| given.scalar().ok().flatten());
        mode.is_some_and(|mode| mode.text == "rehearse")
    }

    /// The plan, or every mistake: those of inputs and flags first, then those of the file from its top to its end.
    pub fn plan(self, jobs_environment: Option<&str>) -> Result<Plan, Vec<Mistake>> {
        let file = self.file.as_ref().map(|(path, _)| path.clone());
        let (plan, mut mistakes) = run::plan(self, jobs_environment);
        mistakes.sort_by_key(|mistake| mistake.line);
        mistakes.iter_mut().filter(|mistake| mistake.line.is_some()).for_each(|mistake| mistake.file.clone_from(&file));
        let mut seen = std::collections::BTreeSet::new();
        mistakes.retain(|mistake| seen.insert(mistake.to_string()));
        if mistakes.is_empty() { Ok(plan) } else { Err(mistakes) }
    }
}

/// The overridden addresses alone, as the post step needs them; what main refused is left out.
pub fn endpoints_of(env: &Env) -> (Endpoints, AwsEndpoints) {
    let inputs = Inputs::of(env);
    let allowed = matches!(inputs.boolean("allow-endpoint-overrides"), Ok(Some(true)));
    let read = endpoints::endpoints(env, if allowed { Allowed::Everywhere } else { Allowed::Loopback });
    (read.hosts, read.aws)
}

/// The logins for registries alone, as the post step needs them.
pub fn registries_of(env: &Env) -> plan::RegistryAuth {
    let inputs = Inputs::of(env);
    let text = |name: &str| inputs.text(name).map(str::to_owned);
    let written = text("registry-username").zip(text("registry-password").map(Secret::new));
    let actor = Origin::of(env).actor.unwrap_or_else(|| "token".to_owned());
    plan::RegistryAuth { written, github: text("github-token").map(|token| (actor, Secret::new(token))), create: false }
}

/// All mistakes as one failure.
pub fn failure(mistakes: &[Mistake]) -> Failure {
    let count = mistakes.len();
    let what =
        if count == 1 { "there is a mistake in the settings".to_owned() } else { format!("there are {count} mistakes in the settings") };
    mistakes
        .iter()
        .fold(Failure::config(what), |failure, mistake| failure.why(mistake.to_string()))
        .fix("correct the settings and run again")
}
