//! Which journal the post step takes for its own, and what keeps two writers apart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use touchdown::simulator::request::{Hook, Moment, Request};

use crate::rig::{Ran, Rig};

/// Kills main at the first request of this operation.
async fn killed_at(rig: &Rig, operation: &'static str, moment: Moment) -> Ran {
    let reached = Arc::new(Notify::new());
    let tell = reached.clone();
    rig.simulator.world().on_request(Box::new(move |request: &Request, now: Moment| {
        if request.operation.ends_with(operation) && now == moment {
            tell.notify_one();
            return Hook::HoldForever;
        }
        Hook::Go
    }));
    let main = rig.start();
    reached.notified().await;
    let ran = main.killed().await;
    rig.simulator.world().on_request_no_more();
    ran
}

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
    let ran = killed_at(&rig, "UpdateService", Moment::After).await;
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
    killed_at(&rig, "UpdateService", Moment::After).await;
    let post = rig.post(&BTreeMap::new()).await;
    assert!(post.stdout.contains("rolled back"), "{}", post.stdout);
    assert_eq!(world.serving("web"), "v2");
}
