//! What a probe and a smoke test make of real answers.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
use touchdown::clock::Clock;
use touchdown::failure::Kind;
use touchdown::health::probe::{Shipped, probe, smoke};
use touchdown::health::{HealthAt, HealthSettings, Sample, Sign, Smoke, StatusSet, VersionAt, VersionIs, VersionRule};
use touchdown::http::{Endpoints, Fence, Http, Options};
use touchdown::values::{Address, Digest, NamedBy};

use super::settings;
use crate::origin::{Origin, Reply, answer_with};

const COMMIT: &str = "3f2a1b2c3d4e5f60718293a4b5c6d7e8f9012345";
const HEX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn http() -> Http {
    let clock = Clock::scaled(100.0);
    Http::new(Options { clock, endpoints: Endpoints::default(), fence: Fence(None), environment: BTreeMap::new() }).unwrap()
}

fn address(origin: &Origin) -> Address {
    Address { url: origin.url(), via: None, named_by: NamedBy::Platform }
}

/// Answers everything with this.
async fn origin(status: u16, headers: &'static [(&'static str, &'static str)], body: &str) -> Origin {
    let body = body.to_owned();
    Origin::start(move |_, _| answer_with(status, headers, &body)).await
}

async fn look(origin: &Origin, settings: &HealthSettings, shipped: &Shipped) -> Sample {
    // The clock runs a hundred times as fast: a visit gets its two real seconds at least.
    let settings = HealthSettings { timeout: Duration::from_secs(600), ..settings.clone() };
    probe(&http(), &address(origin), &settings, shipped).await
}

async fn wrong(origin: &Origin, settings: &HealthSettings) -> Option<(Sign, String)> {
    look(origin, settings, &Shipped::AnyBuild).await.wrong.map(|wrong| (wrong.sign, wrong.told))
}

#[tokio::test]
async fn the_status_must_be_in_the_set() {
    let sets = |ranges: &[(u16, u16)]| HealthSettings { status: StatusSet(ranges.to_vec()), ..settings() };
    let no_content = origin(204, &[], "").await;
    assert_eq!(wrong(&no_content, &sets(&[(200, 299)])).await, None);
    assert_eq!(wrong(&no_content, &sets(&[(304, 304), (204, 204)])).await, None);
    let told = wrong(&no_content, &sets(&[(200, 200), (301, 304)])).await;
    assert_eq!(told, Some((Sign::Status(204), "expected status 200,301-304, got 204: (an empty body)".to_owned())));
    let failing = origin(503, &[], "no database").await;
    let told = wrong(&failing, &settings()).await;
    assert_eq!(told, Some((Sign::Status(503), "expected status 200-299, got 503: no database".to_owned())));
}

#[tokio::test]
async fn the_body_must_hold_the_text_or_match_the_pattern() {
    let origin = origin(200, &[], "status: UP\nbuild /42/").await;
    for (expected, held) in [
        ("UP", true),
        ("up", false),
        ("/(?m)^build /", true),
        ("/UP$/", false),
        ("/[/", false),
        ("/", true),
        ("//", false),
        ("/42/", true),
        ("/(((a{100}){100}){100}){100}/", false),
    ] {
        let told = wrong(&origin, &HealthSettings { body: Some(expected.to_owned()), ..settings() }).await;
        assert_eq!(told.is_none(), held, "{expected}: {told:?}");
        assert!(told.is_none_or(|(sign, _)| sign == Sign::Content));
    }
}

