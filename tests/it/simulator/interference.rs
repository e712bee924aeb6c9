//! What tests may do to requests, and what the APIs insist on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_credential_types::Credentials;
use serde_json::json;
use touchdown::simulator::fault::Fault;
use touchdown::simulator::request::{Hook, Injection, Moment, When};
use touchdown::simulator::seed::{Answers, ServiceSeed};

use super::client::Client;

const HOST: &str = "web.example.com";

#[tokio::test]
async fn requests_are_noted_with_what_they_do_and_to_whom() {
    let client = Client::with(200.0, ServiceSeed::new("web")).await;
    client.deploy("v2").await;
    client.get(HOST, "/health").await;
    let noted: Vec<_> = client.world.requests().into_iter().map(|one| (one.index, one.operation, one.changing, one.service)).collect();
    let web = Some("web".to_owned());
    assert_eq!(
        noted,
        [
            (0, "ecs:DescribeTaskDefinition".to_owned(), false, None),
            (1, "ecs:RegisterTaskDefinition".to_owned(), true, None),
            (2, "ecs:UpdateService".to_owned(), true, web.clone()),
            (3, "app:GET /health".to_owned(), false, web),
        ]
    );
    assert_eq!((client.world.count("UpdateService"), client.world.count("ecs:RegisterTaskDefinition")), (1, 1));
}

#[tokio::test]
async fn an_injection_meets_exactly_its_request() {
    let client = Client::with(200.0, ServiceSeed::new("web")).await;
    let scale = |count: u32| json!({ "service": "web", "desiredCount": count });
    client.world.inject(When::Operation("UpdateService".into(), 0), Injection::ResetBefore);
    client.world.inject(When::Operation("ecs:UpdateService".into(), 1), Injection::LoseAnswer);
    client.world.inject(When::Request(2), Injection::Status(500));
    client.world.inject(When::Request(3), Injection::Throttle);
    assert_eq!(client.call("ecs", "UpdateService", scale(5)).await, None);
    assert_eq!(client.world.describe("web")["desiredCount"], 2, "no effect");
    assert_eq!(client.call("ecs", "UpdateService", scale(6)).await, None);
    assert_eq!(client.world.describe("web")["desiredCount"], 6, "its effect stands");
    assert_eq!(client.refused("UpdateService", scale(7)).await, "ServerException");
    assert_eq!(client.refused("UpdateService", scale(8)).await, "ThrottlingException");
    assert_eq!(client.world.describe("web")["desiredCount"], 6);
    client.ecs("UpdateService", scale(9)).await;
}

#[tokio::test]
async fn a_busy_server_says_when_to_come_back_and_an_answer_can_break_off() {
    let client = Client::with(200.0, ServiceSeed::new("web")).await;
    client.world.inject(When::Request(0), Injection::Busy(Duration::from_secs(7)));
    let answer = reqwest::Client::new().get(format!("http://{}/health", client.simulator.address())).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"7".parse::<http::HeaderValue>().unwrap()));
    client.world.inject(When::Operation("UpdateService".into(), 0), Injection::CutShort);
    let scale = json!({ "service": "web", "desiredCount": 5 });
    assert_eq!(client.call("ecs", "UpdateService", scale).await, None, "half an answer is none");
    assert_eq!(client.world.describe("web")["desiredCount"], 5, "its effect stands");
    client.world.inject(When::Request(2), Injection::CutShort);
    let answer = reqwest::Client::new().get(format!("http://{}/health", client.simulator.address())).send().await.unwrap();
    assert_eq!(answer.status(), 200, "the head came");
    assert!(answer.bytes().await.is_err());
}

