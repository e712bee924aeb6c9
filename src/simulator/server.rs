//! The one port: reads a request, finds the API it is for, lets tests interfere, answers. It models nothing itself.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Collected, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::simulator::fault::Fault;
use crate::simulator::registry::address::{Address, What};
use crate::simulator::request::{Hook, Injection, Moment, OnRequest, Request};
use crate::simulator::wire::{Call, Outcome, Refusal, Reply, json_reply, like, texts, xml_reply};
use crate::simulator::world::State;
use crate::simulator::{app, ecr, ecs, elb, logs, oidc, registry, sts};

const STS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const ELB: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";

/// The longest body of a call to an API.
const LARGEST: usize = 8 << 20;

/// The world as handlers and tests share it.
pub(crate) type Shared = Arc<Mutex<State>>;

/// Locks the world; a panic elsewhere does not make it unusable.
pub(crate) fn lock(world: &Shared) -> MutexGuard<'_, State> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The body of an answer.
type Body = BoxBody<Bytes, Gone>;

/// Which API a request is for.
enum Route {
    Oidc,
    Json { service: &'static str, operation: String },
    Query { service: &'static str, action: String, form: BTreeMap<String, String> },
    Registry(Address),
    App,
}

/// The connection ends without an answer.
#[derive(Debug)]
struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the simulator drops this connection")
    }
}

impl std::error::Error for Gone {}

/// Accepts connections until it is dropped, and all of them with it.
pub(crate) async fn serve(listener: TcpListener, world: Shared, clock: Clock) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let (world, clock) = (world.clone(), clock.clone());
                connections.spawn(async move {
                    let service = service_fn(move |request| handle(world.clone(), clock.clone(), request));
                    let ended = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                    if let Err(error) = ended {
                        tracing::trace!(%error, "a connection to the simulator ended");
                    }
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn handle(world: Shared, clock: Clock, request: hyper::Request<Incoming>) -> Result<hyper::Response<Body>, Gone> {
    let call = read(&world, request).await?;
    let route = route(&call);
    let arrived = arrive(&world, &call, &route);
    ask(arrived.hook.as_ref(), &arrived.request, Moment::Before).await;
    match arrived.injection {
        Some(Injection::ResetBefore) => return Err(Gone),
        Some(Injection::Status(status)) => return Ok(response(refuse(&route, status, &arrived.request))),
        Some(Injection::Throttle) => return Ok(response(refuse(&route, 429, &arrived.request))),
        Some(Injection::Delay(delay)) => clock.sleep(delay).await,
        Some(Injection::Busy(until)) => {
            let reply = refuse(&route, 503, &arrived.request).with("retry-after", until.as_secs().to_string());
            return Ok(response(reply));
        }
        Some(Injection::LoseAnswer | Injection::CutShort) | None => {}
    }
    if !arrived.latency.is_zero() {
        clock.sleep(arrived.latency).await;
    }
    let (reply, takes) = dispatch(&world, &call, &route);
    if !takes.is_zero() {
        clock.sleep(takes).await;
    }
    ask(arrived.hook.as_ref(), &arrived.request, Moment::After).await;
    if arrived.injection == Some(Injection::LoseAnswer) || lost_by_fault(&world, &arrived.request, &reply) {
        return Err(Gone);
    }
    let cut = arrived.injection == Some(Injection::CutShort);
    let whole = response(reply);
    Ok(if cut { cut_short(whole).await } else { whole })
}

async fn read(world: &Shared, request: hyper::Request<Incoming>) -> Result<Call, Gone> {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let query = url::form_urlencoded::parse(query).into_owned().collect();
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    let mut call = Call { method, path, query, headers: parts.headers, ..Call::default() };
    if Address::of(&call).is_none() {
        call.body = Limited::new(body, LARGEST).collect().await.map_err(|_| Gone)?.to_bytes();
        return Ok(call);
    }
    let most = lock(world).registry.room;
    call.body = up_to(most, body).await?;
    call.cut = call.body.len() > most;
    Ok(call)
}

/// The body, read to its end so that who sends it hears the answer; of one that is too long a little more than `most` is kept.
async fn up_to(most: usize, mut body: Incoming) -> Result<Bytes, Gone> {
    let mut kept = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| Gone)?.into_data() else { continue };
        if kept.len() <= most {
            kept.extend_from_slice(&piece);
        }
    }
    Ok(kept.freeze())
}

fn route(call: &Call) -> Route {
    if let Some(address) = Address::of(call) {
        return Route::Registry(address);
    }
    if call.path == "/_oidc/token" {
        return Route::Oidc;
    }
    if let Some((target, operation)) = call.header("x-amz-target").split_once('.') {
        let service = match target {
            "AmazonEC2ContainerServiceV20141113" => "ecs",
            "AmazonEC2ContainerRegistry_V20150921" => "ecr",
            "Logs_20140328" => "logs",
            _ => "unknown",
        };
        return Route::Json { service, operation: operation.to_owned() };
    }
    let form_sent = call.header("content-type").starts_with("application/x-www-form-urlencoded") || call.query.contains_key("Action");
    let form = if form_sent { call.form() } else { BTreeMap::new() };
    let service = match form.get("Version").map(String::as_str) {
        Some("2011-06-15") => "sts",
        Some("2015-12-01") => "elasticloadbalancing",
        _ => return Route::App,
    };
    match form.get("Action").cloned() {
        Some(action) => Route::Query { service, action, form },
        None => Route::App,
    }
}

