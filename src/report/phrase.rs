//! Sentences made of our words and of names that are not ours, so that each rendering can set them its own way. And times in words.

use std::fmt;

/// A sentence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Phrase(pub(super) Vec<Part>);

/// A part of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Plain words.
    Words(String),
    /// The name of a service.
    Name(String),
    /// An identifier of the platform, or a command.
    Code(String),
    /// Words that may be foreign, in which `what stands between backticks` is code.
    Prose(String),
}

impl Phrase {
    pub(super) fn words(text: impl Into<String>) -> Self {
        Self(vec![Part::Words(text.into())])
    }

    pub(super) fn name(text: impl Into<String>) -> Self {
        Self(vec![Part::Name(text.into())])
    }

    pub(super) fn and(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Words(text.into()));
        self
    }

    pub(super) fn code(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Code(text.into()));
        self
    }

    pub(super) fn prose(mut self, text: impl Into<String>) -> Self {
        self.0.push(Part::Prose(text.into()));
        self
    }

    pub(super) fn then(mut self, other: Phrase) -> Self {
        self.0.extend(other.0);
        self
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Words(text) | Part::Name(text) | Part::Code(text) | Part::Prose(text) => f.write_str(text),
        })
    }
}

/// `0.4s`, `12s`, `1m 32s`, `2h 5m`: as GitHub's own pages tell it, and short enough for a column.
pub(super) fn span(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never negative; a saturating cast of centuries is fine")]
    let whole = seconds.round() as u64;
    match whole {
        0..10 if seconds < 9.95 => format!("{seconds:.1}s"),
        0..60 => format!("{whole}s"),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        _ => format!("{}h {}m", whole / 3600, whole / 60 % 60),
    }
}

/// `0:07`, `12:45`, `1:02:03`: a moment after the beginning.
pub(super) fn clock(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never negative; a saturating cast of centuries is fine")]
    let whole = seconds as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours == 0 { format!("{minutes}:{seconds:02}") } else { format!("{hours}:{minutes:02}:{seconds:02}") }
}

/// The first word of an identifier and what people may want to know besides.
pub(super) fn named(text: &str) -> Phrase {
    match text.split_once(' ') {
        Some((name, rest)) => Phrase::default().code(name).and(format!(" {rest}")),
        None => Phrase::default().code(text),
    }
}

/// `1 service`, `3 services`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// `web`, `web and api`, `web, api and worker`, `web, api, worker and 4 more`.
pub(super) fn names(names: &[&str]) -> Phrase {
    const SHOWN: usize = 4;
    let more = names.len().saturating_sub(SHOWN);
    let shown = &names[..if more > 1 { SHOWN - 1 } else { names.len() }];
    let mut phrase = Phrase::default();
    for (index, name) in shown.iter().enumerate() {
        let last = index + 1 == names.len();
        let joint = if index == 0 {
            ""
        } else if last {
            " and "
        } else {
            ", "
        };
        phrase = phrase.and(joint).then(Phrase::name(*name));
    }
    if shown.len() < names.len() { phrase.and(format!(" and {} more", names.len() - shown.len())) } else { phrase }
}

/// `what` with the name of its service, unless it begins with that already.
pub(super) fn prefixed(what: &str, name: &str) -> String {
    if what.starts_with(name) { what.to_owned() } else { format!("{name}: {what}") }
}

/// `what` without the name of its service, where that is said already.
pub(super) fn unprefixed<'a>(what: &'a str, name: &str) -> &'a str {
    what.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(what)
}

#[cfg(test)]
mod tests {
    use super::{clock, count, names, span};

    #[test]
    fn times_read_as_people_say_them() {
        let spans = [0.0, 0.44, 9.96, 12.4, 59.6, 92.0, 3600.0, 7_500.0].map(span);
        assert_eq!(spans, ["0.0s", "0.4s", "10s", "12s", "1m 0s", "1m 32s", "1h 0m", "2h 5m"]);
        assert_eq!([7.9, 765.0, 3723.0].map(clock), ["0:07", "12:45", "1:02:03"]);
        assert_eq!([count(1, "task"), count(0, "task")], ["1 task", "0 tasks"]);
    }

    #[test]
    fn many_names_are_cut_to_a_readable_few() {
        let told = |all: &[&str]| names(all).to_string();
        assert_eq!(told(&["a"]), "a");
        assert_eq!(told(&["a", "b"]), "a and b");
        assert_eq!(told(&["a", "b", "c", "d"]), "a, b, c and d");
        assert_eq!(told(&["a", "b", "c", "d", "e"]), "a, b, c, d and e");
        assert_eq!(told(&["a", "b", "c", "d", "e", "f"]), "a, b, c and 3 more");
    }
}
