//! Typed readers over what was given. Every mistake is collected; what is returned beside one is only used when there are none.
//! It knows the forms of values and where they stood, not what they are for.

use std::time::Duration;

use crate::image::tags;
use crate::runner::mistake::Mistake;
use crate::runner::workspace::Workspace;
use crate::runner::written::Written;

use super::given::{Pair, Settings, Value};
use super::settings::{Form, Setting};
use super::yaml::{Kind, Node};

/// The longest duration: no job of a workflow lives longer (<https://docs.github.com/en/actions/reference/limits>, 2026-11).
const LONGEST: Duration = Duration::from_secs(5 * 24 * 60 * 60);

/// Reads settings and keeps what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) given: &'a Settings,
    /// Where in the file they stand, `services.web`; empty for inputs.
    pub(super) place: &'a str,
    pub(super) workspace: &'a Workspace,
    /// The commit of the run; empty outside a workflow.
    pub(super) commit: &'a str,
    /// What tags depend on.
    pub(super) tagging: &'a tags::Context,
    pub(super) mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    /// What a setting is called where it stands, or where it is missing.
    pub(super) fn called(&self, name: &str) -> String {
        if let Some(given) = self.given.get(name) {
            return given.name.clone();
        }
        match Setting::named(name).and_then(Setting::key).filter(|_| !self.place.is_empty()) {
            Some(key) => format!("{}.{key}", self.place),
            None => name.to_owned(),
        }
    }

    /// Keeps a mistake in the setting `name`.
    pub(super) fn wrong(&mut self, name: &str, what: impl Into<String>, write: impl Into<String>) {
        let line = self.given.get(name).and_then(|given| given.line);
        self.mistakes.push(Mistake::new(self.called(name), what, write).at(line));
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.given.get(name).is_some_and(|given| given.value == Value::Unreadable || !matches!(given.scalar(), Ok(None)))
    }

    fn take<T>(&mut self, read: Result<T, Mistake>) -> Option<T> {
        read.map_err(|mistake| self.mistakes.push(mistake)).ok()
    }

    fn written(&mut self, name: &str) -> Option<Written> {
        let read = self.given.get(name)?.scalar();
        self.take(read).flatten()
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.written(name).map(|written| written.text)
    }

    pub(super) fn required(&mut self, name: &str, write: &str) -> String {
        if !self.has(name) {
            self.wrong(name, "is missing", write);
        }
        self.text(name).unwrap_or_default()
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        let Some(written) = self.written(name) else { return false };
        let read = written.boolean();
        self.take(read).unwrap_or_default()
    }

    /// A duration, or the table's default.
    pub(super) fn duration(&mut self, name: &str) -> Duration {
        let default = Setting::named(name).and_then(|setting| humantime::parse_duration(setting.default).ok());
        self.some_duration(name).or(default).unwrap_or_default()
    }

    /// A duration that is more than nothing, or the table's default.
    pub(super) fn time_limit(&mut self, name: &str) -> Duration {
        let limit = self.duration(name);
        if limit.is_zero() {
            self.wrong(name, "is no time at all", "write how long it may take, such as 5m");
        }
        limit
    }

    pub(super) fn some_duration(&mut self, name: &str) -> Option<Duration> {
        let written = self.written(name)?;
        let read = match written.duration() {
            Ok(duration) if duration > LONGEST => Err(written.mistake("longer than any job lives", "write at most 5days")),
            read => read,
        };
        self.take(read)
    }

    /// A whole number within the table's range, or its default.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        let default = Setting::named(name).and_then(|setting| setting.default.parse().ok());
        self.some_number(name).or(default).unwrap_or_default()
    }

    pub(super) fn some_number(&mut self, name: &str) -> Option<u32> {
        let Some(Form::Number(least, most)) = Setting::named(name).map(|setting| setting.form) else { return None };
        let read = self.written(name)?.integer(least..=most);
        self.take(read).and_then(|number| u32::try_from(number).ok())
    }

    /// The value of the choice made; the first is the default.
    pub(super) fn choice<T: Copy, const N: usize>(&mut self, name: &str, choices: [(&str, T); N]) -> T {
        let known = choices.map(|(choice, _)| choice);
        let chosen = self.written(name).and_then(|written| self.take(written.one_of(&known)));
        choices.iter().find(|(choice, _)| Some(*choice) == chosen).unwrap_or(&choices[0]).1
    }

    pub(super) fn list(&mut self, name: &str) -> Vec<String> {
        let Some(read) = self.given.get(name).map(super::given::Given::list) else { return Vec::new() };
        self.take(read).unwrap_or_default()
    }

    pub(super) fn entries(&mut self, name: &str) -> Vec<Pair> {
        let Some(given) = self.given.get(name) else { return Vec::new() };
        given.pairs().unwrap_or_else(|mistakes| {
            self.mistakes.extend(mistakes);
            Vec::new()
        })
    }

    /// Keys and their texts; a value that is a list or a map is a mistake, an empty one only where it is quoted or a line `KEY=`.
    pub(super) fn pairs(&mut self, name: &str) -> Vec<(String, String)> {
        let entries = self.entries(name);
        entries.into_iter().filter_map(|pair| self.pair(name, pair)).collect()
    }

    fn pair(&mut self, name: &str, Pair { key, line, value }: Pair) -> Option<(String, String)> {
        let what = match value {
            Node { kind: Kind::Scalar { quoted: false, text }, .. } if line.is_some() && super::given::is_null(&text) => "has no value",
            Node { kind: Kind::Scalar { text, .. }, .. } => return Some((key, text)),
            Node { kind: Kind::List(_) | Kind::Map(_), .. } => "is no text",
        };
        let called = format!("{}.{key}", self.called(name));
        self.mistakes.push(Mistake::new(called, what, "write a text; \"\" for an empty one").at(line));
        None
    }

    /// Keys and their JSON values: in lines what is no JSON is a text, in the file YAML says it.
    pub(super) fn json_pairs(&mut self, name: &str) -> Vec<(String, serde_json::Value)> {
        let value = |Pair { key, line, value }: Pair| match (line, value.kind) {
            (None, Kind::Scalar { text, .. }) => (key, serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))),
            (_, kind) => (key, Node { line: 0, kind }.to_json()),
        };
        self.entries(name).into_iter().map(value).collect()
    }
}
