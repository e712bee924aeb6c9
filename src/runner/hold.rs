//! What keeps two writers apart: main holds a lock while it may change anything, post puts up a fence that main looks for before every
//! change. Both lie in one folder that both steps reach: `HOME`, else the runner's temporary folder.

use std::fs::{self, File, TryLockError};
use std::path::PathBuf;

use super::env::Env;
use super::home::{Home, NAME, open};

/// Main's lock, for as long as it lives.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

/// What can be told of main.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Main {
    /// It holds its lock.
    Alive,
    /// Its lock is free.
    Ended,
    /// There is no lock to look at.
    Unknown,
}

impl Home {
    /// Every folder that main may have chosen, whatever post would choose today.
    pub fn shared(env: &Env) -> Vec<Self> {
        ["HOME", "RUNNER_TEMP"].into_iter().filter_map(|variable| Self::there(env, variable).ok()).collect()
    }

    /// The nonces of all mains that have or had a lock here.
    pub fn nonces(&self) -> Vec<String> {
        self.names().iter().filter_map(|name| Some(name.strip_prefix(NAME)?.strip_suffix(".lock")?.to_owned())).collect()
    }

    /// Takes main's lock.
    pub fn hold(&self, nonce: &str) -> std::io::Result<Hold> {
        let file = self.create(&self.lock(nonce))?;
        file.try_lock().map_err(std::io::Error::from)?;
        Ok(Hold(file))
    }

    /// What the lock tells of main.
    pub fn main(&self, nonce: &str) -> Main {
        match open(&self.lock(nonce)).map(|file| file.try_lock()) {
            Ok(Ok(())) => Main::Ended,
            Ok(Err(TryLockError::WouldBlock)) => Main::Alive,
            Ok(Err(TryLockError::Error(_))) | Err(_) => Main::Unknown,
        }
    }

    /// Where the fence of `nonce` is put up.
    pub fn fence(&self, nonce: &str) -> PathBuf {
        self.path(nonce, "fence")
    }

    /// Puts up the fence: main finds it before its next change.
    pub fn raise_fence(&self, nonce: &str) -> std::io::Result<()> {
        self.create(&self.fence(nonce)).map(|_| ())
    }

    /// Removes lock and fence of a main that has ended; against one that may yet go on the fence stays up.
    pub(super) fn lower_fence(&self, nonce: &str) {
        if self.main(nonce) == Main::Ended {
            let _ = fs::remove_file(self.fence(nonce));
            let _ = fs::remove_file(self.lock(nonce));
        }
    }

    fn lock(&self, nonce: &str) -> PathBuf {
        self.path(nonce, "lock")
    }
}