/// A request on its way through.
struct Arrived {
    request: Request,
    injection: Option<Injection>,
    hook: Option<Arc<OnRequest>>,
    latency: Duration,
}

fn arrive(world: &Shared, call: &Call, route: &Route) -> Arrived {
    let mut state = lock(world);
    state.advance();
    let (operation, changing, service) = match route {
        Route::Oidc => ("oidc:token".to_owned(), false, None),
        Route::Json { service: "ecs", operation } => (format!("ecs:{operation}"), ecs::changes(operation), ecs::subject(&call.json())),
        Route::Json { service, operation } => {
            let changing = ["Create", "Put"].iter().any(|verb| operation.starts_with(verb));
            (format!("{service}:{operation}"), changing, None)
        }
        Route::Registry(address) => (address.operation(&call.method), registry::address::changes(&call.method), None),
        Route::Query { service, action, .. } => (format!("{service}:{action}"), false, None),
        Route::App => {
            let behind = app::behind(&state, &call.host(), &call.path).map(|index| state.services[index].name.clone());
            (format!("app:{} {}", call.method, call.path), false, behind)
        }
    };
    // Blobs are not kept twice.
    let is_blob = matches!(route, Route::Registry(address) if !matches!(address.what, What::Manifest { .. }));
    let body = if is_blob { String::new() } else { String::from_utf8_lossy(&call.body).into_owned() };
    let (index, at) = (state.requests.log.len(), state.platform.now);
    let request = Request { index, at, operation, changing, service, host: call.host(), body };
    let nth = state.requests.note(request.clone());
    let planned = state.requests.planned(&request, nth);
    let injection = planned.or_else(|| by_fault(&state, &request, nth));
    Arrived { request, injection, hook: state.requests.hook.clone(), latency: state.requests.latency }
}

/// The faults that concern the ECS API: the first request of every operation, and every third after it.
fn by_fault(state: &State, request: &Request, nth: usize) -> Option<Injection> {
    let ours = request.operation.starts_with("ecs:") && nth.is_multiple_of(3);
    let any = |fault: Fault| ours && state.services.iter().any(|service| service.fault == fault);
    if any(Fault::Throttled) {
        return Some(Injection::Throttle);
    }
    any(Fault::ServerErrors).then_some(Injection::Status(500))
}

/// The fault `lost-answer`: the first UpdateService that was carried out.
fn lost_by_fault(world: &Shared, request: &Request, reply: &Reply) -> bool {
    if request.operation != "ecs:UpdateService" || reply.status != 200 {
        return false;
    }
    let mut state = lock(world);
    let named = request.service.clone().unwrap_or_default();
    let Some(service) = state.service_named(&named).filter(|service| service.fault == Fault::LostAnswer && !service.answer_lost) else {
        return false;
    };
    service.answer_lost = true;
    true
}

async fn ask(hook: Option<&Arc<OnRequest>>, request: &Request, moment: Moment) {
    match hook.map(|hook| hook(request, moment)) {
        Some(Hook::HoldForever) => std::future::pending().await,
        Some(Hook::Go) | None => {}
    }
}

