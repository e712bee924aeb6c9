//! A single health request: where it goes, and which redirects it follows. It knows no expectations but which statuses are wanted.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use url::Url;

use super::line::{Deadline, Destination, Exchange};
use super::{Answer, Http, Visit, VisitError, Visited, basic_credentials, client, words};

/// How many redirects are followed, on the same scheme, host and port.
const REDIRECTS: usize = 5;

impl Http {
    /// One request on a connection of its own, for health: nothing is reused, nothing retried. See [`Visit`].
    pub async fn visit(&self, visit: Visit) -> Visited {
        let began = Instant::now();
        let visited = self.follow(&visit).await;
        let milliseconds = began.elapsed().as_millis();
        let path = visit.path.split('?').next().unwrap_or_default();
        match visited {
            Ok((answer, latency)) => {
                tracing::debug!(method = %visit.method, path, status = answer.status, milliseconds, "visit");
                Visited::Answered { answer, latency: latency.mul_f64(self.clock().factor()) }
            }
            Err(error) => {
                tracing::debug!(method = %visit.method, path, ?error, milliseconds, "visit");
                Visited::Failed(error)
            }
        }
    }

    async fn follow(&self, visit: &Visit) -> Result<(Answer, Duration), VisitError> {
        let base = whole(visit)?;
        let deadline = Deadline::new(self.clock().patience(visit.timeout), visit.timeout);
        let exchange = Exchange { tls: &self.shared.tls, proxies: &self.shared.proxies, deadline };
        let (mut url, mut method, mut body) = (base.clone(), visit.method.clone(), visit.body.clone());
        let mut took = Duration::ZERO;
        for _ in 0..=REDIRECTS {
            let request = request(visit, &url, &method, body.as_deref())?;
            let (answer, latency) = self.once_to(visit, &url, &exchange, request).await?;
            took += latency;
            let Some(next) = redirect(&answer, &url, &visit.wanted) else { return Ok((answer, took)) };
            url = next?;
            if url.origin() != base.origin() {
                let there = words::short(&url[..url::Position::AfterPath]);
                return Err(VisitError::Refused(format!("it redirects to {there}, which is not followed: scheme, host or port differ")));
            }
            (method, body) = after(answer.status, method, body);
        }
        Err(VisitError::Refused(format!("it redirects more than {REDIRECTS} times")))
    }

    async fn once_to(
        &self,
        visit: &Visit,
        url: &Url,
        exchange: &Exchange<'_>,
        request: http::Request<Bytes>,
    ) -> Result<(Answer, Duration), VisitError> {
        let named = url.host_str().unwrap_or_default();
        // Who writes an address instead of a name means that address.
        let literal = !matches!(url.host(), Some(url::Host::Domain(_)));
        let dial = visit.address.via.as_deref().filter(|_| !literal).unwrap_or(named);
        let endpoints = &self.shared.options.endpoints;
        let Some(base) = endpoints.of(dial).or_else(|| endpoints.of(named)) else {
            return exchange.send(&Destination { url, dial }, request).await;
        };
        let elsewhere = Url::parse(base).map_err(|error| VisitError::Refused(format!("the endpoint for {dial}: {error}")))?;
        let mut request = request;
        let path = format!("{}{}", elsewhere.path().trim_end_matches('/'), request.uri());
        *request.uri_mut() = path.parse().map_err(|_| VisitError::Refused("its path is none".to_owned()))?;
        let dial = elsewhere.host_str().unwrap_or_default();
        exchange.send(&Destination { url: &elsewhere, dial }, request).await
    }
}

/// The path on the base; never on another host, whatever the path says.
fn whole(visit: &Visit) -> Result<Url, VisitError> {
    if !visit.path.starts_with('/') {
        return Err(VisitError::Refused(format!("{:?} is no path", words::short(&visit.path))));
    }
    let base = Url::parse(&visit.address.url).map_err(|error| VisitError::Refused(format!("its address is none: {error}")))?;
    if !matches!(base.scheme(), "http" | "https") {
        return Err(VisitError::Refused(format!("{} is no scheme for this", base.scheme())));
    }
    let whole = format!("{}{}", &base[..url::Position::BeforePath], visit.path);
    Url::parse(&whole).map_err(|error| VisitError::Refused(format!("its path is none: {error}")))
}

fn request(visit: &Visit, url: &Url, method: &Method, body: Option<&str>) -> Result<http::Request<Bytes>, VisitError> {
    let refused = |error: http::Error| VisitError::Refused(error.to_string());
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut request = http::Request::builder()
        .method(method.clone())
        .uri(&url[url::Position::BeforePath..url::Position::AfterQuery])
        .header(header::HOST, authority)
        .header(header::USER_AGENT, client::AGENT)
        .header(header::ACCEPT, "*/*")
        .body(Bytes::from(body.unwrap_or_default().to_owned()))
        .map_err(refused)?;
    let headers = request.headers_mut();
    if let Some(credentials) = basic_credentials(url)? {
        headers.insert(header::AUTHORIZATION, credentials);
    }
    for (name, value) in &visit.headers {
        let name = header::HeaderName::try_from(name).map_err(|error| refused(error.into()))?;
        headers.insert(name, HeaderValue::try_from(value).map_err(|error| refused(error.into()))?);
    }
    Ok(request)
}

/// Where `answer` leads on to, unless its status is wanted as it is.
fn redirect(answer: &Answer, url: &Url, wanted: &[(u16, u16)]) -> Option<Result<Url, VisitError>> {
    let leads_on =
        matches!(answer.status, 301 | 302 | 303 | 307 | 308) && !wanted.iter().any(|(from, to)| (*from..=*to).contains(&answer.status));
    let location = answer.headers.get(header::LOCATION).filter(|_| leads_on)?;
    let next = location.to_str().ok().and_then(|location| url.join(location).ok());
    Some(next.ok_or_else(|| VisitError::Refused("it redirects to what is no address".to_owned())))
}

/// A form that was posted is followed by GET, as browsers do.
/// <https://www.rfc-editor.org/rfc/rfc9110#section-15.4> (2026-11)
fn after(status: u16, method: Method, body: Option<String>) -> (Method, Option<String>) {
    let posted = method == Method::POST && matches!(status, 301 | 302);
    let see_other = status == StatusCode::SEE_OTHER && method != Method::HEAD;
    if posted || see_other { (Method::GET, None) } else { (method, body) }
}
