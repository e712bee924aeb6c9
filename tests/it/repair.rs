//! Two runs at one service, through the boundary: a run that was lost is repaired by the next one, a run that is alive is never
//! attacked, and `in-flight` decides what a deployment under way means.

use std::time::Duration;

use serde_json::Value;
use touchdown::simulator::fault::Fault;
use touchdown::simulator::request::Moment;

use crate::rig::{Ran, Rig, side_by_side};

/// The step that deploys v2 as run 4711, with so little patience that its mark is over in two minutes.
async fn first() -> Rig {
    let rig = Rig::new().await.input("env", "VERSION=v2").input("health-version", "/version=v2");
    rig.input("timeout", "1m").input("rollback-timeout", "1m")
}

/// The same step in a later run, which deploys v3 and has more patience.
fn later(rig: Rig) -> Rig {
    let rig = rig.env("GITHUB_RUN_ID", "4712").input("env", "VERSION=v3").input("health-version", "/version=v3");
    rig.input("timeout", "10m").input("rollback-timeout", "10m")
}

/// What every UpdateService asked for, by task definition: `web:2`.
fn updates(rig: &Rig) -> Vec<String> {
    let all = rig.simulator.world().requests();
    let updates = all.iter().filter(|request| request.operation == "ecs:UpdateService");
    let asked = updates.map(|request| serde_json::from_str::<Value>(&request.body).unwrap()["taskDefinition"].clone());
    asked.map(|definition| definition.as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

/// The mark the service carries.
fn mark(rig: &Rig) -> String {
    let service = rig.simulator.world().describe("web");
    let tags = service["tags"].as_array().cloned().unwrap_or_default();
    let tag = tags.iter().find(|tag| tag["key"] == "touchdown");
    tag.map(|tag| tag["value"].as_str().unwrap().to_owned()).unwrap_or_default()
}

async fn until(rig: &Rig, what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            rig.clock.sleep(Duration::from_secs(1)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(), "never: {what}");
}

fn live(ran: &Ran) {
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "live"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_lost_run_rolled_out_is_put_back_by_the_next_run_first_which_says_so() {
    let rig = first().await;
    rig.killed_at("UpdateService", Moment::After).await;
    assert!(mark(&rig).starts_with("open run=4711 attempt=1 ") && mark(&rig).ends_with("back=web:1 to=:2"), "{}", mark(&rig));
    until(&rig, "v2 is rolled out", || rig.simulator.world().serving("web") == "v2").await;
    let rig = later(rig);
    let ran = rig.main().await;
    live(&ran);
    assert_eq!(updates(&rig), ["web:2", "web:1", "web:3"], "{}", ran.stdout);
    assert!(ran.stdout.contains("waiting: run 4711"), "it was not taken for lost before its time: {}", ran.stdout);
    assert!(ran.stdout.contains("was lost while it changed this service: putting back what it left"), "{}", ran.stdout);
    assert!(ran.stdout.contains("repaired: web:1 serves again"), "{}", ran.stdout);
    assert!(ran.summary.contains("4711") && ran.summary.contains("as before the lost run"), "{}", ran.summary);
    assert_eq!((rig.simulator.world().serving("web").as_str(), mark(&rig).as_str()), ("v3", "proven web:3"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_run_whose_tasks_crash_for_ever_is_stopped_by_the_next_run() {
    let rig = first().await;
    let world = rig.simulator.world();
    world.set_fault("web", Fault::CrashOnStart);
    rig.killed_at("UpdateService", Moment::After).await;
    world.set_fault("web", Fault::None);
    let rig = later(rig);
    let ran = rig.main().await;
    live(&ran);
    assert_eq!(world.count("StopServiceDeployment"), 1, "the deployment under way is stopped, not replaced: {}", ran.stdout);
    assert_eq!(updates(&rig), ["web:2", "web:3"]);
    assert!(ran.stdout.contains("repaired: web:1 serves again"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_attempt_of_the_same_run_knows_that_the_first_is_over() {
    let rig = first().await.input("timeout", "5h");
    rig.killed_at("UpdateService", Moment::After).await;
    let rig = later(rig).env("GITHUB_RUN_ID", "4711").env("GITHUB_RUN_ATTEMPT", "2");
    let ran = rig.main().await;
    live(&ran);
    assert!(!ran.stdout.contains("waiting:") && ran.stdout.contains("repaired: web:1 serves again"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_lost_before_it_changed_anything_leaves_nothing_to_repair() {
    let rig = first().await;
    rig.killed_at("UpdateService", Moment::Before).await;
    let rig = later(rig);
    let ran = rig.main().await;
    live(&ran);
    assert_eq!(updates(&rig), ["web:2", "web:3"], "the first never had an effect");
    assert!(!ran.stdout.contains("lost"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_deployed_after_a_lost_run_is_not_taken_for_its_leavings() {
    let rig = first().await;
    let world = rig.simulator.world();
    rig.killed_at("UpdateService", Moment::After).await;
    world.deploy_by_somebody_else("web");
    until(&rig, "theirs is rolled out", || world.serving("web") == "somebody-else").await;
    let rig = later(rig);
    world.set_fault("web", Fault::CrashOnStart);
    let ran = rig.main().await;
    assert_eq!(ran.output("outcome"), "rolled-back", "{}", ran.stdout);
    assert!(!ran.stdout.contains("was lost"), "{}", ran.stdout);
    assert_eq!(world.serving("web"), "somebody-else", "gone back to what served, not to what a mark names: {:?}", updates(&rig));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_alive_is_waited_for_or_the_step_fails_or_replaces_it_as_in_flight_says() {
    let cases = ["wait", "fail", "supersede"].map(|in_flight| async move {
        let rig = first().await.input("timeout", "10m");
        let world = rig.simulator.world();
        world.set_rollout_time(Duration::from_secs(120));
        let one = rig.start();
        until(&rig, "the first run has updated", || world.count("UpdateService") == 1).await;
        let rig = later(rig).input("in-flight", in_flight);
        let other = rig.main().await;
        let one = one.ended().await;
        let place = format!("{in_flight}\n{}\n--- the other ---\n{}", one.stdout, other.stdout);
        let (outcome, theirs) = (one.output("outcome"), other.output("outcome"));
        let expected = match in_flight {
            "wait" => ("live", "live", "v3", vec!["web:2", "web:3"]),
            "fail" => ("live", "untouched", "v2", vec!["web:2"]),
            _ => ("superseded", "live", "v3", vec!["web:2", "web:3"]),
        };
        let serving = world.serving("web");
        assert_eq!(
            (outcome.as_str(), theirs.as_str(), serving.as_str(), updates(&rig)),
            {
                let (one, other, serving, updates) = expected;
                (one, other, serving, updates.into_iter().map(str::to_owned).collect())
            },
            "{place}"
        );
        assert_eq!(other.stdout.contains("waiting: run 4711"), in_flight == "wait", "{place}");
        assert!(!other.stdout.contains("was lost"), "{place}");
        if in_flight == "fail" {
            assert!(other.code == 1 && other.summary.contains("is being deployed by somebody else"), "{}", other.summary);
            assert!(other.summary.contains("run 4711") && other.summary.contains("in-flight: supersede"), "{}", other.summary);
        }
    });
    side_by_side(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_by_hand_that_is_under_way_is_treated_as_in_flight_says() {
    let cases = ["wait", "fail", "supersede"].map(|in_flight| async move {
        let rig = later(first().await).input("in-flight", in_flight);
        let world = rig.simulator.world();
        world.deploy_by_somebody_else("web");
        let ran = rig.main().await;
        let (outcome, serving) = (ran.output("outcome"), world.serving("web"));
        match in_flight {
            "fail" => {
                assert_eq!((outcome.as_str(), updates(&rig).len()), ("untouched", 0), "{}", ran.stdout);
                assert!(ran.summary.contains("is being deployed by somebody else"), "{}", ran.summary);
            }
            _ => assert_eq!((outcome.as_str(), serving.as_str(), updates(&rig).len()), ("live", "v3", 1), "{in_flight}: {}", ran.stdout),
        }
        assert_eq!(ran.stdout.contains("waiting: deployment ecs-svc/"), in_flight == "wait", "{in_flight}: {}", ran.stdout);
    });
    side_by_side(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_a_deployment_that_never_ends_ends_with_the_time_of_the_service() {
    let rig = later(first().await).input("timeout", "1m");
    let world = rig.simulator.world();
    world.set_rollout_time(Duration::from_secs(100_000));
    world.deploy_by_somebody_else("web");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (1, "untouched"), "{}", ran.stdout);
    assert!(ran.summary.contains("is being deployed by somebody else"), "{}", ran.summary);
    assert_eq!(ran.stdout.matches("waiting: ").count(), 1, "it is said once: {}", ran.stdout);
    assert_eq!(updates(&rig), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_done_leaves_no_open_mark_however_it_ended() {
    let cases = ["migration", "stuck", "leave", "superseded", "rolled-back", "live"].map(|ending| async move {
        let rig = first().await.input("timeout", "2h").input("rollback-timeout", "2h");
        let world = rig.simulator.world();
        let (rig, outcome) = match ending {
            "migration" => (rig.input("migrate-command", "bin/migrate"), "untouched"),
            "leave" => (rig.input("on-failure", "leave"), "failed"),
            "live" => (rig, "live"),
            other => (rig, other),
        };
        world.set_fault(
            "web",
            match ending {
                "migration" => Fault::MigrationFails,
                "stuck" => Fault::RollbackFails,
                "superseded" => Fault::Superseded,
                "live" => Fault::None,
                _ => Fault::CrashOnStart,
            },
        );
        let ran = rig.main().await;
        assert_eq!(ran.output("outcome"), outcome, "{ending}: {}", ran.stdout);
        let expected = match ending {
            "live" => "proven web:2",
            "rolled-back" => "proven web:1",
            _ => "closed run=4711 attempt=1 step=",
        };
        assert!(mark(&rig).starts_with(expected), "{ending}: {} {}", mark(&rig), ran.stdout);
    });
    side_by_side(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_leave_a_mark_it_deploys_and_says_once_what_that_costs() {
    let rig = first().await;
    rig.simulator.world().deny("ecs:TagResource");
    let ran = rig.main().await;
    live(&ran);
    assert_eq!(ran.stdout.matches("no open mark: a lost run will not be repaired by the next one").count(), 1, "{}", ran.stdout);
    assert_eq!(mark(&rig), "");
}
