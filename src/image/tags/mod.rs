//! Tags by rule: lines as `docker/metadata-action` reads them, and the tags they make of what started the run. Pure.
//! It knows the four sorts of line that a deploy needs; of the others it says so. One thing is left out on purpose: no line adds
//! `latest` beside its own tag, because a tag that moves is asked for by name (`type=raw,value=latest,enable={{is_default_branch}}`).
//! <https://github.com/docker/metadata-action/blob/master/src/meta.ts> (2026-07)

mod line;
pub mod promotion;
mod template;

use regex_lite::Regex;

use crate::clock::Timestamp;
use crate::failure::{Failure, Result};

use super::reference::checked_tag;
use template::Template;

/// Digits of a short commit.
const SHORT: usize = 7;

/// What started the run, as far as tags depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// `refs/heads/main`, `refs/tags/v1.2.3`, `refs/pull/7/merge`; empty at a terminal.
    pub reference: String,
    /// The commit, whole; empty at a terminal.
    pub commit: String,
    /// `push`, `schedule`, …
    pub event: String,
    /// The repository's default branch, where it is known.
    pub default_branch: Option<String>,
    /// The branch a pull request is to be merged into.
    pub base: Option<String>,
    /// Now.
    pub now: Timestamp,
}

/// The rules of one image, in the order of their priority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// What rules make of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// The tags, each once; the first is the one people know the image by.
    pub names: Vec<String>,
    /// The lines that made none this time.
    pub unused: Vec<Unused>,
}

/// A line that made no tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unused {
    /// As written.
    pub line: String,
    /// Why not.
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    line: String,
    sort: Sort,
    enable: Option<Template>,
    prefix: Option<Template>,
    suffix: Option<Template>,
    priority: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Sort {
    Sha { length: Length },
    Ref { event: Event },
    Semver { pattern: Template, value: Option<Template>, within: Option<Within> },
    Raw { value: Template },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Short,
    Long,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Branch,
    Tag,
    PullRequest,
}

/// `match=`: the part of a tag that is the version.
#[derive(Debug, Clone)]
struct Within(Regex);

