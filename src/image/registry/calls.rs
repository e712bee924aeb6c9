//! One request to a registry from its first try to its last: who is let in, what is tried again, where redirects lead.
//! It knows no manifests and no blobs.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};
use url::Url;

use crate::failure::{Failure, Kind, Result};
use crate::http::lane::{Arriving, Cargo, Undelivered};
use crate::http::{Answer, Intent, NoAnswer};

use super::Repository;
use super::name::is_this_machine;
use super::refusal::Refusal;
use super::rules::Greeting;
use super::tokens::Pass;
use super::{Purpose, patience::Patience};

/// How many redirects are followed, by reads only.
const REDIRECTS: usize = 5;
/// How often a request is sent again with a new token.
pub(super) const RENEWALS: u32 = 2;

/// A request that can be sent again.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

/// A request without what it carries and what it shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parcel<'a> {
    pub(super) method: &'a Method,
    pub(super) url: &'a str,
    pub(super) headers: &'a [(HeaderName, HeaderValue)],
}

/// What to do when the answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterLoss {
    /// Send it again: twice is as good as once.
    Repeat,
    /// Tell the caller, who looks first.
    Tell,
}

/// How a call ended.
#[derive(Debug)]
pub(super) enum Called {
    /// With this answer, whatever it says.
    Answered(Answer),
    /// Nobody knows.
    Lost(NoAnswer),
}

impl Call {
    pub(super) fn new(method: Method, url: String) -> Self {
        Self { method, url, headers: Vec::new(), body: Bytes::new() }
    }

    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    fn reads(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }
}

impl Repository {
    /// The address of something in the repository: `manifests/latest`.
    pub(super) fn url(&self, rest: &str) -> String {
        format!("{}/v2/{}/{rest}", self.registry.api, self.name.path())
    }

    pub(super) fn patience(&self) -> Patience {
        self.registry.budget.patience()
    }

    /// Sends `call` until it is answered for good. What is lost is sent again.
    pub(super) async fn answered(&self, call: &Call) -> Result<Answer> {
        match self.call(call, AfterLoss::Repeat).await? {
            Called::Answered(answer) => Ok(answer),
            Called::Lost(cause) => Err(self.unreachable(cause)),
        }
    }

    /// Sends `call` until it is answered for good, or lost.
    pub(super) async fn call(&self, call: &Call, after_loss: AfterLoss) -> Result<Called> {
        let (mut patience, mut renewals) = (self.patience(), 0);
        loop {
            let pass = self.pass().await?;
            match self.once(call, &pass).await {
                Ok(answer) if renewals < RENEWALS && (wants_another_pass(&answer) || renewals == 0 && self.says_no_more(call, &answer)) => {
                    renewals += 1;
                    self.registry.tokens.renewed(&self.scope, &pass, &answer.headers).await?;
                }
                Ok(answer) if !worth_another_try(answer.status) => return Ok(Called::Answered(answer)),
                Ok(answer) => {
                    if !patience.again(answer.retry_after()).await {
                        return Ok(Called::Answered(answer));
                    }
                }
                Err(NoAnswer::Fenced) => return Err(self.unreachable(NoAnswer::Fenced)),
                Err(cause @ NoAnswer::Lost(_)) if after_loss == AfterLoss::Tell => return Ok(Called::Lost(cause)),
                Err(cause) => {
                    if !patience.again(None).await {
                        return Err(self.unreachable(cause));
                    }
                }
            }
        }
    }

    /// Gets `call`'s answer up to its body, tried as long as `call`.
    pub(super) async fn streamed(&self, call: &Call) -> Result<Result<Arriving, Answer>> {
        let (mut patience, mut renewals) = (self.patience(), 0);
        loop {
            let pass = self.pass().await?;
            let cause = match self.travelled(call, &pass).await {
                Ok(arriving) if arriving.status == 200 => return Ok(Ok(arriving)),
                Ok(arriving) => match arriving.whole().await {
                    Ok(answer) if renewals < RENEWALS && wants_another_pass(&answer) => {
                        renewals += 1;
                        self.registry.tokens.renewed(&self.scope, &pass, &answer.headers).await?;
                        continue;
                    }
                    Ok(answer) if !worth_another_try(answer.status) || !patience.again(answer.retry_after()).await => {
                        return Ok(Err(answer));
                    }
                    Ok(_) => continue,
                    Err(cause) => cause,
                },
                Err(cause) => cause,
            };
            if !patience.again(None).await {
                return Err(self.unreachable(cause));
            }
        }
    }

