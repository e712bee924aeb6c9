//! A strict registry in memory that plays the manners of the known ones: what each demands, refuses and gets wrong, by facts of its users.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use touchdown::image::hashing::digest_of;

/// How a registry behaves.
#[derive(Clone)]
pub struct Manners {
    pub asks: Asks,
    /// A repository must exist before the first push.
    pub beforehand: bool,
    /// A tag never moves, and is refused even where it would mean the same.
    pub immutable: bool,
    pub mounts: bool,
    /// A body in one PUT may have so many bytes.
    pub largest_put: usize,
    /// A body in one PATCH may have so many bytes; 0: none is taken at all.
    pub largest_patch: usize,
    /// Every piece after the first is dropped, and the answer does not tell.
    pub drops_pieces: bool,
    /// It keeps lists of what is about an image.
    pub keeps_referrers: bool,
    /// The passes that came with the requests of these numbers are called expired.
    pub expired: fn(usize) -> bool,
    /// Blobs are read elsewhere.
    pub blobs_at: Option<String>,
}

#[derive(Clone)]
pub enum Asks {
    Nothing,
    /// Name and password.
    Basic(&'static str, &'static str),
    /// A token from its own `/token`, for name and password.
    Bearer(&'static str, &'static str),
    /// A token from its own `/oauth2/token`, for a refresh token that `/oauth2/exchange` gives for this access token.
    Exchanged(&'static str),
    /// Whoever comes is told that nobody signed in.
    RoleMissing,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            asks: Asks::Nothing,
            beforehand: false,
            immutable: false,
            mounts: true,
            largest_put: usize::MAX,
            largest_patch: usize::MAX,
            drops_pieces: false,
            keeps_referrers: true,
            expired: |_| false,
            blobs_at: None,
        }
    }
}

/// What it was asked.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: http::HeaderMap,
    pub bytes: usize,
}

#[derive(Default)]
struct State {
    repositories: BTreeMap<String, Repository>,
    blobs: HashMap<String, Bytes>,
    uploads: HashMap<String, Vec<u8>>,
    seen: Vec<Seen>,
    generation: usize,
}

#[derive(Default)]
struct Repository {
    blobs: BTreeSet<String>,
    manifests: HashMap<String, (String, Bytes)>,
    tags: BTreeMap<String, String>,
}

