//! The action's inputs as the runner delivers them: `INPUT_` and the name in capitals, spaces as underscores, hyphens as they are.
//! Command-line flags are read into the same type. It knows no input by name.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::env::Env;
use super::mistake::Mistake;
use super::written::Written;

/// The inputs that are set, by name in small letters. An empty one counts as unset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs(BTreeMap<String, Written>);

impl Inputs {
    /// The inputs in `env` (<https://github.com/actions/runner>, Handlers/Handler.cs, 2026-11).
    pub fn of(env: &Env) -> Self {
        env.iter().filter_map(|(name, value)| Some((name.strip_prefix("INPUT_")?.to_lowercase(), value))).collect()
    }

    /// The input as written, or `None` when it is unset.
    pub fn get(&self, name: &str) -> Option<&Written> {
        self.0.get(name)
    }

    /// The input as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(|written| written.text.as_str())
    }

    /// A boolean.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Mistake> {
        self.get(name).map(Written::boolean).transpose()
    }

    /// A duration.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, Mistake> {
        self.get(name).map(Written::duration).transpose()
    }

    /// A whole number within `range`.
    pub fn integer(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Mistake> {
        self.get(name).map(|written| written.integer(range)).transpose()
    }

    /// A list, one entry a line; empty when unset.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.get(name).map(Written::list).unwrap_or_default()
    }

    /// `KEY=VALUE` lines; empty when unset.
    pub fn pairs(&self, name: &str) -> Result<Vec<(String, String)>, Vec<Mistake>> {
        self.get(name).map(Written::pairs).transpose().map(Option::unwrap_or_default)
    }

    /// Every input that is set.
    pub fn iter(&self) -> impl Iterator<Item = &Written> {
        self.0.values()
    }

    /// A mistake for every input that is set and not among `known`.
    pub fn unknown(&self, known: &[&str]) -> Vec<Mistake> {
        self.0.keys().filter(|name| !known.contains(&name.as_str())).map(|name| Mistake::unknown(name, known)).collect()
    }
}

/// Names and values; the first of a name counts.
impl<N: Into<String>, V: AsRef<str>> FromIterator<(N, V)> for Inputs {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(written: I) -> Self {
        let mut inputs = BTreeMap::new();
        for (name, value) in written {
            let name = name.into();
            if let Some(written) = Written::new(name.clone(), None, value.as_ref()) {
                inputs.entry(name).or_insert(written);
            }
        }
        Self(inputs)
    }
}
