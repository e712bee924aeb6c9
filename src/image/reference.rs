//! The names of images as people write them, read once and checked: repositories, references, and where an image is to be taken from.
//! No user text goes into the path of a registry or a daemon unread. It opens nothing.
//! <https://github.com/distribution/reference/blob/main/reference.go> (2026-11)

use std::fmt;

use crate::failure::{Failure, Result, cut};
use crate::values::Digest;

/// Docker Hub as it is named; its two other names mean the same.
pub const HUB: &str = "docker.io";
const HUB_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];
/// The longest repository, host included, and the longest tag.
const LONGEST: usize = 255;
const LONGEST_TAG: usize = 128;

/// A repository: the registry's host, with its port, and the path in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName {
    host: String,
    path: String,
}

/// An image in a repository, by tag, by digest or by both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Where.
    pub repository: RepositoryName,
    /// The tag, where one is written.
    pub tag: Option<String>,
    /// The digest, where one is written.
    pub digest: Option<Digest>,
}

/// Where an image is taken from, as users write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `docker://web:ci`: the Docker daemon of this machine.
    Daemon(Kept),
    /// `archive:web.tar`: a file of `docker save`, or an OCI layout in one file; plain or compressed.
    Archive {
        /// As written.
        file: String,
    },
    /// `oci:./layout:ci`: an OCI layout in a folder.
    Layout {
        /// As written.
        folder: String,
        /// Which of its images.
        tag: Option<String>,
    },
    /// `ghcr.io/acme/web:1.4`: another registry.
    Registry(Reference),
}

/// How an image of a daemon is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// By a name.
    Named(Reference),
    /// `sha256:…`: by its own id.
    Id(Digest),
}

impl RepositoryName {
    /// `ghcr.io/acme/web`; `web` and `acme/web` are Docker Hub's.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str, fix: String| Err(Failure::config(format!("{} is no repository", shown(text))).why(why).fix(fix));
        let example = || "write the registry's host and a path in small letters: ghcr.io/acme/web".to_owned();
        if let Some((_, rest)) = text.split_once("://") {
            return wrong("a scheme does not belong to it", format!("write {}", shown(rest)));
        }
        let (host, path) = match text.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => (HUB, text),
        };
        let host = if HUB_ALIASES.contains(&host) { HUB } else { host };
        if !is_host(host) {
            return wrong("its host is none", example());
        }
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let fix = format!("write {}", shown(&text.to_lowercase()));
            return wrong("it has capital letters, which no registry takes", fix);
        }
        if !path.split('/').all(is_path_part) {
            let rule = "small letters and digits, with one dot, one or two underscores or hyphens between them";
            return wrong(&format!("each part of its path must be {rule}"), example());
        }
        if path.len() == 64 && path.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return wrong("it looks like an image's id", format!("write sha256:{path}"));
        }
        let path = if host == HUB && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        if host.len() + 1 + path.len() > LONGEST {
            return wrong("it is longer than 255 bytes", example());
        }
        Ok(Self { host: host.to_owned(), path })
    }

    /// The registry as people name it, with its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path in the registry.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl Reference {
    /// `host/repository`, then `:tag`, `@sha256:…`, both or neither.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        let tag = tag.map(checked_tag).transpose()?;
        Ok(Self { repository: RepositoryName::parse(name)?, tag, digest })
    }

    /// The same, with the tag `latest` where neither tag nor digest is written: what a daemon makes of it.
    #[must_use]
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some("latest".to_owned());
        }
        self
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.repository.fmt(f)?;
        self.tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl Source {
    /// Reads what stands in the setting `image`.
    pub fn parse(text: &str) -> Result<Self> {
        if let Some(name) = text.strip_prefix("docker://") {
            return Ok(Self::Daemon(Kept::parse(name)?));
        }
        if let Some(file) = text.strip_prefix("archive:") {
            return Ok(Self::Archive { file: path(text, file, "archive:web.tar")? });
        }
        if let Some(rest) = text.strip_prefix("oci:") {
            let (folder, tag) = match rest.rsplit_once(':') {
                Some((folder, tag)) if !tag.contains('/') => (folder, Some(checked_tag(tag)?)),
                _ => (rest, None),
            };
            return Ok(Self::Layout { folder: path(text, folder, "oci:./layout")?, tag });
        }
        if let Some(write) = meant(text) {
            return Err(Failure::config(format!("{} is no image", shown(text))).fix(format!("write {write}")));
        }
        let reference = Reference::parse(text)?;
        if reference.tag.is_none() && reference.digest.is_none() {
            let failure = Failure::config(format!("{} has neither a tag nor a digest", shown(text)));
            return Err(failure.fix(format!("write {text}:TAG or {text}@sha256:…, or docker://{text} for an image of the local daemon")));
        }
        Ok(Self::Registry(reference))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon(kept) => write!(f, "docker://{kept}"),
            Self::Archive { file } => write!(f, "archive:{file}"),
            Self::Layout { folder, tag: None } => write!(f, "oci:{folder}"),
            Self::Layout { folder, tag: Some(tag) } => write!(f, "oci:{folder}:{tag}"),
            Self::Registry(reference) => reference.fmt(f),
        }
    }
}

