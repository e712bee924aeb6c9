//! The identity token, asked for over real HTTP, and what is said when there is none.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use touchdown::clock::Clock;
use touchdown::failure::{Failure, Kind};
use touchdown::http::{Endpoints, Fence, Http, Options};
use touchdown::runner::log::Style;
use touchdown::runner::oidc::{Claims, Oidc};
use touchdown::values::Secret;

use super::{Printed, env};

/// What the issuer does with a connection.
#[derive(Clone)]
enum Answer {
    /// Closes it without a word.
    HangUp,
    /// Answers.
    With(u16, String),
}

/// Answers one connection after the other, the last answer over and over; gives its address and the requests it was sent.
async fn issuer(answers: Vec<Answer>) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/token?api-version=2.0", listener.local_addr().unwrap());
    let (sender, requests) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        for number in 0.. {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let Ok(byte) = connection.read_u8().await else { break };
                request.push(byte);
            }
            let _ = sender.send(String::from_utf8(request).unwrap());
            if let Answer::With(status, body) = answers.get(number).or(answers.last()).unwrap() {
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = connection.write_all(format!("{head}{body}").as_bytes()).await;
            }
        }
    });
    (address, requests)
}

fn http() -> Http {
    let options =
        Options { clock: Clock::scaled(200.0), endpoints: Endpoints::default(), fence: Fence(None), environment: BTreeMap::new() };
    Http::new(options).unwrap()
}

fn jwt(claims: &str) -> String {
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#), URL_SAFE_NO_PAD.encode(claims))
}

