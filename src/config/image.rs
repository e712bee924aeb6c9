//! An image as written → where it comes from, and whether and how it is pushed first. It asks no registry and opens no file.

use crate::failure::Failure;
use crate::image::content::Platform;
use crate::image::reference::{Reference, RepositoryName, Source};
use crate::image::source::Compression;
use crate::image::tags::promotion::{From as PromotedFrom, Promotion};
use crate::image::tags::{Context, Rules};
use crate::values::PinnedImage;

use super::plan::{ImageSource, MoveTags, PushPlan};
use super::reader::Reader;

/// The most tags of one push: what becomes of them stands in one line of the journal.
const MOST_TAGS: usize = 10;

/// What the run asks of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    /// Something is deployed: without an image that is a mistake.
    pub(super) needed: bool,
    /// `skip-push`.
    pub(super) skip_push: bool,
    /// It is pushed or deployed by this mode: one that only looks minds no tag that is not made.
    pub(super) used: bool,
}

/// An image as far as it was read.
struct Written {
    source: Option<Source>,
    push_to: Option<RepositoryName>,
    tags: Vec<String>,
    promotion: Option<Promotion>,
}

/// An image that lies in its repository already.
struct Lies {
    source: Source,
    repository: RepositoryName,
    tags: Vec<String>,
    platform: Option<Platform>,
}

