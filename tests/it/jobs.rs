//! A job whose start was not answered is looked for before anything is said of it: by post after a main that was killed, by main itself.

use std::time::Duration;

use serde_json::json;
use touchdown::simulator::request::{Injection, Moment, When};

use crate::rig::{Rig, side_by_side};

/// A deploy with a migration that takes a while.
async fn migrating() -> Rig {
    let rig = Rig::new().await.input("env", "VERSION=v2").input("migrate-command", "bin/migrate");
    rig.simulator.world().set_job_time(Duration::from_secs(90));
    rig
}

/// How many tasks run that no service started.
async fn running(rig: &Rig) -> usize {
    let somebody = rig.somebody();
    let listed = somebody.ecs("ListTasks", json!({ "family": "web" })).await;
    let all = somebody.ecs("DescribeTasks", json!({ "tasks": listed["taskArns"] })).await;
    all["tasks"].as_array().unwrap().iter().filter(|task| !task["startedBy"].as_str().unwrap().starts_with("ecs-svc/")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_began_before_main_died_is_found_and_seen_to_its_end_or_stopped_where_asked() {
    let cases = [("finish", "rollback"), ("stop", "rollback"), ("finish", "leave"), ("stop", "leave")];
    side_by_side(cases.map(|(job, service)| async move {
        let rig = migrating().await.input("migrate-on-cancel", job).input("on-cancel", service);
        let world = rig.simulator.world();
        let ran = rig.killed_at("RunTask", Moment::After).await;
        assert_eq!(running(&rig).await, 1, "{}", ran.stdout);
        let post = rig.post(&ran.state).await;
        let place = format!("{job} {service}\n{}\n--- post ---\n{}", ran.stdout, post.stdout);
        let (words, stops) = if job == "stop" { ("was stopped, as the run was cancelled", 1) } else { ("the migrate job ended well", 0) };
        assert!(post.stdout.contains("the migrate job runs as") && post.stdout.contains(words), "{place}");
        assert_eq!((running(&rig).await, world.count("StopTask"), world.count("RunTask")), (0, stops, 1), "{place}");
        assert_eq!(world.serving("web"), "v1", "{place}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_had_ended_by_itself_before_post_came_is_found_too() {
    for refused in [false, true] {
        let rig = migrating().await;
        let world = rig.simulator.world();
        let ran = rig.killed_at("RunTask", Moment::After).await;
        rig.clock.sleep(Duration::from_secs(200)).await;
        if refused {
            let second = world.count("ListTasks") + 1;
            world.inject(When::Operation("ListTasks".to_owned(), second), Injection::Status(400));
        }
        let post = rig.post(&ran.state).await;
        assert!(post.stdout.contains("the migrate job ended well"), "refused: {refused}\n{}", post.stdout);
        assert_eq!(world.count("RunTask"), 1, "{}", post.stdout);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_request_never_arrived_is_waited_for_as_long_as_it_may_be_under_way_and_did_not_begin() {
    for rollback in ["safe", "unsafe"] {
        let rig = migrating().await.input("migrate-rollback", rollback);
        let world = rig.simulator.world();
        let ran = rig.killed_at("RunTask", Moment::Before).await;
        let began = rig.clock.now();
        let post = rig.post(&ran.state).await;
        assert!(rig.clock.now().since(began) >= Duration::from_secs(20), "{}", post.stdout);
        assert!(
            post.stdout.contains("the migrate job was never begun") && post.stdout.contains("web was not touched: web:1 serves as before"),
            "{}",
            post.stdout
        );
        assert_eq!((world.count("RunTask"), running(&rig).await, rig.home().len()), (1, 0, 0), "{}", post.stdout);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_cannot_be_looked_for_is_never_told_as_nothing_touched() {
    let rig = migrating().await;
    let ran = rig.killed_at("RunTask", Moment::After).await;
    rig.simulator.world().deny("ecs:ListTasks");
    let post = rig.post(&ran.state).await;
    assert!(post.stdout.contains("whether its migrate job runs cannot be told"), "{}", post.stdout);
    assert!(
        post.stdout.contains("allow ecs:ListTasks") && post.stdout.contains("aws ecs list-tasks --region eu-west-1"),
        "{}",
        post.stdout
    );
    assert!(post.stdout.contains("and the database may have been changed"), "{}", post.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_main_that_never_hears_of_its_job_looks_for_it_and_does_not_leave_it_alone() {
    let rig = migrating().await;
    let world = rig.simulator.world();
    (0..50).for_each(|nth| world.inject(When::Operation("RunTask".to_owned(), nth), Injection::LoseAnswer));
    let ran = rig.main().await;
    assert!(ran.stdout.contains("the migrate job ended well"), "{}", ran.stdout);
    assert_eq!((ran.code, ran.output("outcome").as_str(), running(&rig).await), (1, "untouched", 0), "{}", ran.stdout);
    assert_eq!(world.serving("web"), "v1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_refused_is_not_looked_for() {
    for rollback in ["safe", "unsafe"] {
        let rig = migrating().await.input("migrate-rollback", rollback);
        rig.simulator.world().deny("ecs:RunTask");
        let ran = rig.main().await;
        assert_eq!((ran.code, ran.output("outcome").as_str()), (1, "untouched"), "{}", ran.stdout);
        assert!(ran.stdout.contains("ecs:RunTask and iam:PassRole") && !ran.stdout.contains("never begun"), "{}", ran.stdout);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_job_that_cannot_be_seen_for_a_while_is_waited_for_and_one_that_may_not_be_seen_is_never_told_as_nothing_touched() {
    let rig = migrating().await;
    let world = rig.simulator.world();
    (0..30).for_each(|nth| world.inject(When::Operation("DescribeTasks".to_owned(), nth), Injection::Status(503)));
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "live"), "{}", ran.stdout);

    let rig = migrating().await;
    rig.simulator.world().deny("ecs:DescribeTasks");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (1, "failed"), "{}", ran.stdout);
    assert!(ran.stdout.contains("whether its migrate job runs cannot be told"), "{}", ran.stdout);
    assert!(ran.stdout.contains("allow ecs:DescribeTasks") && ran.stdout.contains("aws ecs list-tasks"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_of_more_than_a_minute_is_no_reason_to_take_an_update_that_does_not_show_at_once_for_lost() {
    let rig = migrating().await;
    rig.simulator.world().set_consistency_lag(Duration::from_secs(20), Duration::from_secs(20));
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "live"), "{}", ran.stdout);
}
