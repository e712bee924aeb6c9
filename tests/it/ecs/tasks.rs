//! Migrations by RunTask, and the evidence of what failed.

use std::time::Duration;

use serde_json::Value;
use touchdown::failure::Kind;
use touchdown::simulator::fault::Fault;
use touchdown::simulator::request::{Injection, When};
use touchdown::simulator::seed::ServiceSeed;
use touchdown::target::any::AnyTarget;
use touchdown::target::{Before, Gathered, Opaque, TaskHandle, TaskOrder, TaskState, TaskWhat};

use super::stage::Deck;

async fn order(deck: &Deck, token: &str) -> TaskOrder {
    let before = AnyTarget::snapshot(deck.ecs.clone()).await.unwrap().before;
    TaskOrder { what: TaskWhat::Command(vec!["./migrate".to_owned()]), release: None, before, token: token.to_owned() }
}

async fn ended(deck: &Deck, handle: &TaskHandle) -> (TaskState, Vec<String>) {
    let runner = deck.ecs.clone().runs_task().unwrap();
    let mut lines = Vec::new();
    for _ in 0..200 {
        let look = runner.look(handle.clone(), lines.len()).await.unwrap();
        lines.extend(look.lines);
        if look.state != TaskState::Running {
            return (look.state, lines);
        }
        deck.stage.clock.sleep(Duration::from_secs(1)).await;
    }
    panic!("the task did not end; it said {lines:?}");
}

#[tokio::test]
async fn a_migration_runs_in_the_services_own_network_with_its_command_and_its_lines_are_seen_once() {
    let deck = Deck::of(ServiceSeed { sidecars: vec!["agent".to_owned()], ..ServiceSeed::new("web") }).await;
    let handle = deck.ecs.clone().runs_task().unwrap().start(order(&deck, "a").await).await.unwrap();
    let (state, lines) = ended(&deck, &handle).await;
    assert_eq!((state, lines), (TaskState::Succeeded, vec!["applying 3 migrations".to_owned(), "3 migrations applied".to_owned()]));
    let sent = &deck.sent("RunTask")[0];
    assert_eq!(sent["overrides"]["containerOverrides"], serde_json::json!([{ "name": "app", "command": ["./migrate"] }]));
    assert!(sent["networkConfiguration"]["awsvpcConfiguration"].is_object() && sent["launchType"] == "FARGATE", "{sent}");
    assert!(sent["capacityProviderStrategy"].is_null(), "one of the two, never both");
}

#[tokio::test]
async fn the_same_token_never_starts_a_second_task_whatever_happens_to_the_answer() {
    for injection in [Injection::LoseAnswer, Injection::ResetBefore, Injection::Status(500), Injection::Throttle] {
        let deck = Deck::web().await;
        deck.stage.world.inject(When::Operation("RunTask".to_owned(), 0), injection);
        let runner = deck.ecs.clone().runs_task().unwrap();
        let order = order(&deck, "b").await;
        let first = deck.insist(async || runner.start(order.clone()).await).await.unwrap();
        let second = runner.start(order.clone()).await.unwrap();
        assert_eq!(first, second, "{injection:?}");
    }
}

#[tokio::test]
async fn a_failed_migration_tells_its_exit_code_and_its_last_lines() {
    let deck = Deck::with(Fault::MigrationFails).await;
    let handle = deck.ecs.clone().runs_task().unwrap().start(order(&deck, "c").await).await.unwrap();
    let (TaskState::Failed(failure), lines) = ended(&deck, &handle).await else { panic!("it did not fail") };
    assert_eq!(failure.kind, Kind::Unhealthy);
    assert!(failure.why[0].contains("container app exit code 1"), "{failure}");
    assert!(lines[1].contains("contains null values"), "{lines:?}");
}

#[tokio::test]
async fn a_task_that_is_stopped_ends_and_one_without_a_service_has_nothing_to_run() {
    let deck = Deck::web().await;
    let runner = deck.ecs.clone().runs_task().unwrap();
    let handle = runner.start(order(&deck, "d").await).await.unwrap();
    runner.stop(handle.clone(), "cancelled".to_owned()).await.unwrap();
    let (state, _) = ended(&deck, &handle).await;
    assert!(matches!(state, TaskState::Failed(failure) if failure.why[0].contains("cancelled")));
    let absent = TaskOrder { before: Before::Absent, ..order(&deck, "e").await };
    assert_eq!(runner.start(absent).await.unwrap_err().kind, Kind::Config);
}

#[tokio::test]
async fn a_job_of_its_own_family_is_found_by_its_name() {
    let deck = Deck::web().await;
    let runner = deck.ecs.clone().runs_task().unwrap();
    let job = |family: &str| TaskOrder {
        what: TaskWhat::Job(family.to_owned()),
        release: None,
        before: Before::Absent,
        token: family.to_owned(),
    };
    let handle = runner.start(job("web")).await.unwrap();
    assert_eq!(ended(&deck, &handle).await.0, TaskState::Succeeded);
    assert!(deck.sent("RunTask")[0]["overrides"].is_null());
    let failure = runner.start(job("nothing")).await.unwrap_err();
    assert!(failure.what.contains("nothing"), "{failure}");
}

#[tokio::test]
async fn a_failed_release_leaves_stopped_tasks_log_lines_and_events_as_evidence() {
    let deck = Deck::with(Fault::CrashOnStart).await;
    let (_, prepared) = deck.begun("v2").await;
    deck.settled(&prepared.release).await.unwrap_err();
    let release: Opaque = serde_json::to_value(&prepared.release).unwrap();
    let told = deck.ecs.clone().evidence().unwrap().gather(release).await;
    assert_eq!(told.remedies, ["read the application's last log lines: they tell why it ended"]);
    let told = told.evidence;
    let titles: Vec<&str> = told.iter().map(|evidence| evidence.title.as_str()).collect();
    assert_eq!(titles[..2], ["last log lines of app", "stopped tasks of web:2"]);
    assert!(told[0].lines.iter().any(|line| line.contains("DATABASE_URL is not set")), "{told:?}");
}

#[tokio::test]
async fn evidence_that_may_not_be_read_is_less_and_never_a_failure() {
    let deck = Deck::with(Fault::NeverHealthy).await;
    let (_, prepared) = deck.begun("v2").await;
    let release = serde_json::to_value(&prepared.release).unwrap();
    deck.note(&prepared.release, "health checks failed").await;
    let told = deck.ecs.clone().evidence().unwrap().gather(release.clone()).await;
    assert!(told.evidence.iter().any(|evidence| evidence.title == "events of the service"), "{told:?}");
    assert!(told.remedies.concat().contains("the load balancer's health check fails"), "{told:?}");
    for operation in ["logs:*", "elasticloadbalancing:*", "ecs:ListTasks", "ecs:DescribeServices", "ecs:DescribeTaskDefinition"] {
        deck.stage.world.deny(operation);
    }
    assert_eq!(deck.ecs.clone().evidence().unwrap().gather(release).await, Gathered::default());
    assert_eq!(deck.ecs.clone().evidence().unwrap().gather(Value::Null).await, Gathered::default());
}
