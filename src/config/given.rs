//! What somebody wrote, by setting, wherever it stood: input, flag or file. One may lie over another, as an environment's over the defaults.
//! It knows the table of settings and the forms of values, not what they mean.

use std::collections::BTreeMap;

use crate::runner::inputs::Inputs;
use crate::runner::mistake::Mistake;
use crate::runner::written::Written;

use super::settings::{Form, Setting};
use super::variables::Variables;
use super::yaml::{Kind, Node};

/// One value, and where it stood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given {
    /// The name as written: `health-retries`, `--health-retries`, `services.web.health.retries`.
    pub(super) name: String,
    /// The line in the file.
    pub(super) line: Option<u32>,
    /// The value.
    pub(super) value: Value,
}

/// A value as written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Of an input or a flag.
    Text(String),
    /// Of the file.
    Tree(Node),
    /// Something is there and it cannot be read: that is a mistake already, and nothing more is to be said of it.
    Unreadable,
}

/// Values by setting.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Settings(BTreeMap<&'static str, Given>);

/// An entry of a map, or of lines `KEY=VALUE`.
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) line: Option<u32>,
    pub(super) value: Node,
}

impl Settings {
    pub(super) fn get(&self, name: &str) -> Option<&Given> {
        self.0.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Given)> {
        self.0.iter().map(|(name, given)| (*name, given))
    }

    pub(super) fn insert(&mut self, setting: &Setting, given: Given) {
        self.0.insert(setting.name, given);
    }

    /// The inputs, and what is wrong with their names.
    pub(super) fn of_inputs(inputs: &Inputs) -> (Self, Vec<Mistake>) {
        let (mut settings, mut mistakes) = (Self::default(), Vec::new());
        for written in inputs.iter() {
            let given = Given { name: written.name.clone(), line: None, value: Value::Text(written.text.clone()) };
            match Setting::named(&written.name).filter(|setting| setting.is_input()) {
                Some(setting) => settings.insert(setting, given),
                None => mistakes.push(unknown_input(&written.name)),
            }
        }
        (settings, mistakes)
    }

    /// These, with `upper` over them: what both have is `upper`'s, but for maps of pairs, which are joined.
    #[must_use]
    pub(super) fn under(mut self, upper: Settings) -> Self {
        for (name, mut given) in upper.0 {
            let joins = Setting::named(name).is_some_and(|setting| matches!(setting.form, Form::Pairs | Form::JsonPairs));
            if let (true, Some(Given { value: Value::Tree(Node { kind: Kind::Map(lower), .. }), .. }), Value::Tree(node)) =
                (joins, self.0.remove(name), &mut given.value)
                && let Kind::Map(fields) = &mut node.kind
            {
                let kept = lower.into_iter().filter(|below| fields.iter().all(|field| field.key != below.key)).collect::<Vec<_>>();
                fields.splice(0..0, kept);
            }
            self.0.insert(name, given);
        }
        self
    }

    /// These, with the variables of the file's values put in.
    #[must_use]
    pub(super) fn filled(mut self, variables: &mut Variables<'_>) -> Self {
        for given in self.0.values_mut() {
            if let Value::Tree(node) = &mut given.value
                && !variables.fill(&given.name, node)
            {
                given.value = Value::Unreadable;
            }
        }
        self
    }
}

/// A name that is no input: not served yet, or unknown.
pub(super) fn unknown_input(name: &str) -> Mistake {
    if super::settings::is_later(name.trim_start_matches('-')) {
        return not_yet(name);
    }
    let prefix = if name.starts_with("--") { "--" } else { "" };
    let known: Vec<String> =
        super::settings::SETTINGS.iter().filter(|setting| setting.is_input()).map(|setting| format!("{prefix}{}", setting.name)).collect();
    Mistake::unknown(name, &known.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A name of the interface whose time has not come.
pub(super) fn not_yet(name: &str) -> Mistake {
    Mistake::new(name, "is not served yet", "remove it")
}

impl Given {
    /// One value; `None` when it is empty, which counts as unset.
    pub(super) fn scalar(&self) -> Result<Option<Written>, Mistake> {
        match &self.value {
            Value::Text(text) => Ok(Written::new(&self.name, None, text)),
            Value::Tree(node) => self.scalar_of(node),
            Value::Unreadable => Ok(None),
        }
    }

    fn scalar_of(&self, node: &Node) -> Result<Option<Written>, Mistake> {
        match &node.kind {
            Kind::Scalar { quoted: false, text } if is_null(text) => Ok(None),
            Kind::Scalar { text, .. } => Ok(Written::new(&self.name, self.line, text)),
            Kind::List(_) => Err(self.wrong("is a list", "write one value")),
            Kind::Map(_) => Err(self.wrong("is a map", "write one value")),
        }
    }

    /// A list: the lines of an input, the entries of a list in the file, or the one value that stands there.
    pub(super) fn list(&self) -> Result<Vec<String>, Mistake> {
        match &self.value {
            Value::Text(text) => Ok(Written::new(&self.name, None, text).map(|written| written.list()).unwrap_or_default()),
            Value::Tree(Node { kind: Kind::List(items), .. }) => {
                let read = items.iter().map(|item| self.scalar_of(item).map(|written| written.map(|written| written.text)));
                Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
            }
            Value::Tree(node) => Ok(self.scalar_of(node)?.map(|written| written.text).into_iter().collect()),
            Value::Unreadable => Ok(Vec::new()),
        }
    }

    /// The lines `KEY=VALUE` of an input, or the entries of a map in the file.
    pub(super) fn pairs(&self) -> Result<Vec<Pair>, Vec<Mistake>> {
        match &self.value {
            Value::Text(text) => {
                let pairs = Written::new(&self.name, None, text).map_or(Ok(Vec::new()), |written| written.pairs())?;
                let plain = |text| Node { line: 0, kind: Kind::Scalar { text, quoted: false } };
                Ok(pairs.into_iter().map(|(key, value)| Pair { key, line: None, value: plain(value) }).collect())
            }
            Value::Tree(Node { kind: Kind::Map(fields), .. }) => {
                let pair = |field: &super::yaml::Field| Pair { key: field.key.clone(), line: Some(field.line), value: field.node.clone() };
                Ok(fields.iter().map(pair).collect())
            }
            Value::Tree(node) => match self.scalar_of(node) {
                Ok(None) => Ok(Vec::new()),
                _ => Err(vec![self.wrong("is no map", "write KEY: value, one a line below it")]),
            },
            Value::Unreadable => Ok(Vec::new()),
        }
    }

    /// A mistake here.
    pub(super) fn wrong(&self, what: impl Into<String>, write: impl Into<String>) -> Mistake {
        Mistake::new(&self.name, what, write).at(self.line)
    }
}

/// Whether a plain scalar says that there is nothing.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}
