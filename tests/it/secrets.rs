//! Canaries in every place a secret can stand, through the whole action: none is in what is printed, told, kept or reported.

use serde_json::{Value, json};
use touchdown::simulator::fault::Fault;
use touchdown::simulator::seed::ServiceSeed;

use crate::rig::{DIGEST, REPOSITORY, ROLE, Ran, Rig, side_by_side};

/// Everything of a run that somebody may read, by place; of the log what is printed, not what the runner is told to hide.
fn readable(rig: &Rig, ran: &Ran) -> Vec<(String, String)> {
    let printed: Vec<&str> = ran.stdout.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
    let report = std::fs::read_to_string(ran.output("report")).unwrap();
    let journal: Vec<&str> = ran.state.values().map(String::as_str).collect();
    let texts = [("log", printed.join("\n")), ("summary", ran.summary.clone()), ("outputs", ran.outputs.clone()), ("report", report)];
    let mut all: Vec<(String, String)> = texts.into_iter().map(|(place, text)| (place.to_owned(), text)).collect();
    all.push(("journal".to_owned(), journal.join("\n")));
    all.extend(rig.home_files().into_iter().filter(|(name, _)| !name.ends_with(".credentials")));
    all
}

/// What the runner was told to hide: secrets, all of them.
fn masked(ran: &Ran) -> Vec<String> {
    let commands = crate::runner_grammar::parse_stdout(&ran.stdout);
    commands.into_iter().filter(|command| command.name == "add-mask").map(|command| command.data).collect()
}

fn none_of(secrets: &[String], rig: &Rig, ran: &Ran) {
    for (place, text) in readable(rig, ran) {
        for secret in secrets {
            assert!(!text.contains(secret.as_str()), "{secret} stands in the {place}:\n{text}");
        }
    }
}