#[tokio::test]
async fn a_held_request_has_its_effect_or_not_by_the_moment() {
    for (moment, count) in [(Moment::Before, 2), (Moment::After, 4)] {
        let client = Client::with(200.0, ServiceSeed::new("web")).await;
        let held = Arc::new(AtomicBool::new(false));
        let seen = held.clone();
        client.world.on_request(Box::new(move |request, now| {
            if request.operation == "ecs:UpdateService" && now == moment {
                seen.store(true, Ordering::SeqCst);
                return Hook::HoldForever;
            }
            Hook::Go
        }));
        let killed = tokio::select! {
            answer = client.call("ecs", "UpdateService", json!({ "service": "web", "desiredCount": 4 })) => panic!("answered: {answer:?}"),
            () = async { while !held.load(Ordering::SeqCst) { tokio::time::sleep(Duration::from_millis(5)).await } } => true,
        };
        assert!(killed);
        assert_eq!(client.world.describe("web")["desiredCount"], count);
    }
}

#[tokio::test]
async fn latency_and_delay_are_of_the_clock() {
    let client = Client::with(200.0, ServiceSeed::new("web")).await;
    client.world.set_request_latency(Duration::from_secs(20));
    client.world.inject(When::Request(0), Injection::Delay(Duration::from_secs(40)));
    let before = client.clock.now();
    client.web().await;
    assert!(client.clock.now().since(before) >= Duration::from_secs(60));
}

#[tokio::test]
async fn the_first_looks_after_an_update_may_show_the_world_before_it() {
    let client = Client::with(100.0, ServiceSeed::new("web")).await;
    client.world.set_consistency_lag(Duration::from_secs(300), Duration::from_secs(300));
    let before = client.web().await;
    let definition = client.register("v2").await;
    client.ecs("UpdateService", json!({ "service": "web", "taskDefinition": definition })).await;
    let after = client.web().await;
    assert_eq!(after["deployments"], before["deployments"], "one COMPLETED old deployment");
    let listed = client.ecs("ListServiceDeployments", json!({ "service": "web" })).await;
    assert_eq!(listed["serviceDeployments"].as_array().unwrap().len(), 1, "only the seed's");
    client.until("it shows", async || (client.web().await["deployments"][0]["taskDefinition"] == json!(definition)).then_some(())).await;
}

#[tokio::test]
async fn hostile_text_stands_wherever_a_service_or_an_error_can_say_something() {
    let hostile = "::error::owned ##[error]x <b>&\u{2028}";
    let client = Client::with(200.0, ServiceSeed::new("web")).await;
    client.world.set_fault("web", Fault::CircuitBreakerNoRollback);
    client.world.set_hostile_text("web", hostile);
    client.world.set_hostile_errors(hostile);
    let number = client.deploy("v2").await;
    let deployment = client.deployment_is(&number, "STOPPED").await;
    let said = |value: &serde_json::Value| value.as_str().is_some_and(|text| text.contains(hostile));
    assert!(said(&deployment["statusReason"]));
    let web = client.web().await;
    assert!(said(&web["events"][0]["message"]) && said(&web["deployments"][0]["rolloutStateReason"]));
    assert!(said(&client.stopped_tasks(&number).await[0]["stoppedReason"]));
    assert!(client.world.log_lines("/ecs/web").iter().any(|line| line == hostile));
    let body: serde_json::Value = serde_json::from_str(&client.get(HOST, "/health").await.1).unwrap();
    assert!(said(&body["note"]));
    let (_, error) = client.call("ecs", "DescribeServices", json!({ "cluster": "none", "services": ["x"] })).await.unwrap();
    assert!(said(&error["message"]));
    let (_, xml) = client.elb("DescribeTargetHealth", "TargetGroupArn", "none").await;
    assert!(xml.contains("::error::owned ##[error]x &lt;b&gt;&amp;"), "{xml}");
}

