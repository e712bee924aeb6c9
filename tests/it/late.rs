//! Two steps, or two attempts, of one run at one service: the dead one is repaired at once, and its late post step leaves alone what
//! the other has deployed since, although both made the same task definition.

use std::time::Duration;

use touchdown::simulator::request::{Hook, Moment, Request};

use crate::rig::{Ran, Rig, side_by_side};

/// A deploy of v2 whose mark is open for hours.
async fn patient() -> Rig {
    let rig = Rig::new().await.input("env", "VERSION=v2").input("health-version", "/version=v2");
    rig.input("timeout", "5h").input("rollback-timeout", "5h")
}

/// The mark the service carries.
fn mark(rig: &Rig) -> String {
    let tags = rig.simulator.world().describe("web")["tags"].clone();
    let tag = tags.as_array().into_iter().flatten().find(|tag| tag["key"] == "touchdown").cloned();
    tag.and_then(|tag| tag["value"].as_str().map(str::to_owned)).unwrap_or_default()
}

fn changes(rig: &Rig) -> usize {
    rig.simulator.world().count("UpdateService") + rig.simulator.world().count("StopServiceDeployment")
}

async fn until(rig: &Rig, what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            rig.clock.sleep(Duration::from_secs(1)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(), "never: {what}");
}

/// The dead step's post changes nothing of what the other left.
async fn left_alone(rig: &Rig, step: &str, dead: &Ran) {
    let (before, carried) = (changes(rig), mark(rig));
    let post = rig.post_as(step, &dead.state).await;
    assert!(post.stdout.contains("superseded: web:2 ("), "{}", post.stdout);
    assert_eq!((changes(rig), mark(rig)), (before, carried), "{}", post.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_post_of_a_dead_attempt_does_not_undo_what_the_next_attempt_has_deployed_or_deploys() {
    let cases = ["proven", "under way", "not verified"].map(|ending| async move {
        let rig = patient().await;
        let world = rig.simulator.world();
        let dead = rig.killed_at("UpdateService", Moment::After).await;
        until(&rig, "v2 is rolled out", || world.serving("web") == "v2").await;
        let rig = rig.env("GITHUB_RUN_ATTEMPT", "2").input("skip-verify", if ending == "not verified" { "true" } else { "false" });
        let next = rig.start();
        if ending == "under way" {
            until(&rig, "the dead attempt is repaired", || next.printed().contains("repaired: web:1 serves again")).await;
            // Post waits for what main may have sent last; on this clock that is minutes.
            world.set_rollout_time(Duration::from_secs(500));
            until(&rig, "the next attempt deploys", || changes(&rig) == 3).await;
        }
        let next = if ending == "under way" { Err(next) } else { Ok(next.ended().await) };
        let rig = rig.env("GITHUB_RUN_ATTEMPT", "1");
        left_alone(&rig, "touchdown", &dead).await;
        let next = match next {
            Ok(next) => next,
            Err(next) => next.ended().await,
        };
        assert_eq!((next.code, next.output("outcome").as_str(), world.serving("web").as_str()), (0, "live", "v2"), "{}", next.stdout);
        assert!(next.stdout.contains("repaired: web:1 serves again"), "{ending}: {}", next.stdout);
    });
    side_by_side(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_step_of_the_same_attempt_repairs_what_a_dead_step_left_and_keeps_its_own() {
    let rig = patient().await;
    let world = rig.simulator.world();
    let dead = rig.killed_as("first", "UpdateService", Moment::After).await;
    until(&rig, "v2 is rolled out", || world.serving("web") == "v2").await;
    let second = rig.main_as("second", "deploy").await;
    assert_eq!((second.code, second.output("outcome").as_str()), (0, "live"), "{}", second.stdout);
    assert!(!second.stdout.contains("waiting:") && second.stdout.contains("repaired: web:1 serves again"), "{}", second.stdout);
    left_alone(&rig, "first", &dead).await;
    assert_eq!((world.serving("web").as_str(), mark(&rig).as_str()), ("v2", "proven web:2"));
    assert_eq!(rig.post_as("second", &second.state).await.code, 0);
    assert_eq!(world.serving("web"), "v2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_of_the_same_run_that_is_alive_or_ran_elsewhere_is_not_taken_for_dead() {
    let alive = patient().await.input("in-flight", "fail");
    let world = alive.simulator.world();
    world.set_rollout_time(Duration::from_secs(120));
    let first = alive.start_as("first");
    until(&alive, "the first step has updated", || world.count("UpdateService") == 1).await;
    let second = alive.main_as("second", "deploy").await;
    assert!(second.stdout.contains("run 4711 attempt 1 has it until"), "{}", second.stdout);
    assert_eq!((second.output("outcome").as_str(), first.ended().await.output("outcome").as_str()), ("untouched", "live"));

    let elsewhere = patient().await.input("in-flight", "fail");
    elsewhere.killed_as("first", "UpdateService", Moment::After).await;
    elsewhere.home().iter().for_each(|name| std::fs::remove_file(elsewhere.home_path().join(name)).unwrap());
    let second = elsewhere.main_as("second", "deploy").await;
    assert!(second.stdout.contains("run 4711 attempt 1 has it until"), "{}", second.stdout);
    assert_eq!(second.output("outcome"), "untouched");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_post_that_only_tidies_up_does_not_write_over_the_mark_of_another_step() {
    let rig = patient().await;
    let world = rig.simulator.world();
    let reached = std::sync::Arc::new(tokio::sync::Notify::new());
    let tell = reached.clone();
    world.on_request(Box::new(move |request: &Request, now: Moment| {
        if request.operation.ends_with("TagResource") && request.body.contains("proven") && now == Moment::Before {
            tell.notify_one();
            return Hook::HoldForever;
        }
        Hook::Go
    }));
    let main = rig.start_as("first");
    reached.notified().await;
    let committed = main.killed().await;
    world.on_request_no_more();
    let rig = rig.input("env", "VERSION=v3").input("health-version", "/version=v3").input("in-flight", "supersede");
    world.set_rollout_time(Duration::from_secs(120));
    let second = rig.start_as("second");
    until(&rig, "the second step deploys", || world.count("UpdateService") == 2).await;
    let open = mark(&rig);
    let post = rig.post_as("first", &committed.state).await;
    assert_eq!(mark(&rig), open, "{}", post.stdout);
    let second = second.ended().await;
    assert!(!second.stdout.contains("was lost"), "what was committed is not put back: {}", second.stdout);
    assert_eq!(second.output("outcome"), "live");
    assert_eq!((mark(&rig).as_str(), world.serving("web").as_str()), ("proven web:3", "v3"));
}