impl Reader<'_> {
    /// The image; missing where one is needed is a mistake.
    pub(super) fn image(&mut self, asked: Asked) -> Option<ImageSource> {
        let before = self.mistakes.len();
        let platform = self.platform();
        let moving = self.choice("move-tags", [("live", MoveTags::Live), ("pushed", MoveTags::Pushed)]);
        let compression =
            self.choice("compression", [("auto", None), ("gzip", Some(Compression::Gzip)), ("zstd", Some(Compression::Zstd))]);
        let referrers = self.flag("referrers");
        let written = self.image_written(asked);
        let source = self.source(&written, asked.needed);
        if self.mistakes.len() > before {
            return None;
        }
        let (source, tags) = (source?, written.tags);
        let own = match &source {
            Source::Registry(reference) => Some(reference.repository.clone()),
            Source::Daemon(_) | Source::Archive { .. } | Source::Layout { .. } => None,
        };
        let pushes = !asked.skip_push && (written.push_to.is_some() || !tags.is_empty());
        let Some(to) = written.push_to.or(own) else {
            let (what, write) = match asked.skip_push {
                true => ("is a local image, and skip-push leaves it where it is", "write HOST/REPOSITORY:TAG, or push-to and tags too"),
                false => ("is a local image, and nothing says where to push it", "write push-to: HOST/REPOSITORY too"),
            };
            self.wrong("image", what, write);
            return None;
        };
        if pushes {
            if referrers && matches!(source, Source::Daemon(_)) {
                self.wrong(
                    "referrers",
                    "is set, and nothing refers to an image of a daemon",
                    "remove it, or push from a registry or a layout",
                );
                return None;
            }
            return Some(ImageSource::Pushed(Box::new(PushPlan { from: source, to, tags, moving, platform, compression, referrers })));
        }
        for name in ["platform", "move-tags", "compression", "referrers"].into_iter().filter(|_| !asked.skip_push) {
            if self.has(name) {
                self.wrong(name, "is set, and nothing is pushed", "write push-to or tags too, or remove it");
            }
        }
        self.there_already(Lies { source, repository: to, tags, platform })
    }

    /// The image as it lies in its repository.
    fn there_already(&mut self, image: Lies) -> Option<ImageSource> {
        let Lies { source, repository, tags, platform } = image;
        let written = match source {
            Source::Registry(Reference { tag, digest, .. }) => (tag, digest),
            Source::Daemon(_) | Source::Archive { .. } | Source::Layout { .. } => (None, None),
        };
        match (written, tags.into_iter().next()) {
            ((tag, Some(digest)), _) => {
                let written = self.text("image").and_then(|text| as_written(&text).map(str::to_owned));
                Some(ImageSource::Pinned(PinnedImage { repository: written.unwrap_or_else(|| repository.to_string()), tag, digest }))
            }
            ((_, None), Some(tag)) | ((Some(tag), None), None) => Some(ImageSource::Tagged { repository, tag, platform }),
            ((None, None), None) => {
                self.wrong(
                    "image",
                    "is not pushed (skip-push), and no tag names it in its repository",
                    "write the tags it was pushed with",
                );
                None
            }
        }
    }

    fn image_written(&mut self, asked: Asked) -> Written {
        let push_to = self.text("push-to");
        let push_to = push_to.and_then(|text| RepositoryName::parse(&text).map_err(|failure| self.not_read("push-to", &failure)).ok());
        let lines = self.list("tags");
        let (promotions, rules): (Vec<String>, Vec<String>) = lines.into_iter().partition(|line| Promotion::is_meant(line));
        let mut tags = self.tags(&rules, asked);
        let mut read = Vec::new();
        for line in &promotions {
            match Promotion::parse(line) {
                Ok(promotion) => read.push(promotion),
                Err(failure) => self.not_read("tags", &failure),
            }
        }
        if read.len() > 1 {
            self.wrong("tags", "has several promotions", "write one: from staging to latest and v1.2.3");
        }
        let promotion = read.into_iter().next();
        tags.extend(promotion.iter().flat_map(|promotion| promotion.to.clone()));
        if tags.len() > MOST_TAGS {
            self.wrong("tags", format!("makes {} tags", tags.len()), format!("write at most {MOST_TAGS}"));
        }
        let source = self.text("image");
        let source = source.and_then(|text| Source::parse(&text).map_err(|failure| self.not_read("image", &failure)).ok());
        Written { source, push_to, tags, promotion }
    }

    /// The image that is written, or the one that is promoted.
    fn source(&mut self, written: &Written, needed: bool) -> Option<Source> {
        let Some(promotion) = &written.promotion else {
            if needed && !self.has("image") {
                self.wrong("image", "is missing", "write docker://NAME, archive:FILE, oci:FOLDER or HOST/REPOSITORY:TAG");
            }
            return written.source.clone();
        };
        let repository = match (&written.push_to, &written.source) {
            (Some(repository), _) => repository.clone(),
            (None, Some(Source::Registry(reference))) => reference.repository.clone(),
            (None, _) => {
                self.wrong("tags", "has a promotion, and no repository is named", "write push-to: HOST/REPOSITORY too");
                return None;
            }
        };
        let (tag, digest) = match &promotion.from {
            PromotedFrom::Tag(tag) => (Some(tag.clone()), None),
            PromotedFrom::Digest(digest) => (None, Some(digest.clone())),
        };
        let promoted = Source::Registry(Reference { repository, tag, digest });
        if written.source.as_ref().is_some_and(|source| *source != promoted) {
            self.wrong("tags", format!("promotes {promoted}, and image is another"), "remove image, or promote the image itself");
        }
        Some(promoted)
    }

    fn tags(&mut self, lines: &[String], asked: Asked) -> Vec<String> {
        let rules = match Rules::parse(lines.iter().map(String::as_str)) {
            Ok(rules) => rules,
            Err(mistakes) => {
                mistakes.iter().for_each(|failure| self.not_read("tags", failure));
                return Vec::new();
            }
        };
        match rules.expand(self.tagging) {
            Ok(made) if made.names.is_empty() && !lines.is_empty() && asked.used => {
                let why: Vec<String> = made.unused.iter().map(|unused| format!("{}: {}", unused.line, unused.why)).collect();
                self.wrong("tags", format!("makes no tag for this run ({})", why.join("; ")), "add a line that always makes one: type=sha");
                Vec::new()
            }
            Ok(made) => made.names,
            Err(failure) => {
                self.not_read("tags", &failure);
                Vec::new()
            }
        }
    }

    /// `linux/arm64`, `linux/arm/v7`.
    fn platform(&mut self) -> Option<Platform> {
        let text = self.text("platform")?;
        let sound = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        let parts: Vec<&str> = text.split('/').collect();
        match parts.as_slice() {
            [os, architecture, rest @ ..] if rest.len() < 2 && parts.iter().all(|part| sound(part)) => Some(Platform {
                os: (*os).to_owned(),
                architecture: (*architecture).to_owned(),
                variant: rest.first().map(|variant| (*variant).to_owned()),
            }),
            _ => {
                self.wrong("platform", format!("is {text:?}, no platform"), "write OS/ARCHITECTURE, such as linux/arm64");
                None
            }
        }
    }

    /// A mistake of the reader of images, as one of the settings.
    fn not_read(&mut self, name: &str, failure: &Failure) {
        let why = failure.why.first().map(|why| format!(" ({why})")).unwrap_or_default();
        let fix = failure.fix.first().cloned().unwrap_or_else(|| "correct it".to_owned());
        self.wrong(name, format!("cannot be used: {}{why}", failure.what), fix);
    }
}

/// The repository in an image as it was written, `acme/web` of `acme/web:v1@sha256:…`: a service that has it so is not changed by a longer name.
fn as_written(image: &str) -> Option<&str> {
    let named = image.trim().split_once('@').map(|(named, _)| named)?;
    Some(named.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(named, |(repository, _)| repository))
}

/// What tags depend on, of the run.
pub(super) fn tagging(origin: &crate::runner::origin::Origin, now: crate::clock::Timestamp) -> Context {
    Context {
        reference: origin.reference.clone(),
        commit: origin.commit.clone(),
        event: origin.event.clone(),
        default_branch: origin.default_branch.clone(),
        base: origin.base.clone(),
        now,
    }
}