#[tokio::test]
async fn the_application_says_what_it_is_told_to_say() {
    let client = Client::with(200.0, ServiceSeed::new("web")).await;
    let answers = Answers {
        paths: vec!["/up".into()],
        version_pointer: "/build/commit".into(),
        new: Some("3f2a9c1".into()),
        json: vec![("/checks/database".into(), json!("up"))],
        ..Answers::default()
    };
    client.world.set_answers("web", answers);
    let number = client.deploy("ignored").await;
    client.deployment_is(&number, "SUCCESSFUL").await;
    let (status, body) = client.get(HOST, "/up").await;
    assert_eq!((status, body.as_str()), (200, r#"{"status":"ok","build":{"commit":"3f2a9c1"},"checks":{"database":"up"}}"#));
    assert_eq!(client.get(HOST, "/health").await.0, 404);
    assert_eq!(client.get("other.example.com", "/up").await.0, 404);
}

#[tokio::test]
async fn keys_must_be_known_current_and_the_signature_whole() {
    let mut client = Client::with(200.0, ServiceSeed::new("web")).await;
    let good = client.key.clone();
    client.key = Credentials::new("AKIAUNKNOWN000000000", good.secret_access_key(), None, None, "test");
    assert_eq!(client.refused("ListServices", json!({})).await, "UnrecognizedClientException");
    client.key = Credentials::new(good.access_key_id(), "another secret", None, None, "test");
    assert_eq!(client.refused("ListServices", json!({})).await, "InvalidSignatureException");
    client.key = Credentials::new(good.access_key_id(), good.secret_access_key(), Some("a token".into()), None, "test");
    assert_eq!(client.refused("ListServices", json!({})).await, "UnrecognizedClientException");
    let unsigned = reqwest::Client::new().post(format!("http://{}/", client.simulator.address()));
    let unsigned = unsigned.header("x-amz-target", "AmazonEC2ContainerServiceV20141113.ListServices").body("{}").send().await.unwrap();
    assert!(unsigned.text().await.unwrap().contains("MissingAuthenticationTokenException"));
}

#[tokio::test]
async fn a_task_definition_keeps_what_nobody_has_heard_of_and_refuses_what_is_read_only() {
    let client = Client::with(200.0, ServiceSeed::new("web")).await;
    let good = json!({ "family": "odd", "containerDefinitions": [{ "name": "app", "image": "x", "environment": [{ "name": "E", "value": "" }] }],
        "enableQuantumMode": { "since": 2027 } });
    client.ecs("RegisterTaskDefinition", good.clone()).await;
    let kept = client.ecs("DescribeTaskDefinition", json!({ "taskDefinition": "odd:1" })).await["taskDefinition"].clone();
    assert_eq!(kept["enableQuantumMode"], json!({ "since": 2027 }));
    assert_eq!(kept["containerDefinitions"][0]["environment"][0]["value"], "");
    let read_only = [
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
    ];
    for (key, value) in
        read_only.iter().map(|key| (*key, json!("x"))).chain([("tags", json!([])), ("tags", json!([{ "key": "aws:x", "value": "y" }]))])
    {
        let mut bad = good.clone();
        bad[key] = value;
        assert_eq!(client.refused("RegisterTaskDefinition", bad).await, "InvalidParameterException", "{key}");
    }
    assert_eq!(client.world.task_definition("eu-west-1", "odd")["revision"], 1, "nothing refused was registered");
}

#[tokio::test]
async fn run_task_insists_on_the_network_rules_of_the_task_definition() {
    let client = Client::with(200.0, ServiceSeed::new("web")).await;
    let network = json!({ "awsvpcConfiguration": { "subnets": ["subnet-0a1b2c3d"] } });
    assert_eq!(client.refused("RunTask", json!({ "taskDefinition": "web" })).await, "InvalidParameterException");
    let both = json!({ "taskDefinition": "web", "networkConfiguration": network, "launchType": "FARGATE", "capacityProviderStrategy": [] });
    assert_eq!(client.refused("RunTask", both).await, "InvalidParameterException");
    client
        .ecs(
            "RegisterTaskDefinition",
            json!({ "family": "plain", "networkMode": "bridge", "containerDefinitions": [{ "name": "a", "image": "x" }] }),
        )
        .await;
    assert_eq!(
        client.refused("RunTask", json!({ "taskDefinition": "plain", "networkConfiguration": network })).await,
        "InvalidParameterException"
    );
    client.world.set_fault("web", Fault::Placement);
    let nothing = client.ecs("RunTask", json!({ "taskDefinition": "plain" })).await;
    assert_eq!(nothing["tasks"], json!([]), "{nothing}");
}
