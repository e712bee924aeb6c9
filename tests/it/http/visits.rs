//! Health requests: where they go and where never, redirects, bodies, certificates, and what went wrong in plain words.

use std::collections::BTreeMap;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use touchdown::http::{Answer, Endpoints, Http, Options, Visit, VisitError, Visited};
use touchdown::values::{Address, NamedBy};

use super::{behind, client, options};
use crate::origin::{Origin, Reply, answer, answer_with, babbler, tunnel};

fn to(url: &str, path: &str) -> Visit {
    Visit {
        address: Address { url: url.to_owned(), via: None, named_by: NamedBy::User },
        path: path.to_owned(),
        method: http::Method::GET,
        headers: Vec::new(),
        body: None,
        timeout: Duration::from_secs(600),
        wanted: vec![(200, 299)],
    }
}

fn by_way_of(via: &str, url: &str) -> Visit {
    let visit = to(url, "/health");
    Visit { address: Address { via: Some(via.to_owned()), ..visit.address }, ..visit }
}

async fn answered(http: &Http, visit: Visit) -> Answer {
    match http.visit(visit).await {
        Visited::Answered { answer, .. } => answer,
        Visited::Failed(error) => panic!("{error:?}"),
    }
}

async fn failed(http: &Http, visit: Visit) -> VisitError {
    match http.visit(visit).await {
        Visited::Answered { answer, .. } => panic!("{answer:?}"),
        Visited::Failed(error) => error,
    }
}

