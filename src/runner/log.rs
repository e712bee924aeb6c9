//! The one printing path. Whatever is printed is disarmed (the runner executes commands it finds in text) and redacted;
//! the only commands that come out are the ones made here.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::values::Secret;

use super::env::Env;
use super::masks::Masks;
use super::screen::Screen;
use super::text;

/// The longest message of an annotation; the runner cuts at as many characters (ExecutionContext.cs, 2026-11).
const LONGEST_MESSAGE: usize = 4096;
/// The longest title of a group or an annotation, in bytes.
const LONGEST_TITLE: usize = 200;

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
    masks: Masks,
    annotated: Vec<Level>,
    screen: Option<Screen>,
}

impl Log {
    /// Prints to `sink`.
    pub fn new(sink: Box<dyn Write + Send>, style: Style) -> Self {
        Self::with(sink, style, None)
    }

    /// Prints to `sink`, a terminal of so many columns, where rows are redrawn in place.
    pub fn at_a_terminal(sink: Box<dyn Write + Send>, columns: usize) -> Self {
        Self::with(sink, Style::Plain, Some(Screen::of_columns(columns)))
    }

    fn with(sink: Box<dyn Write + Send>, style: Style, screen: Option<Screen>) -> Self {
        let shared = Shared { sink, style, masks: Masks::default(), annotated: Vec::new(), screen };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Prints to standard output, in the runner's style where `env` is a workflow's.
    pub fn to_stdout(env: &Env) -> Self {
        let style = if env.in_workflow() { Style::GitHub } else { Style::Plain };
        let stdout = std::io::stdout();
        let screen = Screen::of(env, stdout.is_terminal());
        Self::with(Box::new(stdout), style, screen)
    }

    /// How wide the terminal is on which rows are redrawn in place; `None`: there are only lines.
    pub fn columns(&self) -> Option<usize> {
        self.shared().screen.as_ref().map(|screen| screen.columns)
    }

    /// Shows `rows` beneath all lines, in the place of those shown before; none takes them away. Only at a terminal.
    pub fn show(&self, rows: &[String]) {
        let mut shared = self.shared();
        let rows: Vec<String> = rows.iter().map(|row| shared.clean(row).join(" ")).collect();
        if let Some(text) = shared.screen.as_mut().map(|screen| screen.show(rows)) {
            shared.put(&text);
        }
    }

    /// One line (or several) of information; the text may be foreign.
    pub fn line(&self, text: &str) {
        self.shared().print(text);
    }

    /// A line for whoever turned debugging on.
    pub fn debug(&self, text: &str) {
        let mut shared = self.shared();
        for line in shared.clean(text) {
            match shared.style {
                Style::GitHub => shared.command("debug", &[], &line),
                Style::Plain => shared.write(&text::unarmed(&format!("debug: {line}"))),
            }
        }
    }

    /// Lines folded under a title; nothing else is printed between them.
    pub fn group(&self, title: &str, lines: &[String]) {
        let mut shared = self.shared();
        match shared.style {
            Style::GitHub => {
                let title = shared.title(title);
                shared.command("group", &[], &title);
                lines.iter().for_each(|line| shared.print(line));
                shared.command("endgroup", &[], "");
            }
            Style::Plain => {
                shared.print(title);
                for line in lines.iter().flat_map(|line| shared.clean(line)).collect::<Vec<_>>() {
                    shared.write(&text::unarmed(&format!("  {line}")));
                }
            }
        }
    }

    /// An annotation; the second of a level becomes a plain line.
    pub fn annotate(&self, level: Level, title: &str, message: &str) {
        let mut shared = self.shared();
        let first = !shared.annotated.contains(&level);
        if shared.style == Style::GitHub && first {
            shared.annotated.push(level);
            let (title, mut message) = (shared.title(title), shared.clean(message).join("\n"));
            crate::failure::cut(&mut message, LONGEST_MESSAGE);
            shared.command(level.name(), &[("title", &title)], &message);
        } else {
            shared.print(&format!("{}: {title}: {message}", level.name()));
        }
    }

    /// Registers a secret the moment it is born: the runner masks it from here on, and so do we.
    /// Identifiers (regions, account numbers) and texts under four characters are not masked.
    pub fn mask(&self, secret: &Secret) {
        let taken = {
            let mut shared = self.shared();
            let taken = shared.masks.add(secret);
            if taken && shared.style == Style::GitHub {
                shared.mask(secret.expose());
            }
            taken
        };
        if !taken {
            tracing::debug!("a text that is too short or an identifier was not masked");
        }
    }

    /// `text` with every known secret replaced by `***`: for what goes into summary, report, journal and errors.
    pub fn redact(&self, text: &str) -> String {
        self.shared().masks.redact(text)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Notice => "notice",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

impl Shared {
    fn print(&mut self, text: &str) {
        for line in self.clean(text) {
            self.write(&text::unarmed(&line));
        }
    }

    /// The lines of `text`, without secrets: not as they came, and not as they are once invisible characters are gone.
    fn clean(&self, text: &str) -> Vec<String> {
        let text = self.masks.redact(text);
        text::lines(&text).iter().map(|line| self.masks.redact(line)).collect()
    }

    fn title(&self, title: &str) -> String {
        let mut title = self.clean(title).join(" ");
        crate::failure::cut(&mut title, LONGEST_TITLE);
        title
    }

    /// The only command that carries a secret: it is what hides it. Printed as it is, line ends and all.
    fn mask(&mut self, secret: &str) {
        let line = format!("::add-mask::{}", escape_data(secret));
        self.write(&line);
    }

    fn command(&mut self, name: &str, properties: &[(&str, &str)], data: &str) {
        let properties: Vec<String> = properties.iter().map(|(name, value)| format!("{name}={}", escape_property(value))).collect();
        let space = if properties.is_empty() { "" } else { " " };
        let data = escape_data(data).replace("##[", "##\\[");
        self.write(&format!("::{name}{space}{}::{data}", properties.join(",")));
    }

    fn write(&mut self, line: &str) {
        let text = self.screen.as_mut().map_or_else(|| format!("{line}\n"), |screen| screen.line(line));
        self.put(&text);
    }

    /// One write for one line, so that lines of threads never mix. A reader that is gone stops nobody.
    fn put(&mut self, text: &str) {
        let _ = self.sink.write_all(text.as_bytes());
        let _ = self.sink.flush();
    }
}

fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C").replace("##[", "##\\[")
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}
