//! A single health request on a connection of its own, to an address that was looked at first.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use url::Url;

use super::{Answer, Http, NoAnswer, Visit, VisitError, Visited, client};

/// How much of a body is read.
const BODY: usize = 64 * 1024;
/// How many redirects are followed, on the same scheme, host and port.
const REDIRECTS: usize = 5;

impl Http {
    /// One request on a connection of its own, for health: nothing is reused, nothing retried. See [`Visit`].
    pub async fn visit(&self, visit: Visit) -> Visited {
        let began = Instant::now();
        let patience = self.clock().patience(visit.timeout);
        let answered = match tokio::time::timeout(patience, self.follow(&visit)).await {
            Ok(answered) => answered,
            Err(_) => Err(VisitError::Timeout(format!("no answer within {}", humantime::format_duration(visit.timeout)))),
        };
        match answered {
            Ok(answer) => Visited::Answered { answer, latency: began.elapsed().mul_f64(self.clock().factor()) },
            Err(error) => Visited::Failed(error),
        }
    }

    async fn follow(&self, visit: &Visit) -> Result<Answer, VisitError> {
        let base = Url::parse(&visit.address.url).map_err(|error| VisitError::Refused(format!("{}: {error}", visit.address.url)))?;
        let mut url = base.join(&visit.path).map_err(|error| VisitError::Refused(format!("{}: {error}", visit.path)))?;
        for _ in 0..=REDIRECTS {
            let answer = self.once_to(visit, &url).await?;
            let Some(location) = answer.headers.get(http::header::LOCATION).filter(|_| (300..400).contains(&answer.status)) else {
                return Ok(answer);
            };
            let next = location.to_str().ok().and_then(|location| url.join(location).ok());
            match next.filter(|next| next.origin() == base.origin()) {
                Some(next) => url = next,
                None => return Err(VisitError::Refused("it redirects to another host, which is not followed".to_owned())),
            }
        }
        Err(VisitError::Refused(format!("more than {REDIRECTS} redirects")))
    }

    async fn once_to(&self, visit: &Visit, url: &Url) -> Result<Answer, VisitError> {
        let named = url.host_str().unwrap_or_default().to_lowercase();
        let host = visit.address.via.clone().unwrap_or_else(|| named.clone()).to_lowercase();
        let endpoints = &self.shared.options.endpoints;
        let overridden = endpoints.of(&host).or_else(|| endpoints.of(&named));
        let builder =
            client::builder(&self.shared.tls, &self.shared.options.environment).map_err(|failure| VisitError::Refused(failure.what))?;
        let mut builder = builder.pool_max_idle_per_host(0);
        let mut target = url.clone();
        if let Some(base) = overridden {
            let path = &url[url::Position::BeforePath..];
            target =
                Url::parse(&format!("{}{path}", base.trim_end_matches('/'))).map_err(|error| VisitError::Refused(error.to_string()))?;
        } else {
            let addresses = resolve(&host, url.port_or_known_default().unwrap_or(443)).await?;
            builder = builder.resolve_to_addrs(&named, &addresses);
        }
        let client = builder.build().map_err(|error| VisitError::Broken(plain(&error)))?;
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let mut request = client.request(visit.method.clone(), target).header(http::header::HOST, authority);
        for (name, value) in &visit.headers {
            request = request.header(name, value);
        }
        let request = match &visit.body {
            Some(body) => request.body(body.clone()),
            None => request,
        };
        let response = request.send().await.map_err(|error| visit_error(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = body(response, BODY).await.map_err(|error| VisitError::Broken(plain(&error)))?;
        Ok(Answer { status, headers, body })
    }
}

/// The addresses of `host`, each looked at: link-local and metadata addresses are refused.
async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, VisitError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((bare, port)).await;
    let addresses: Vec<SocketAddr> = found.map_err(|error| VisitError::Dns(format!("{host} does not resolve: {error}")))?.collect();
    match addresses.iter().find(|address| forbidden(address.ip())) {
        Some(address) => Err(VisitError::Refused(format!("{host} is {}, a link-local or metadata address", address.ip()))),
        None if addresses.is_empty() => Err(VisitError::Dns(format!("{host} has no address"))),
        None => Ok(addresses),
    }
}

/// Link-local, metadata and unspecified addresses, also as IPv4 inside IPv6.
fn forbidden(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast() || v4.octets() == [168, 63, 129, 16],
        IpAddr::V6(v6) => {
            let mapped = v6.to_ipv4_mapped().or_else(|| v6.to_ipv4().filter(|_| !v6.is_loopback()));
            let unicast_link_local = v6.segments()[0] & 0xffc0 == 0xfe80;
            let metadata = v6.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254];
            unicast_link_local || metadata || v6.is_unspecified() || mapped.is_some_and(|v4| forbidden(IpAddr::V4(v4)))
        }
    }
}

/// Reads at most `limit` bytes of a body.
pub(super) async fn body(mut response: reqwest::Response, limit: usize) -> Result<Bytes, reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk[..chunk.len().min(limit - body.len())]);
        if body.len() == limit {
            break;
        }
    }
    Ok(body.freeze())
}

/// Whether the request certainly did not arrive.
pub(super) fn no_answer(error: &reqwest::Error) -> NoAnswer {
    if error.is_connect() || error.is_builder() { NoAnswer::NotSent(plain(error)) } else { NoAnswer::Lost(plain(error)) }
}

fn visit_error(error: &reqwest::Error) -> VisitError {
    let why = plain(error);
    if why.contains("certificate") || why.contains("tls") || why.contains("handshake") {
        return VisitError::Tls(why);
    }
    if error.is_timeout() {
        return VisitError::Timeout(why);
    }
    if error.is_connect() { VisitError::Connect(why) } else { VisitError::Broken(why) }
}

/// The innermost cause in plain words: the outer ones only say that a request failed.
pub(super) fn plain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes: Vec<String> = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    let mut plain = causes.last().cloned().unwrap_or_default();
    crate::failure::cut(&mut plain, 200);
    plain
}
