//! The few Handlebars expressions that tag rules use: `{{name}}` with HTML's letters escaped, as Handlebars does it, `{{{name}}}` without,
//! and `{{date 'YYYYMMDD'}}` in UTC.

use crate::failure::{Failure, Result};

use super::Context;

/// What may stand in a rule, and in the pattern of a version.
const OF_RUN: &[&str] = &["branch", "tag", "sha", "base_ref", "is_default_branch", "is_not_default_branch"];
const OF_VERSION: &[&str] = &["raw", "version", "major", "minor", "patch"];
/// The parts of a date that are served.
const OF_DATE: &[&str] = &["YYYY", "YY", "MM", "DD", "HH", "mm", "ss"];

/// A text with expressions, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name { name: &'static str, escaped: Escaped },
    Date(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escaped {
    Yes,
    No,
}

impl Template {
    /// A template over what started the run.
    pub(super) fn read(text: &str) -> Result<Self> {
        Self::of(text, OF_RUN)
    }

    /// A template over a version.
    pub(super) fn read_version(text: &str) -> Result<Self> {
        Self::of(text, OF_VERSION)
    }

    fn of(text: &str, names: &'static [&'static str]) -> Result<Self> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some(start) = rest.find("{{") {
            if start > 0 {
                pieces.push(Piece::Text(rest[..start].to_owned()));
            }
            let (escaped, open, close) = if rest[start..].starts_with("{{{") { (Escaped::No, 3, "}}}") } else { (Escaped::Yes, 2, "}}") };
            let inside = &rest[start + open..];
            let unclosed = || Failure::config(format!("{text:?} opens an expression and does not close it")).fix("write {{branch}}");
            let end = inside.find(close).ok_or_else(unclosed)?;
            pieces.push(piece(inside[..end].trim(), names, escaped)?);
            rest = &inside[end + close.len()..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// For this run.
    pub(super) fn render(&self, context: &Context) -> Result<String> {
        self.with(context, |name| value(name, context))
    }

    /// For a version and the text it was read from. Of a version before its release nothing shorter than the whole is made.
    pub(super) fn render_version(&self, (raw, version): &(String, semver::Version)) -> Result<String> {
        let before_release = if version.pre.is_empty() { String::new() } else { format!("-{}", version.pre) };
        let whole = format!("{}.{}.{}{before_release}", version.major, version.minor, version.patch);
        let is_raw = matches!(self.0.as_slice(), [Piece::Name { name: "raw", .. }]);
        if !version.pre.is_empty() && !is_raw {
            return Ok(whole);
        }
        self.with(&Context::default(), |name| {
            Ok(match name {
                "raw" => raw.clone(),
                "version" => whole.clone(),
                "major" => version.major.to_string(),
                "minor" => version.minor.to_string(),
                _ => version.patch.to_string(),
            })
        })
    }

    fn with(&self, context: &Context, value: impl Fn(&str) -> Result<String>) -> Result<String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Name { name, escaped: Escaped::Yes } => text.push_str(&escape(&value(name)?)),
                Piece::Name { name, escaped: Escaped::No } => text.push_str(&value(name)?),
                Piece::Date(format) => text.push_str(&date(format, context)),
            }
        }
        Ok(text)
    }
}

fn piece(inside: &str, names: &'static [&'static str], escaped: Escaped) -> Result<Piece> {
    if let Some(name) = names.iter().find(|name| **name == inside) {
        return Ok(Piece::Name { name, escaped });
    }
    let runs = names == OF_RUN;
    if runs && let Some(arguments) = inside.strip_prefix("date ") {
        return Ok(Piece::Date(date_format(arguments.trim())?));
    }
    let known = names.iter().map(|name| format!("{{{{{name}}}}}")).collect::<Vec<_>>().join(", ");
    let date = if runs { ", {{date 'YYYYMMDD'}}" } else { "" };
    Err(Failure::config(format!("{{{{{inside}}}}} is not served here")).fix(format!("write one of {known}{date}")))
}

fn value(name: &str, context: &Context) -> Result<String> {
    let after = |start: &str| context.reference.strip_prefix(start).unwrap_or_default().to_owned();
    Ok(match name {
        "branch" => after("refs/heads/"),
        "tag" => after("refs/tags/"),
        "sha" => context.short_commit().to_owned(),
        "base_ref" => context.base.clone().unwrap_or_default(),
        "is_default_branch" => context.is_default_branch()?.to_string(),
        _ => (!context.is_default_branch()?).to_string(),
    })
}

/// The format in `'YYYYMMDD' tz='UTC'`.
fn date_format(arguments: &str) -> Result<String> {
    let wrong =
        || Failure::config(format!("{{{{date {arguments}}}}} is not served")).fix("write {{date 'YYYYMMDD-HHmmss'}}, which is in UTC");
    let quote = arguments.chars().next().filter(|quote| matches!(quote, '\'' | '"')).ok_or_else(wrong)?;
    let (format, zone) = arguments[1..].split_once(quote).ok_or_else(wrong)?;
    let in_utc = matches!(zone.trim(), "" | "tz='UTC'" | "tz=\"UTC\"");
    // Other letters mean something to others, and would be taken for text here.
    let strange = parts(format).any(|part| matches!(part, Part::Plain(letter) if letter.is_ascii_alphabetic()));
    if in_utc && !strange { Ok(format.to_owned()) } else { Err(wrong()) }
}

enum Part {
    Date(&'static str),
    Plain(char),
}

fn parts(format: &str) -> impl Iterator<Item = Part> {
    let mut rest = format;
    std::iter::from_fn(move || {
        if let Some(part) = OF_DATE.iter().find(|part| rest.starts_with(**part)) {
            rest = &rest[part.len()..];
            return Some(Part::Date(part));
        }
        let letter = rest.chars().next()?;
        rest = &rest[letter.len_utf8()..];
        Some(Part::Plain(letter))
    })
}

fn date(format: &str, context: &Context) -> String {
    let now = context.now.rfc3339();
    let cut = |from: usize, to: usize| now.get(from..to).unwrap_or_default();
    let mut text = String::new();
    for part in parts(format) {
        match part {
            Part::Date("YYYY") => text.push_str(cut(0, 4)),
            Part::Date("YY") => text.push_str(cut(2, 4)),
            Part::Date("MM") => text.push_str(cut(5, 7)),
            Part::Date("DD") => text.push_str(cut(8, 10)),
            Part::Date("HH") => text.push_str(cut(11, 13)),
            Part::Date("mm") => text.push_str(cut(14, 16)),
            Part::Date(_) => text.push_str(cut(17, 19)),
            Part::Plain(letter) => text.push(letter),
        }
    }
    text
}

/// As Handlebars escapes: <https://handlebarsjs.com/guide/#html-escaping> (2026-07)
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#x27;"),
            '`' => escaped.push_str("&#x60;"),
            '=' => escaped.push_str("&#x3D;"),
            other => escaped.push(other),
        }
    }
    escaped
}
