//! The one port: reads a request, finds the API it is for, lets tests interfere, answers. It models nothing itself.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::simulator::fault::Fault;
use crate::simulator::request::{Hook, Injection, Moment, OnRequest, Request};
use crate::simulator::wire::{Call, Outcome, Refusal, Reply, json_reply, like, texts, xml_reply};
use crate::simulator::world::State;
use crate::simulator::{app, ecr, ecs, elb, logs, oidc, sts};

const STS: &str = "https://sts.amazonaws.com/doc/2011-06-15/";
const ELB: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";

/// The world as handlers and tests share it.
pub(crate) type Shared = Arc<Mutex<State>>;

/// Locks the world; a panic elsewhere does not make it unusable.
pub(crate) fn lock(world: &Shared) -> MutexGuard<'_, State> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which API a request is for.
enum Route {
    Oidc,
    Json { service: &'static str, operation: String },
    Query { service: &'static str, action: String, form: BTreeMap<String, String> },
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

async fn handle(world: Shared, clock: Clock, request: hyper::Request<Incoming>) -> Result<hyper::Response<Full<Bytes>>, Gone> {
    let call = read(request).await?;
    let route = route(&call);
    let arrived = arrive(&world, &call, &route);
    ask(arrived.hook.as_ref(), &arrived.request, Moment::Before).await;
    match arrived.injection {
        Some(Injection::ResetBefore) => return Err(Gone),
        Some(Injection::Status(status)) => return Ok(response(refuse(&route, status, &arrived.request))),
        Some(Injection::Throttle) => return Ok(response(refuse(&route, 429, &arrived.request))),
        Some(Injection::Delay(delay)) => clock.sleep(delay).await,
        Some(Injection::LoseAnswer) | None => {}
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
    Ok(response(reply))
}

async fn read(request: hyper::Request<Incoming>) -> Result<Call, Gone> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, 8 << 20).collect().await.map_err(|_| Gone)?.to_bytes();
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let query = url::form_urlencoded::parse(query).into_owned().collect();
    Ok(Call { method: parts.method.to_string(), path: parts.uri.path().to_owned(), query, headers: parts.headers, body })
}

fn route(call: &Call) -> Route {
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
    let body = call.json();
    let (operation, changing, service) = match route {
        Route::Oidc => ("oidc:token".to_owned(), false, None),
        Route::Json { service: "ecs", operation } => (format!("ecs:{operation}"), ecs::changes(operation), ecs::subject(&body)),
        Route::Json { service, operation } => (format!("{service}:{operation}"), operation.starts_with("Create"), None),
        Route::Query { service, action, .. } => (format!("{service}:{action}"), false, None),
        Route::App => {
            let behind = app::behind(&state, &call.host(), &call.path).map(|index| state.services[index].name.clone());
            (format!("app:{} {}", call.method, call.path), false, behind)
        }
    };
    let body = String::from_utf8_lossy(&call.body).into_owned();
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

fn response(reply: Reply) -> hyper::Response<Full<Bytes>> {
    let mut response = hyper::Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        // What cannot stand in a header (a hostile version) is left out, as a server's library would.
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
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
        Route::Oidc => Reply::new(status, "application/json", "{\"message\":\"try again later\"}"),
        Route::App => Reply::new(status, "text/html", "<html><body><h1>the load balancer has a problem</h1></body></html>"),
    }
}

/// Lets the API answer; also how long the application takes over it.
fn dispatch(world: &Shared, call: &Call, route: &Route) -> (Reply, Duration) {
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
