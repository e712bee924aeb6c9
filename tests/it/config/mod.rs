//! Settings as written → a plan, or every mistake at once: inputs, flags and the file through the one door the modes use.

mod file;
mod forms;
mod mistakes;
mod schema;

use touchdown::config::Config;
use touchdown::config::flags::{Command, Flags, command};
use touchdown::config::plan::Plan;
use touchdown::runner::env::Env;

/// The smallest service, as the file has it.
pub const WEB: &str = "version: 1\nservices:\n  web:\n    target: ecs\n    region: eu-west-1\n    image: acme/web@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";
pub const IMAGE: &str = "acme/web@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A checkout with some files, and the step's variables.
pub struct Step {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
    flags: Flags,
}

impl Step {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let variables = vec![
            ("GITHUB_WORKSPACE".to_owned(), folder.path().display().to_string()),
            ("GITHUB_SHA".to_owned(), "3f2a9c1d5e7b8a604c2d1e0f9b8a7c6d5e4f3a2b".to_owned()),
            ("GITHUB_EVENT_NAME".to_owned(), "push".to_owned()),
        ];
        Self { folder, variables, flags: Flags::default() }
    }

    /// The default file, and nothing else.
    pub fn with_file(text: &str) -> Self {
        Self::new().file(".github/touchdown.yml", text)
    }

    pub fn file(self, path: &str, text: &str) -> Self {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Where a file of the checkout lies.
    pub fn path(&self, path: &str) -> String {
        self.folder.path().join(path).display().to_string()
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn input(self, name: &str, value: &str) -> Self {
        self.env(&format!("INPUT_{}", name.to_uppercase()), value)
    }

    pub fn flags(mut self, words: &[&str]) -> Self {
        let words: Vec<String> = ["touchdown"].iter().chain(words).map(|word| (*word).to_owned()).collect();
        match command(&words) {
            Ok(Command::Run(flags)) => self.flags = flags,
            _ => panic!("{words:?} asks for no run"),
        }
        self
    }

    fn config(&self) -> Config {
        let env: Env = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Config::read(&env, &self.flags)
    }

    /// Whether the job's own environment is to be asked for.
    pub fn asks(&self) -> bool {
        self.config().asks_for_the_jobs_environment()
    }

    pub fn plan(&self) -> Plan {
        self.config().plan(None).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
    }

    pub fn plan_in(&self, environment: &str) -> Plan {
        self.config().plan(Some(environment)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
    }

    pub fn try_plan(&self) -> Result<Plan, Vec<touchdown::runner::mistake::Mistake>> {
        self.config().plan(None)
    }

    /// The mistakes as people read them.
    pub fn mistakes(&self) -> Vec<String> {
        match self.config().plan(None) {
            Ok(plan) => panic!("there is no mistake in it: {plan:#?}"),
            Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
        }
    }
}
