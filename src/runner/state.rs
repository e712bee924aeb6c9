//! The runner's state file: one line per record under a fresh key, appended by a single write; read back as `STATE_*` in the post step.

use std::fs::File;
use std::io::Write;

use super::command_file;
use super::env::Env;

/// The state file, open for appending.
#[derive(Debug)]
pub struct StateFile(File);

impl StateFile {
    /// Opens the file `GITHUB_STATE` names; the runner has made it.
    pub fn open(env: &Env) -> std::io::Result<Self> {
        command_file::open(env, "GITHUB_STATE").map(Self)
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