#[tokio::test]
async fn every_visit_has_a_connection_of_its_own() {
    let origin = Origin::start(|_, _| answer(200, "")).await;
    let http = client();
    for _ in 0..3 {
        answered(&http, to(&origin.url(), "/health?deep=1")).await;
    }
    assert_eq!(origin.asked().iter().map(|asked| asked.connection).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(origin.asked()[0].target, "/health?deep=1");
    assert_eq!(origin.asked()[0].headers["host"], format!("127.0.0.1:{}", origin.port));
}

#[tokio::test]
async fn metadata_and_link_local_addresses_are_never_asked_however_they_are_written() {
    let override_to = |url: &str| {
        let endpoints = Endpoints([(Endpoints::key("app.example.test"), url.to_owned())].into());
        Http::new(Options { endpoints, ..options() }).unwrap()
    };
    let plain = client();
    let proxied = behind("http://127.0.0.1:9", "http_proxy");
    for host in ["169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:169.254.169.254]", "[fe80::1]", "[fd00:ec2::254]", "0.0.0.0", "0"]
    {
        let url = format!("http://{host}");
        for (http, visit) in [
            (&plain, to(&url, "/latest/meta-data")),
            (&proxied, to(&url, "/latest/meta-data")),
            (&plain, by_way_of("app.example.test", &url)),
            (&override_to(&url), to("http://app.example.test", "/")),
        ] {
            let refused = failed(http, visit).await;
            assert!(matches!(&refused, VisitError::Refused(why) if why.contains("link-local or metadata")), "{host}: {refused:?}");
        }
    }
    let refused = failed(&plain, by_way_of("169.254.169.254", "http://app.example.test")).await;
    assert!(matches!(refused, VisitError::Refused(_)));
}

#[tokio::test]
async fn a_path_never_leads_to_another_host() {
    let origin = Origin::start(|_, _| answer(200, "")).await;
    answered(&client(), to(&origin.url(), "//elsewhere.test/health")).await;
    answered(&client(), to(&origin.url(), "/@elsewhere.test")).await;
    assert_eq!(
        origin.asked().iter().map(|asked| asked.target.as_str()).collect::<Vec<_>>(),
        ["//elsewhere.test/health", "/@elsewhere.test"]
    );
    for path in ["@elsewhere.test/", "health", "", ":80/", ".elsewhere.test/"] {
        assert!(matches!(failed(&client(), to("http://app.example.test", path)).await, VisitError::Refused(_)), "{path}");
    }
    assert!(matches!(failed(&client(), to("file:///etc", "/passwd")).await, VisitError::Refused(_)));
}

#[tokio::test]
async fn redirects_are_followed_on_the_same_scheme_host_and_port() {
    let origin = Origin::start(|asked, _| match asked.target.as_str() {
        "/" => answer_with(301, &[("location", "/one")], ""),
        "/one" => answer_with(302, &[("location", "two?x=y")], ""),
        "/two?x=y" => answer(200, "there"),
        "/elsewhere" => answer_with(302, &[("location", "http://127.0.0.1:1/?token=canary")], ""),
        "/https" => answer_with(308, &[("location", &format!("https://{}/", asked.headers["host"].to_str().unwrap()))], ""),
        "/metadata" => answer_with(302, &[("location", "http://169.254.169.254/latest")], ""),
        "/fresh" => answer_with(304, &[("location", "/one")], ""),
        _ => answer_with(307, &[("location", "/loop")], ""),
    })
    .await;
    let http = client();
    assert_eq!(&answered(&http, to(&origin.url(), "/")).await.body[..], b"there");
    assert_eq!(answered(&http, to(&origin.url(), "/fresh")).await.status, 304);
    for path in ["/elsewhere", "/https", "/metadata"] {
        let error = failed(&http, to(&origin.url(), path)).await;
        assert!(
            matches!(&error, VisitError::Refused(why) if why.contains("which is not followed") && !why.contains("canary")),
            "{error:?}"
        );
    }
    let before = origin.asked().len();
    assert_eq!(failed(&http, to(&origin.url(), "/loop")).await, VisitError::Refused("it redirects more than 5 times".to_owned()));
    assert_eq!(origin.asked().len() - before, 6);
}

#[tokio::test]
async fn a_redirect_that_is_asked_for_is_the_answer() {
    let origin = Origin::start(|_, _| answer_with(302, &[("location", "https://login.example.test/")], "")).await;
    let visit = Visit { wanted: vec![(200, 299), (302, 302)], ..to(&origin.url(), "/") };
    assert_eq!(answered(&client(), visit).await.status, 302);
}

#[tokio::test]
async fn a_posted_form_is_followed_by_get_and_307_posts_again() {
    let origin = Origin::start(|asked, _| match asked.target.as_str() {
        "/form" => answer_with(303, &[("location", "/done")], ""),
        "/again" => answer_with(307, &[("location", "/done")], ""),
        _ => answer(200, ""),
    })
    .await;
    for path in ["/form", "/again"] {
        let visit = Visit { method: http::Method::POST, body: Some("a=b".to_owned()), ..to(&origin.url(), path) };
        answered(&client(), Visit { headers: vec![("X-Test".to_owned(), "1".to_owned())], ..visit }).await;
    }
    let asked: Vec<String> = origin.asked().iter().map(|asked| format!("{} {} {}", asked.method, asked.target, asked.body)).collect();
    assert_eq!(asked, ["POST /form a=b", "GET /done ", "POST /again a=b", "POST /done a=b"]);
    assert!(origin.asked().iter().all(|asked| asked.headers["x-test"] == "1"));
}

#[tokio::test]
async fn a_body_is_read_to_64_kib() {
    let origin = Origin::start(|_, _| answer(200, &"x".repeat(1 << 20))).await;
    assert_eq!(answered(&client(), to(&origin.url(), "/")).await.body.len(), 64 * 1024);
}

#[tokio::test]
async fn the_credentials_of_an_address_are_sent_and_a_header_of_the_test_takes_the_place_of_ours() {
    let origin = Origin::start(|_, _| answer(200, "")).await;
    let url = format!("http://user:p%40ss@127.0.0.1:{}", origin.port);
    let headers = vec![("Host".to_owned(), "other.example.test".to_owned())];
    answered(&client(), Visit { headers, ..to(&url, "/") }).await;
    let headers = &origin.asked()[0].headers;
    assert_eq!(headers["authorization"], "Basic dXNlcjpwQHNz");
    assert_eq!(headers.get_all("host").iter().collect::<Vec<_>>(), ["other.example.test"]);
}

#[tokio::test]
async fn what_went_wrong_before_an_answer_is_said_in_plain_words() {
    let http = client();
    let closed = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let refused = failed(&http, to(&format!("http://{closed}"), "/")).await;
    assert_eq!(refused, VisitError::Connect(format!("{closed}: connection refused: nothing listens there")));
    let unknown = failed(&http, to(&format!("http://{}.invalid", "a".repeat(64)), "/")).await;
    assert!(matches!(&unknown, VisitError::Dns(why) if why.contains("aaaa.invalid does not resolve")), "{unknown:?}");
    let (port, _serving) = babbler(b"220 mail.example.test ESMTP\r\n", false).await;
    let babble = failed(&http, to(&format!("http://127.0.0.1:{port}"), "/")).await;
    assert!(matches!(&babble, VisitError::Broken(why) if why.contains("not HTTP")), "{babble:?}");
    let origin = Origin::start(|_, _| Reply::Hangup).await;
    let hung_up = failed(&http, to(&origin.url(), "/")).await;
    assert_eq!(hung_up, VisitError::Broken("the server closed the connection before its answer was complete".to_owned()));
}

#[tokio::test]
async fn a_timeout_tells_what_it_ended() {
    let quick = |url: &str| Visit { timeout: Duration::from_millis(300), ..to(url, "/") };
    let silent = Origin::start(|_, _| Reply::Silence).await;
    let waiting = failed(&client(), quick(&silent.url())).await;
    assert_eq!(waiting, VisitError::Timeout("no answer within 300ms: it ended waiting for the answer".to_owned()));
    let (port, _serving) = babbler(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", true).await;
    let reading = failed(&client(), quick(&format!("http://127.0.0.1:{port}"))).await;
    assert_eq!(reading, VisitError::Timeout("no answer within 300ms: it ended reading the body".to_owned()));
    let (port, _serving) = babbler(b"", true).await;
    let shaking = failed(&client(), quick(&format!("https://127.0.0.1:{port}"))).await;
    assert_eq!(shaking, VisitError::Timeout("no answer within 300ms: it ended in the TLS handshake".to_owned()));
}

/// An authority of our own.
struct Trust {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Trust {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// A client that trusts it, with further variables.
    fn client(&self, environment: &[(&str, &str)]) -> Http {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), self.pem()).unwrap();
        let mut environment: BTreeMap<_, _> = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        environment.insert("SSL_CERT_FILE".to_owned(), file.path().display().to_string());
        Http::new(Options { environment, ..options() }).unwrap()
    }

    fn pem(&self) -> String {
        use base64::Engine as _;
        let der = base64::engine::general_purpose::STANDARD.encode(self.issuer.der());
        format!("-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n")
    }

    /// A server whose certificate is for `name` and from the years `from` to `to`.
    async fn server(&self, name: &str, from: i32, to: i32) -> Origin {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(from, 1, 1);
        params.not_after = rcgen::date_time_ymd(to, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
            .unwrap();
        Origin::with_tls(tls, |_, _| answer(200, "secure")).await
    }
}

#[tokio::test]
async fn the_connection_goes_elsewhere_while_the_url_names_the_host_and_the_certificate() {
    let trust = Trust::new();
    let server = trust.server("app.example.test", 2020, 2090).await;
    let url = format!("https://app.example.test:{}", server.port);
    assert_eq!(&answered(&trust.client(&[]), by_way_of("127.0.0.1", &url)).await.body[..], b"secure");
    assert_eq!(server.asked()[0].headers["host"], format!("app.example.test:{}", server.port));
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_explained() {
    let trust = Trust::new();
    let told = async |http: &Http, server: &Origin| {
        let visit = by_way_of("127.0.0.1", &format!("https://app.example.test:{}", server.port));
        match failed(http, visit).await {
            VisitError::Tls(why) => why,
            other => panic!("{other:?}"),
        }
    };
    let expired = trust.server("app.example.test", 2020, 2021).await;
    assert_eq!(told(&trust.client(&[]), &expired).await, "the certificate expired on 2021-01-01T00:00:00Z");
    let early = trust.server("app.example.test", 2080, 2090).await;
    assert_eq!(told(&trust.client(&[]), &early).await, "the certificate is not valid before 2080-01-01T00:00:00Z");
    let other = trust.server("other.example.test", 2020, 2090).await;
    let why = told(&trust.client(&[]), &other).await;
    assert!(why.starts_with("the certificate is not for app.example.test: it is for ") && why.contains("other.example.test"), "{why}");
    let unknown = trust.server("app.example.test", 2020, 2090).await;
    assert_eq!(told(&client(), &unknown).await, "nobody known here has signed the certificate (its own issuer, or one of a company)");
    let plain = Origin::start(|_, _| answer(200, "")).await;
    assert_eq!(told(&client(), &plain).await, "what came back is not TLS: perhaps this port speaks plain http");
}

#[tokio::test]
async fn a_visit_goes_through_the_proxy_in_a_tunnel_to_the_host_that_is_dialled() {
    let outside = Trust::new();
    let server = outside.server("app.example.test", 2020, 2090).await;
    let (port, asked, _serving) = tunnel(server.port).await;
    let proxy = format!("http://user:secret@127.0.0.1:{port}");
    let http = outside.client(&[("https_proxy", &proxy)]);
    let answer = answered(&http, by_way_of("203.0.113.7", "https://app.example.test")).await;
    assert_eq!(&answer.body[..], b"secure");
    let asked = asked.lock().unwrap()[0].clone();
    assert_eq!(asked.target, "203.0.113.7:443");
    assert_eq!(asked.headers["proxy-authorization"], "Basic dXNlcjpzZWNyZXQ=");
    assert_eq!(server.asked()[0].headers["host"], "app.example.test");
}

#[tokio::test]
async fn a_plain_visit_tells_its_proxy_the_whole_address_and_a_refusing_proxy_is_named() {
    let proxy = Origin::start(|asked, _| answer(if asked.method == "CONNECT" { 407 } else { 200 }, "")).await;
    let http = behind(&proxy.url(), "http_proxy");
    answered(&http, to("http://203.0.113.7:8080", "/health?a=b")).await;
    assert_eq!(proxy.asked()[0].target, "http://203.0.113.7:8080/health?a=b");
    let refused = failed(&behind(&proxy.url(), "https_proxy"), to("https://203.0.113.7", "/")).await;
    assert!(
        matches!(&refused, VisitError::Connect(why) if why == "the proxy 127.0.0.1: it answered 407 Proxy Authentication Required"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_overridden_health_host_is_asked_elsewhere_under_its_own_name() {
    let origin = Origin::start(|_, _| answer(200, "")).await;
    for key in ["app.example.test", "lb-1.elb.example.test"] {
        let endpoints = Endpoints([(Endpoints::key(key), origin.url())].into());
        let http = Http::new(Options { endpoints, ..options() }).unwrap();
        answered(&http, by_way_of("lb-1.elb.example.test", "https://app.example.test")).await;
    }
    assert_eq!(origin.asked().len(), 2);
    assert!(origin.asked().iter().all(|asked| asked.headers["host"] == "app.example.test" && asked.target == "/health"));
}