    /// ECR's 403 to a HEAD has no room for the word that its token has expired.
    fn says_no_more(&self, call: &Call, answer: &Answer) -> bool {
        answer.status == 403 && call.method == Method::HEAD && self.rules().greeting == Greeting::AtOnce
    }

    pub(super) async fn pass(&self) -> Result<Pass> {
        self.registry.tokens.pass(&self.scope).await
    }

    /// After a 401: shows something newer from now on.
    pub(super) async fn renew(&self, refused: &Pass, answer: &Answer) -> Result<()> {
        self.registry.tokens.renewed(&self.scope, refused, &answer.headers).await.map(|_| ())
    }

    async fn once(&self, call: &Call, pass: &Pass) -> Result<Answer, NoAnswer> {
        self.travelled(call, pass).await?.whole().await
    }

    /// One try, wherever a read is sent to.
    async fn travelled(&self, call: &Call, pass: &Pass) -> Result<Arriving, NoAnswer> {
        let mut url = call.url.clone();
        for _ in 0..REDIRECTS {
            let parcel = Parcel { method: &call.method, url: &url, headers: &call.headers };
            let shipped = self.shipped(parcel, pass, Cargo::Whole(call.body.clone())).await;
            let arriving = shipped.map_err(|cause| match cause {
                Undelivered::NoAnswer(cause) => cause,
                Undelivered::Cargo(failure) => NoAnswer::NotSent(failure.what),
            })?;
            match arriving.headers.get(header::LOCATION).filter(|_| call.reads() && matches!(arriving.status, 301 | 302 | 303 | 307 | 308))
            {
                None => return Ok(arriving),
                Some(location) => url = self.led_to(&url, location).map_err(|failure| NoAnswer::Lost(failure.what))?,
            }
        }
        Err(NoAnswer::Lost(format!("{} redirects more than {REDIRECTS} times", self.name.host())))
    }

    /// One request, counted; the pass goes to the registry only.
    pub(super) async fn shipped(&self, parcel: Parcel<'_>, pass: &Pass, cargo: Cargo) -> Result<Arriving, Undelivered> {
        let Parcel { method, url, headers } = parcel;
        let mut request = http::Request::builder().method(method.clone()).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(value) = pass.header.clone().filter(|_| self.is_ours(url)) {
            request = request.header(header::AUTHORIZATION, value);
        }
        let request = request.body(cargo).map_err(|error| NoAnswer::NotSent(error.to_string()))?;
        let intent = if matches!(*method, Method::GET | Method::HEAD) { Intent::Read } else { Intent::Change };
        self.registry.requests.fetch_add(1, Ordering::Relaxed);
        self.registry.http.ship(request, intent).await
    }

    /// Where a `Location` leads. Not out of TLS: a registry behind a proxy that ends it often writes its own address wrongly, and is taken at the right one.
    pub(super) fn led_to(&self, from: &str, location: &HeaderValue) -> Result<String> {
        let nowhere = || Failure::new(Kind::Transient, format!("{} leads to what is no address", self.name.host()));
        let base = Url::parse(from).map_err(|_| nowhere())?;
        let mut led = location.to_str().ok().and_then(|location| base.join(location).ok()).ok_or_else(nowhere)?;
        if base.scheme() == "https" && led.scheme() == "http" {
            if led.host_str() != base.host_str() {
                return Err(nowhere());
            }
            let _ = led.set_port(base.port());
            let _ = led.set_scheme("https");
        }
        match led.scheme() {
            "https" => Ok(led.into()),
            "http" if is_this_machine(led.host_str().unwrap_or_default()) => Ok(led.into()),
            _ => Err(nowhere()),
        }
    }

    fn is_ours(&self, url: &str) -> bool {
        let origin = |text: &str| Url::parse(text).map(|url| url.origin());
        matches!((origin(url), origin(&self.registry.api)), (Ok(one), Ok(other)) if one == other)
    }

    pub(super) fn unreachable(&self, cause: NoAnswer) -> Failure {
        cause.into_failure(format!("{} did not answer", self.name.host()))
    }

    /// `answer` as a failure to do `what`.
    pub(super) fn refused(&self, what: impl Into<String>, answer: &Answer) -> Failure {
        Refusal::of(answer).into_failure(what, &self.name, self.purpose == Purpose::Push)
    }
}

/// 401; and ECR says in a 403 that its token has expired, which the answer to a HEAD cannot say.
pub(super) fn wants_another_pass(answer: &Answer) -> bool {
    let expired = || answer.body.is_empty() || Refusal::of(answer).message.to_lowercase().contains("token has expired");
    answer.status == 401 || answer.status == 403 && expired()
}

/// Throttled, or the server's own trouble.
pub(super) fn worth_another_try(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502..=504 | 520..=599)
}
