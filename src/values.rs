//! The words of the domain as types: a string becomes one of these at the edge and is not checked again inside.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

/// The name of a service as its platform knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceName(pub String);

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A content digest, `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// Reads a digest as written in an image reference.
    pub fn parse(text: &str) -> Result<Self> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(Self(text.to_owned()));
        }
        Err(Failure::config(format!("{text:?} is not a digest")).fix("write sha256: and 64 hexadecimal digits"))
    }

    /// The whole digest.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve hexadecimal digits, for people.
    pub fn short(&self) -> &str {
        &self.0["sha256:".len()..][..12]
    }
}

impl TryFrom<String> for Digest {
    type Error = Failure;
    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An image that can only ever mean one thing: repository and digest, with the tag people know it by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PinnedImage {
    /// Registry host and repository, e.g. `123456789012.dkr.ecr.eu-west-1.amazonaws.com/web`.
    pub repository: String,
    /// The tag it was named by, if any; for people only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What it is.
    pub digest: Digest,
}

impl PinnedImage {
    /// `repository@sha256:…`: what is sent to a platform.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }
}

/// A share of the users, in per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Share(pub u8);

impl Share {
    /// Everyone.
    pub const FULL: Share = Share(100);
}

/// A text that must not be seen: it has neither `Display` nor `Serialize`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`. Whoever makes one also masks it (`runner::Masks`).
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A workflow run, and which try of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunId {
    /// `GITHUB_RUN_ID`, or a random number outside GitHub.
    pub id: String,
    /// `GITHUB_RUN_ATTEMPT`, from 1.
    pub attempt: u32,
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} attempt {}", self.id, self.attempt)
    }
}

/// Where a release answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The base as users call it, without a path: `https://app.example.com`. Its host is the `Host` header and the certificate name.
    pub url: String,
    /// The host to connect to instead of the URL's own, e.g. a load balancer's DNS name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Who named it: identity tokens go only to addresses the platform named.
    pub named_by: NamedBy,
}

/// Who named an [`Address`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedBy {
    /// The cloud's own API.
    Platform,
    /// `health.url`.
    User,
}
