//! The checked-out files, read only, and only what lies beneath the workspace: whoever can change a branch can also place a symbolic link.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use crate::failure::{Failure, Kind, Result};

use super::env::Env;

/// The largest file that is read, in bytes.
pub const LARGEST: u64 = 256 * 1024;

/// The workspace.
#[derive(Debug, Clone)]
pub struct Workspace(PathBuf);

impl Workspace {
    /// The folder `GITHUB_WORKSPACE` names; at a terminal the present one.
    pub fn of(env: &Env) -> Self {
        Self(env.get("GITHUB_WORKSPACE").map_or_else(|| PathBuf::from("."), PathBuf::from))
    }

    /// Whether there is anything at `path`.
    pub fn has(&self, path: &str) -> bool {
        fs::symlink_metadata(self.0.join(path)).is_ok()
    }

    /// Whether `path`, wherever its links lead, lies in it; a path that leads nowhere does not.
    pub fn holds(&self, path: &str) -> bool {
        matches!((self.0.canonicalize(), fs::canonicalize(path)), (Ok(root), Ok(real)) if real.starts_with(&root))
    }

    /// Where `path` really lies, wherever links lead within the workspace.
    pub fn find(&self, path: &str) -> Result<PathBuf> {
        let wrong = |why: String| Failure::config(format!("{path:?} cannot be read")).why(why);
        let root = self.0.canonicalize().map_err(|error| wrong(format!("the workspace itself: {error}")))?;
        let real = root.join(path).canonicalize().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::new(Kind::Missing, format!("there is no {path:?} in the workspace"))
                .fix("check the path, which begins at the top of the repository, and that a step before this one made it"),
            _ => wrong(error.to_string()),
        })?;
        if !real.starts_with(&root) {
            return Err(wrong("it leads out of the workspace".to_owned()).fix("name what lies in the repository"));
        }
        Ok(real)
    }

    /// A folder for what only this run sees.
    pub fn temporary(env: &Env) -> PathBuf {
        ["RUNNER_TEMP", "HOME"].iter().find_map(|name| env.get(name)).map_or_else(|| PathBuf::from("/tmp"), PathBuf::from)
    }

    /// The text of the regular file at `path`, at most [`LARGEST`] bytes, wherever links lead within the workspace.
    pub fn read(&self, path: &str) -> Result<String> {
        let wrong = |why: String| Failure::config(format!("{path:?} cannot be read")).why(why);
        let found = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::new(Kind::Missing, format!("there is no file {path:?} in the workspace"))
                .fix("check the path, which begins at the top of the repository, and that an actions/checkout step runs before this one"),
            _ => wrong(error.to_string()),
        };
        let root = self.0.canonicalize().map_err(|error| wrong(format!("the workspace itself: {error}")))?;
        let real = root.join(path).canonicalize().map_err(found)?;
        if !real.starts_with(&root) {
            return Err(wrong("it leads out of the workspace".to_owned()).fix("name a file that lies in the repository"));
        }
        let metadata = fs::symlink_metadata(&real).map_err(found)?;
        if !metadata.is_file() {
            return Err(wrong("it is no regular file".to_owned()));
        }
        let mut bytes = Vec::new();
        fs::File::open(&real).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(found)?;
        if bytes.len() as u64 > LARGEST {
            return Err(wrong(format!("it is larger than {} KiB", LARGEST / 1024)));
        }
        String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))
    }
}