impl PartialEq for Within {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Within {}

impl Rules {
    /// Reads the lines of the setting `tags`; empty ones and those that begin with `#` do not count. Tells every mistake.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<Failure>> {
        let lines = lines.into_iter().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (mut rules, mut mistakes) = (Vec::new(), Vec::new());
        for line in lines {
            match line::read(line) {
                Ok(rule) => rules.push(rule),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
        if mistakes.is_empty() { Ok(Self(rules)) } else { Err(mistakes) }
    }

    /// The tags for this run.
    pub fn expand(&self, context: &Context) -> Result<Tags> {
        let mut tags = Tags::default();
        for rule in &self.0 {
            let made = rule.expand(context).map_err(|failure| failure.why(format!("in the line {:?}", rule.line)))?;
            match made {
                Ok(name) if tags.names.contains(&name) => {}
                Ok(name) => tags.names.push(name),
                Err(why) => tags.unused.push(Unused { line: rule.line.clone(), why }),
            }
        }
        Ok(tags)
    }
}

impl Rule {
    /// Its tag, or why it makes none.
    fn expand(&self, context: &Context) -> Result<Result<String, String>> {
        match self.enable.as_ref().map_or(Ok("true".to_owned()), |enable| enable.render(context))?.as_str() {
            "true" => {}
            "false" => return Ok(Err("it is not enabled".to_owned())),
            other => return Err(Failure::config(format!("enable is {other:?}")).fix("write something that becomes true or false")),
        }
        let value = match self.sort.value(context)? {
            Ok(value) => value,
            Err(why) => return Ok(Err(why)),
        };
        let around = |template: &Option<Template>| template.as_ref().map_or(Ok(String::new()), |template| template.render(context));
        let whole = format!("{}{value}{}", around(&self.prefix)?, around(&self.suffix)?);
        if whole.is_empty() {
            return Ok(Err("it comes out empty".to_owned()));
        }
        Ok(Ok(checked_tag(&sanitized(&whole))?))
    }
}

impl Sort {
    fn value(&self, context: &Context) -> Result<Result<String, String>> {
        Ok(match self {
            Self::Sha { .. } if context.commit.is_empty() => Err("no commit is known here".to_owned()),
            Self::Sha { length: Length::Long } => Ok(context.commit.clone()),
            Self::Sha { length: Length::Short } => Ok(context.short_commit().to_owned()),
            Self::Ref { event } => match event.name_in(&context.reference) {
                Some(name) => Ok(name.to_owned()),
                None => Err(format!("{} is no {}", context.told_reference(), event.word())),
            },
            Self::Semver { pattern, value, within } => {
                let text = match value {
                    Some(value) => value.render(context)?,
                    None => match Event::Tag.name_in(&context.reference) {
                        Some(tag) => tag.to_owned(),
                        None => return Ok(Err(format!("{} is no tag", context.told_reference()))),
                    },
                };
                let text = within.as_ref().map_or(Ok(text.clone()), |within| within.of(text))?;
                match version(&text.replace('/', "-")) {
                    Some(found) => Ok(pattern.render_version(&found)?),
                    None => Err(format!("{text:?} is no semantic version")),
                }
            }
            Self::Raw { value } => Ok(value.render(context)?),
        })
    }
}

impl Event {
    fn name_in(self, reference: &str) -> Option<&str> {
        match self {
            Self::Branch => reference.strip_prefix("refs/heads/"),
            Self::Tag => reference.strip_prefix("refs/tags/"),
            Self::PullRequest => reference.strip_prefix("refs/pull/").map(|rest| rest.strip_suffix("/merge").unwrap_or(rest)),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Branch => "branch",
            Self::Tag => "tag",
            Self::PullRequest => "pull request",
        }
    }
}

impl Within {
    /// Group 1, where it matches; else the whole, which then is a version or is not.
    fn of(&self, text: String) -> Result<String> {
        let Some(found) = self.0.captures(&text) else { return Ok(text) };
        let group = found.get(1).map(|group| group.as_str().to_owned());
        group.ok_or_else(|| {
            Failure::config(format!("match={} has no group", self.0.as_str())).fix("put brackets around the version: match=v(.*)")
        })
    }
}

impl Context {
    fn short_commit(&self) -> &str {
        self.commit.char_indices().nth(SHORT).map_or(self.commit.as_str(), |(end, _)| &self.commit[..end])
    }

    fn told_reference(&self) -> &str {
        if self.reference.is_empty() { "what started this run" } else { &self.reference }
    }

    /// Whether the run is about the last commit of the default branch. Events without a branch of their own run there.
    fn is_default_branch(&self) -> Result<bool> {
        let branch = self.reference.strip_prefix("refs/heads/").unwrap_or(&self.reference);
        if branch.is_empty() {
            return Ok(false);
        }
        if ["create", "discussion", "issues", "schedule"].iter().any(|event| self.event.contains(event)) {
            return Ok(true);
        }
        if !self.reference.starts_with("refs/heads/") {
            return Ok(false);
        }
        let unknown = || Failure::config("the repository's default branch is not known here").fix("write enable=true or enable=false");
        Ok(self.default_branch.as_deref().ok_or_else(unknown)? == branch)
    }
}

/// A version as npm's semver takes it: spaces around it and a `v` before it do not count.
fn version(text: &str) -> Option<(String, semver::Version)> {
    let bare = text.trim();
    let bare = bare.strip_prefix('v').unwrap_or(bare);
    let found = semver::Version::parse(bare).ok().filter(|_| text.len() <= 256)?;
    Some((text.to_owned(), found))
}

/// Whatever a tag cannot have, however much of it in a row, becomes one hyphen.
fn sanitized(text: &str) -> String {
    let mut tag = String::with_capacity(text.len());
    let mut replaced = false;
    for letter in text.chars() {
        let sound = letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
        if sound {
            tag.push(letter);
        } else if !replaced {
            tag.push('-');
        }
        replaced = !sound;
    }
    tag
}