/// A task definition with a canary wherever a definition can hold a secret.
fn definition() -> Value {
    json!({
        "family": "web",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "volumes": [{ "name": "share", "dockerVolumeConfiguration": { "driverOpts": { "o": "username=app,password=canary-in-a-volume" } } }],
        "containerDefinitions": [{
            "name": "app",
            "image": "replaced",
            "portMappings": [{ "containerPort": 8080 }],
            "command": ["serve", "--password=canary-in-a-command"],
            "dockerLabels": { "key": "canary-in-a-label" },
            "environment": [{ "name": "API_TOKEN", "value": "canary-in-the-file" }, { "name": "PLAIN", "value": "canary-plain-in-the-file" }],
            "secrets": [{ "name": "REFERENCE", "valueFrom": "arn:aws:ssm:eu-west-1:123456789012:parameter/canary-in-a-reference" }],
            "repositoryCredentials": { "credentialsParameter": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:canary-registry" },
            "logConfiguration": { "logDriver": "awslogs", "options": { "awslogs-group": "/ecs/web", "awslogs-stream-prefix": "web",
                "awslogs-region": "eu-west-1", "token": "canary-in-log-options" } },
        }],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_of_a_deploy_is_printed_told_reported_or_kept_in_the_journal() {
    let cases = [Fault::CrashOnStart, Fault::MigrationFails, Fault::None, Fault::NeverHealthy].map(|fault| async move {
        let env =
            "DB_PASSWORD=canary-of-the-environment\nDATABASE_URL=postgres://app:canary-in-an-address@db:5432/shop\nPLAIN=canary-plain";
        let rig = Rig::new()
            .await
            .file("deploy/task.json", &definition().to_string())
            .input("task-definition", "deploy/task.json")
            .input("timeout", "3m")
            .input("env", env)
            .input("secrets", "SESSION_KEY=arn:aws:ssm:eu-west-1:123456789012:parameter/canary-of-the-secrets")
            .input("migrate-command", "bin/migrate --password canary-of-the-migration")
            .input("aws-external-id", "canary-of-the-external-id")
            .env("AWS_SECRET_ACCESS_KEY", "canary-of-the-key")
            .env("AWS_SESSION_TOKEN", "canary-of-the-session");
        let world = rig.simulator.world();
        world.set_fault("web", fault);
        world.set_hostile_text("web", "cannot log in as app with canary-of-the-environment, canary-in-an-address or canary-in-the-file");
        let ran = rig.main().await;
        assert_eq!(ran.code == 0, fault == Fault::None, "{}", ran.stdout);
        assert!(world.count("RegisterTaskDefinition") == 1, "{}", ran.stdout);
        let sent = world.task_definition("eu-west-1", "web").to_string();
        for canary in
            ["canary-in-a-volume", "canary-in-a-command", "canary-in-the-file", "canary-of-the-environment", "canary-of-the-secrets"]
        {
            assert!(sent.contains(canary), "{canary} was not sent: {sent}");
        }
        let mut secrets: Vec<String> = masked(&ran);
        assert!(secrets.len() >= 5, "bearer, token, key, session, values: {secrets:?}");
        secrets.push("canary".to_owned());
        none_of(&secrets, &rig, &ran);
        let post = rig.post(&ran.state).await;
        let told = post.stdout.lines().filter(|line| !line.starts_with("::add-mask::")).collect::<String>() + &post.summary;
        assert!(secrets.iter().all(|secret| !told.contains(secret.as_str())), "{told}");
    });
    side_by_side(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_post_takes_over_tells_no_secret_that_only_main_knew() {
    let rig = Rig::new().await.input("env", "DB_PASSWORD=canary-of-the-environment");
    let world = rig.simulator.world();
    world.set_fault("web", Fault::CrashOnStart);
    world.set_hostile_text("web", "cannot log in with canary-of-the-environment");
    let main = rig.start();
    while world.count("StopServiceDeployment") == 0 {
        rig.clock.sleep(std::time::Duration::from_millis(100)).await;
    }
    let ran = main.killed().await;
    let journal: String = ran.state.values().cloned().collect();
    assert!(journal.contains("cannot log in with ***") && !journal.contains("canary"), "{journal}");
    let post = rig.post(&ran.state).await;
    assert!(post.summary.contains("rolled back") && !post.summary.contains("canary"), "{}", post.summary);
    assert!(!post.stdout.contains("canary"), "{}", post.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_never_repeats_the_secret_it_was_made_with() {
    let mistakes = [
        ("health-url", "https://app:canary-of-the-address@web.example.com/health"),
        ("registry-password", "canary-of-the-registry"),
        ("registry-username", "canary-of-the-registry-user"),
        ("gcp-credentials-json", r#"{"private_key": "canary-of-google"}"#),
        ("github-token", "canary-of-github"),
        ("env", "DB_PASSWORD: canary-of-the-environment"),
        ("secrets", "DB_PASSWORD: canary-of-the-secrets"),
        ("env", "DB_PASSWORD canary-of-the-environment"),
        ("aws-external-id", "canary with blanks and \u{1} in it"),
    ];
    side_by_side(mistakes.map(|(input, value)| async move {
        let rig = Rig::new().await.input(input, value);
        let ran = rig.main().await;
        none_of(&["canary".to_owned()], &rig, &ran);
        // Of these two the runner is told, so that it hides them.
        let hidden = ["aws-external-id", "github-token"].contains(&input);
        assert!(!ran.stdout.contains("canary") || hidden, "{input}: {}", ran.stdout);
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_smoke_test_sends_is_told_nowhere_when_it_fails() {
    let rig = Rig::empty(100.0).await.input("skip-push", "true");
    rig.simulator.world().add_service(&ServiceSeed::new("web")).unwrap();
    let smoke = r#"[{ path: /health, method: POST, headers: { Authorization: "Bearer canary-of-the-header" }, send: "canary-of-the-body", status: "418" }]"#;
    let file = format!(
        "version: 1\nauth: {{ aws: {{ role: \"{ROLE}\", region: eu-west-1 }} }}\n\
         services: {{ web: {{ target: ecs, image: \"{REPOSITORY}/web@{DIGEST}\", smoke: {smoke} }} }}\n"
    );
    let rig = rig.file(".github/touchdown.yml", &file);
    let ran = rig.main().await;
    assert_eq!(ran.output("outcome"), "rolled-back", "{}", ran.stdout);
    let requests = rig.simulator.world().requests();
    assert!(requests.iter().any(|request| request.operation == "app:POST /health" && request.body.contains("canary-of-the-body")));
    none_of(&["canary".to_owned()], &rig, &ran);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_cannot_be_reached_is_named_without_its_password() {
    let rig = Rig::new().await;
    let proxy = "http://app:canary-of-the-proxy@127.0.0.1:9";
    let rig = rig.env("HTTP_PROXY", proxy).env("http_proxy", proxy).env("HTTPS_PROXY", proxy).env("AWS_ENDPOINT_URL", "");
    let ran = rig.main().await;
    assert!(ran.code == 1 && ran.stdout.contains("proxy"), "{}", ran.stdout);
    none_of(&["canary".to_owned(), "YXBwOmNhbmFye".to_owned()], &rig, &ran);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloud_that_repeats_what_it_was_sent_gives_no_secret_away() {
    let rig = Rig::new().await;
    let world = rig.simulator.world();
    let bearer = rig.simulator.endpoints().token_request_bearer;
    world.set_hostile_errors(&format!("you sent {bearer}"));
    world.set_fault("web", Fault::DeniedSignIn);
    let ran = rig.main().await;
    assert!(ran.stdout.contains("you sent ***"), "{}", ran.stdout);
    none_of(&[bearer], &rig, &ran);
}

#[test]
fn nothing_is_handed_to_another_program() {
    let source = crate::floors::every_source_file();
    let starts = |text: &str| text.contains("process::Command") || text.contains("Command::new");
    let found: Vec<&String> = source.iter().filter(|(_, text)| starts(text)).map(|(name, _)| name).collect();
    // Docker's credential helpers: they are told the registry's name, by their standard input.
    assert_eq!(found, ["runner/docker_config.rs"], "arguments of a program can be read by everybody on the machine");
}
