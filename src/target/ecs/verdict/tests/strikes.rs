//! Rows of facts B.5 about what repeats itself: stopped tasks with one reason, events of trouble.

use serde_json::{Value, json};

use super::{Look, NEW, SINCE, crashed, record, replacing};
use crate::failure::Kind;

#[test]
fn enough_tasks_of_ours_with_the_same_fatal_reason_are_an_early_failure() {
    let mut look = Look::at(replacing("IN_PROGRESS"), Some(vec![record(2, "IN_PROGRESS")]));
    look.stopped = vec![crashed(1, 1), crashed(2, 1)];
    look.note();
    look.stopped.push(crashed(3, 1));
    let failure = look.broken();
    assert_eq!(failure.what, "web:42 does not start: 3 tasks ended the same way (container app ended with exit code 1)");
    assert!(failure.why[0].contains("container app exit code 1 (an error of the application)"), "{}", failure.why[0]);
}

#[test]
fn tasks_of_another_deployment_or_with_different_ends_are_no_early_failure() {
    let mut look = Look::at(replacing("IN_PROGRESS"), Some(vec![record(2, "IN_PROGRESS")]));
    let mut foreign = crashed(3, 1);
    foreign["startedBy"] = json!("ecs-svc/1");
    look.stopped = vec![crashed(1, 1), crashed(2, 1), foreign, crashed(4, 137), crashed(5, 0), crashed(6, 0), crashed(7, 0)];
    look.note();
}

/// A task that ECS stopped for its health checks, this long after its start.
fn unfit(id: u32, lived: u64) -> Value {
    json!({ "taskArn": format!("arn:task/{id}"), "startedBy": "ecs-svc/2", "taskDefinitionArn": NEW,
        "stopCode": "ServiceSchedulerInitiated", "stoppedReason": format!("Task failed ELB health checks in (target-group {id})"),
        "startedAt": SINCE + 10, "stoppingAt": SINCE + 10 + lived, "containers": [{ "name": "app", "exitCode": 143 }] })
}

#[test]
fn tasks_stopped_again_and_again_for_their_health_checks_are_an_early_failure_and_one_slow_start_is_none() {
    let mut look = Look::at(replacing("IN_PROGRESS"), Some(vec![record(2, "IN_PROGRESS")]));
    look.stopped = vec![unfit(1, 40), unfit(2, 40)];
    assert!(look.note().contains("2 ended because their health checks failed"));
    look.stopped.push(unfit(3, 40));
    let failure = look.broken();
    assert_eq!(failure.what, "web:42 does not become healthy: 3 tasks ended the same way (the load balancer's health checks failed)");
    assert!(failure.fix[0].contains("grace period"), "{failure}");
    look.service["healthCheckGracePeriodSeconds"] = json!(60);
    look.note();
    look.service["healthCheckGracePeriodSeconds"] = json!(30);
    look.service["deployments"][0]["desiredCount"] = json!(3);
    look.note();
    look.stopped.push(unfit(4, 40));
    look.broken();
}

#[test]
fn images_that_cannot_be_pulled_are_an_early_failure_although_each_message_differs() {
    let pull = |id: u32| {
        json!({ "taskArn": format!("arn:task/{id}"), "startedBy": "ecs-svc/2", "taskDefinitionArn": NEW, "stopCode": "TaskFailedToStart",
        "stoppedReason": format!("CannotPullContainerError: ref {id}: not found"), "containers": [] })
    };
    let mut look = Look::at(replacing("IN_PROGRESS"), Some(vec![]));
    look.stopped = vec![pull(1), pull(2), pull(3)];
    let failure = look.broken();
    assert!(failure.what.ends_with("(CannotPullContainerError)"), "{}", failure.what);
    assert_eq!(failure.fix, ["check that the image is in the registry, under this very name"]);
}

#[test]
fn one_event_of_trouble_since_the_start_is_a_warning_and_an_older_one_is_nothing() {
    let event = |at: u64, text: &str| json!({ "id": "e", "createdAt": at, "message": text });
    let mut look = Look::at(replacing("IN_PROGRESS"), Some(vec![record(2, "IN_PROGRESS")]));
    look.service["events"] = json!([event(SINCE - 10, "(service web) was unable to place a task because …")]);
    assert_eq!(look.note(), "1 of 2 tasks running, 1 pending");
    look.service["events"] = json!([event(SINCE + 10, "(service web) was unable to place a task because …")]);
    assert!(look.note().ends_with("unable to place a task because …"));
}

#[test]
fn events_of_trouble_that_repeat_are_an_early_failure() {
    for (phrase, enough) in [("was unable to place a task", 8), ("was unable to assume the role", 3), ("was unable to pull secrets", 3)] {
        let mut look = Look::at(replacing("IN_PROGRESS"), Some(vec![record(2, "IN_PROGRESS")]));
        let events =
            |count: u64| (0..count).map(|n| json!({ "createdAt": SINCE + n, "message": format!("(service web) {phrase} …") })).collect();
        look.service["events"] = Value::Array(events(enough - 1));
        look.note();
        look.service["events"] = Value::Array(events(enough));
        let failure = look.broken();
        assert_eq!(failure.kind, Kind::Unhealthy);
        assert!(failure.why[0].contains(phrase) && failure.why[0].ends_with(&format!("({enough} times)")), "{:?}", failure.why);
    }
}