fn response(reply: Reply) -> hyper::Response<Body> {
    let mut response = hyper::Response::new(Full::new(reply.body).map_err(|never| match never {}).boxed());
    *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        // What cannot stand in a header (a hostile version) is left out, as a server's library would.
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// The same answer, of whose body only the first half comes before the connection ends.
async fn cut_short(whole: hyper::Response<Body>) -> hyper::Response<Body> {
    let (mut parts, body) = whole.into_parts();
    let bytes = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    parts.headers.insert(http::header::CONTENT_LENGTH, bytes.len().into());
    let half = bytes.slice(..bytes.len() / 2);
    let end = stream::once(async {
        // What came before goes out first.
        tokio::task::yield_now().await;
        Err(Gone)
    });
    let body = stream::iter([Ok(Frame::data(half))]).chain(end);
    hyper::Response::from_parts(parts, BodyExt::boxed(StreamBody::new(body)))
}

/// An answer without effect, in the shape of the API asked.
fn refuse(route: &Route, status: u16, request: &Request) -> Reply {
    let id = format!("00000000-0000-4000-8000-{:012}", request.index);
    match route {
        Route::Json { .. } => {
            let refusal = match status {
                429 => Refusal::new("ThrottlingException", "Rate exceeded"),
                503 => Refusal::new("ServiceUnavailable", "Service Unavailable").status(status),
                _ => Refusal::new("ServerException", "Service Unavailable. Please try again later.").status(status),
            };
            json_reply(Err(refusal), &id)
        }
        Route::Query { service, action, .. } => {
            let refusal = match status {
                429 => Refusal::new("Throttling", "Rate exceeded"),
                _ => Refusal::new("InternalFailure", "The request processing has failed because of an unknown error.").status(status),
            };
            xml_reply(Err(refusal), action, if *service == "sts" { STS } else { ELB }, &id)
        }
        Route::Registry(address) => {
            let (code, message) = match status {
                401 => ("UNAUTHORIZED", "Not Authorized\n"),
                403 => ("DENIED", "Your authorization token has expired. Reauthenticate and try again."),
                429 => ("TOOMANYREQUESTS", "Rate exceeded"),
                _ => ("UNKNOWN", "Service Unavailable. Please try again later."),
            };
            registry::reply(Err(Refusal::new(code, message).status(status)), address)
        }
        Route::Oidc => Reply::new(status, "application/json", "{\"message\":\"try again later\"}"),
        Route::App => Reply::new(status, "text/html", "<html><body><h1>the load balancer has a problem</h1></body></html>"),
    }
}

/// Lets the API answer; also how long the application takes over it.
fn dispatch(world: &Shared, call: &Call, route: &Route) -> (Reply, Duration) {
    // Hashing takes a while: nobody waits for it.
    let sent = if let Route::Registry(address) = route { registry::sent(call, address) } else { String::new() };
    let mut state = lock(world);
    state.advance();
    let id = state.platform.uuid();
    let hostile = state.requests.hostile.clone();
    let reply = match route {
        Route::Oidc => {
            let State { issuer, platform, .. } = &mut *state;
            oidc::answer(issuer, platform, call)
        }
        Route::Json { service, operation } => json_reply(json_api(&mut state, call, service, operation).map_err(worded(hostile)), &id),
        Route::Query { service: "sts", action, form } => {
            xml_reply(sts_api(&mut state, call, action, form).map_err(worded(hostile)), action, STS, &id)
        }
        Route::Query { action, form, .. } => {
            let outcome =
                sign_in(&mut state, call, &format!("elasticloadbalancing:{action}")).and_then(|_| elb::answer(&state, action, form));
            xml_reply(outcome.map_err(worded(hostile)), action, ELB, &id)
        }
        Route::Registry(address) => {
            let outcome = registry::answer(&mut state, call, address, &sent);
            registry::reply(outcome.map_err(worded(hostile)), address)
        }
        Route::App => return app::answer(&mut state, call),
    };
    (reply, Duration::ZERO)
}

/// Puts a hostile text into an error.
fn worded(hostile: Option<String>) -> impl Fn(Refusal) -> Refusal {
    move |refusal| match &hostile {
        Some(hostile) => Refusal { message: format!("{} {hostile}", refusal.message), ..refusal },
        None => refusal,
    }
}

fn json_api(state: &mut State, call: &Call, service: &str, operation: &str) -> Outcome {
    let region = sign_in(state, call, &format!("{service}:{operation}"))?;
    let body: Value = serde_json::from_slice(&call.body).map_err(|error| Refusal::new("SerializationException", error.to_string()))?;
    match service {
        "ecs" => ecs::answer(state, &region, operation, &body),
        "ecr" => ecr::answer(state, &region, operation, &body),
        "logs" => logs::answer(state, &region, operation, &body),
        _ => Err(Refusal::new("UnknownOperationException", "the simulator does not model this API")),
    }
}

fn sts_api(state: &mut State, call: &Call, action: &str, form: &BTreeMap<String, String>) -> Outcome<String> {
    if action != "AssumeRoleWithWebIdentity" {
        // GetCallerIdentity needs no permission; a key that STS does not know is InvalidClientTokenId there.
        sign_in(state, call, &format!("sts:{action}")).map_err(|refusal| match refusal.code.as_str() {
            "UnrecognizedClientException" => Refusal::new("InvalidClientTokenId", refusal.message).status(403),
            "ExpiredTokenException" => Refusal::new("ExpiredToken", refusal.message).status(403),
            "AccessDeniedException" => Refusal::new("AccessDenied", refusal.message).status(403),
            "InvalidSignatureException" => Refusal::new("SignatureDoesNotMatch", refusal.message).status(403),
            _ => refusal,
        })?;
    }
    sts::answer(state, action, form)
}

/// Checks who calls and whether they may; gives the region the call was signed for.
fn sign_in(state: &mut State, call: &Call, operation: &str) -> Outcome<String> {
    let caller = sts::caller(state, call)?;
    state.identities.principal.clone_from(&caller.arn);
    let body = call.json();
    let names = |service: &String| body["service"] == **service || texts(&body, "services").contains(service);
    if state.requests.denied.iter().any(|(pattern, service)| like(pattern, operation) && service.as_ref().is_none_or(names)) {
        return Err(ecs::refused(&caller.arn, operation, "*"));
    }
    Ok(caller.region)
}
