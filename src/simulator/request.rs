//! The requests that came in, and what tests may do to them: look, hold the client, lose an answer, throttle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// From 0, over all APIs and the application.
    pub index: usize,
    /// When it came in.
    pub at: Timestamp,
    /// As IAM names it: `ecs:UpdateService`, `sts:AssumeRoleWithWebIdentity`, `elasticloadbalancing:DescribeTargetHealth`,
    /// `logs:GetLogEvents`, `ecr:DescribeImages`; further `oidc:token`, `app:GET /health` and
    /// `registry:PUT manifest`, with `blob`, `upload`, `tags`, `referrers`, `layer` (of the bucket) and `base`.
    pub operation: String,
    /// Whether the operation changes something.
    pub changing: bool,
    /// The service it is about, where it tells.
    pub service: Option<String>,
    /// The host it was sent to.
    pub host: String,
    /// Its body, as it came; of a registry's requests only a manifest's.
    pub body: String,
}

/// When a hook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The request has come in and has done nothing.
    Before,
    /// It has had its effect and is not answered.
    After,
}

/// What a hook wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Nothing: go on.
    Go,
    /// The request is never answered: whoever made it can be killed in peace.
    HoldForever,
}

/// Which request an injection is for. Each is used once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// The request of this index.
    Request(usize),
    /// The n-th request, from 0, of the operation with this name (with or without `ecs:`).
    Operation(String, usize),
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injection {
    /// It has its effect; the connection ends without an answer.
    LoseAnswer,
    /// The connection ends before it has any effect.
    ResetBefore,
    /// It has no effect and is answered with this status, in the API's shape.
    Status(u16),
    /// It has no effect and is throttled, in the API's shape.
    Throttle,
    /// It has no effect and is answered with 503 and a Retry-After of this length (on the clock, in whole seconds).
    Busy(Duration),
    /// It has its effect; the connection ends in the middle of the answer's body.
    CutShort,
    /// It is answered this much later (on the clock).
    Delay(Duration),
}

/// A function that looks at every request.
pub type OnRequest = Box<dyn Fn(&Request, Moment) -> Hook + Send + Sync>;

/// All requests and what is planned for those to come.
#[derive(Default)]
pub(crate) struct Requests {
    pub log: Vec<Request>,
    pub injections: Vec<(When, Injection)>,
    pub counts: BTreeMap<String, usize>,
    /// Operations (patterns) that are denied, everywhere or for one service.
    pub denied: BTreeSet<(String, Option<String>)>,
    pub hook: Option<Arc<OnRequest>>,
    pub latency: Duration,
    /// Put into the message of every error.
    pub hostile: Option<String>,
}

impl Requests {
    /// Notes a request; gives its number among those of its operation.
    pub(crate) fn note(&mut self, request: Request) -> usize {
        let count = self.counts.entry(request.operation.clone()).or_default();
        *count += 1;
        let nth = *count - 1;
        self.log.push(request);
        nth
    }

    /// Takes the injection planned for this request.
    pub(crate) fn planned(&mut self, request: &Request, nth: usize) -> Option<Injection> {
        let (index, operation) = (request.index, request.operation.as_str());
        let bare = operation.split_once(':').map_or(operation, |(_, bare)| bare);
        let fits = |when: &When| match when {
            When::Request(wanted) => *wanted == index,
            When::Operation(name, wanted) => *wanted == nth && (name == operation || name == bare),
        };
        let found = self.injections.iter().position(|(when, _)| fits(when))?;
        Some(self.injections.remove(found).1)
    }
}
