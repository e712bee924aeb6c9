//! The whole walk of a deploy through the boundary: inputs in, the state of the cloud, the summary and the outputs out.

use touchdown::simulator::fault::Fault;
use touchdown::simulator::request::{Hook, Injection, Moment, When};

use crate::rig::{Rig, side_by_side};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_release_goes_live_and_post_has_nothing_to_do() {
    let rig = Rig::new().await;
    let ran = rig.main().await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(ran.output("outcome"), "live");
    assert_eq!(rig.simulator.world().count("UpdateService"), 1);
    assert_eq!(rig.simulator.world().count("RegisterTaskDefinition"), 1);
    let before = rig.simulator.world().requests().len();
    let post = rig.post(&ran.state).await;
    assert_eq!(post.code, 0, "{}", post.stdout);
    assert_eq!(rig.simulator.world().requests().len(), before, "post asks nobody anything: {}", post.stdout);
    assert_eq!(rig.home(), Vec::<String>::new(), "post leaves nothing in HOME");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashing_release_is_put_back_and_explained() {
    let rig = Rig::new().await;
    rig.simulator.world().set_fault("web", Fault::CrashOnStart);
    let ran = rig.main().await;
    assert_ne!(ran.code, 0);
    assert_eq!(ran.output("outcome"), "rolled-back", "{}", ran.stdout);
    assert_eq!(rig.simulator.world().serving("web"), "v1");
    assert!(ran.summary.contains("exit code 1"), "{}", ran.summary);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_image_again_changes_nothing_and_is_proven() {
    let rig = Rig::new().await;
    assert_eq!(rig.main().await.output("outcome"), "live");
    let again = rig.main().await;
    assert_eq!(again.code, 0);
    assert_eq!(again.output("outcome"), "unchanged", "{}", again.stdout);
    assert_eq!(rig.simulator.world().count("UpdateService"), 1);
    assert_eq!(rig.simulator.world().count("RegisterTaskDefinition"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_at_any_request_of_a_deploy_never_makes_a_second_release() {
    let clean = Rig::new().await;
    clean.main().await;
    let requests = clean.simulator.world().requests().len();
    let injections = [Injection::LoseAnswer, Injection::ResetBefore, Injection::Status(500), Injection::Throttle];
    let cases = injections.into_iter().flat_map(|injection| (0..requests).map(move |index| (injection, index)));
    side_by_side(cases.map(|(injection, index)| async move {
        let rig = Rig::new().await;
        rig.simulator.world().inject(When::Request(index), injection);
        let ran = rig.main().await;
        let world = rig.simulator.world();
        let operation = world.requests().get(index).map(|request| request.operation.clone());
        let place = format!("{injection:?} at {index} ({operation:?})\n{}", ran.stdout);
        assert_eq!(world.running("web").len(), 1, "a mixture runs: {place}");
        let outcome = ran.output("outcome");
        assert!(["live", "rolled-back", "untouched"].contains(&outcome.as_str()), "{outcome}: {place}");
        assert_eq!(world.describe("web")["deployments"].as_array().unwrap().len(), 1, "{place}");
        assert_eq!(ran.code == 0, outcome == "live", "{place}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_at_any_request_the_undo_is_begun_and_post_proves_it() {
    let clean = Rig::new().await;
    clean.main().await;
    let requests = clean.simulator.world().requests().len();
    side_by_side((0..requests).map(|index| async move {
        let rig = Rig::new().await.input("env", "VERSION=v2").input("health-version", "/version=v2");
        let under_way = rig.start();
        let stop = under_way.stop.clone();
        rig.simulator.world().on_request(Box::new(move |request, moment| {
            if request.index == index && moment == Moment::Before {
                stop.request("SIGINT");
            }
            Hook::Go
        }));
        let ran = under_way.ended().await;
        let committed = ran.state.values().any(|line| line.contains("\"committed\""));
        let post = rig.post(&ran.state).await;
        let expected = if committed { "v2" } else { "v1" };
        assert_eq!(rig.simulator.world().serving("web"), expected, "at {index}\n{}\n--- post ---\n{}", ran.stdout, post.stdout);
        assert_eq!(ran.code == 0, committed, "at {index}: {}", ran.stdout);
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mistake_is_told_at_once_and_nobody_is_asked_anything() {
    let rig = Rig::new().await.input("health-interval", "30").input("on-failure", "shrug").input("skip-verify", "yes").input("region", "");
    let rig = rig.input("helth-path", "/").input("project", "acme").input("gcp-service-account", "x@y");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (1, "untouched"));
    for told in [
        "health-interval",
        "write 30s",
        "on-failure",
        "skip-verify",
        "write true or false",
        "region",
        "write health-path",
        "project is not served yet",
        "gcp-service-account is not served",
    ] {
        assert!(ran.stdout.contains(told), "{told}: {}", ran.stdout);
    }
    assert!(rig.simulator.world().requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_host_in_an_endpoint_override_is_refused_before_anything_is_asked() {
    let rig = Rig::new().await.env("AWS_ENDPOINT_URL_STS", "https://sts.evil.example");
    let ran = rig.main().await;
    assert_eq!(ran.output("outcome"), "untouched");
    assert!(ran.stdout.contains("AWS_ENDPOINT_URL_STS"), "{}", ran.stdout);
    assert!(rig.simulator.world().requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_definition_file_is_sent_with_keys_nobody_has_heard_of() {
    let definition = "family: web\nnetworkMode: awsvpc\nrequiresCompatibilities: [FARGATE]\ncpu: '256'\nmemory: '512'\nbrandNewKey: {a: ''}\n\
        containerDefinitions:\n  - name: app\n    image: replaced\n    portMappings: [{containerPort: 8080}]\n    environment: [{name: EMPTY, value: ''}]\n";
    let rig = Rig::new().await.file("deploy/task.yml", definition).input("task-definition", "deploy/task.yml");
    let ran = rig.main().await;
    assert_eq!(ran.output("outcome"), "live", "{}", ran.stdout);
    let sent = rig.simulator.world().task_definition("eu-west-1", "web");
    assert_eq!(sent["brandNewKey"]["a"], "");
    assert_eq!(sent["containerDefinitions"][0]["environment"][0]["value"], "");
    assert!(sent["containerDefinitions"][0]["image"].as_str().unwrap().ends_with(crate::rig::DIGEST));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_that_is_asked_for_and_cannot_be_had_is_told_before_anything_changes() {
    for (name, value) in [("health-version", "/version=v2"), ("smoke", "GET /cart"), ("health-body", "ok")] {
        let rig = Rig::new().await.input(name, value);
        rig.simulator.world().deny("elasticloadbalancing:DescribeRules");
        let ran = rig.main().await;
        assert_eq!((ran.code, ran.output("outcome").as_str()), (1, "untouched"), "{name}: {}", ran.stdout);
        let told = ["no address at which", "the load balancer may not be read", "health.url"];
        assert!(told.iter().all(|told| ran.summary.contains(told)), "{name}: {}", ran.summary);
        assert_eq!(rig.simulator.world().count("UpdateService"), 0);
    }
    // Nothing was asked of answers: the targets' health is the proof, and the summary says so.
    let rig = Rig::new().await;
    rig.simulator.world().deny("elasticloadbalancing:DescribeRules");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "live"), "{}", ran.stdout);
    assert!(ran.summary.contains("the platform's own checks are the proof") && ran.summary.contains("proven"), "{}", ran.summary);
    assert!(!ran.summary.contains("not proven"), "{}", ran.summary);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wrong_answer_right_before_the_commit_is_asked_about_once_more_and_two_are_not_forgiven() {
    // The baseline is answer 0, the proof 1 to 3, the last look before the commit 4.
    for (wrong, outcome) in [(vec![4], "live"), (vec![4, 5], "rolled-back")] {
        let rig = Rig::new().await.input("env", "VERSION=v2").input("health-version", "/version=v2");
        let world = rig.simulator.world();
        wrong.iter().for_each(|nth| world.inject(When::Operation("app:GET /health".to_owned(), *nth), Injection::Status(502)));
        let ran = rig.main().await;
        assert_eq!(ran.output("outcome"), outcome, "{}", ran.stdout);
        assert!(ran.stdout.contains("one answer was wrong and is asked for once more"), "{}", ran.stdout);
        assert_eq!(ran.summary.contains("two answers in a row were wrong"), outcome != "live", "{}", ran.summary);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_that_asks_for_a_backup_makes_one_of_its_own() {
    let mut rig = Rig::new().await.input("before-command", "bin/backup");
    for version in ["VERSION=v2", "VERSION=v3"] {
        rig = rig.input("env", version);
        let ran = rig.main().await;
        assert_eq!(ran.output("outcome"), "live", "{}", ran.stdout);
    }
    let requests = rig.simulator.world().requests();
    let started = requests.iter().filter(|request| request.operation == "ecs:RunTask");
    let token = |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap()["clientToken"].to_string();
    let tokens: std::collections::BTreeSet<String> = started.map(|request| token(&request.body)).collect();
    assert_eq!(tokens.len(), 2, "the second step was given the first one's task back");
}