fn token_answer() -> Answer {
    Answer::With(200, format!(r#"{{"count":1,"value":"{}"}}"#, jwt(r#"{"sub":"repo:acme/shop:environment:production"}"#)))
}

async fn ask(answers: Vec<Answer>) -> (Result<Secret, Failure>, Vec<String>, String) {
    let (url, mut requests) = issuer(answers).await;
    let (log, printed) = Printed::log(Style::GitHub);
    let env = env(&[("ACTIONS_ID_TOKEN_REQUEST_URL", &url), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "the-runners-own-bearer")]);
    let token = Oidc::of(&env, http(), log).unwrap().token("api://AzureADTokenExchange").await;
    let mut sent = Vec::new();
    while let Ok(request) = requests.try_recv() {
        sent.push(request);
    }
    (token, sent, printed.text())
}

#[tokio::test]
async fn a_token_is_asked_for_with_audience_and_bearer_and_masked_at_once() {
    let (token, sent, printed) = ask(vec![token_answer()]).await;
    let token = token.unwrap();
    assert_eq!(Claims::decode(&token).unwrap().sub, "repo:acme/shop:environment:production");
    let request = sent[0].to_lowercase();
    assert!(request.starts_with("get /token?api-version=2.0&audience=api%3a%2f%2fazureadtokenexchange http/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: bearer the-runners-own-bearer\r\n"));
    assert_eq!(printed, format!("::add-mask::the-runners-own-bearer\n::add-mask::{}\n", token.expose()));
}

#[tokio::test]
async fn a_busy_or_broken_issuer_is_asked_again() {
    let bad = |status| Answer::With(status, "later".to_owned());
    let (token, sent, _) = ask(vec![Answer::HangUp, bad(429), bad(503), token_answer()]).await;
    assert!(token.is_ok(), "{token:?}");
    assert_eq!(sent.len(), 4);
}

#[tokio::test]
async fn an_issuer_that_stays_broken_is_a_passing_failure_that_shows_its_words() {
    let (token, sent, _) = ask(vec![Answer::With(503, "::error::bad day".to_owned())]).await;
    let failure = token.unwrap_err();
    assert_eq!((failure.kind, failure.why.as_slice()), (Kind::Transient, ["503 ::error::bad day".to_owned()].as_slice()));
    assert!(sent.len() > 2);
}

#[tokio::test]
async fn a_refusal_is_final() {
    let (token, sent, _) = ask(vec![Answer::With(403, "x".repeat(5000))]).await;
    let failure = token.unwrap_err();
    assert_eq!((failure.kind, sent.len()), (Kind::Denied, 1));
    assert!(failure.why[0].len() < 220, "a body is cut");
}

#[tokio::test]
async fn an_answer_without_a_token_is_not_shown() {
    for body in ["{}", r#"{"value":""}"#, r#"{"value":"half-a-to"#] {
        let failure = ask(vec![Answer::With(200, body.to_owned())]).await.0.unwrap_err();
        assert_eq!(failure.why, ["the answer holds no token"]);
    }
}

#[test]
fn claims_are_read_for_explanations_and_nothing_makes_them_panic() {
    let claims = Claims::decode(&Secret::new(jwt(
        r#"{"sub":"s","aud":"a","ref":"refs/heads/main","repository_id":7,"environment":null,"job_workflow_ref":"w","extra":[1]}"#,
    )))
    .unwrap();
    assert_eq!((claims.sub.as_str(), claims.repository_id.as_str(), claims.environment), ("s", "7", None));
    assert_eq!((claims.reference.as_str(), claims.job_workflow_ref.as_str()), ("refs/heads/main", "w"));
    for text in ["", "a", "a.b", "a.b.c", "..", &jwt("[]"), &jwt("{"), "é.é.é"] {
        assert_eq!(Claims::decode(&Secret::new(text)), None);
    }
}

fn refusal(variables: &[(&str, &str)]) -> Failure {
    let (log, _) = Printed::log(Style::Plain);
    Oidc::of(&env(variables), http(), log).unwrap_err()
}

#[tokio::test]
async fn a_job_without_the_permission_is_told_which_lines_go_where() {
    let failure = refusal(&[("GITHUB_ACTIONS", "true"), ("GITHUB_EVENT_NAME", "push")]);
    assert_eq!(failure.kind, Kind::Denied);
    insta::assert_snapshot!(failure.to_string(), @r"
    this job may not ask GitHub for an identity token
      why  ACTIONS_ID_TOKEN_REQUEST_URL is not set: the job lacks `id-token: write`
      fix  add to the job that runs this step (permissions at the job replace those at the top of the workflow, they do not add to them):
           permissions:
             id-token: write
             contents: read
           if that job is in a reusable workflow, add the same lines to the job that calls it: permissions only shrink on the way down
    ");
}

#[tokio::test]
async fn a_pull_request_from_a_fork_is_told_that_no_line_helps() {
    let event = tempfile::NamedTempFile::new().unwrap();
    let at_home = |head: &str| {
        std::fs::write(event.path(), format!(r#"{{"pull_request":{{"head":{{"repo":{{"full_name":"{head}"}}}}}}}}"#)).unwrap();
        refusal(&[
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_EVENT_NAME", "pull_request"),
            ("GITHUB_REPOSITORY", "acme/shop"),
            ("GITHUB_EVENT_PATH", event.path().to_str().unwrap()),
        ])
    };
    let fork = at_home("mallory/shop").to_string();
    assert!(fork.contains("comes from a fork") && !fork.contains("permissions:"), "{fork}");
    let own = at_home("acme/shop").to_string();
    assert!(!own.contains("fork") && own.contains("id-token: write"), "{own}");
}

#[tokio::test]
async fn outside_a_workflow_nothing_is_said_about_permissions() {
    let failure = refusal(&[]).to_string();
    assert!(failure.contains("not a step of a workflow") && !failure.contains("permissions"), "{failure}");
}

#[tokio::test]
async fn a_token_is_never_asked_for_in_the_clear() {
    for url in ["http://issuer.example/token", "ftp://127.0.0.1/token", "not a url"] {
        let failure = refusal(&[("ACTIONS_ID_TOKEN_REQUEST_URL", url), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "bearer")]);
        assert_eq!(failure.kind, Kind::Config, "{url}");
    }
}
