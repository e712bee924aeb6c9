//! The one printing path. Whatever is printed is disarmed (the runner executes commands it finds in text) and redacted.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use crate::values::Secret;

/// Where lines go and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Under the runner: groups, masks, annotations as workflow commands.
    GitHub,
    /// Anywhere else.
    Plain,
}

/// How loud an annotation is; at most one of each is made in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Blue.
    Notice,
    /// Yellow.
    Warning,
    /// Red.
    Error,
}

/// The printing path. Cheap to clone; clones share the sink and the secrets.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    sink: Box<dyn Write + Send>,
    style: Style,
    secrets: Vec<Secret>,
}

impl Log {
    /// Prints to `sink`.
    pub fn new(sink: Box<dyn Write + Send>, style: Style) -> Self {
        Self { shared: Arc::new(Mutex::new(Shared { sink, style, secrets: Vec::new() })) }
    }

    /// One line (or several) of information; the text may be foreign.
    pub fn line(&self, text: &str) {
        let text = self.redact(text);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(shared.sink, "{text}");
    }

    /// Lines folded under a title.
    pub fn group(&self, title: &str, lines: &[String]) {
        self.line(title);
        lines.iter().for_each(|line| self.line(line));
    }

    /// An annotation; the second of a level becomes a plain line.
    pub fn annotate(&self, level: Level, title: &str, message: &str) {
        self.line(&format!("{level:?}: {title}: {message}"));
    }

    /// Registers a secret the moment it is born: the runner masks it from here on, and so do we.
    pub fn mask(&self, secret: &Secret) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = shared.style;
        shared.secrets.push(secret.clone());
    }

    /// `text` with every known secret replaced by `***`: for what goes into summary, report, journal and errors.
    pub fn redact(&self, text: &str) -> String {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "***"))
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}
