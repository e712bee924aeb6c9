//! The runner's state file: one line per record under a fresh key, appended by a single write; read back as `STATE_*` in the post step.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::env::Env;

/// The state file, open for appending.
#[derive(Debug)]
pub struct StateFile(File);

impl StateFile {
    /// Opens the file `GITHUB_STATE` names; the runner has made it.
    pub fn open(env: &Env) -> std::io::Result<Self> {
        let path =
            env.get("GITHUB_STATE").ok_or_else(|| std::io::Error::other("GITHUB_STATE is not set: this is not a step of a workflow"))?;
        OpenOptions::new().append(true).open(Path::new(path)).map(Self).map_err(|error| {
            std::io::Error::new(
                error.kind(),
                format!("{path}: {error}; under a runner that is itself a container the file does not reach the action"),
            )
        })
    }

    /// Appends `key=value` by one write. The key is fresh and made of letters, digits and `_`; the value holds no control character,
    /// so neither can begin a line, a heredoc or a value of its own.
    pub fn append(&mut self, key: &str, value: &str) -> std::io::Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if key.is_empty() || !key.chars().all(plain) || value.contains(char::is_control) {
            return Err(std::io::Error::other("a state line holds a line break or another control character"));
        }
        self.0.write_all(format!("{key}={value}\n").as_bytes())
    }
}

/// What main saved, as post finds it: key and value without `STATE_`.
pub fn saved(env: &Env) -> Vec<(String, String)> {
    env.iter().filter_map(|(name, value)| Some((name.strip_prefix("STATE_")?.to_owned(), value.to_owned()))).collect()
}
