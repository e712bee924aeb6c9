//! The other modes through the boundary: they look, go back, and rehearse.

use touchdown::simulator::fault::Fault;

use crate::rig::{DIGEST, REPOSITORY, Rig, side_by_side};

fn changes(rig: &Rig) -> Vec<String> {
    rig.simulator.world().requests().into_iter().filter(|request| request.changing).map(|request| request.operation).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_says_what_would_change_and_changes_nothing() {
    let rig = Rig::new().await.input("mode", "plan");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "planned"), "{}", ran.stdout);
    assert!(ran.summary.contains("image"), "{}", ran.summary);
    assert_eq!(changes(&rig), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_proves_what_runs_and_fails_when_it_is_not_healthy() {
    let rig = Rig::new().await.input("mode", "verify").input("health-interval", "1s");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "healthy"), "{}", ran.stdout);
    let rig = rig.input("health-path", "/nowhere");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (1, "unhealthy"), "{}", ran.stdout);
    assert_eq!(changes(&rig), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_holds_what_runs_to_the_version_that_is_asked_for() {
    let rig = Rig::new().await.input("mode", "verify").input("health-interval", "1s").input("health-version", "/version=v999");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (1, "unhealthy"), "{}", ran.stdout);
    assert!(ran.stdout.contains("expected version v999, got v1"), "{}", ran.stdout);
    let ran = rig.input("health-version", "/version=v1").main().await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert!(ran.summary.contains("tells version v1, as shipped"), "{}", ran.summary);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_tells_the_version_that_answers_and_claims_no_more() {
    let rig = Rig::new().await.input("env", "VERSION=v2").input("health-version", "/version=v2");
    assert_eq!(rig.main().await.output("outcome"), "live");
    let ran = rig.main_in("rollback").await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "live"), "{}", ran.stdout);
    assert!(ran.stdout.contains("it tells version v1") && !ran.stdout.contains("as shipped"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_goes_to_the_last_successful_release_and_proves_it() {
    let rig = Rig::new().await.input("env", "VERSION=v2");
    assert_eq!(rig.main().await.output("outcome"), "live");
    assert_eq!(rig.simulator.world().serving("web"), "v2");
    let rig = rig.input("mode", "rollback");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "live"), "{}", ran.stdout);
    assert_eq!(rig.simulator.world().serving("web"), "v1");
    let rig = rig.input("to", "web:2");
    assert_eq!(rig.main().await.output("outcome"), "live");
    assert_eq!(rig.simulator.world().serving("web"), "v2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_lists_the_releases_and_says_which_serves() {
    let rig = Rig::new().await;
    assert_eq!(rig.main().await.output("outcome"), "live");
    let rig = rig.input("mode", "history");
    let ran = rig.main().await;
    assert!(ran.stdout.contains("web:2") && ran.stdout.contains("serves"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_asks_no_cloud_and_plays_the_fault() {
    let rig = Rig::new().await.input("mode", "rehearse").input("fault", Fault::CrashOnStart.name());
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (1, "rolled-back"), "{}", ran.stdout);
    assert!(rig.simulator.world().requests().is_empty());
    let ran = rig.input("fault", "crash-on-stat").main().await;
    assert!(ran.stdout.contains("crash-on-start"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_takes_the_users_own_task_definition_account_latencies_and_one_name_in_two_regions() {
    let definition = r#"{"family": "shop", "cpu": "256", "memory": "512", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
        "containerDefinitions": [{"name": "proxy", "image": "public.ecr.aws/envoy:1", "essential": true},
        {"name": "server", "image": "placeholder", "essential": true, "portMappings": [{"containerPort": 3000}]}]}"#;
    let file = format!(
        "version: 1\nauth: {{ aws: {{ role: \"arn:aws:iam::999999999999:role/deploy\", expected-account: \"999999999999\" }} }}\n\
         defaults: {{ target: ecs, service: web, task-definition: taskdef.json, image: \"{}/web@{}\", desired-count: 3, health: {{ \
         version: /version=v2, max-latency: 300ms, body: \"/o[kK]/\" }}, smoke: {{ path: /cart, body: \"/x+/\" }}, env: {{ VERSION: v2 }} }}\n\
         services: {{ eu: {{ region: eu-west-1 }}, us: {{ region: us-east-1 }} }}\ngroups: [[eu, us]]\n",
        REPOSITORY, DIGEST
    );
    let rig = Rig::empty(60.0).await.file(".github/touchdown.yml", &file).file("taskdef.json", definition).input("mode", "rehearse");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "live"), "{}", ran.stdout);
    for told in ["aws-expected-account 999999999999 was not rehearsed", "no body here matches", "limits of latencies"] {
        assert!(ran.summary.contains(told), "{told}: {}", ran.summary);
    }
    let ran = rig.input("fault", "slow-health").main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (1, "rolled-back"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsed_fault_that_nothing_notices_is_no_success() {
    let unnoticed = [
        ("wrong-version", "set health-version"),
        ("unhealthy-after-bake", "set stabilize"),
        ("migration-fails", "cannot strike: no migration runs here"),
        ("crash", "choose one of: none, crash-on-start"),
        ("api=crash-on-start", "write a line SERVICE=FAULT with one of: web"),
    ];
    side_by_side(unnoticed.into_iter().map(|(fault, told)| async move {
        let ran = Rig::new().await.input("mode", "rehearse").input("fault", fault).main().await;
        assert!(ran.code == 1 && ran.stdout.contains(told) && ran.summary.contains(told), "{fault}: {}", ran.stdout);
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_of_a_rehearsal_strikes_the_service_it_names() {
    let file = format!(
        "version: 1\nauth: {{ aws: {{ region: eu-west-1 }} }}\ndefaults: {{ target: ecs, image: \"{REPOSITORY}/web@{DIGEST}\" }}\nservices: {{ web: {{}}, api: {{}} }}\n"
    );
    let rig = Rig::empty(60.0).await.file(".github/touchdown.yml", &file).input("mode", "rehearse").input("fault", "api=crash-on-start");
    let ran = rig.main().await;
    let services: serde_json::Value = serde_json::from_str(&ran.output("services")).unwrap();
    let outcome = |name: &str| services[name]["outcome"].clone();
    assert_eq!((outcome("web"), outcome("api")), ("live".into(), "rolled-back".into()), "{}", ran.stdout);
}
