//! One connection for one request: dialled to an address that was looked at, through a proxy where there is one, with TLS where it is asked for.
//! Nothing is reused and nothing retried. It knows no redirects and no expectations.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use url::Url;

use super::lookup::lookup;
use super::proxy::Proxies;
use super::words::{self, plain};
use super::{Answer, VisitError};

/// How much of a body is read.
const BODY: usize = 64 * 1024;

/// Where a line leads.
pub(super) struct Destination<'a> {
    /// Scheme and port to speak to; its host is the name in the certificate.
    pub(super) url: &'a Url,
    /// The host to dial.
    pub(super) dial: &'a str,
}

/// What all lines share.
pub(super) struct Exchange<'a> {
    pub(super) tls: &'a rustls::ClientConfig,
    pub(super) proxies: &'a Proxies,
    pub(super) deadline: Deadline,
}

/// When a visit must be over, and how to say what it was at when it was not.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    allowed: Duration,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Deadline {
    /// In `patience` of real time, which the user knows as `allowed`.
    pub(super) fn new(patience: Duration, allowed: Duration) -> Self {
        Self { at: Instant::now() + patience, allowed }
    }

    async fn during<T>(&self, doing: &str, work: impl Future<Output = Result<T, VisitError>>) -> Result<T, VisitError> {
        let late = |_| VisitError::Timeout(format!("no answer within {}: it ended {doing}", humantime::format_duration(self.allowed)));
        timeout_at(self.at, work).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
    }
}