impl Kept {
    fn parse(text: &str) -> Result<Self> {
        if text.starts_with("sha256:") {
            return Ok(Self::Id(Digest::parse(text)?));
        }
        Ok(Self::Named(Reference::parse(text)?.or_latest()))
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(reference) => reference.fmt(f),
            Self::Id(digest) => digest.fmt(f),
        }
    }
}

/// A tag as registries take it.
pub fn checked_tag(tag: &str) -> Result<String> {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let first = tag.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if first && tag.len() <= LONGEST_TAG && tag.bytes().all(sound) {
        return Ok(tag.to_owned());
    }
    let rule = "write 1 to 128 letters, digits, dots, underscores and hyphens; neither a dot nor a hyphen comes first";
    Err(Failure::config(format!("{} is no tag", shown(tag))).fix(rule))
}

/// What other tools call the same things, and what to write here.
fn meant(text: &str) -> Option<String> {
    let sorts = [
        ("docker-daemon:", "docker://"),
        ("docker-archive:", "archive:"),
        ("oci-archive:", "archive:"),
        ("oci-layout://", "oci:"),
        ("dir:", "oci:"),
        ("https://", ""),
        ("http://", ""),
        ("oci://", ""),
    ];
    let theirs = sorts.iter().find_map(|(theirs, ours)| Some(format!("{ours}{}", text.strip_prefix(theirs)?)));
    let is_file = || text.starts_with(['.', '/']) || [".tar", ".tar.gz", ".tgz", ".tar.zst"].iter().any(|end| text.ends_with(end));
    let local = || is_file().then(|| format!("archive:{text} for a file, oci:{text} for a folder"));
    let nothing = || text.is_empty().then(|| "docker://NAME:TAG, archive:FILE, oci:FOLDER or HOST/REPOSITORY:TAG".to_owned());
    theirs.or_else(local).or_else(nothing).map(|write| shown(&write).trim_matches('"').to_owned())
}

fn path(text: &str, path: &str, example: &str) -> Result<String> {
    if path.is_empty() || path.contains(char::is_control) {
        return Err(Failure::config(format!("{} names no path", shown(text))).fix(format!("write {example}")));
    }
    Ok(path.to_owned())
}

/// A name or an address, and perhaps a port.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let is_label = |label: &str| {
        let sound = !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        sound && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_address = || {
        let inside = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        inside.is_some_and(|inside| inside.parse::<std::net::Ipv6Addr>().is_ok())
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    port.is_none_or(is_port) && (name.split('.').all(is_label) || is_address())
}

/// `a`, `a.b`, `a_b`, `a__b`, `a--b`; not `.a`, `a..b`, `a_-b`.
fn is_path_part(part: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = part.bytes().next().is_some_and(is_word) && part.bytes().last().is_some_and(is_word);
    let mut between = part.split(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    ends && between.all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|byte| byte == b'-'))
}

