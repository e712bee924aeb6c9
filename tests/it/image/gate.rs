//! Debian's registry where ECR's stands: whoever shows a token that the simulator's ECR has given out is let through to it, everybody else is answered by ECR.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type Broken = Box<dyn std::error::Error + Send + Sync>;
type Reply = http::Response<Full<Bytes>>;

/// The gate; it ends with the test.
pub struct Gate {
    pub port: u16,
    _serving: JoinSet<()>,
}

impl Gate {
    /// Between whoever asks and the registry at `registry`; `ecr` is where the simulator answers.
    pub async fn before(registry: u16, ecr: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let ports = Arc::new((registry, ecr));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let ports = ports.clone();
                connections.spawn(async move {
                    let service = service_fn(|request| answer(request, *ports));
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { port, _serving: serving }
    }
}

async fn answer(request: http::Request<Incoming>, (registry, ecr): (u16, u16)) -> Result<Reply, Broken> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut knock = http::Request::get("/v2/").body(Full::new(Bytes::new()))?;
    for name in ["host", "authorization"] {
        if let Some(value) = head.headers.get(name) {
            knock.headers_mut().insert(http::HeaderName::from_static(name), value.clone());
        }
    }
    let admitted = asked(ecr, knock).await?;
    if admitted.status() != 200 {
        return Ok(admitted);
    }
    head.headers.remove("authorization");
    head.headers.insert("x-forwarded-proto", http::HeaderValue::from_static("https"));
    asked(registry, http::Request::from_parts(head, Full::new(body))).await
}

async fn asked(port: u16, request: http::Request<Full<Bytes>>) -> Result<Reply, Broken> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let (mut head, body) = sender.send_request(request).await?.into_parts();
    head.headers.remove("transfer-encoding");
    Ok(http::Response::from_parts(head, Full::new(body.collect().await?.to_bytes())))
}
