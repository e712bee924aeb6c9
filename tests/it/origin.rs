//! A server that answers as a test tells it to, over plain TCP or TLS, and remembers what it was asked.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub connection: usize,
    pub method: String,
    pub target: String,
    pub headers: http::HeaderMap,
    pub body: String,
}

/// What comes back.
pub enum Reply {
    Answer(http::Response<Bytes>),
    /// The request is read, and the connection closed.
    Hangup,
    /// Nothing, for ever.
    Silence,
}

type Answering = dyn Fn(&Asked, usize) -> Reply + Send + Sync;

/// The server; it ends with the test.
pub struct Origin {
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    _serving: JoinSet<()>,
}

pub fn answer(status: u16, body: &str) -> Reply {
    Reply::Answer(http::Response::builder().status(status).body(Bytes::from(body.to_owned())).unwrap())
}

pub fn answer_with(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let response = headers.iter().fold(http::Response::builder().status(status), |response, (name, value)| response.header(*name, *value));
    Reply::Answer(response.body(Bytes::from(body.to_owned())).unwrap())
}

impl Origin {
    /// Answers the request of each index, from 0.
    pub async fn start(answering: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve(None, answering).await
    }

    /// The same over TLS.
    pub async fn with_tls(tls: rustls::ServerConfig, answering: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve(Some(tokio_rustls::TlsAcceptor::from(Arc::new(tls))), answering).await
    }

    async fn serve(tls: Option<tokio_rustls::TlsAcceptor>, answering: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answering, remembered): (Arc<Answering>, _) = (Arc::new(answering), asked.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let (answering, asked, tls) = (answering.clone(), remembered.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => talk(TokioIo::new(stream), connection, asked, answering).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                talk(TokioIo::new(stream), connection, asked, answering).await;
                            }
                        }
                    }
                });
            }
        });
        Self { port, asked, _serving: serving }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn talk<S>(io: S, connection: usize, asked: Arc<Mutex<Vec<Asked>>>, answering: Arc<Answering>)
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(|request: http::Request<Incoming>| {
        let (asked, answering) = (asked.clone(), answering.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned();
            let request = Asked { connection, method: head.method.to_string(), target: head.uri.to_string(), headers: head.headers, body };
            let index = {
                let mut asked = asked.lock().unwrap();
                asked.push(request.clone());
                asked.len() - 1
            };
            match answering(&request, index) {
                Reply::Answer(response) => Ok(response.map(Full::new)),
                Reply::Hangup => Err(std::io::Error::other("hung up")),
                Reply::Silence => std::future::pending().await,
            }
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
}

/// A server that speaks no HTTP: it reads once, says `words` and hangs up, or stays on the line.
pub async fn babbler(words: &'static [u8], stays: bool) -> (u16, JoinSet<()>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(words).await;
            if stays {
                held.push(stream);
            }
        }
    });
    (port, serving)
}

/// A proxy that tunnels every CONNECT to `port` of this machine, and remembers what it was asked for.
pub async fn tunnel(port: u16) -> (u16, Arc<Mutex<Vec<Asked>>>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut serving = JoinSet::new();
    let remembered = asked.clone();
    serving.spawn(async move {
        let mut connections = JoinSet::new();
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let asked = remembered.clone();
            let service = service_fn(move |request: http::Request<Incoming>| {
                let (method, target) = (request.method().to_string(), request.uri().to_string());
                asked.lock().unwrap().push(Asked { connection, method, target, headers: request.headers().clone(), body: String::new() });
                tokio::spawn(async move {
                    let upgraded = hyper::upgrade::on(request).await.unwrap();
                    let mut there = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut there).await;
                });
                async { Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::new()))) }
            });
            connections.spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
            });
        }
    });
    (own, asked, serving)
}