/// The registry; it ends with the test.
pub struct Fake {
    pub port: u16,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

type Answer = http::Response<Full<Bytes>>;

impl Fake {
    pub async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let (desk, mut serving) = (Arc::new(Desk { manners, state: state.clone() }), JoinSet::new());
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let desk = desk.clone();
                connections.spawn(async move {
                    let service = service_fn(|request| desk.serve(request));
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { port, state, _serving: serving }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn create(&self, repository: &str) {
        self.state().repositories.entry(repository.to_owned()).or_default();
    }

    pub fn tag(&self, repository: &str, tag: &str) -> Option<String> {
        self.state().repositories.get(repository)?.tags.get(tag).cloned()
    }

    pub fn has_manifest(&self, repository: &str, digest: &str) -> bool {
        self.state().repositories.get(repository).is_some_and(|repository| repository.manifests.contains_key(digest))
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// How many bytes each request of `method` brought, where it brought any.
    pub fn brought(&self, method: &str) -> Vec<usize> {
        self.state()
            .seen
            .iter()
            .filter(|seen| seen.method == method && seen.bytes > 0 && seen.path.contains("/uploads/"))
            .map(|seen| seen.bytes)
            .collect()
    }
}

struct Desk {
    manners: Manners,
    state: Arc<Mutex<State>>,
}

fn status(status: u16) -> http::response::Builder {
    http::Response::builder().status(status)
}

fn empty(response: http::response::Builder) -> Answer {
    response.body(Full::default()).unwrap()
}

fn refusal(code: u16, name: &str, message: &str) -> Answer {
    let body = json!({ "errors": [{ "code": name, "message": message }] });
    status(code).header("content-type", "application/json").body(Full::from(body.to_string())).unwrap()
}

fn text(code: u16, body: &Value) -> Answer {
    status(code).header("content-type", "application/json").body(Full::from(body.to_string())).unwrap()
}

impl Desk {
    async fn serve(&self, request: http::Request<Incoming>) -> Result<Answer, std::convert::Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let mut state = self.state.lock().unwrap();
        let number = state.seen.len();
        state.seen.push(Seen {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers.clone(),
            bytes: body.len(),
        });
        if let Some(given) = self.given_out(&mut state, &head, &body) {
            return Ok(given);
        }
        if let Some(refused) = self.not_admitted(&mut state, &head, number) {
            return Ok(refused);
        }
        Ok(self.answer(&mut state, &head, body))
    }

    /// Tokens.
    fn given_out(&self, state: &mut State, head: &http::request::Parts, body: &Bytes) -> Option<Answer> {
        let form = |name: &str| url::form_urlencoded::parse(body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let token = |state: &State| json!({ "access_token": format!("token-{}", state.generation), "expires_in": 300 });
        match (&self.manners.asks, head.uri.path()) {
            (Asks::Bearer(name, password), "/token") => {
                let login = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}")));
                let known = head.headers.get("authorization").is_some_and(|value| value == login.as_str());
                state.generation += usize::from(known);
                Some(if known { text(200, &token(state)) } else { refusal(401, "UNAUTHORIZED", "who are you?") })
            }
            (Asks::Exchanged(access), "/oauth2/exchange") => {
                let known = form("access_token").as_deref() == Some(access) && form("grant_type").as_deref() == Some("access_token");
                Some(if known {
                    text(200, &json!({ "refresh_token": "refreshing" }))
                } else {
                    refusal(401, "UNAUTHORIZED", "no such token")
                })
            }
            (Asks::Exchanged(_), "/oauth2/token") => {
                let known = form("refresh_token").as_deref() == Some("refreshing")
                    && form("scope").is_some_and(|scope| scope.ends_with(":pull,push"));
                state.generation += usize::from(known);
                Some(if known { text(200, &token(state)) } else { refusal(401, "UNAUTHORIZED", "no such token") })
            }
            _ => None,
        }
    }

    fn not_admitted(&self, state: &mut State, head: &http::request::Parts, number: usize) -> Option<Answer> {
        let shown = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let host = head.headers["host"].to_str().unwrap();
        let expired = (self.manners.expired)(number);
        match &self.manners.asks {
            Asks::Nothing => None,
            Asks::RoleMissing => {
                let challenge = format!("Bearer realm=\"https://{host}/token\",service=\"{host}\"");
                let words = "Unauthenticated request. Unauthenticated requests do not have permission \"artifactregistry.repositories.uploadArtifacts\"";
                let mut refused = refusal(401, "UNAUTHORIZED", words);
                refused.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
                Some(refused)
            }
            Asks::Basic(name, password) => {
                let login = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}")));
                if expired {
                    return Some(refusal(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again."));
                }
                let challenge = format!("Basic realm=\"https://{host}/\",service=\"ecr.amazonaws.com\"");
                (shown != login).then(|| empty(status(401).header("www-authenticate", challenge)))
            }
            Asks::Bearer(..) | Asks::Exchanged(_) => {
                let path = if matches!(self.manners.asks, Asks::Exchanged(_)) { "oauth2/token" } else { "token" };
                let challenge = format!("Bearer realm=\"https://{host}/{path}\",service=\"{host}\",scope=\"repository:web:pull\"");
                let known = shown == format!("Bearer token-{}", state.generation);
                if expired {
                    state.generation += 1000;
                }
                (!known || expired).then(|| empty(status(401).header("www-authenticate", challenge)))
            }
        }
    }

    fn answer(&self, state: &mut State, head: &http::request::Parts, body: Bytes) -> Answer {
        let path = head.uri.path().trim_start_matches("/v2/");
        let query: HashMap<String, String> = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        for part in ["/manifests/", "/blobs/uploads/", "/blobs/", "/referrers/"] {
            let Some((name, rest)) = path.split_once(part) else { continue };
            if self.manners.beforehand && !state.repositories.contains_key(name) {
                return refusal(
                    404,
                    "NAME_UNKNOWN",
                    &format!("The repository with name '{name}' does not exist in the registry with id '123456789012'"),
                );
            }
            return match part {
                "/manifests/" => self.manifests(state, (name, rest), head, body),
                "/blobs/uploads/" => self.uploads(state, (name, rest), (head, &query), &body),
                "/blobs/" => self.blobs(state, name, rest, head),
                _ => self.referrers(state, name, rest),
            };
        }
        refusal(404, "NOT_FOUND", "nothing here")
    }

    fn manifests(&self, state: &mut State, (name, reference): (&str, &str), head: &http::request::Parts, body: Bytes) -> Answer {
        if head.method != http::Method::PUT {
            let found = state.repositories.get(name).and_then(|repository| {
                let digest = repository.tags.get(reference).map_or(reference, String::as_str);
                repository.manifests.get(digest).map(|(media_type, bytes)| (digest.to_owned(), media_type.clone(), bytes.clone()))
            });
            let Some((digest, media_type, bytes)) = found else { return refusal(404, "MANIFEST_UNKNOWN", "no such manifest") };
            let accepted = head.headers.get("accept").and_then(|value| value.to_str().ok()).unwrap_or_default();
            assert!(accepted.contains(&media_type), "{accepted} does not name {media_type}");
            return status(200).header("docker-content-digest", digest).header("content-type", media_type).body(Full::from(bytes)).unwrap();
        }
        let digest = digest_of(&body).unwrap().as_str().to_owned();
        let told: Value = serde_json::from_slice(&body).unwrap();
        let repository = state.repositories.entry(name.to_owned()).or_default();
        let media_type = head.headers["content-type"].to_str().unwrap().to_owned();
        let list = |key: &str| told[key].as_array().cloned().unwrap_or_default();
        let named = |value: &Value| value["digest"].as_str().unwrap_or_default().to_owned();
        for blob in list("layers").iter().chain([&told["config"]].into_iter().filter(|config| config.is_object())).map(named) {
            if !repository.blobs.contains(&blob) {
                return refusal(400, "MANIFEST_BLOB_UNKNOWN", &format!("blob {blob} is unknown"));
            }
        }
        for child in list("manifests").iter().map(named).filter(|_| !reference.starts_with("sha256-")) {
            if !repository.manifests.contains_key(&child) {
                return refusal(404, "MANIFEST_UNKNOWN", &format!("manifest {child} is unknown"));
            }
        }
        if !reference.starts_with("sha256:") {
            if self.manners.immutable && repository.tags.contains_key(reference) {
                let words = format!(
                    "The image tag '{reference}' already exists in the '{name}' repository and cannot be overwritten because the repository is immutable."
                );
                return refusal(400, "TAG_INVALID", &words);
            }
            repository.tags.insert(reference.to_owned(), digest.clone());
        } else if reference != digest {
            return refusal(400, "DIGEST_INVALID", "not its digest");
        }
        repository.manifests.insert(digest.clone(), (media_type, body));
        let placed = status(201).header("docker-content-digest", &digest);
        match told["subject"]["digest"].as_str().filter(|_| self.manners.keeps_referrers) {
            Some(subject) => empty(placed.header("oci-subject", subject)),
            None => empty(placed),
        }
    }

    fn uploads(
        &self,
        state: &mut State,
        (name, id): (&str, &str),
        (head, query): (&http::request::Parts, &HashMap<String, String>),
        body: &Bytes,
    ) -> Answer {
        let location = |id: &str| format!("/v2/{name}/blobs/uploads/{id}?state=a%2Fb");
        match head.method.as_str() {
            "POST" => {
                if let (true, Some(digest), Some(from)) = (self.manners.mounts, query.get("mount"), query.get("from")) {
                    let there = state.repositories.get(from).is_some_and(|repository| repository.blobs.contains(digest));
                    if there {
                        state.repositories.entry(name.to_owned()).or_default().blobs.insert(digest.clone());
                        return empty(status(201).header("location", format!("/v2/{name}/blobs/{digest}")));
                    }
                }
                let id = format!("upload-{}", state.seen.len());
                state.uploads.insert(id.clone(), Vec::new());
                empty(status(202).header("location", location(&id)).header("range", "0-0"))
            }
            "DELETE" => empty(status(if state.uploads.remove(id).is_some() { 204 } else { 404 })),
            "PATCH" => {
                let Some(upload) = state.uploads.get_mut(id) else { return refusal(404, "BLOB_UPLOAD_UNKNOWN", "no such upload") };
                if self.manners.largest_patch == 0 {
                    return refusal(405, "UNSUPPORTED", "no chunked uploads here");
                }
                if body.len() > self.manners.largest_patch {
                    return empty(status(413));
                }
                if !self.manners.drops_pieces || upload.is_empty() {
                    upload.extend_from_slice(body);
                }
                let range = format!("0-{}", upload.len().max(1) - 1);
                empty(status(if self.manners.drops_pieces { 201 } else { 202 }).header("location", location(id)).header("range", range))
            }
            _ => {
                if !state.uploads.contains_key(id) {
                    return refusal(404, "BLOB_UPLOAD_UNKNOWN", "no such upload");
                }
                assert_eq!(query.get("state").map(String::as_str), Some("a/b"), "the query of the place is kept");
                if body.len() > self.manners.largest_put {
                    return empty(status(413));
                }
                let mut upload = state.uploads.remove(id).unwrap();
                upload.extend_from_slice(body);
                let digest = digest_of(&upload).unwrap().as_str().to_owned();
                if query.get("digest") != Some(&digest) {
                    return refusal(400, "DIGEST_INVALID", "provided digest did not match uploaded content");
                }
                state.blobs.insert(digest.clone(), Bytes::from(upload));
                state.repositories.entry(name.to_owned()).or_default().blobs.insert(digest.clone());
                empty(status(201).header("location", format!("/v2/{name}/blobs/{digest}")).header("docker-content-digest", digest))
            }
        }
    }

    fn blobs(&self, state: &State, name: &str, digest: &str, head: &http::request::Parts) -> Answer {
        let there = state.repositories.get(name).is_some_and(|repository| repository.blobs.contains(digest));
        match (&self.manners.blobs_at, there) {
            (_, false) => refusal(404, "BLOB_UNKNOWN", "no such blob"),
            (Some(elsewhere), true) => empty(status(307).header("location", format!("{elsewhere}/v2/{name}/blobs/{digest}?signature=x"))),
            (None, true) if head.method == http::Method::HEAD => empty(status(200)),
            (None, true) => status(200).body(Full::from(state.blobs[digest].clone())).unwrap(),
        }
    }

    fn referrers(&self, state: &State, name: &str, subject: &str) -> Answer {
        if !self.manners.keeps_referrers {
            return refusal(404, "NOT_FOUND", "no lists here");
        }
        let manifests = state.repositories.get(name).into_iter().flat_map(|repository| &repository.manifests);
        let about = manifests.filter_map(|(digest, (media_type, bytes))| {
            let told: Value = serde_json::from_slice(bytes).unwrap();
            (told["subject"]["digest"] == subject).then(|| json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }))
        });
        let list =
            json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": about.collect::<Vec<_>>() });
        text(200, &list)
    }
}
