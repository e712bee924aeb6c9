//! moto, an AWS that nobody here wrote, driven by our client: signing in, reading, registering, running a task, updating, marking.
//! Its limits (moto 5.2.5): UpdateService begins no deployment, services start no tasks, and there are no service deployments.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use touchdown::clock::Clock;
use touchdown::simulator::Simulator;
use touchdown::simulator::seed::ServiceSeed;

use crate::action_harness::{Ran, Runner};
use crate::rig::{REPOSITORY, ROLE, Rig};

/// A moto server with a service, GitHub's issuer and the application from our simulator.
struct Moto {
    server: Child,
    url: String,
    python: PathBuf,
    simulator: Simulator,
}

impl Moto {
    /// Where moto is set up: with a service of this many tasks of this image.
    async fn with(desired: u32, image: &str) -> Option<Self> {
        let python = crate::setup::component("venv")?;
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let server = Command::new(python.with_file_name("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("MOTO_ECS_SERVICE_RUNNING", desired.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let simulator = Simulator::start(Clock::real()).await.unwrap();
        simulator.world().add_service(&ServiceSeed::new("web")).unwrap();
        let moto = Self { server, url: format!("http://127.0.0.1:{port}"), python, simulator };
        let since = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(since.elapsed() < Duration::from_secs(60), "moto does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        moto.asked(&["fill", &desired.to_string(), image]);
        Some(moto)
    }

    fn asked(&self, words: &[&str]) -> String {
        let stage = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges/moto_stage.py");
        let ran = Command::new(&self.python).arg(stage).arg(&self.url).args(words).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// What stands in it.
    fn look(&self) -> Value {
        serde_json::from_str(&self.asked(&["look"])).unwrap()
    }

    /// Where the application answers.
    fn health(&self) -> String {
        format!("{}/health", self.simulator.endpoints().aws)
    }

    /// A step with the real binary.
    fn step(&self) -> Runner {
        let endpoints = self.simulator.endpoints();
        Runner::new()
            .input("target", "ecs")
            .input("service", "web")
            .input("region", "eu-west-1")
            .input("image", &format!("{REPOSITORY}/web:v2"))
            .input("env", "VERSION=v2")
            .input("skip-push", "true")
            .input("aws-role", ROLE)
            .input("health-url", &self.health())
            .input("health-interval", "10ms")
            .env("AWS_ENDPOINT_URL", &self.url)
            .id_token(&endpoints.token_request_url, &endpoints.token_request_bearer)
    }

    async fn main(&self, runner: Runner) -> Ran {
        tokio::task::spawn_blocking(move || runner.main()).await.unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn told(ran: &Ran) -> String {
    format!("{:?}\n{}\n{}\n{}", ran.code, ran.stdout, ran.stderr, ran.summary)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_signs_in_to_moto_plans_and_verifies_and_changes_nothing() {
    let Some(moto) = Moto::with(2, "v1").await else { return };
    let before = moto.look();
    let plan = moto.main(moto.step().input("mode", "plan")).await;
    assert_eq!((plan.code, plan.outputs["outcome"].as_str()), (Some(0), "planned"), "{}", told(&plan));
    assert!(plan.stdout.contains("signed in to AWS 123456789012 in eu-west-1"), "{}", told(&plan));
    let digest = before["image"]["imageDigest"].as_str().unwrap();
    assert!(plan.stdout.contains(&format!("web:v1 → {REPOSITORY}/web@{digest}")), "the tag was looked up in moto's ECR: {}", told(&plan));
    assert!(plan.stdout.contains("app.environment.VERSION changes"), "{}", told(&plan));
    let verify = moto.main(moto.step().input("mode", "verify")).await;
    assert_eq!((verify.code, verify.outputs["outcome"].as_str()), (Some(0), "healthy"), "{}", told(&verify));
    assert_eq!(moto.look(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moto_does_not_know_and_answers_with_a_page_is_a_plain_failure() {
    let Some(moto) = Moto::with(2, "v1").await else { return };
    let history = moto.main(moto.step().input("mode", "history")).await;
    assert_eq!(history.code, Some(1), "{}", told(&history));
    assert!(
        history.stdout.contains("the history cannot be read") && history.stdout.contains("HTTP 500: AWS gave no reason"),
        "{}",
        told(&history)
    );
    let missing = moto.main(moto.step().input("mode", "plan").input("service", "wbe")).await;
    assert!(missing.code == Some(1) && missing.stdout.contains("there is no service wbe in the cluster default"), "{}", told(&missing));
    let elsewhere = moto.main(moto.step().input("mode", "plan").input("cluster", "prod")).await;
    assert!(elsewhere.code == Some(1) && elsewhere.stdout.contains("there is no cluster prod in eu-west-1"), "{}", told(&elsewhere));
    let expected = moto.main(moto.step().input("mode", "plan").input("aws-expected-account", "210987654321")).await;
    assert!(expected.code == Some(1) && expected.stdout.contains("210987654321"), "GetCallerIdentity is believed: {}", told(&expected));
}

/// The step inside the test's own process: the minutes that moto makes us wait pass on a scaled clock.
async fn hurried(moto: &Moto) -> Rig {
    let endpoints = moto.simulator.endpoints();
    let rig = Rig::empty(50.0).await.env("AWS_ENDPOINT_URL", &moto.url);
    rig.env("ACTIONS_ID_TOKEN_REQUEST_URL", &endpoints.token_request_url)
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", &endpoints.token_request_bearer)
        .input("target", "ecs")
        .input("service", "web")
        .input("region", "eu-west-1")
        .input("image", &format!("{REPOSITORY}/web:v2"))
        .input("skip-push", "true")
        .input("aws-role", ROLE)
        .input("health-url", &moto.health())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_revision_is_registered_whole_a_migration_runs_and_an_update_that_begins_nothing_is_never_called_live() {
    let Some(moto) = Moto::with(2, "v1").await else { return };
    let rig = hurried(&moto).await.input("env", "VERSION=v2").input("migrate-command", "bin/migrate --all");
    let ran = rig.main().await;
    let found = moto.look();
    let definition = &found["definition"];
    assert_eq!(definition["taskDefinitionArn"], "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:2", "{}", ran.stdout);
    let container = &definition["containerDefinitions"][0];
    let digest = found["image"]["imageDigest"].as_str().unwrap();
    assert_eq!(container["image"], format!("{REPOSITORY}/web@{digest}"));
    let environment = container["environment"].to_string();
    assert!(
        environment.contains(r#"{"name":"EMPTY","value":""}"#) && environment.contains(r#"{"name":"VERSION","value":"v2"}"#),
        "{environment}"
    );
    let kept = |key: &str| definition[key].clone();
    assert_eq!((kept("networkMode"), kept("cpu"), kept("memory")), ("awsvpc".into(), "256".into(), "512".into()));
    assert_eq!(found["tags"], serde_json::json!([{ "key": "team", "value": "shop" }]));

    assert!(ran.stdout.contains("the migrate job ended well"), "{}", ran.stdout);
    let tasks = found["tasks"].as_array().unwrap();
    assert_eq!((tasks.len(), tasks[0]["lastStatus"].as_str()), (1, Some("STOPPED")), "{tasks:#?}");
    assert!(tasks[0]["taskDefinitionArn"].as_str().unwrap().ends_with("/web:2"));
    let command = &tasks[0]["overrides"]["containerOverrides"][0]["command"];
    assert_eq!(*command, serde_json::json!(["bin/migrate", "--all"]), "{tasks:#?}");

    assert_eq!(found["service"]["taskDefinition"], definition["taskDefinitionArn"], "UpdateService was understood");
    assert_eq!((ran.code, ran.output("outcome").as_str()), (1, "rolled-back"), "{}", ran.stdout);
    assert!(ran.stdout.contains("ECS never showed the deployment of web:2"), "{}", ran.stdout);
    assert_eq!(found["service"]["tags"], serde_json::json!([{ "key": "touchdown", "value": "proven web:1" }]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_forced_anew_goes_live_as_far_as_moto_goes() {
    let Some(moto) = Moto::with(0, "pinned").await else { return };
    let deployment = |found: &Value| found["service"]["deployments"][0]["id"].clone();
    let before = moto.look();
    let ran = hurried(&moto).await.input("force", "true").main().await;
    let found = moto.look();
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "live"), "{}", ran.stdout);
    assert_ne!(deployment(&found), deployment(&before), "one that was not there before");
    assert_eq!(found["definition"]["revision"], 1, "nothing differs, so nothing is registered");
    assert!(ran.summary.contains("desired count is 0"), "{}", ran.summary);
    assert_eq!(found["service"]["tags"], serde_json::json!([{ "key": "touchdown", "value": "proven web:1" }]));
}
