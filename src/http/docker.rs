//! The Docker engine behind its socket: one connection for each request, answers whole or as they come, and the stop of one container by its full id,
//! which the post step uses on an orphan main and on nothing else. What an image is to an engine, others know.

use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::BackoffBuilder;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::failure::{Failure, Kind, Result};

use super::{Answer, Http, Intent, LARGEST_ANSWER, NoAnswer, words};

/// How long the engine may take over one call.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long it may be silent before a long answer begins, and within it: it packs a whole image before it sends the first byte of it.
const SILENCE: Duration = Duration::from_secs(15 * 60);
/// Tries after the first, where somebody tries again.
const TRIES: usize = 4;

/// An engine.
#[derive(Clone)]
pub struct Engine {
    http: Http,
    socket: PathBuf,
}

/// An answer that comes bit by bit.
pub struct Following {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: HeaderMap,
    body: Incoming,
    silence: Duration,
    _driver: Driver,
}

/// Drives a connection, as long as somebody wants it.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Engine {
    /// The one behind `socket`.
    pub fn at(http: Http, socket: &Path) -> Self {
        Self { http, socket: socket.to_owned() }
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// One call with its whole answer, of at most 8 MiB. `path` is encoded already; a change passes the fence first.
    pub async fn call(&self, method: Method, path: &str, intent: Intent) -> Result<Answer, NoAnswer> {
        let request = http::Request::builder().method(method).uri(path);
        let asked = async {
            let following = self.send(request, intent, PATIENCE).await?;
            following.whole().await
        };
        timeout(self.http.clock().patience(2 * PATIENCE), asked).await.unwrap_or_else(|_| Err(silent()))
    }

    /// One call whose answer is long, or long in coming.
    pub async fn follow(&self, request: http::request::Builder, intent: Intent) -> Result<Following, NoAnswer> {
        self.send(request, intent, SILENCE).await
    }

    /// Waits before something is tried again; `false`: it was tried often enough. `tried` counts from 1.
    pub async fn pause(&self, tried: usize) -> bool {
        let delays =
            backon::ExponentialBuilder::default().with_min_delay(Duration::from_millis(500)).with_max_delay(Duration::from_secs(10));
        let delay = delays.with_max_times(TRIES).with_jitter().build().nth(tried.saturating_sub(1));
        let Some(delay) = delay else { return false };
        self.http.clock().sleep(delay).await;
        true
    }

    async fn send(&self, request: http::request::Builder, intent: Intent, silence: Duration) -> Result<Following, NoAnswer> {
        if intent == Intent::Change && self.http.shared.options.fence.stands() {
            return Err(NoAnswer::Fenced);
        }
        let request = request.header("host", "docker").body(Empty::<Bytes>::new()).map_err(|error| NoAnswer::NotSent(error.to_string()))?;
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let began = std::time::Instant::now();
        let silence = self.http.clock().patience(silence);
        let answered = timeout(silence, exchange(&self.socket, request)).await.unwrap_or_else(|_| Err(silent()));
        let milliseconds = began.elapsed().as_millis();
        match &answered {
            Ok((response, _)) => tracing::debug!(%method, path, status = response.status().as_u16(), milliseconds, "engine"),
            Err(cause) => tracing::debug!(%method, path, %cause, milliseconds, "engine"),
        }
        let (response, driver) = answered?;
        let (head, body) = response.into_parts();
        Ok(Following { status: head.status.as_u16(), headers: head.headers, body, silence, _driver: driver })
    }
}

impl Following {
    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, NoAnswer> {
        loop {
            match timeout(self.silence, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
                    _ => {}
                },
                Ok(Some(Err(error))) => return Err(NoAnswer::Lost(format!("the engine: {}", words::plain(&error)))),
                Err(_) => return Err(silent()),
            }
        }
    }

    /// All of it, of at most 8 MiB.
    pub async fn whole(mut self) -> Result<Answer, NoAnswer> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if body.len() + piece.len() > LARGEST_ANSWER {
                return Err(NoAnswer::Lost(format!("the engine's answer is larger than {} MiB", LARGEST_ANSWER >> 20)));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status: self.status, headers: self.headers, body: body.freeze() })
    }
}

fn silent() -> NoAnswer {
    NoAnswer::Lost("the engine did not answer in time".to_owned())
}

async fn exchange(socket: &Path, request: http::Request<Empty<Bytes>>) -> Result<(http::Response<Incoming>, Driver), NoAnswer> {
    let unreached = |error: std::io::Error| NoAnswer::NotSent(format!("{}: {}", socket.display(), words::input_output(&error)));
    let stream = tokio::net::UnixStream::connect(socket).await.map_err(unreached)?;
    let lost = |error: hyper::Error| NoAnswer::Lost(format!("the engine: {}", words::plain(&error)));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
    let driver = Driver(tokio::spawn(async move { drop(connection.await) }));
    let response = sender.send_request(request).await.map_err(lost)?;
    Ok((response, driver))
}

/// Stops the container `id` (64 hexadecimal digits): SIGTERM, and SIGKILL after `grace`. A container that is gone is stopped.
/// <https://docs.docker.com/reference/api/engine/version/v1.41/#operation/ContainerStop>
pub async fn stop_container(socket: &Path, id: &str, grace: Duration) -> Result<()> {
    if id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::bug("a container id is 64 hexadecimal digits"));
    }
    let path = format!("/containers/{id}/stop?t={}", grace.as_secs());
    let request = http::Request::post(path).header("host", "docker").body(Empty::<Bytes>::new());
    let request = request.map_err(|error| Failure::bug(error.to_string()))?;
    match timeout(PATIENCE + grace, exchange(socket, request)).await {
        Ok(Ok((response, _))) if matches!(response.status().as_u16(), 204 | 304 | 404) => Ok(()),
        Ok(Ok((response, _))) => Err(unstopped(&format!("the engine answered {}", response.status().as_u16()))),
        Ok(Err(cause)) => Err(unstopped(&cause.to_string())),
        Err(_) => Err(unstopped("the engine did not answer in time")),
    }
}

fn unstopped(why: &str) -> Failure {
    Failure::new(Kind::Transient, "the container of the cancelled step could not be stopped").why(why)
}