/// User text in a message: quoted, and no longer than a line.
fn shown(text: &str) -> String {
    let mut text = text.to_owned();
    cut(&mut text, 200);
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn short_names_are_docker_hub_s_and_hosts_are_told_by_a_dot_a_port_or_localhost() {
        for (text, whole) in [
            ("web", "docker.io/library/web"),
            ("acme/web", "docker.io/acme/web"),
            ("docker.io/web", "docker.io/library/web"),
            ("index.docker.io/library/web", "docker.io/library/web"),
            ("registry-1.docker.io/acme/web", "docker.io/acme/web"),
            ("localhost/web", "localhost/web"),
            ("localhost:5000/a/b/c", "localhost:5000/a/b/c"),
            ("[::1]:5000/web", "[::1]:5000/web"),
            ("Registry.Example.com/web", "Registry.Example.com/web"),
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/web", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/web"),
            ("ghcr.io/a/b.c_d__e---f", "ghcr.io/a/b.c_d__e---f"),
        ] {
            assert_eq!(RepositoryName::parse(text).unwrap().to_string(), whole, "{text}");
        }
    }

    #[test]
    fn what_no_registry_takes_is_refused_with_what_to_write() {
        for (text, why) in [
            ("", "each part of its path"),
            ("ghcr.io/", "each part of its path"),
            ("ghcr.io/Acme/web", "capital letters"),
            ("ghcr.io/acme//web", "each part of its path"),
            ("ghcr.io/../web", "each part of its path"),
            ("ghcr.io/a..b", "each part of its path"),
            ("ghcr.io/a_-b", "each part of its path"),
            ("ghcr.io/a___b", "each part of its path"),
            ("ghcr.io/-a", "each part of its path"),
            ("ghcr.io/a b", "each part of its path"),
            ("ghcr.io/a%2fb", "each part of its path"),
            ("ghcr.io/ä", "each part of its path"),
            ("ghcr.io:0/web", "its host is none"),
            ("ghcr.io:+5/web", "its host is none"),
            ("-x.io/web", "its host is none"),
            (".../web", "its host is none"),
            ("[::z]:1/web", "its host is none"),
            ("https://ghcr.io/web", "a scheme"),
        ] {
            let failure = RepositoryName::parse(text).unwrap_err();
            assert!(failure.why[0].contains(why), "{text}: {failure}");
            assert!(failure.fix[0].starts_with("write "), "{failure}");
        }
        assert!(RepositoryName::parse(&format!("ghcr.io/{}", "a".repeat(247))).is_ok());
        assert!(RepositoryName::parse(&format!("ghcr.io/{}", "a".repeat(248))).unwrap_err().why[0].contains("255"));
        assert!(RepositoryName::parse(&"a".repeat(64)).unwrap_err().fix[0].contains("sha256:aaa"));
        assert_eq!(RepositoryName::parse("ghcr.io/Acme/Web").unwrap_err().fix[0], "write \"ghcr.io/acme/web\"");
    }

    #[test]
    fn a_reference_has_a_tag_a_digest_both_or_neither() {
        for text in ["ghcr.io/a", "ghcr.io/a:1", &format!("ghcr.io/a@{DIGEST}"), &format!("localhost:5000/a:1@{DIGEST}")] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Reference::parse("localhost:5000/a").unwrap().tag, None);
        for text in ["ghcr.io/a:", "ghcr.io/a:-x", "ghcr.io/a:.x", "ghcr.io/a:a+b", "ghcr.io/a@sha256:00", "ghcr.io/a@", "a:1:2"] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
        assert!(checked_tag(&"x".repeat(128)).is_ok());
        assert!(checked_tag(&"x".repeat(129)).is_err());
    }

    #[test]
    fn a_source_is_what_its_first_word_says() {
        let named = |text: &str| Source::Daemon(Kept::Named(Reference::parse(text).unwrap()));
        let archive = |file: &str| Source::Archive { file: file.to_owned() };
        let layout = |folder: &str, tag: Option<&str>| Source::Layout { folder: folder.to_owned(), tag: tag.map(str::to_owned) };
        for (text, source) in [
            ("docker://web", named("web:latest")),
            ("docker://web:ci", named("web:ci")),
            ("docker://ghcr.io/acme/web:ci", named("ghcr.io/acme/web:ci")),
            (&format!("docker://{DIGEST}"), Source::Daemon(Kept::Id(Digest::parse(DIGEST).unwrap()))),
            ("archive:app.tar", archive("app.tar")),
            ("archive:/a b/c:d.tar.gz", archive("/a b/c:d.tar.gz")),
            ("oci:./layout", layout("./layout", None)),
            ("oci:./layout:ci", layout("./layout", Some("ci"))),
            ("oci:a:b/layout", layout("a:b/layout", None)),
            ("ghcr.io/acme/web:1", Source::Registry(Reference::parse("ghcr.io/acme/web:1").unwrap())),
        ] {
            assert_eq!(Source::parse(text).unwrap(), source, "{text}");
            assert_eq!(Source::parse(&source.to_string()).unwrap(), source, "{text}");
        }
    }

    #[test]
    fn a_source_that_is_none_says_what_to_write() {
        for (text, write) in [
            ("", "write docker://NAME:TAG"),
            ("docker-daemon:web:ci", "write docker://web:ci"),
            ("docker-archive:a.tar", "write archive:a.tar"),
            ("oci-archive:a.tar", "write archive:a.tar"),
            ("https://ghcr.io/acme/web:1", "write ghcr.io/acme/web:1"),
            ("./web.tar", "write archive:./web.tar for a file, oci:./web.tar for a folder"),
            ("web.tar.gz", "write archive:web.tar.gz for a file"),
            ("archive:", "write archive:web.tar"),
            ("oci:", "write oci:./layout"),
            ("oci:x:-", "write 1 to 128"),
            ("ghcr.io/acme/web", "write ghcr.io/acme/web:TAG or ghcr.io/acme/web@sha256:…, or docker://ghcr.io/acme/web"),
            ("docker://Web:ci", "write \"web\""),
            ("docker://sha256:123", "write sha256: and 64"),
        ] {
            let failure = Source::parse(text).unwrap_err();
            assert!(failure.fix[0].starts_with(write), "{text}: {failure}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_needs_no_encoding_and_is_read_back_the_same(text in "[a-zA-Z0-9._:/@\\[\\]% -]{0,60}") {
            if let Ok(reference) = Reference::parse(&text) {
                let path = reference.repository.path();
                prop_assert!(path.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/".contains(&byte)));
                prop_assert!(!path.split('/').any(|part| part.is_empty() || part == "." || part == ".."));
                prop_assert_eq!(Reference::parse(&reference.to_string()).unwrap(), reference);
            }
        }

        #[test]
        fn no_text_makes_the_reader_stumble_or_its_message_grow(text in "\\PC{0,400}") {
            if let Err(failure) = Source::parse(&text) {
                prop_assert!(failure.to_string().len() < 2000);
            }
        }
    }
}
