//! The door to the network: what is retried and what is not, the fence, overrides, proxies, the log, the SDK's connector.

mod lanes;
mod visits;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use touchdown::clock::Clock;
use touchdown::failure::Kind;
use touchdown::http::aws::{connector, no_answer, throttled};
use touchdown::http::{Answer, Endpoints, Fence, Http, Intent, NoAnswer, Options};

use crate::origin::{Asked, Origin, Reply, answer, answer_with, tunnel};

fn options() -> Options {
    Options { clock: Clock::scaled(100.0), endpoints: Endpoints::default(), fence: Fence(None), environment: BTreeMap::new() }
}

fn client() -> Http {
    Http::new(options()).unwrap()
}

fn behind(proxy: &str, variable: &str) -> Http {
    Http::new(Options { environment: [(variable.to_owned(), proxy.to_owned())].into(), ..options() }).unwrap()
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

fn post(url: &str) -> Request<Bytes> {
    Request::post(url).body(Bytes::from_static(b"{}")).unwrap()
}

fn never(_: &Answer) -> bool {
    false
}

/// Fails as told at first, then answers 200.
async fn ailing(failing: impl Fn(usize) -> Option<Reply> + Send + Sync + 'static) -> Origin {
    Origin::start(move |_, index| failing(index).unwrap_or_else(|| answer(200, "at last"))).await
}

#[tokio::test]
async fn a_read_is_asked_again_after_a_server_error_a_throttle_and_a_lost_answer() {
    let origin = ailing(|index| match index {
        0 => Some(answer(500, "")),
        1 => Some(answer(429, "")),
        2 => Some(Reply::Hangup),
        3 => Some(answer(400, r#"{"__type":"ThrottlingException"}"#)),
        _ => None,
    })
    .await;
    let answer = client().send(get(&origin.url()), Intent::Read, throttled).await.unwrap();
    assert_eq!((answer.status, &answer.body[..], origin.asked().len()), (200, &b"at last"[..], 5));
}

#[tokio::test]
async fn a_server_error_that_outlasts_the_retries_is_the_answer_of_a_read() {
    let origin = ailing(|_| Some(answer(503, "down"))).await;
    let answer = client().send(get(&origin.url()), Intent::Read, never).await.unwrap();
    assert_eq!((answer.status, origin.asked().len()), (503, 5));
}

#[tokio::test]
async fn a_client_error_is_an_answer_at_once() {
    let origin = ailing(|_| Some(answer(403, "no"))).await;
    assert_eq!(client().send(get(&origin.url()), Intent::Read, throttled).await.unwrap().status, 403);
    assert_eq!(origin.asked().len(), 1);
}

#[tokio::test]
async fn a_change_whose_fate_is_unknown_is_sent_once() {
    let origin = ailing(|index| Some(if index == 0 { Reply::Hangup } else { answer(500, "") })).await;
    let lost = client().send(post(&origin.url()), Intent::Change, throttled).await.unwrap_err();
    assert!(matches!(&lost, NoAnswer::Lost(why) if why.contains("closed the connection before its answer was complete")), "{lost:?}");
    assert_eq!(origin.asked().len(), 1);
    assert_eq!(client().send(post(&origin.url()), Intent::Change, throttled).await.unwrap().status, 500);
    assert_eq!(origin.asked().len(), 2);
}

#[tokio::test]
async fn a_change_that_was_certainly_not_carried_out_is_sent_again() {
    let origin = ailing(|index| match index {
        0 => Some(answer(429, "")),
        1 => Some(answer(400, r#"{"__type":"com.amazonaws.ecs#ThrottlingException"}"#)),
        _ => None,
    })
    .await;
    assert_eq!(client().send(post(&origin.url()), Intent::Change, throttled).await.unwrap().status, 200);
    assert_eq!(origin.asked().iter().map(|asked| asked.body.as_str()).collect::<Vec<_>>(), ["{}", "{}", "{}"]);
}

#[tokio::test]
async fn what_nobody_listens_to_was_not_sent() {
    let closed = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let not_sent = client().send(post(&format!("http://{closed}/")), Intent::Change, never).await.unwrap_err();
    assert!(matches!(&not_sent, NoAnswer::NotSent(why) if why == "127.0.0.1: connection refused: nothing listens there"), "{not_sent:?}");
    let nowhere = format!("http://{}.invalid/?token=hunter2", "a".repeat(64));
    let unknown = client().send(post(&nowhere), Intent::Change, never).await.unwrap_err();
    assert!(matches!(&unknown, NoAnswer::NotSent(why) if why.contains("does not resolve") && !why.contains("hunter2")), "{unknown:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_lost() {
    let origin = ailing(|_| Some(Reply::Silence)).await;
    let lost = client().send(post(&origin.url()), Intent::Change, never).await.unwrap_err();
    assert!(matches!(&lost, NoAnswer::Lost(why) if why == "127.0.0.1 did not answer in time"), "{lost:?}");
    assert_eq!(lost.into_failure("cannot").kind, Kind::Transient);
}

#[tokio::test]
async fn an_answer_beyond_eight_mebibytes_is_refused_and_never_cut() {
    let origin = ailing(|index| Some(answer(200, &"x".repeat((8 << 20) + index)))).await;
    assert_eq!(client().send(post(&origin.url()), Intent::Change, never).await.unwrap().body.len(), 8 << 20);
    let lost = client().send(post(&origin.url()), Intent::Change, never).await.unwrap_err();
    assert!(matches!(&lost, NoAnswer::Lost(why) if why == "the answer is larger than 8 MiB"), "{lost:?}");
}

#[tokio::test]
async fn a_server_that_says_when_to_come_back_is_not_asked_before() {
    let origin = ailing(|index| (index == 0).then(|| answer_with(429, &[("retry-after", "20")], ""))).await;
    let http = client();
    let began = http.clock().now();
    assert_eq!(http.send(get(&origin.url()), Intent::Read, never).await.unwrap().status, 200);
    assert!(http.clock().now().since(began) >= Duration::from_secs(20));
}

#[tokio::test]
async fn api_calls_follow_no_redirect() {
    let origin = ailing(|_| Some(answer_with(302, &[("location", "/elsewhere")], ""))).await;
    assert_eq!(client().send(get(&origin.url()), Intent::Read, never).await.unwrap().status, 302);
    assert_eq!(origin.asked().len(), 1);
}

fn fenced() -> (Http, PathBuf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let fence = folder.path().join("fence");
    (Http::new(Options { fence: Fence(Some(fence.clone())), ..options() }).unwrap(), fence, folder)
}

#[tokio::test]
async fn behind_the_fence_nothing_changes_and_reads_go_on() {
    let origin = ailing(|_| None).await;
    let (http, fence, _folder) = fenced();
    assert_eq!(http.send(post(&origin.url()), Intent::Change, never).await.unwrap().status, 200);
    std::fs::write(&fence, "").unwrap();
    let held = http.send(post(&origin.url()), Intent::Change, never).await.unwrap_err();
    assert!(matches!(held, NoAnswer::Fenced));
    assert_eq!(held.into_failure("cannot deploy").kind, Kind::Cancelled);
    assert_eq!(http.send(get(&origin.url()), Intent::Read, never).await.unwrap().status, 200);
    assert_eq!(origin.asked().iter().map(|asked| asked.method.as_str()).collect::<Vec<_>>(), ["POST", "GET"]);
}

#[tokio::test]
async fn a_fence_put_up_while_a_change_waits_to_be_sent_again_holds_it() {
    let (http, fence, _folder) = fenced();
    let origin = Origin::start(move |_, _| {
        std::fs::write(&fence, "").unwrap();
        answer(429, "")
    })
    .await;
    assert!(matches!(http.send(post(&origin.url()), Intent::Change, never).await, Err(NoAnswer::Fenced)));
    assert_eq!(origin.asked().len(), 1);
}

#[tokio::test]
async fn an_overridden_host_is_reached_elsewhere_under_its_own_name() {
    let origin = ailing(|_| None).await;
    let endpoints = Endpoints([(Endpoints::key("api.ecr.example.com"), format!("{}/prefix/", origin.url()))].into());
    let http = Http::new(Options { endpoints, ..options() }).unwrap();
    let request = Request::get("https://api.ecr.example.com:8443/v2/?a=b").header("host", "api.ecr.example.com:8443");
    http.send(request.body(Bytes::new()).unwrap(), Intent::Read, never).await.unwrap();
    let asked = &origin.asked()[0];
    assert_eq!(asked.target, "/prefix/v2/?a=b");
    assert_eq!(asked.headers.get_all("host").iter().collect::<Vec<_>>(), ["api.ecr.example.com:8443"]);
}

#[tokio::test]
async fn plain_http_goes_through_its_proxy_with_the_credentials_of_the_proxy() {
    let origin = ailing(|_| None).await;
    let http = behind(&format!("http://user:p%40ss@127.0.0.1:{}", origin.port), "HTTP_PROXY");
    http.send(get("http://api.example.test/v1?a=b"), Intent::Read, never).await.unwrap();
    let asked = &origin.asked()[0];
    assert_eq!(asked.target, "http://api.example.test/v1?a=b");
    assert_eq!(asked.headers["proxy-authorization"], "Basic dXNlcjpwQHNz");
    http.send(get(&origin.url()), Intent::Read, never).await.unwrap();
    assert_eq!(origin.asked()[1].target, "/", "loopback is never proxied");
}

#[tokio::test]
async fn https_goes_through_a_tunnel_and_what_fails_before_it_was_not_sent() {
    let origin = ailing(|_| None).await;
    let (port, asked, _serving) = tunnel(origin.port).await;
    let http = behind(&format!("http://127.0.0.1:{port}"), "https_proxy");
    // The origin speaks no TLS: it is enough that the tunnel was asked for.
    let failed = http.send(post("https://api.example.test/"), Intent::Change, never).await.unwrap_err();
    assert!(matches!(&failed, NoAnswer::NotSent(why) if why.contains("not TLS")), "{failed:?}");
    let asked = asked.lock().unwrap()[0].clone();
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("CONNECT", "api.example.test:443"));
}

#[test]
fn a_certificate_file_without_certificates_is_a_mistake_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, missing) = (folder.path().join("empty.pem"), folder.path().join("missing.pem"));
    std::fs::write(&empty, "no certificate").unwrap();
    for file in [empty, missing] {
        let environment = [("SSL_CERT_FILE".to_owned(), file.display().to_string())].into();
        let failure = Http::new(Options { environment, ..options() }).err().unwrap();
        assert_eq!((failure.kind, failure.what.as_str()), (Kind::Config, "SSL_CERT_FILE cannot be used"));
    }
}

#[test]
fn a_throttle_is_told_by_the_error_type_and_never_by_the_message() {
    let told = |status: u16, header: Option<&str>, body: &str| {
        let mut headers = http::HeaderMap::new();
        header.map(|header| headers.insert("x-amzn-errortype", header.parse().unwrap()));
        throttled(&Answer { status, headers, body: Bytes::from(body.to_owned()) })
    };
    for (throttle, status, header, body) in [
        (true, 400, None, r#"{"__type":"ThrottlingException"}"#),
        (true, 400, None, r#"{"__type":"com.amazonaws.ecs#ThrottlingException","message":"Rate exceeded"}"#),
        (true, 400, Some("ThrottlingException:http://internal.amazon.com/"), "{}"),
        (true, 400, None, r#"{"code":"TooManyRequestsException"}"#),
        (true, 400, None, "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>"),
        (true, 503, None, "<Error><Code>SlowDown</Code></Error>"),
        (true, 503, None, "<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>"),
        (false, 400, None, r#"{"__type":"ServiceNotFoundException","message":"Throttler was not found"}"#),
        (false, 400, None, r#"{"__type":"LimitExceededException"}"#),
        (false, 500, None, "<Error><Code>InternalFailure</Code><Message>ThrottlingException</Message></Error>"),
        (false, 200, None, r#"{"__type":"ThrottlingException"}"#),
        (false, 400, None, "Throttling"),
    ] {
        assert_eq!(told(status, header, body), throttle, "{status} {header:?} {body}");
    }
}

fn ecs(http: &Http, url: &str) -> aws_sdk_ecs::Client {
    let intent = |parts: &http::request::Parts| {
        let target = parts.headers["x-amz-target"].to_str().unwrap();
        if target.contains(".Describe") { Intent::Read } else { Intent::Change }
    };
    let config = aws_sdk_ecs::Config::builder()
        .behavior_version(aws_sdk_ecs::config::BehaviorVersion::latest())
        .region(aws_sdk_ecs::config::Region::new("eu-west-1"))
        .endpoint_url(url)
        .credentials_provider(aws_sdk_ecs::config::Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
        .retry_config(aws_sdk_ecs::config::retry::RetryConfig::disabled())
        .http_client(connector(http, intent));
    aws_sdk_ecs::Client::from_conf(config.build())
}

#[tokio::test]
async fn the_sdk_speaks_through_our_client_and_its_signed_request_is_sent_again() {
    let origin = Origin::start(|_, index| match index {
        0 => answer(400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#),
        _ => answer(200, r#"{"services":[{"serviceName":"web"}]}"#),
    })
    .await;
    let answer = ecs(&client(), &origin.url()).describe_services().services("web").send().await.unwrap();
    assert_eq!(answer.services()[0].service_name(), Some("web"));
    let asked = origin.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].headers["authorization"], asked[1].headers["authorization"]);
    assert_eq!(asked[0].body, r#"{"services":["web"]}"#);
}

#[tokio::test]
async fn behind_an_error_of_the_sdk_it_can_be_told_whether_the_request_was_sent() {
    let origin = ailing(|_| Some(Reply::Hangup)).await;
    let (http, fence, _folder) = fenced();
    let closed = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let lost = ecs(&http, &origin.url()).update_service().service("web").send().await.unwrap_err();
    let not_sent = ecs(&http, &format!("http://{closed}")).update_service().service("web").send().await.unwrap_err();
    std::fs::write(fence, "").unwrap();
    let held = ecs(&http, &origin.url()).update_service().service("web").send().await.unwrap_err();
    assert!(matches!(no_answer(&lost), Some(NoAnswer::Lost(_))), "{lost:?}");
    assert!(matches!(no_answer(&not_sent), Some(NoAnswer::NotSent(_))), "{not_sent:?}");
    assert!(matches!(no_answer(&held), Some(NoAnswer::Fenced)), "{held:?}");
    assert_eq!(origin.asked().len(), 1);
}

/// Everything that is logged in this thread while it lives.
#[derive(Clone, Default)]
struct Overheard(std::sync::Arc<std::sync::Mutex<String>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Overheard {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Visitor<'a>(&'a mut String);
        impl tracing::field::Visit for Visitor<'_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{}={value:?} ", field.name()));
            }
        }
        event.record(&mut Visitor(&mut self.0.lock().unwrap()));
    }
}

#[tokio::test]
async fn the_log_tells_of_each_request_and_of_no_header_body_or_query() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let overheard = Overheard::default();
    let _listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(overheard.clone()));
    let origin = Origin::start(|_: &Asked, _| answer_with(200, &[("x-secret", "canary")], "canary")).await;
    let request = Request::post(format!("{}/path?token=canary", origin.url())).header("authorization", "canary");
    client().send(request.body(Bytes::from_static(b"canary")).unwrap(), Intent::Change, never).await.unwrap();
    let log = overheard.0.lock().unwrap().clone();
    assert!(log.contains("method=POST") && log.contains("path=\"/path\"") && log.contains("status=200"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}
