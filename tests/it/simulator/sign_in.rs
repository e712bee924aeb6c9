//! From a GitHub token to a session, and everything that can be wrong with it.

use std::time::Duration;

use aws_credential_types::Credentials;
use serde_json::{Value, json};
use touchdown::simulator::fault::Fault;
use touchdown::simulator::seed::ServiceSeed;

use super::client::{Answered, Client};

const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";

async fn client() -> Client {
    let client = Client::with(200.0, ServiceSeed::new("web")).await;
    client.world.add_role(ROLE, &["repo:acme/shop:environment:production"]);
    client
}

async fn token(client: &Client, bearer: &str) -> Answered {
    let url = format!("{}&audience=sts.amazonaws.com", client.simulator.endpoints().token_request_url);
    let answer = reqwest::Client::new().get(url).bearer_auth(bearer).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn assume(client: &Client, role: &str) -> Answered {
    let (_, answer) = token(client, &client.simulator.endpoints().token_request_bearer).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let fields = [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", role),
        ("RoleSessionName", "touchdown-1"),
        ("WebIdentityToken", answer["value"].as_str().unwrap()),
    ];
    let url = client.simulator.endpoints().aws;
    let answer = reqwest::Client::new().post(url).form(&fields).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn inside(xml: &str, name: &str) -> String {
    let document = roxmltree::Document::parse(xml).unwrap();
    let found = document.descendants().find(|node| node.has_tag_name((document.root_element().tag_name().namespace().unwrap(), name)));
    found.and_then(|node| node.text()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_trusted_subject_gets_a_session_that_works_until_it_expires() {
    let mut client = client().await;
    let (status, xml) = assume(&client, ROLE).await;
    assert_eq!((status, inside(&xml, "SubjectFromWebIdentityToken").as_str()), (200, "repo:acme/shop:environment:production"));
    let part = |name: &str| inside(&xml, name);
    client.key = Credentials::new(part("AccessKeyId"), part("SecretAccessKey"), Some(part("SessionToken")), None, "test");
    client.ecs("ListServices", json!({})).await;
    client.world.expire_sessions();
    assert_eq!(client.refused("ListServices", json!({})).await, "ExpiredTokenException");
}

#[tokio::test]
async fn a_subject_the_role_does_not_trust_is_denied_in_the_vendor_s_words() {
    let client = client().await;
    for change in
        [json!({ "sub": "repo:Acme/shop:environment:production" }), json!({ "sub": "repo:acme@65001/shop@74001:ref:refs/heads/main" })]
    {
        client.world.set_claims(&change);
        let (status, xml) = assume(&client, ROLE).await;
        assert_eq!((status, inside(&xml, "Code").as_str()), (403, "AccessDenied"), "{change}");
        assert_eq!(inside(&xml, "Message"), "Not authorized to perform sts:AssumeRoleWithWebIdentity");
    }
    client.world.set_claims(&json!({ "sub": "repo:acme/shop:environment:production" }));
    assert_eq!(assume(&client, ROLE).await.0, 200);
    client.world.set_fault("web", Fault::DeniedSignIn);
    assert_eq!(assume(&client, ROLE).await.0, 403);
}

#[tokio::test]
async fn the_error_classes_of_sts_can_be_had_once_each() {
    let client = client().await;
    let classes = [
        ("IDPCommunicationError", 400),
        ("InvalidIdentityToken", 400),
        ("ExpiredTokenException", 400),
        ("RegionDisabledException", 403),
        ("IDPRejectedClaim", 403),
    ];
    for (code, expected) in classes {
        client.world.fail_sign_in(code, "not today");
        let (status, xml) = assume(&client, ROLE).await;
        assert_eq!((status, inside(&xml, "Code").as_str()), (expected, code));
    }
    assert_eq!(assume(&client, ROLE).await.0, 200);
}

#[tokio::test]
async fn the_token_service_wants_the_runner_s_bearer_and_may_fail() {
    let client = client().await;
    assert_eq!(token(&client, "somebody else's").await.0, 401);
    client.world.fail_token_requests(&[503, 429]);
    let bearer = client.simulator.endpoints().token_request_bearer;
    assert_eq!((token(&client, &bearer).await.0, token(&client, &bearer).await.0, token(&client, &bearer).await.0), (503, 429, 200));
}

#[tokio::test]
async fn other_partitions_stay_in_theirs() {
    let client = client().await;
    let role = "arn:aws-cn:iam::999988887777:role/deploy";
    client.world.add_role(role, &["*"]);
    let (_, xml) = assume(&client, role).await;
    assert_eq!(inside(&xml, "Arn"), "arn:aws-cn:sts::999988887777:assumed-role/deploy/touchdown-1");
    assert_eq!(inside(&xml, "Provider"), "arn:aws-cn:iam::999988887777:oidc-provider/token.actions.githubusercontent.com");
}

#[tokio::test]
async fn a_session_lasts_as_long_as_a_test_wants() {
    let mut client = client().await;
    client.world.set_session_length(Duration::from_secs(40));
    let (_, xml) = assume(&client, ROLE).await;
    let part = |name: &str| inside(&xml, name);
    client.key = Credentials::new(part("AccessKeyId"), part("SecretAccessKey"), Some(part("SessionToken")), None, "test");
    client.clock.sleep(Duration::from_secs(41)).await;
    assert_eq!(client.refused("ListServices", json!({})).await, "ExpiredTokenException");
}
