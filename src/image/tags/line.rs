//! One line of the setting `tags` → its rule: comma-separated fields, quoted where they hold a comma, each `key=value` or a plain value.
//! <https://github.com/docker/metadata-action/blob/master/src/tag.ts> (2026-07)

use std::collections::BTreeMap;

use regex_lite::Regex;

use crate::failure::{Failure, Result};

use super::template::Template;
use super::{Event, Length, Rule, Sort, Within};

/// Keys of every line, and those of each sort.
const ALL: &[&str] = &["enable", "prefix", "suffix", "priority"];
const SORTS: &[(&str, &[&str])] =
    &[("raw", &["value"]), ("sha", &["format"]), ("ref", &["event"]), ("semver", &["pattern", "value", "match"])];
/// What is read elsewhere and not here, and what says the same.
const ELSEWHERE: &[(&str, &str)] = &[
    ("schedule", "type=raw,value=nightly with enable=${{ github.event_name == 'schedule' }}"),
    ("edge", "type=raw,value=edge,enable={{is_default_branch}}"),
    ("match", "type=semver with match=, or type=raw with a value of your own"),
    ("pep440", "type=semver, or type=raw with a value of your own"),
];

/// Reads `line`.
pub(super) fn read(line: &str) -> Result<Rule> {
    read_fields(line).map_err(|mistake| mistake.why(format!("in the line {line:?}")))
}

fn read_fields(line: &str) -> Result<Rule> {
    let mut fields = Fields::of(line)?;
    let kind = fields.take("type").unwrap_or_else(|| "raw".to_owned());
    let Some((_, own)) = SORTS.iter().find(|(name, _)| *name == kind) else {
        let instead = ELSEWHERE.iter().find(|(name, _)| *name == kind).map(|(_, instead)| *instead);
        let write = instead.unwrap_or("type=raw, type=sha, type=ref or type=semver, or a plain tag");
        return Err(Failure::config(format!("type={kind} is not served")).fix(format!("write {write}")));
    };
    fields.know(&kind, own)?;
    let (sort, prefix, priority) = match kind.as_str() {
        "sha" => (Sort::Sha { length: fields.length()? }, Some("sha-"), 100),
        "ref" => {
            let event = fields.event()?;
            (Sort::Ref { event }, (event == Event::PullRequest).then_some("pr-"), 600)
        }
        "semver" => (fields.semver()?, None, 900),
        _ => (Sort::Raw { value: Template::read(&fields.needed("value", "value=TAG, or just the tag")?)? }, None, 200),
    };
    let mut template = |name: &str| fields.take(name).map(|text| Template::read(&text)).transpose();
    let (enable, own_prefix, suffix) = (template("enable")?, template("prefix")?, template("suffix")?);
    let prefix = match own_prefix {
        Some(own) => Some(own),
        None => prefix.map(Template::read).transpose()?,
    };
    let priority = fields.take("priority").map_or(Ok(priority), |text| number(&text))?;
    Ok(Rule { line: line.to_owned(), sort, enable, prefix, suffix, priority })
}

fn number(text: &str) -> Result<i64> {
    text.parse().map_err(|_| Failure::config(format!("priority is {text:?}")).fix("write a whole number"))
}

struct Fields(BTreeMap<String, String>);

impl Fields {
    fn of(line: &str) -> Result<Self> {
        let mut found = BTreeMap::new();
        for field in split(line)? {
            // A value may hold further equal signs; a field that begins with one, or has it in an expression, is a plain value.
            let (key, value) = match field.split_once('=') {
                Some((key, value)) if !key.is_empty() && !key.contains("{{") => (key.trim().to_lowercase(), value.trim().to_owned()),
                _ => ("value".to_owned(), field.trim().to_owned()),
            };
            found.insert(key, value);
        }
        Ok(Self(found))
    }

    fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    fn needed(&mut self, key: &str, write: &str) -> Result<String> {
        self.take(key).ok_or_else(|| Failure::config(format!("{key}= is missing")).fix(format!("write {write}")))
    }

    /// Whether every key is one of this sort.
    fn know(&self, kind: &str, own: &[&str]) -> Result<()> {
        let known = || own.iter().chain(ALL).copied();
        let Some(unknown) = self.0.keys().find(|key| !known().any(|known| known == key.as_str())) else { return Ok(()) };
        let nearest = known().max_by(|a, b| strsim::jaro_winkler(a, unknown).total_cmp(&strsim::jaro_winkler(b, unknown)));
        let write = nearest.filter(|nearest| strsim::jaro_winkler(nearest, unknown) > 0.8).map(|nearest| format!("{nearest}="));
        let write = write.unwrap_or_else(|| known().map(|key| format!("{key}=")).collect::<Vec<_>>().join(", "));
        Err(Failure::config(format!("type={kind} knows no {unknown}=")).fix(format!("write {write}")))
    }

    fn length(&mut self) -> Result<Length> {
        match self.take("format").as_deref() {
            None | Some("short") => Ok(Length::Short),
            Some("long") => Ok(Length::Long),
            Some(other) => Err(Failure::config(format!("format is {other:?}")).fix("write format=short or format=long")),
        }
    }

    fn event(&mut self) -> Result<Event> {
        match self.needed("event", "event=branch, event=tag or event=pr")?.as_str() {
            "branch" => Ok(Event::Branch),
            "tag" => Ok(Event::Tag),
            "pr" => Ok(Event::PullRequest),
            other => Err(Failure::config(format!("event is {other:?}")).fix("write event=branch, event=tag or event=pr")),
        }
    }

    fn semver(&mut self) -> Result<Sort> {
        let pattern = Template::read_version(&self.needed("pattern", "pattern={{version}}")?)?;
        let value = self.take("value").filter(|value| !value.is_empty()).map(|value| Template::read(&value)).transpose()?;
        let unsound = |error: regex_lite::Error| Failure::config("match= is no regular expression").why(error.to_string());
        let within = self.take("match").filter(|text| !text.is_empty());
        let within =
            within.map(|text| Regex::new(&text).map(Within).map_err(|error| unsound(error).fix("write match=v(.*)"))).transpose()?;
        Ok(Sort::Semver { pattern, value, within })
    }
}

/// The fields of a line: a field that begins with a quotation mark ends with one, and holds two for each of its own.
fn split(line: &str) -> Result<Vec<String>> {
    let wrong = |what: &str| Failure::config(what).fix("put quotation marks around a whole field: \"match=v(.*),x\"");
    let (mut fields, mut rest) = (Vec::new(), line);
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(inside) => {
                let end = closing(inside).ok_or_else(|| wrong("a quotation mark is not closed"))?;
                (inside[..end].replace("\"\"", "\""), &inside[end + 1..])
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                if rest[..end].contains('"') {
                    return Err(wrong("a quotation mark stands inside a field"));
                }
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err(wrong("something follows a closed quotation mark")),
        }
    }
}

/// Where the first quotation mark stands that is not doubled.
fn closing(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find('"')?;
        if !text[at + 1..].starts_with('"') {
            return Some(at);
        }
        from = at + 2;
    }
}
