//! Is the new build healthy, and is it the new build? The settings, and a pure verdict over samples.
//! It knows no platform and never waits: the engine asks `judge` and goes by the answer.

mod expect;
pub mod probe;
pub mod verdict;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::failure::Failure;

/// How health is asked and judged; made by `config` from `health.*`, `stabilize` and `smoke`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthSettings {
    /// Where.
    pub at: HealthAt,
    /// Attempts until the first healthy answer.
    pub retries: u32,
    /// Pause between them.
    pub interval: Duration,
    /// Bounds one attempt.
    pub timeout: Duration,
    /// Pause before the first.
    pub initial_delay: Duration,
    /// Consecutive healthy answers, the further ones a second apart (or `interval`, if shorter).
    pub successes: u32,
    /// Which status codes are healthy, e.g. `200-299,304`.
    pub status: StatusSet,
    /// Text the body must contain, or `/regex/`.
    pub body: Option<String>,
    /// JSON pointer = value, each must hold.
    pub json: Vec<(String, serde_json::Value)>,
    /// Header = value, each must hold.
    pub header: Vec<(String, String)>,
    /// What proves that the new build answers.
    pub version: Option<VersionRule>,
    /// 95th percentile of the latencies of the healthy window.
    pub max_latency: Option<Duration>,
    /// Hold time after healthy; one failure fails.
    pub stabilize: Duration,
    /// Requests run once when healthy; not in the journal: their headers and bodies may hold secrets, and no way back runs them.
    #[serde(skip)]
    pub smoke: Vec<Smoke>,
}

/// Where health is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthAt {
    /// A path on the address the platform names.
    Path(String),
    /// A whole URL.
    Url(String),
    /// Nowhere, for this reason, which the summary shows.
    Waived(String),
}

/// Inclusive ranges of status codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusSet(pub Vec<(u16, u16)>);

/// Where the answering build tells its version, and what it must tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRule {
    /// Where it stands.
    pub at: VersionAt,
    /// What must stand there; `config` has put the commit or the digest in.
    pub expected: VersionIs,
}

/// Where a version stands in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionAt {
    /// A JSON pointer into the body.
    Pointer(String),
    /// A header.
    Header(String),
}

/// What a version must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionIs {
    /// This text, or (for a commit) a prefix of it of at least seven characters.
    Commit(String),
    /// The digest of the image that is shipped; known once the image is pinned.
    Digest,
    /// Exactly this text.
    Text(String),
}

/// One request with expectations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Smoke {
    /// For people.
    pub name: String,
    /// `GET` unless said otherwise.
    pub method: String,
    /// On the same address.
    pub path: String,
    /// Headers to send.
    pub headers: Vec<(String, String)>,
    /// Body to send.
    pub send: Option<String>,
    /// Expected status.
    pub status: StatusSet,
    /// Expected text or `/regex/`.
    pub body: Option<String>,
    /// Expected JSON values.
    pub json: Vec<(String, serde_json::Value)>,
    /// Slowest acceptable answer.
    pub max_latency: Option<Duration>,
}

/// The regular expression of an expected body written as `/regex/`; `None`: it is a plain text.
pub fn pattern(text: &str) -> Option<&str> {
    text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).filter(|pattern| !pattern.is_empty())
}

/// The largest compiled pattern, in bytes; together with the 64 KiB of a body it bounds the work.
const LARGEST_PATTERN: usize = 32 * 1024;

/// A pattern, where it is one and not too large.
pub fn compiled(pattern: &str) -> Result<regex_lite::Regex, regex_lite::Error> {
    regex_lite::RegexBuilder::new(pattern).size_limit(LARGEST_PATTERN).build()
}

/// The version an answer told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionTold {
    /// None, or no rule asks for one.
    Nothing,
    /// This one, and nothing was known to compare it with.
    Version(String),
    /// This one, which was compared with what was shipped.
    Compared(String),
}

impl VersionTold {
    /// The version, compared or not.
    pub fn version(&self) -> Option<&str> {
        match self {
            VersionTold::Nothing => None,
            VersionTold::Version(version) | VersionTold::Compared(version) => Some(version),
        }
    }
}

impl HealthSettings {
    /// The settings that ask something of answers, and so need an address to be asked at.
    pub fn of_answers(&self) -> Vec<&'static str> {
        let asked = [
            ("health.version", self.version.is_some()),
            ("health.body", self.body.is_some()),
            ("health.json", !self.json.is_empty()),
            ("health.header", !self.header.is_empty()),
            ("health.max-latency", self.max_latency.is_some()),
            ("smoke", !self.smoke.is_empty()),
        ];
        asked.into_iter().filter(|(_, asked)| *asked).map(|(name, _)| name).collect()
    }
}

/// One look at the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub latency: Duration,
    /// The version the answer told.
    pub version: VersionTold,
    /// `None`: as expected.
    pub wrong: Option<Wrong>,
}

/// How a look at the service disappointed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrong {
    /// What code branches on.
    pub sign: Sign,
    /// Expected and got in plain words.
    pub told: String,
}

/// What sort of wrong it was, from the name to the version: the further down, the more of the service works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// The name does not resolve.
    Name,
    /// We do not go there: a metadata address, a redirect to another host.
    Refused,
    /// No connection.
    Connection,
    /// The certificate or the handshake.
    Certificate,
    /// No answer in time.
    Silence,
    /// The answer broke off or was not HTTP.
    Broken,
    /// This status code.
    Status(u16),
    /// The body or a header.
    Content,
    /// Another build answered.
    Version,
}

impl std::ops::Deref for Wrong {
    type Target = str;
    fn deref(&self) -> &str {
        &self.told
    }
}

impl From<Wrong> for String {
    fn from(wrong: Wrong) -> String {
        wrong.told
    }
}

/// What the samples so far say.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Healthy, with the lines that prove it.
    Healthy {
        /// `3 consecutive healthy answers from https://… in 4.1s (p95 12ms)`, `version 3f2a… as shipped`.
        proof: Vec<String>,
    },
    /// Not healthy, and it has had its chances.
    Unhealthy(Failure),
    /// Ask again after this pause.
    Undecided {
        /// Pause before the next sample.
        after: Duration,
    },
}

/// What answered before the deploy, so that a rollback can be held to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "was")]
pub enum Baseline {
    /// It was healthy, with this version.
    Healthy {
        /// What it told, where a rule asks for a version.
        version: Option<String>,
    },
    /// It answered, but not as expected, or not at all.
    Unhealthy {
        /// Expected and got.
        how: String,
    },
    /// There was no address to ask, or nothing served.
    Unknown,
}

impl std::fmt::Display for StatusSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (from, to)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if from == to { write!(f, "{comma}{from}")? } else { write!(f, "{comma}{from}-{to}")? }
        }
        Ok(())
    }
}
