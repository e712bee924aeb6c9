//! The run killed at every request, before and after its effect; then post: one version everywhere, and it is proven.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use touchdown::simulator::fault::Fault;
use touchdown::simulator::request::{Hook, Injection, Moment, Request, When};

use crate::rig::{Rig, side_by_side};

/// Kills main at the request `index`, at this moment; `None`: it ended before.
pub async fn killed_at(rig: &Rig, index: usize, moment: Moment) -> Option<crate::rig::Ran> {
    let reached = Arc::new(Notify::new());
    let tell = reached.clone();
    rig.simulator.world().on_request(Box::new(move |request: &Request, now: Moment| {
        if request.index >= index && now == moment {
            tell.notify_one();
            return Hook::HoldForever;
        }
        Hook::Go
    }));
    let mut main = rig.start();
    let ran = tokio::select! {
        () = reached.notified() => Some(main.killed().await),
        _ = &mut main.task => None,
    };
    rig.simulator.world().on_request_no_more();
    ran
}

async fn killed_everywhere(fault: Fault) {
    let clean = rig(fault).await;
    clean.main().await;
    let requests = clean.simulator.world().requests().len();
    assert!(requests > 20, "only {requests} requests");
    let cases = [Moment::Before, Moment::After].into_iter().flat_map(|moment| (0..requests).map(move |index| (moment, index)));
    side_by_side(cases.map(|(moment, index)| async move {
        let rig = rig(fault).await;
        let Some(ran) = killed_at(&rig, index, moment).await else { return };
        let world = rig.simulator.world();
        let place = format!("killed {moment:?} request {index} ({})", world.requests()[index].operation);
        let committed = ran.state.values().any(|line| line.contains("\"committed\""));
        let post = rig.post(&ran.state).await;
        let expected = if committed { "v2" } else { "v1" };
        for _ in 0..600 {
            if world.serving("web") == expected {
                break;
            }
            rig.clock.sleep(std::time::Duration::from_secs(1)).await;
        }
        assert_eq!(world.serving("web"), expected, "{place}\n{}\n--- post ---\n{}", ran.stdout, post.stdout);
        assert!(rig.home().is_empty(), "{place}: post left {:?}", rig.home());
    }))
    .await;
}

async fn rig(fault: Fault) -> Rig {
    let rig = Rig::new().await.input("env", "VERSION=v2").input("health-version", "/version=v2");
    rig.simulator.world().set_fault("web", fault);
    rig
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_deploy_killed_anywhere_ends_in_one_version() {
    killed_everywhere(Fault::None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_deploy_killed_anywhere_ends_in_one_version() {
    killed_everywhere(Fault::CrashOnStart).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_main_that_wakes_up_after_post_took_over_changes_nothing_more() {
    let rig = rig(Fault::None).await;
    let world = rig.simulator.world();
    let asleep = Injection::Delay(Duration::from_secs(15));
    world.inject(When::Operation("UpdateService".to_owned(), 0), asleep);
    let main = rig.start();
    while world.count("UpdateService") == 0 {
        rig.clock.sleep(Duration::from_secs(1)).await;
    }
    let post = rig.post(&main.saved()).await;
    assert!(post.stdout.contains("held off"), "{}", post.stdout);
    assert!(post.stdout.contains("rolled back"), "{}", post.stdout);
    let ran = main.ended().await;
    let undos = world.requests().iter().filter(|request| request.operation == "ecs:StopServiceDeployment").count();
    let changes = undos + world.count("UpdateService");
    assert_eq!(changes, 2, "one update by main, one undo by post, be it a stop or an update\n{}\n---\n{}", ran.stdout, post.stdout);
    assert_eq!(world.serving("web"), "v1");
    assert_ne!(ran.code, 0);
    assert!(
        !ran.stdout.contains("committed") && ran.output("outcome") != "live",
        "a main that was taken over commits nothing: {}",
        ran.stdout
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_of_a_killed_main_that_lands_late_is_waited_for_before_anything_is_read_or_undone() {
    let rig = rig(Fault::None).await;
    let world = rig.simulator.world();
    let reached = Arc::new(Notify::new());
    let tell = reached.clone();
    world.on_request(Box::new(move |request: &Request, now: Moment| {
        if request.operation == "ecs:UpdateService" && now == Moment::Before && request.body.contains(":2") {
            tell.notify_one();
            // Nearly as long as a changing request may take; on the clock that is minutes.
            std::thread::sleep(Duration::from_millis(1500));
        }
        Hook::Go
    }));
    let main = rig.start();
    reached.notified().await;
    let ran = main.killed().await;
    let post = rig.post(&ran.state).await;
    assert!(post.stdout.contains("rolled back"), "{}", post.stdout);
    rig.clock.sleep(Duration::from_secs(200)).await;
    assert_eq!((world.serving("web").as_str(), world.running("web").len()), ("v1", 1), "{}", post.stdout);
}

/// What the step tells, its changes of the service, and the mark it leaves, where the first update meets this.
async fn update_meets(injections: &[Injection]) -> (String, usize, String) {
    let rig = rig(Fault::None).await;
    let world = rig.simulator.world();
    for (nth, injection) in injections.iter().enumerate() {
        world.inject(When::Operation("UpdateService".to_owned(), nth), *injection);
    }
    let ran = rig.main().await;
    assert_eq!((ran.code, world.serving("web").as_str()), (1, "v1"), "{injections:?}: {}", ran.stdout);
    let tags = world.describe("web")["tags"].clone();
    (format!("{} {}", ran.output("outcome"), ran.stdout), world.count("UpdateService"), tags[0]["value"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_that_is_refused_has_touched_nothing_and_one_that_may_have_arrived_before_is_looked_at() {
    let (refused, updates, mark) = update_meets(&[Injection::Status(403)]).await;
    assert!(refused.starts_with("untouched ") && !refused.contains("rolling back"), "{refused}");
    assert!(updates == 1 && mark.starts_with("closed "), "{mark}: {refused}");
    let (lost, _, mark) = update_meets(&[Injection::ResetBefore, Injection::Status(403)]).await;
    assert!(lost.starts_with("rolled-back ") && lost.contains("rolling back"), "{lost}");
    assert_eq!(mark, "proven web:1", "{lost}");
}
