//! A setting as somebody wrote it (input, flag or scalar in a file), and its typed readers: strict, each with an answer to
//! "what should I have written". It knows the forms of values, no setting.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::mistake::Mistake;

/// The longest piece of a wrong value that is shown again, in bytes.
const SHOWN: usize = 80;

/// A value as written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The setting's name, as written.
    pub name: String,
    /// The line in the file; inputs and flags have none.
    pub line: Option<u32>,
    /// The value, trimmed, never empty: an empty value counts as unset.
    pub text: String,
}

impl Written {
    /// `text` trimmed, or `None` when nothing is left.
    pub fn new(name: impl Into<String>, line: Option<u32>, text: &str) -> Option<Self> {
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        (!text.is_empty()).then(|| Self { name: name.into(), line, text: text.to_owned() })
    }

    /// The six YAML booleans that GitHub's toolkit reads, and nothing else
    /// (<https://github.com/actions/toolkit>, packages/core `getBooleanInput`, 2026-11).
    pub fn boolean(&self) -> Result<bool, Mistake> {
        match self.text.as_str() {
            "true" | "True" | "TRUE" => Ok(true),
            "false" | "False" | "FALSE" => Ok(false),
            _ => Err(self.mistake("not a boolean", "write true or false")),
        }
    }

    /// A duration with its unit: `30s`, `5m`, `1h 30m`.
    pub fn duration(&self) -> Result<Duration, Mistake> {
        if self.text.bytes().all(|byte| byte.is_ascii_digit()) {
            let seconds = if self.text.len() > 9 { "30" } else { &self.text };
            return Err(self.mistake("a number without a unit", format!("write {seconds}s")));
        }
        humantime::parse_duration(&self.text).map_err(|_| self.mistake("not a duration", "write a number with a unit, such as 30s or 5m"))
    }

    /// A whole number within `range`.
    pub fn integer(&self, range: RangeInclusive<u64>) -> Result<u64, Mistake> {
        let write = format!("write a whole number from {} to {}", range.start(), range.end());
        let digits = !self.text.is_empty() && self.text.bytes().all(|byte| byte.is_ascii_digit());
        match self.text.parse().ok().filter(|_| digits) {
            Some(number) if range.contains(&number) => Ok(number),
            Some(_) => Err(self.mistake("out of range", write)),
            None => Err(self.mistake("not a whole number", write)),
        }
    }

    /// One of `known`, letter by letter.
    pub fn one_of<'k>(&self, known: &[&'k str]) -> Result<&'k str, Mistake> {
        let found = known.iter().find(|known| **known == self.text);
        found.copied().ok_or_else(|| Mistake {
            nearest: super::mistake::nearest(&self.text, known),
            ..self.mistake("not known", format!("write one of {}", known.join(", ")))
        })
    }

    /// A list, one entry a line; empty lines are dropped.
    pub fn list(&self) -> Vec<String> {
        self.text.split('\n').map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// `KEY=VALUE`, one a line, in the order written. A value is never shown again: it may be a secret.
    pub fn pairs(&self) -> Result<Vec<(String, String)>, Vec<Mistake>> {
        let (mut pairs, mut mistakes) = (Vec::<(String, String)>::new(), Vec::new());
        for (number, line) in (1..).zip(self.text.split('\n')).filter(|(_, line)| !line.trim().is_empty()) {
            let mut wrong = |what: String, write: &str| mistakes.push(Mistake::new(&self.name, what, write).at(self.line));
            match line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
                None => wrong(format!("has no = in its line {number}"), "write KEY=VALUE, one a line"),
                Some(("", _)) => wrong(format!("has nothing before the = in its line {number}"), "write KEY=VALUE, one a line"),
                Some((key, _)) if pairs.iter().any(|(known, _)| known == key) => {
                    wrong(format!("names {} twice, again in its line {number}", shown(key)), "keep one of the two lines");
                }
                Some((key, value)) => pairs.push((key.to_owned(), value.to_owned())),
            }
        }
        if mistakes.is_empty() { Ok(pairs) } else { Err(mistakes) }
    }

    /// A mistake in this value: it is `what`, and one should `write` something else.
    pub fn mistake(&self, what: &str, write: impl Into<String>) -> Mistake {
        Mistake::new(&self.name, format!("is {}, {what}", shown(&self.text)), write).at(self.line)
    }
}

fn shown(text: &str) -> String {
    let mut text = text.to_owned();
    crate::failure::cut(&mut text, SHOWN);
    format!("{text:?}")
}
