//! Which journal the post step takes for its own, and what keeps two writers apart.

use std::collections::BTreeMap;
use std::time::Duration;

use touchdown::simulator::request::{Injection, Moment, When};
use touchdown::simulator::seed::ServiceSeed;

use crate::rig::{DIGEST, REPOSITORY, ROLE, Rig, UnderWay};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_after_two_deploys_in_one_job_leaves_its_post_step_nothing_to_do() {
    let rig = Rig::new().await;
    for step in ["first", "second"] {
        let rig = rig.main_as(step, "deploy").await;
        assert_eq!(rig.code, 0, "{}", rig.stdout);
    }
    let look = rig.main_as("third", "verify").await;
    let requests = rig.simulator.world().requests().len();
    let post = rig.post_as("third", &look.state).await;
    assert_eq!((post.code, rig.simulator.world().requests().len()), (0, requests), "{}", post.stdout);
    assert_eq!(rig.home().iter().filter(|name| name.ends_with(".journal")).count(), 2, "the others' are theirs: {:?}", rig.home());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_step_without_a_journal_leaves_another_step_that_still_runs_alone() {
    let rig = Rig::new().await.input("env", "VERSION=v2");
    let world = rig.simulator.world();
    let main = rig.start();
    while world.count("UpdateService") == 0 {
        rig.clock.sleep(Duration::from_secs(1)).await;
    }
    let post = rig.post_as("another", &BTreeMap::new()).await;
    assert_eq!(post.code, 0, "{}", post.stdout);
    let ran = main.ended().await;
    assert_eq!((ran.code, ran.output("outcome").as_str(), world.serving("web").as_str()), (0, "live", "v2"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_copy_in_home_and_beside_the_journals_of_others_post_still_undoes_its_own() {
    let rig = Rig::new().await.input("env", "VERSION=v2");
    let world = rig.simulator.world();
    assert_eq!(rig.main_as("earlier", "deploy").await.code, 0);
    let others = rig.home();
    let earlier = others.iter().find(|name| name.ends_with(".journal")).unwrap();
    for index in 0..20 {
        std::fs::copy(rig.home_path().join(earlier), rig.home_path().join(format!("touchdown-{index}.journal"))).unwrap();
    }
    let others = rig.home();
    let rig = rig.input("env", "VERSION=v3");
    let ran = rig.killed_at("UpdateService", Moment::After).await;
    for name in rig.home().into_iter().filter(|name| !others.contains(name)) {
        std::fs::remove_file(rig.home_path().join(name)).unwrap();
    }
    let post = rig.post(&ran.state).await;
    assert!(post.stdout.contains("rolled back"), "{}", post.stdout);
    assert_eq!(world.serving("web"), "v2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_state_post_finds_its_own_journal_among_those_of_others_in_home() {
    let rig = Rig::new().await.input("env", "VERSION=v2");
    let world = rig.simulator.world();
    for step in ["one", "two", "three"] {
        assert_eq!(rig.main_as(step, "deploy").await.code, 0);
    }
    let rig = rig.input("env", "VERSION=v3");
    rig.killed_at("UpdateService", Moment::After).await;
    let post = rig.post(&BTreeMap::new()).await;
    assert!(post.stdout.contains("rolled back"), "{}", post.stdout);
    assert_eq!(world.serving("web"), "v2");
}

/// Main, asleep in the update it has just sent, and what it has saved by then.
async fn asleep_in_its_update(rig: &Rig) -> (UnderWay, BTreeMap<String, String>) {
    let world = rig.simulator.world();
    world.inject(When::Operation("UpdateService".to_owned(), 0), Injection::Delay(Duration::from_secs(15)));
    let main = rig.start();
    while world.count("UpdateService") == 0 {
        rig.clock.sleep(Duration::from_secs(1)).await;
    }
    let saved = main.saved();
    (main, saved)
}

/// Post took over from a main that was still alive, and main changed nothing more when it went on.
async fn held_off(rig: &Rig, main: UnderWay, saved: &BTreeMap<String, String>) {
    let world = rig.simulator.world();
    let post = rig.post(saved).await;
    assert!(post.stdout.contains("held off") && post.stdout.contains("rolled back"), "{}", post.stdout);
    let ran = main.ended().await;
    let changes = world.count("UpdateService") + world.count("StopServiceDeployment");
    assert_eq!(changes, 2, "one update by main, one undo by post\n{}\n--- post ---\n{}", ran.stdout, post.stdout);
    assert!(ran.stdout.contains("web is being rolled back to web:1"), "{}", ran.stdout);
    assert_eq!(world.serving("web"), "v1");
    assert_ne!(ran.code, 0);
}

async fn deploying_v2() -> Rig {
    Rig::new().await.input("env", "VERSION=v2").input("health-version", "/version=v2")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_main_whose_journal_in_home_is_lost_is_held_off() {
    let rig = deploying_v2().await;
    let (main, saved) = asleep_in_its_update(&rig).await;
    for name in rig.home().iter().filter(|name| name.ends_with(".journal")) {
        std::fs::remove_file(rig.home_path().join(name)).unwrap();
    }
    held_off(&rig, main, &saved).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_main_of_which_nothing_is_left_in_home_is_held_off() {
    let rig = deploying_v2().await;
    let (main, saved) = asleep_in_its_update(&rig).await;
    for name in rig.home() {
        std::fs::remove_file(rig.home_path().join(name)).unwrap();
    }
    held_off(&rig, main, &saved).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_do_not_outlive_a_post_step_that_refuses() {
    let rig = deploying_v2().await;
    let first = rig.killed_at("UpdateService", Moment::Before).await;
    let second = rig.killed_at("DescribeServices", Moment::Before).await;
    assert!(rig.home().iter().any(|name| name.ends_with(".credentials")), "{:?}", rig.home());
    let post = rig.post(&first.state.into_iter().chain(second.state).collect()).await;
    assert!(post.stdout.contains("more than one journal"), "{}", post.stdout);
    assert!(!rig.home().iter().any(|name| name.contains(".credentials")), "{:?}", rig.home());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_smoke_tests_send_is_masked_and_never_kept() {
    let file = format!(
        "version: 1\nauth: {{ aws: {{ role: \"{ROLE}\", region: eu-west-1, external-id: canary-tenant }} }}\nservices:\n  web:\n    target: ecs\n    image: \"{REPOSITORY}/web@{DIGEST}\"\n    smoke:\n      - path: /health\n        headers: {{ Authorization: \"Bearer canary-token\", Accept: \"text/plain\" }}\n        send: canary-body\n"
    );
    let rig = Rig::empty(100.0).await.file(".github/touchdown.yml", &file).input("skip-push", "true");
    rig.simulator.world().add_service(&ServiceSeed::new("web")).unwrap();
    let ran = rig.main().await;
    assert!(ran.stdout.contains("smoke test GET /health"), "{}", ran.stdout);
    assert!(ran.state.values().all(|line| !line.contains("canary")), "{:?}", ran.state);
    for masked in ["canary-token", "Bearer canary-token", "canary-tenant"] {
        assert!(ran.stdout.contains(&format!("::add-mask::{masked}\n")), "{masked}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains("::add-mask::text/plain"), "{}", ran.stdout);
}
