//! A daemon on a Unix socket that answers as an engine does, with either store: its images are of the test's making, its mishaps are the test's choice.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use touchdown::clock::Clock;
use touchdown::http::docker::Engine;
use touchdown::http::{Fence, Http, Options};

/// What goes wrong with one export or push; then the next may go well.
#[derive(Debug, Clone)]
pub enum Mishap {
    /// The connection ends after so many bytes of the answer.
    Cut(usize),
    /// An answer with this status and message.
    Status(u16, &'static str),
    /// The last line of the report is this error.
    Said(&'static str),
    /// The report ends without a word about a digest.
    Silent,
    /// It says it pushed this.
    Pushed(String),
    /// It says it pushed the first manifest of the index, for lack of the others.
    InsteadOfIndex(String),
    /// It lacks content.
    Missing,
}

#[derive(Debug, Default)]
pub struct World {
    /// What `docker info` tells of the store.
    pub driver_status: Vec<[&'static str; 2]>,
    /// Inspections by name and by id.
    pub images: BTreeMap<String, Value>,
    /// Inspections by id and platform, as newer engines tell them.
    pub by_platform: BTreeMap<(String, String), Value>,
    /// Exports by id.
    pub exports: BTreeMap<String, Vec<u8>>,
    /// What goes wrong, in order.
    pub mishaps: VecDeque<Mishap>,
    /// Every request: its method and its path, decoded.
    pub requests: Vec<String>,
    /// The logins shown with pushes.
    pub logins: Vec<Value>,
}

pub struct StandIn {
    pub world: Arc<Mutex<World>>,
    socket: PathBuf,
    _folder: tempfile::TempDir,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Body = BoxBody<Bytes, std::io::Error>;

impl StandIn {
    pub fn start(world: World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let world = Arc::new(Mutex::new(world));
        let shared = world.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                let service = hyper::service::service_fn(move |request| {
                    let answered = shared.lock().unwrap().answer(&request);
                    async move { Ok::<_, Infallible>(answered) }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { world, socket, _folder: folder, server }
    }

    /// Where it listens, as `DOCKER_HOST` has it.
    pub fn docker_host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// An engine that speaks to it, on a clock of its own.
    pub fn engine(&self) -> Engine {
        Engine::at(http(Fence::default()), &self.socket)
    }

    /// The same behind a fence.
    pub fn fenced(&self, fence: PathBuf) -> Engine {
        Engine::at(http(Fence(Some(fence))), &self.socket)
    }

    /// The requests of this method.
    pub fn asked(&self, method: &str) -> Vec<String> {
        let world = self.world.lock().unwrap();
        world.requests.iter().filter_map(|request| request.strip_prefix(&format!("{method} "))).map(str::to_owned).collect()
    }
}

/// A client whose pauses are short.
pub fn http(fence: Fence) -> Http {
    let clock = Clock::scaled(100.0);
    Http::new(Options { clock, endpoints: Default::default(), fence, environment: BTreeMap::new() }).unwrap()
}

fn whole(status: u16, body: Value) -> Response<Body> {
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed();
    Response::builder().status(status).header("api-version", "1.51").body(body).unwrap()
}

fn error(status: u16, message: &str) -> Response<Body> {
    whole(status, json!({ "message": message }))
}

/// Bytes in pieces; cut after some, as a connection that breaks.
fn pieces(bytes: Vec<u8>, cut: Option<usize>) -> Response<Body> {
    let kept = cut.unwrap_or(bytes.len()).min(bytes.len());
    let mut frames: Vec<Result<Frame<Bytes>, std::io::Error>> =
        bytes[..kept].chunks(64 * 1024).map(|piece| Ok(Frame::data(Bytes::copy_from_slice(piece)))).collect();
    if cut.is_some() {
        frames.push(Err(std::io::ErrorKind::ConnectionReset.into()));
    }
    // A moment before each, so that what came before has left.
    let paced = stream::iter(frames).then(|frame| async {
        tokio::task::yield_now().await;
        frame
    });
    Response::builder().status(200).body(BodyExt::boxed(StreamBody::new(paced))).unwrap()
}

impl World {
    /// An engine with the containerd store.
    pub fn containerd() -> Self {
        Self { driver_status: vec![["driver-type", "io.containerd.snapshotter.v1"]], ..Self::default() }
    }

    /// An engine with the legacy store.
    pub fn legacy() -> Self {
        Self { driver_status: vec![["Backing Filesystem", "extfs"], ["Native Overlay Diff", "true"]], ..Self::default() }
    }

    /// Puts an image in under a name.
    pub fn image(mut self, name: &str, inspected: Value) -> Self {
        let id = inspected["Id"].as_str().unwrap().to_owned();
        self.images.insert(name.to_owned(), inspected.clone());
        self.images.insert(id, inspected);
        self
    }

    fn answer(&mut self, request: &Request<Incoming>) -> Response<Body> {
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let (raw, path) = (request.uri().path(), decoded(request.uri().path()));
        assert!(!raw.contains([':', '@', '?']), "{raw} is not encoded");
        let query: BTreeMap<String, String> = request
            .uri()
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (decoded(key), decoded(value)))
            .collect();
        let asked: Vec<String> = query.iter().map(|(key, value)| format!("{key}={value}")).collect();
        self.requests.push(format!("{} {path} {}", request.method(), asked.join(" ")).trim_end().to_owned());
        let name = |after: &str| path.strip_prefix("/images/").and_then(|rest| rest.strip_suffix(after)).map(str::to_owned);
        match request.method().as_str() {
            "GET" if path == "/info" => whole(200, json!({ "Driver": "x", "DriverStatus": self.driver_status })),
            "GET" if path.ends_with("/json") => self.inspect(&name("/json").unwrap(), query.get("platform")),
            "GET" if path.ends_with("/get") => self.export(&name("/get").unwrap()),
            "POST" if path.ends_with("/tag") => self.tag(&name("/tag").unwrap(), &format!("{}:{}", query["repo"], query["tag"])),
            "POST" if path.ends_with("/push") => {
                let login = request.headers()["x-registry-auth"].to_str().unwrap();
                let login = base64::engine::general_purpose::URL_SAFE.decode(login).unwrap();
                self.logins.push(serde_json::from_slice(&login).unwrap());
                self.push(&format!("{}:{}", name("/push").unwrap(), query["tag"]), query.get("platform"))
            }
            "DELETE" => match self.images.remove(&name("").unwrap()) {
                Some(_) => whole(200, json!([])),
                None => error(404, "no such image"),
            },
            _ => error(404, "page not found"),
        }
    }

    fn inspect(&self, name: &str, platform: Option<&String>) -> Response<Body> {
        let Some(inspected) = self.images.get(name) else { return error(404, &format!("No such image: {name}")) };
        let chosen = platform.and_then(|platform| {
            let platform: Value = serde_json::from_str(platform).unwrap();
            let key = (inspected["Id"].as_str().unwrap().to_owned(), platform["architecture"].as_str().unwrap().to_owned());
            self.by_platform.get(&key)
        });
        whole(200, chosen.unwrap_or(inspected).clone())
    }

    fn export(&mut self, id: &str) -> Response<Body> {
        let bytes = self.exports[id].clone();
        match self.mishaps.pop_front() {
            None => pieces(bytes, None),
            Some(Mishap::Cut(after)) => pieces(bytes, Some(after)),
            Some(Mishap::Status(status, message)) => error(status, message),
            Some(other) => panic!("{other:?} is no mishap of an export"),
        }
    }

    fn tag(&mut self, id: &str, name: &str) -> Response<Body> {
        let Some(image) = self.images.get(id).cloned() else { return error(404, "No such image") };
        self.images.insert(name.to_owned(), image);
        whole(201, Value::Null)
    }

    fn push(&mut self, name: &str, platform: Option<&String>) -> Response<Body> {
        let Some(image) = self.images.get(name) else { return error(404, &format!("tag does not exist: {name}")) };
        let id = image["Id"].as_str().unwrap().to_owned();
        let mut digest = id.clone();
        if let Some(platform) = platform {
            let platform: Value = serde_json::from_str(platform).unwrap();
            let chosen = self.by_platform.get(&(id.clone(), platform["architecture"].as_str().unwrap().to_owned()));
            digest = chosen.map_or(digest, |chosen| chosen["Id"].as_str().unwrap().to_owned());
        }
        let tag = name.rsplit_once(':').unwrap().1.to_owned();
        let told = |digest: &str| json!({ "status": format!("{tag}: digest: {digest} size: 1000") });
        let mut lines = vec![
            json!({ "status": format!("The push refers to repository [{name}]") }),
            json!({ "status": "Pushing", "progressDetail": { "current": 512, "total": 2048 }, "id": "4f4fb700ef54" }),
            json!({ "status": "Layer already exists", "progressDetail": {}, "id": "aaaaaaaaaaaa" }),
            json!({ "status": "Pushing", "progressDetail": { "current": 2048, "total": 2048 }, "id": "4f4fb700ef54" }),
        ];
        let mut cut = None;
        let said = |message: &str| json!({ "errorDetail": { "message": message }, "error": message });
        match self.mishaps.pop_front() {
            None => lines.push(told(&digest)),
            Some(Mishap::Status(status, message)) => return error(status, message),
            Some(Mishap::Cut(after)) => cut = Some(after),
            Some(Mishap::Said(message)) => lines.push(said(message)),
            Some(Mishap::Silent) => {}
            Some(Mishap::Pushed(other)) => lines.push(told(&other)),
            Some(Mishap::InsteadOfIndex(chosen)) => {
                lines.push(json!({ "aux": { "manifestPushedInsteadOfIndex": true, "originalIndex": { "digest": id }, "selectedManifest": { "digest": chosen } } }));
                lines.push(told(&chosen));
            }
            Some(Mishap::Missing) => {
                lines.push(json!({ "aux": { "contentMissing": true, "desc": { "digest": id } } }));
                lines.push(said("content digest sha256:1: not found"));
            }
        }
        let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        pieces(text.into_bytes(), cut)
    }
}