impl Exchange<'_> {
    /// Sends `request`, whose URI is path and query, and reads the answer; also tells how long that took without the connecting.
    pub(super) async fn send(&self, to: &Destination<'_>, request: http::Request<Bytes>) -> Result<(Answer, Duration), VisitError> {
        let proxy = self.proxies.for_url(to.url);
        // A proxy for plain http is told the whole address, and makes the `Host` header from it: only without another host to dial.
        let forwards = proxy.filter(|_| to.url.scheme() == "http" && to.url.host_str() == Some(to.dial));
        let stream = match proxy {
            None => self.dialled(to.dial, port(to.url)?).await?,
            Some(proxy) => self.through(proxy, to, forwards.is_some()).await?,
        };
        let stream = if to.url.scheme() == "https" { self.secured(stream, to.url).await? } else { stream };
        let mut request = request.map(Full::new);
        if let Some(proxy) = forwards {
            let whole = format!("http://{}{}", &to.url[url::Position::BeforeHost..url::Position::AfterPort], request.uri());
            *request.uri_mut() = whole.parse().map_err(|_| VisitError::Refused("its address is none".to_owned()))?;
            authorize(proxy, request.headers_mut())?;
        }
        self.asked(stream, request).await
    }

    async fn asked(&self, stream: Box<dyn Stream>, request: http::Request<Full<Bytes>>) -> Result<(Answer, Duration), VisitError> {
        let mut driver = JoinSet::new();
        let shaken = http1::Builder::new().max_buf_size(128 * 1024).handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| VisitError::Broken(plain(&error)))?;
        driver.spawn(connection);
        let began = Instant::now();
        let answering = async { sender.send_request(request).await.map_err(|error| VisitError::Broken(plain(&error))) };
        let response = self.deadline.during("waiting for the answer", answering).await?;
        let (head, body) = response.into_parts();
        let body = self.deadline.during("reading the body", start_of(body)).await?;
        Ok((Answer { status: head.status.as_u16(), headers: head.headers, body }, began.elapsed()))
    }

    /// Dials the addresses of `host` one after the other; each gets its share of the time.
    async fn dialled(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, VisitError> {
        let addresses = self.deadline.during("looking up the name", lookup(host, port)).await?;
        let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        let mut failed = None;
        for address in addresses {
            let share = self.deadline.at.saturating_duration_since(Instant::now()) / left.max(1);
            let deadline = Deadline { at: Instant::now() + share, ..self.deadline };
            let dialling =
                async { TcpStream::connect(address).await.map_err(|error| VisitError::Connect(format!("{address}: {}", plain(&error)))) };
            match deadline.during(&format!("connecting to {address}"), dialling).await {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(Box::new(stream));
                }
                Err(error) => failed = failed.or(Some(error)),
            }
            left -= 1;
        }
        Err(failed.unwrap_or_else(|| VisitError::Dns(format!("{host} has no address"))))
    }

    /// By way of `proxy`. The name is looked up and looked at here too, as far as this machine can; where it leads is then the proxy's affair.
    async fn through(&self, proxy: &Url, to: &Destination<'_>, forwards: bool) -> Result<Box<dyn Stream>, VisitError> {
        match self.deadline.during("looking up the name", lookup(to.dial, port(to.url)?)).await {
            Ok(_) | Err(VisitError::Dns(_) | VisitError::Timeout(_)) => {}
            Err(error) => return Err(error),
        }
        let failed =
            |error: VisitError| VisitError::Connect(format!("the proxy {}: {}", proxy.host_str().unwrap_or_default(), error.why()));
        let stream = self.dialled(proxy.host_str().unwrap_or_default(), port(proxy)?).await.map_err(failed)?;
        let stream = if proxy.scheme() == "https" { self.secured(stream, proxy).await.map_err(failed)? } else { stream };
        if forwards { Ok(stream) } else { self.tunnelled(stream, proxy, to).await.map_err(failed) }
    }

    async fn tunnelled(&self, stream: Box<dyn Stream>, proxy: &Url, to: &Destination<'_>) -> Result<Box<dyn Stream>, VisitError> {
        let authority = format!("{}:{}", to.dial, port(to.url)?);
        let request = http::Request::connect(&authority).header(http::header::HOST, &authority).body(Empty::<Bytes>::new());
        let mut request = request.map_err(|error| VisitError::Refused(error.to_string()))?;
        authorize(proxy, request.headers_mut())?;
        let tunnelling = async {
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            let mut driver = JoinSet::new();
            driver.spawn(connection.with_upgrades());
            let response = sender.send_request(request).await?;
            let status = response.status();
            if !status.is_success() {
                return Ok(Err(status));
            }
            hyper::upgrade::on(response).await.map(Ok)
        };
        let tunnelling = async { tunnelling.await.map_err(|error: hyper::Error| VisitError::Connect(plain(&error))) };
        match self.deadline.during("waiting for the proxy", tunnelling).await? {
            Ok(upgraded) => Ok(Box::new(TokioIo::new(upgraded))),
            Err(status) => Err(VisitError::Connect(format!("it answered {status}"))),
        }
    }

    async fn secured(&self, stream: Box<dyn Stream>, url: &Url) -> Result<Box<dyn Stream>, VisitError> {
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| VisitError::Tls(format!("{host} cannot stand in a certificate")))?;
        let connector = TlsConnector::from(Arc::new(self.tls.clone()));
        let shaking = async { connector.connect(name, stream).await.map_err(|error| VisitError::Tls(words::plain(&error))) };
        Ok(Box::new(self.deadline.during("in the TLS handshake", shaking).await?))
    }
}

/// The credentials of a proxy's address.
fn authorize(proxy: &Url, headers: &mut http::HeaderMap) -> Result<(), VisitError> {
    if let Some(value) = super::basic_credentials(proxy)? {
        headers.insert(http::header::PROXY_AUTHORIZATION, value);
    }
    Ok(())
}

fn port(url: &Url) -> Result<u16, VisitError> {
    url.port_or_known_default().ok_or_else(|| VisitError::Refused(format!("{} is no scheme for this", url.scheme())))
}

/// The first 64 KiB.
async fn start_of(mut body: Incoming) -> Result<Bytes, VisitError> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| VisitError::Broken(plain(&error)))?;
        if let Some(data) = frame.data_ref() {
            read.extend_from_slice(&data[..data.len().min(BODY - read.len())]);
        }
        if read.len() == BODY {
            break;
        }
    }
    Ok(read.freeze())
}