#[tokio::test]
async fn each_json_value_must_hold() {
    let body = r#"{"status":"ok","db":{"up":true},"load":1.0,"build":"1234567","list":["a"],"a/b":null,"big":9007199254740993}"#;
    let plain = origin(200, &[], body).await;
    let marked = origin(200, &[], &format!("\u{feff}{body}")).await;
    for (pointer, expected, held) in [
        ("/status", json!("ok"), true),
        ("/status", json!("OK"), false),
        ("/db/up", json!(true), true),
        ("/db/up", json!("true"), false),
        ("/db", json!({"up": true}), true),
        ("/load", json!(1), true),
        ("/build", json!(1_234_567), true),
        ("/build", json!("1234567"), true),
        ("/list/0", json!("a"), true),
        ("/list/1", json!("a"), false),
        ("/a~1b", json!(null), true),
        ("/missing", json!(null), false),
        ("/big", json!(9_007_199_254_740_992_u64), false),
        ("status", json!("ok"), false),
    ] {
        for origin in [&plain, &marked] {
            let told = wrong(origin, &HealthSettings { json: vec![(pointer.to_owned(), expected.clone())], ..settings() }).await;
            assert_eq!(told.is_none(), held, "{pointer} {expected}: {told:?}");
        }
    }
    let page = origin(200, &[], "<html>").await;
    let told = wrong(&page, &HealthSettings { json: vec![("/status".to_owned(), json!("ok"))], ..settings() }).await;
    assert_eq!(told, Some((Sign::Content, r#"expected /status to be "ok", the body is no JSON: <html>"#.to_owned())));
}

#[tokio::test]
async fn one_value_of_each_header_must_hold() {
    let origin = origin(200, &[("x-role", "web"), ("X-Role", "edge")], "").await;
    for (name, expected, held) in [("X-ROLE", "edge", true), ("x-role", "web", true), ("x-role", "db", false), ("no such", "", false)] {
        let told = wrong(&origin, &HealthSettings { header: vec![(name.to_owned(), expected.to_owned())], ..settings() }).await;
        assert_eq!(told.is_none(), held, "{name} {expected}: {told:?}");
    }
}

#[tokio::test]
async fn what_is_shown_of_an_answer_is_cut() {
    let body = format!("{{\"error\": \"{}\", \"cause\": \"the pool is empty\"}}", "ä".repeat(20_000));
    let origin = origin(500, &[], &body).await;
    let (_, told) = wrong(&origin, &settings()).await.unwrap();
    assert!(told.len() < 260 && told.contains("{\"error\": \"ä") && told.ends_with("ä\", \"cause\": \"the pool is empty\"}"), "{told}");
}

fn rule(at: &str, expected: VersionIs) -> HealthSettings {
    let at = if at.starts_with('/') { VersionAt::Pointer(at.to_owned()) } else { VersionAt::Header(at.to_owned()) };
    HealthSettings { version: Some(VersionRule { at, expected }), ..settings() }
}

#[tokio::test]
async fn the_answering_build_must_be_the_shipped_one() {
    let shipped = Shipped::Build { digest: Some(Digest::parse(&format!("sha256:{HEX}")).unwrap()), revision: None };
    let commit = || VersionIs::Commit(COMMIT.to_owned());
    let text = |text: &str| VersionIs::Text(text.to_owned());
    let upper = COMMIT.to_uppercase();
    let longer = format!("{COMMIT}0");
    let whole = format!("sha256:{HEX}");
    for (told, expected, held) in [
        (json!(COMMIT), commit(), true),
        (json!("3f2a1b2"), commit(), true),
        (json!("3f2a1b"), commit(), false),
        (json!("3f2a1b3"), commit(), false),
        (json!(""), commit(), false),
        (json!(upper), commit(), true),
        (json!(longer), commit(), false),
        (json!("ä3f2a1b2"), commit(), false),
        (json!(null), commit(), false),
        (json!(""), VersionIs::Commit(String::new()), false),
        (json!("v2"), text("v2"), true),
        (json!(" v2\n"), text("v2"), true),
        (json!("v2.0"), text("v2"), false),
        (json!("V2"), text("v2"), false),
        (json!(2), text("2"), true),
        (json!(whole), VersionIs::Digest, true),
        (json!(HEX), VersionIs::Digest, true),
        (json!("aaaaaaaaaaaa"), VersionIs::Digest, false),
    ] {
        let origin = origin(200, &[], &json!({ "version": told }).to_string()).await;
        let sample = look(&origin, &rule("/version", expected.clone()), &shipped).await;
        assert_eq!(sample.wrong.is_none(), held, "{told} {expected:?}: {sample:?}");
        assert!(sample.wrong.is_none_or(|wrong| wrong.sign == Sign::Version));
    }
}

#[tokio::test]
async fn a_build_that_names_its_own_commit_may_answer_with_that_one() {
    let other = "b".repeat(40);
    let origin = origin(200, &[], &json!({ "version": other }).to_string()).await;
    let rule = rule("/version", VersionIs::Commit(COMMIT.to_owned()));
    for (revision, held) in [(None, false), (Some(other.clone()), true), (Some("c".repeat(40)), false), (Some("bbbbbbb".to_owned()), false)]
    {
        let sample = look(&origin, &rule, &Shipped::Build { digest: None, revision: revision.clone() }).await;
        assert_eq!(sample.wrong.is_none(), held, "{revision:?}");
    }
}

#[tokio::test]
async fn a_wrong_version_is_told_with_both_and_a_missing_one_with_its_place() {
    let shipped = Shipped::Build { digest: None, revision: None };
    let origin = origin(200, &[("x-version", "v1")], "{}").await;
    let told = async |at: &str| look(&origin, &rule(at, VersionIs::Text("v2".to_owned())), &shipped).await.wrong.unwrap().told;
    assert_eq!(told("X-Version").await, "expected version v2, got v1: another build answers");
    assert_eq!(told("/version").await, "expected version v2, the answer tells none at /version");
    assert_eq!(told("X-Build").await, "expected version v2, the answer tells none at the header X-Build");
}

#[tokio::test]
async fn two_different_versions_in_one_answer_prove_none() {
    let shipped = Shipped::Build { digest: None, revision: None };
    let settings = rule("x-version", VersionIs::Text("v2".to_owned()));
    let twice = origin(200, &[("x-version", "v2"), ("x-version", "v2")], "").await;
    assert_eq!(look(&twice, &settings, &shipped).await.wrong, None);
    let mixed = origin(200, &[("x-version", "v2"), ("x-version", "v1")], "").await;
    assert_eq!(look(&mixed, &settings, &shipped).await.wrong.unwrap().told, "expected version v2, got v2, v1: another build answers");
}

#[tokio::test]
async fn where_nothing_was_shipped_the_version_is_told_and_not_judged() {
    let origin = origin(200, &[], r#"{"version":"v1"}"#).await;
    let sample = look(&origin, &rule("/version", VersionIs::Text("v2".to_owned())), &Shipped::AnyBuild).await;
    assert_eq!((sample.version.version(), sample.wrong), (Some("v1"), None));
}

#[tokio::test]
async fn a_whole_url_is_asked_as_it_stands() {
    let origin = origin(200, &[], "").await;
    let settings = HealthSettings { at: HealthAt::Url(format!("{}/deep/health?a=b#c", origin.url())), ..settings() };
    assert_eq!(wrong(&origin, &settings).await, None);
    assert_eq!(origin.asked()[0].target, "/deep/health?a=b");
}

#[tokio::test]
async fn what_brought_no_answer_has_a_sign_of_its_own() {
    let nobody = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let plain = origin(200, &[], "").await;
    let silent = Origin::start(|_, _| Reply::Silence).await;
    let rude = Origin::start(|_, _| Reply::Hangup).await;
    for (url, sign, words) in [
        (format!("http://127.0.0.1:{nobody}"), Sign::Connection, "no connection to 127.0.0.1:"),
        (format!("http://{}.invalid", "a".repeat(64)), Sign::Name, "does not resolve"),
        (format!("https://127.0.0.1:{}", plain.port), Sign::Certificate, "not TLS"),
        ("http://169.254.169.254".to_owned(), Sign::Refused, "metadata"),
        (silent.url(), Sign::Silence, "no answer within 1s"),
        (rude.url(), Sign::Broken, "broke off"),
    ] {
        let address = Address { url, via: None, named_by: NamedBy::User };
        let settings = HealthSettings { timeout: Duration::from_secs(1), ..settings() };
        let wrong = probe(&http(), &address, &settings, &Shipped::AnyBuild).await.wrong.unwrap();
        assert!(wrong.sign == sign && wrong.told.contains(words), "{wrong:?}");
    }
}

fn test(path: &str) -> Smoke {
    Smoke {
        name: "cart".to_owned(),
        method: "POST".to_owned(),
        path: path.to_owned(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        send: Some(r#"{"item":1}"#.to_owned()),
        status: StatusSet(vec![(201, 201)]),
        body: Some("added".to_owned()),
        json: vec![("/items".to_owned(), json!(1))],
        max_latency: None,
    }
}

#[tokio::test]
async fn a_smoke_test_sends_what_it_says_and_proves_what_it_expects() {
    let origin = origin(201, &[], r#"{"added":true,"items":1}"#).await;
    let line = smoke(&http(), &address(&origin), &test("/cart?a=b")).await.unwrap();
    assert!(line.starts_with("smoke test cart: 201 in ") && line.ends_with(" ms"), "{line}");
    let asked = &origin.asked()[0];
    assert_eq!((asked.method.as_str(), asked.target.as_str(), asked.body.as_str()), ("POST", "/cart?a=b", r#"{"item":1}"#));
    assert_eq!(asked.headers["content-type"], "application/json");
}

#[tokio::test]
async fn a_smoke_test_that_fails_tells_expected_and_got_and_no_query() {
    let origin = origin(201, &[], r#"{"added":true,"items":1}"#).await;
    let slow = Smoke { max_latency: Some(Duration::ZERO), ..test("/cart") };
    for (failing, why) in [
        (Smoke { status: StatusSet(vec![(200, 200)]), ..test("/cart?key=canary") }, "POST /cart: expected status 200, got 201"),
        (Smoke { body: Some("removed".to_owned()), ..test("/cart") }, "POST /cart: expected the body to hold removed"),
        (Smoke { json: vec![("/items".to_owned(), json!(2))], ..test("/cart") }, "POST /cart: expected /items to be 2, got 1"),
        (Smoke { method: "NO METHOD".to_owned(), ..test("/cart") }, "\"NO METHOD\" is no method"),
        (Smoke { headers: vec![("bad header".to_owned(), "x".to_owned())], ..test("/cart") }, "invalid HTTP header name"),
        (slow, "at most 0 ms are expected"),
    ] {
        let failure = smoke(&http(), &address(&origin), &failing).await.unwrap_err();
        assert_eq!((failure.kind, failure.what.as_str()), (Kind::Unhealthy, "the smoke test \"cart\" failed"));
        assert!(failure.why[0].contains(why) && !failure.to_string().contains("canary"), "{failure}");
    }
}

#[tokio::test]
async fn a_pattern_that_takes_its_time_holds_nothing_else_up() {
    let origin = origin(200, &[], &"a".repeat(64 * 1024)).await;
    let settings = HealthSettings { body: Some("/(?:a?){300}b/".to_owned()), ..settings() };
    let began = Instant::now();
    let (ticked, longest) = (Cell::new(began), Cell::new(Duration::ZERO));
    let ticking = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            longest.set(longest.get().max(ticked.replace(Instant::now()).elapsed()));
        }
    };
    let told = tokio::select! {
        told = wrong(&origin, &settings) => told,
        () = ticking => None,
    };
    let longest = longest.get().max(ticked.get().elapsed());
    assert!(told.is_some_and(|(sign, _)| sign == Sign::Content));
    assert!(longest < began.elapsed() / 2, "nothing else ran for {longest:?} of {:?}", began.elapsed());
}

#[tokio::test]
async fn a_pattern_that_would_take_for_ever_is_refused() {
    let origin = origin(200, &[], "aaaa").await;
    for pattern in ["/(?:[a-z]{0,50}[0-9]?){40}#/", "/(?:.{0,90}){45}#/"] {
        let (_, told) = wrong(&origin, &HealthSettings { body: Some(pattern.to_owned()), ..settings() }).await.unwrap();
        assert!(told.contains("cannot be searched for"), "{told}");
    }
}
