//! A proxy before a registry and its token server that disturbs the requests a test chooses, by their number.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends before the request has arrived.
    ResetBefore,
    /// The request is carried out, and the connection ends without an answer.
    ResetAfter,
    /// 500, and nothing is carried out.
    Error,
    /// It is carried out, and the answer is 500.
    ErrorAfter,
    /// 503 with a time to come back.
    Unavailable,
    /// 429.
    Throttled,
    /// The answer ends in its middle.
    Truncated,
    /// The token is no longer good.
    Expired,
}

pub const FAULTS: [Fault; 8] = [
    Fault::ResetBefore,
    Fault::ResetAfter,
    Fault::Error,
    Fault::ErrorAfter,
    Fault::Unavailable,
    Fault::Throttled,
    Fault::Truncated,
    Fault::Expired,
];

type Choosing = dyn Fn(usize) -> Option<Fault> + Send + Sync;
type Reply = http::Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// The proxy; it ends with the test.
pub struct FaultProxy {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

struct Route {
    registry: u16,
    tokens: Option<u16>,
    choosing: Box<Choosing>,
    index: AtomicUsize,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FaultProxy {
    /// Disturbs what `choosing` tells, by the request's number from 0. What begins with `/token` goes to the token server.
    pub async fn before(registry: u16, tokens: Option<u16>, choosing: impl Fn(usize) -> Option<Fault> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let route = Arc::new(Route { registry, tokens, choosing: Box::new(choosing), index: AtomicUsize::new(0), asked: asked.clone() });
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let route = route.clone();
                connections.spawn(async move {
                    let service = service_fn(|request| route.answer(request));
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { port, asked, _serving: serving }
    }

    /// Method and path of every request, in their order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Route {
    async fn answer(&self, request: http::Request<Incoming>) -> Result<Reply, std::io::Error> {
        let hung_up = || std::io::Error::other("hung up");
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| hung_up())?.to_bytes();
        let index = self.index.fetch_add(1, Ordering::SeqCst);
        self.asked.lock().unwrap().push(format!("{} {}", head.method, head.uri.path()));
        // A token server knows no tokens that expire.
        let fault = (self.choosing)(index).filter(|fault| *fault != Fault::Expired || !head.uri.path().starts_with("/token"));
        let has_body = head.method != http::Method::HEAD;
        match fault {
            Some(Fault::ResetBefore) => return Err(hung_up()),
            Some(Fault::Error) => return Ok(plain(500, &[])),
            Some(Fault::Unavailable) => return Ok(plain(503, &[("retry-after", "1")])),
            Some(Fault::Throttled) => return Ok(plain(429, &[])),
            Some(Fault::Expired) => {
                head.headers.remove("authorization");
            }
            _ => {}
        }
        let answer = self.forwarded(http::Request::from_parts(head, Full::new(body))).await.map_err(|_| hung_up())?;
        match fault {
            Some(Fault::ResetAfter) => Err(hung_up()),
            Some(Fault::Truncated) if !has_body => Err(hung_up()),
            Some(Fault::ErrorAfter) => Ok(plain(500, &[])),
            Some(Fault::Truncated) => Ok(truncated(answer)),
            _ => Ok(answer.map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync())),
        }
    }

    async fn forwarded(
        &self,
        request: http::Request<Full<Bytes>>,
    ) -> Result<http::Response<Bytes>, Box<dyn std::error::Error + Send + Sync>> {
        let port = self.tokens.filter(|_| request.uri().path().starts_with("/token")).unwrap_or(self.registry);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(TcpStream::connect(("127.0.0.1", port)).await?)).await?;
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let (head, body) = sender.send_request(request).await?.into_parts();
        Ok(http::Response::from_parts(head, body.collect().await?.to_bytes()))
    }
}

fn plain(status: u16, headers: &[(&str, &str)]) -> Reply {
    let response = headers.iter().fold(http::Response::builder().status(status), |response, (name, value)| response.header(*name, *value));
    response.body(Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync()).unwrap()
}

/// More is announced than comes.
fn truncated(answer: http::Response<Bytes>) -> Reply {
    let (mut head, body) = answer.into_parts();
    head.headers.insert("content-length", (body.len() + 10).into());
    let half = body.slice(..body.len() / 2);
    let pieces = stream::iter([Ok(Frame::data(half)), Err(std::io::Error::other("cut"))]);
    http::Response::from_parts(head, StreamBody::new(pieces).boxed_unsync())
}
