//! The decision table of facts B.5: a test for each row, named after it. The last row, the deadline, is the engine's: `tests/it/faults.rs`.

mod strikes;

use serde_json::{Value, json};

use super::{Awaited, Deployments, Ours, Seen, Verdict, WaitUntil, id_of_ours, judge};
use crate::clock::Timestamp;
use crate::failure::{Failure, Kind};

const OLD: &str = "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:41";
const NEW: &str = "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:42";
const THIRD: &str = "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:43";
const SINCE: u64 = 1_800_000_000;

/// A look at a service, and what was awaited: a deployment of `web:42` after `ecs-svc/1`, known as `ecs-svc/2`.
struct Look {
    service: Value,
    known: Option<Vec<Value>>,
    stopped: Vec<Value>,
    previous: Option<&'static str>,
    definition: &'static str,
    awaited: Awaited<'static>,
    deployment: Option<&'static str>,
    wait_until: WaitUntil,
    seconds: u64,
    sent: u64,
}

impl Look {
    fn at(deployments: Value, known: Option<Vec<Value>>) -> Self {
        let service = json!({ "serviceName": "web", "status": "ACTIVE", "desiredCount": 2, "runningCount": 2, "deployments": deployments, "events": [] });
        Self {
            service,
            known,
            stopped: Vec::new(),
            previous: Some(OLD),
            definition: NEW,
            awaited: Awaited::After("ecs-svc/1"),
            deployment: Some("ecs-svc/2"),
            wait_until: WaitUntil::Completed,
            seconds: 30,
            sent: 0,
        }
    }

    fn judged(&self) -> Verdict {
        let deployments = self.known.as_deref().map_or(Deployments::Hidden, Deployments::Known);
        let seen = Seen { service: &self.service, deployments, stopped: &self.stopped, now: Timestamp((SINCE + self.seconds) * 1000) };
        let ours = Ours {
            task_definition: self.definition,
            previous: self.previous,
            awaited: self.awaited,
            deployment: self.deployment,
            since: Timestamp(SINCE * 1000),
            sent: Timestamp((SINCE + self.sent) * 1000),
            wait_until: self.wait_until,
            essential: &["app".to_owned()],
        };
        judge(&seen, &ours)
    }

    fn broken(&self) -> Failure {
        match self.judged() {
            Verdict::Broken(failure) => failure,
            other => panic!("not broken: {other:?}"),
        }
    }

    fn note(&self) -> String {
        match self.judged() {
            Verdict::Progressing(note) => note,
            other => panic!("not progressing: {other:?}"),
        }
    }

    fn arrived(&self) -> (String, Vec<String>) {
        match self.judged() {
            Verdict::Arrived { deployment, notes } => (deployment, notes),
            other => panic!("not arrived: {other:?}"),
        }
    }
}

/// An entry of `deployments`.
fn entry(status: &str, number: u32, definition: &str, rollout: &str) -> Value {
    json!({ "id": format!("ecs-svc/{number}"), "status": status, "taskDefinition": definition, "rolloutState": rollout,
        "rolloutStateReason": "", "desiredCount": 2, "runningCount": 1, "pendingCount": 1, "failedTasks": 0,
        "createdAt": SINCE + 5, "updatedAt": SINCE + 20 })
}

fn reason(mut entry: Value, reason: &str) -> Value {
    entry["rolloutStateReason"] = json!(reason);
    entry
}

/// A service deployment.
fn record(number: u32, status: &str) -> Value {
    json!({ "serviceDeploymentArn": "arn:aws:ecs:eu-west-1:123456789012:service-deployment/default/web/abc",
        "status": status,
        "targetServiceRevision": { "arn": format!("arn:aws:ecs:eu-west-1:123456789012:service-revision/default/web/{number}") } })
}

fn replacing(rollout: &str) -> Value {
    json!([entry("PRIMARY", 2, NEW, rollout), entry("ACTIVE", 1, OLD, "COMPLETED")])
}

fn crashed(id: u32, code: i64) -> Value {
    json!({ "taskArn": format!("arn:aws:ecs:eu-west-1:123456789012:task/default/0123456789abcde{id}"), "startedBy": "ecs-svc/2",
        "taskDefinitionArn": NEW, "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited",
        "containers": [{ "name": "proxy", "exitCode": 143 }, { "name": "app", "exitCode": code }] })
}

// The table, row by row.

#[test]
fn successful_with_our_primary_completed_has_arrived() {
    let look = Look::at(json!([entry("PRIMARY", 2, NEW, "COMPLETED")]), Some(vec![record(2, "SUCCESSFUL")]));
    assert_eq!(look.arrived(), ("ecs-svc/2".to_owned(), vec![]));
}

#[test]
fn successful_while_old_tasks_still_drain_has_arrived_because_status_decides_and_not_the_number_of_deployments() {
    let look = Look::at(replacing("COMPLETED"), Some(vec![record(2, "SUCCESSFUL")]));
    look.arrived();
}

#[test]
fn successful_with_a_rollout_that_is_not_completed_is_not_there_yet() {
    Look::at(replacing("IN_PROGRESS"), Some(vec![record(2, "SUCCESSFUL")])).note();
}

#[test]
fn completed_without_the_service_deployment_api_has_arrived() {
    Look::at(json!([entry("PRIMARY", 2, NEW, "COMPLETED")]), None).arrived();
}

#[test]
fn completed_and_not_yet_listed_waits_for_the_record_but_not_for_ever() {
    let mut look = Look::at(json!([entry("PRIMARY", 2, NEW, "COMPLETED")]), Some(vec![]));
    assert!(look.note().contains("not recorded"));
    look.seconds = 100;
    look.arrived();
}

#[test]
fn rollout_state_failed_is_broken_at_once_with_its_reason() {
    let words = "ECS deployment circuit breaker: tasks failed to start.";
    let deployments = json!([reason(entry("PRIMARY", 2, NEW, "FAILED"), words), entry("ACTIVE", 1, OLD, "COMPLETED")]);
    for known in [None, Some(vec![]), Some(vec![record(2, "IN_PROGRESS")])] {
        let failure = Look::at(deployments.clone(), known).broken();
        assert_eq!((failure.kind, failure.what.as_str()), (Kind::Unhealthy, "ECS ended the deployment of web:42"));
        assert_eq!(failure.why, [words]);
    }
}

#[test]
fn stopped_is_broken_at_once_with_its_status_reason() {
    let mut stopped = record(2, "STOPPED");
    stopped["statusReason"] = json!("Service deployment stopped because the circuit breaker threshold was exceeded.");
    stopped["deploymentCircuitBreaker"] = json!({ "status": "TRIGGERED", "failureCount": 3, "threshold": 3 });
    let failure = Look::at(replacing("IN_PROGRESS"), Some(vec![stopped])).broken();
    assert_eq!(failure.kind, Kind::Unhealthy);
    assert!(failure.why[0].contains("threshold was exceeded"));
    assert_eq!(failure.why[1], "the circuit breaker stopped it: 3 tasks failed, 3 are allowed");
}

#[test]
fn rollback_requested_or_in_progress_is_broken_and_says_rolled_back_by_ecs() {
    for status in ["ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"] {
        let mut rolling = record(2, status);
        rolling["rollback"] = json!({ "reason": "Alarm detected.", "startedAt": SINCE + 25 });
        rolling["alarms"] = json!({ "status": "TRIGGERED", "triggeredAlarmNames": ["errors-high"] });
        let failure = Look::at(replacing("IN_PROGRESS"), Some(vec![rolling])).broken();
        assert_eq!(failure.what, "ECS gives web:42 up and rolls back to web:41");
        assert_eq!(failure.why, ["Alarm detected.", "alarms in ALARM: errors-high"]);
    }
}

#[test]
fn rollback_successful_is_broken() {
    let deployments = json!([entry("PRIMARY", 3, OLD, "COMPLETED")]);
    let failure = Look::at(deployments, Some(vec![record(2, "ROLLBACK_SUCCESSFUL")])).broken();
    assert_eq!((failure.kind, failure.what.as_str()), (Kind::Unhealthy, "ECS rolled web:42 back to web:41"));
}

#[test]
fn rollback_failed_is_broken_and_says_that_the_service_may_serve_nobody() {
    let deployments = json!([entry("PRIMARY", 3, OLD, "FAILED")]);
    let failure = Look::at(deployments, Some(vec![record(2, "ROLLBACK_FAILED")])).broken();
    assert_eq!(failure.what, "ECS gave web:42 up and could not roll back to web:41: the service may serve nobody");
}

#[test]
fn our_id_gone_and_primary_with_the_task_definition_of_the_snapshot_was_rolled_back_by_the_circuit_breaker() {
    let words = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1.";
    let deployments = json!([reason(entry("PRIMARY", 3, OLD, "IN_PROGRESS"), words)]);
    let failure = Look::at(deployments, None).broken();
    assert_eq!((failure.kind, failure.what.as_str()), (Kind::Unhealthy, "ECS rolled web:42 back to web:41"));
    assert_eq!(failure.why[0], words);
    let silent = Look::at(json!([entry("PRIMARY", 3, OLD, "COMPLETED")]), None).broken();
    assert_eq!(silent.kind, Kind::Unhealthy);
}

#[test]
fn our_id_gone_and_a_reason_that_tells_of_a_rollback_was_rolled_back_even_to_an_older_task_definition() {
    let words = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/0.";
    let look = Look::at(json!([reason(entry("PRIMARY", 3, THIRD, "COMPLETED"), words)]), None);
    assert_eq!(look.broken().what, "ECS rolled web:42 back to web:43");
}

#[test]
fn our_id_gone_and_primary_with_a_third_task_definition_is_superseded() {
    for deployment in [Some("ecs-svc/2"), None] {
        for known in [None, Some(vec![record(3, "IN_PROGRESS")])] {
            let mut look = Look::at(json!([entry("PRIMARY", 3, THIRD, "IN_PROGRESS"), entry("ACTIVE", 2, NEW, "IN_PROGRESS")]), known);
            look.deployment = deployment;
            let failure = look.broken();
            assert_eq!((failure.kind, failure.what.as_str()), (Kind::Superseded, "web:43 (deployment ecs-svc/3)"));
        }
    }
}

#[test]
fn a_pause_hook_awaiting_action_is_told_with_its_expiry_and_the_command_that_continues_it() {
    let mut paused = record(2, "IN_PROGRESS");
    paused["lifecycleStage"] = json!("POST_TEST_TRAFFIC_SHIFT");
    paused["lifecycleHookDetails"] = json!([{ "hookId": "hook-7", "status": "AWAITING_ACTION", "expiresAt": SINCE + 3600, "timeoutAction": "ROLLBACK" },
        { "hookId": "hook-6", "status": "SUCCEEDED" }]);
    let note = Look::at(replacing("IN_PROGRESS"), Some(vec![paused])).note();
    assert!(note.contains("paused at hook hook-7 until 2027-01-15T09:00:00Z (then ECS does rollback)"), "{note}");
    assert!(note.contains("continue-service-deployment --service-deployment-arn arn:aws:ecs"), "{note}");
    assert!(!note.contains("hook-6"));
}

#[test]
fn all_tasks_running_while_ecs_still_watches_alarms_or_bakes_is_not_there_yet() {
    for rollout in ["IN_PROGRESS", "COMPLETED"] {
        let mut watched = record(2, "IN_PROGRESS");
        watched["alarms"] = json!({ "status": "MONITORING", "alarmNames": ["errors-high"] });
        let mut primary = entry("PRIMARY", 2, NEW, rollout);
        (primary["runningCount"], primary["pendingCount"]) = (json!(2), json!(0));
        assert_eq!(Look::at(json!([primary]), Some(vec![watched])).note(), "2 of 2 tasks running");
    }
}

// The extra row: somebody forced or scaled.

#[test]
fn a_new_primary_with_our_task_definition_and_no_rollback_evidence_is_adopted_and_named() {
    let deployments = |rollout| json!([entry("PRIMARY", 3, NEW, rollout), entry("ACTIVE", 2, NEW, "IN_PROGRESS")]);
    for known in [None, Some(vec![record(3, "SUCCESSFUL"), record(2, "STOPPED")])] {
        let (deployment, notes) = Look::at(deployments("COMPLETED"), known).arrived();
        assert_eq!(deployment, "ecs-svc/3");
        assert!(notes[0].contains("ecs-svc/3") && notes[0].contains("instead of ecs-svc/2"), "{notes:?}");
    }
    Look::at(deployments("IN_PROGRESS"), None).note();
}

#[test]
fn rolled_back_by_ecs_needs_evidence_when_our_task_definition_equals_the_one_of_the_snapshot() {
    let forced = |primary: Value, known| {
        let mut look = Look::at(json!([primary]), known);
        look.previous = Some(NEW);
        look
    };
    let (deployment, notes) = forced(entry("PRIMARY", 3, NEW, "COMPLETED"), None).arrived();
    assert_eq!((deployment.as_str(), notes.len()), ("ecs-svc/3", 1));
    let words = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1.";
    assert!(forced(reason(entry("PRIMARY", 3, NEW, "COMPLETED"), words), None).broken().what.starts_with("ECS rolled"));
    let told = Some(vec![record(2, "ROLLBACK_SUCCESSFUL")]);
    assert!(forced(entry("PRIMARY", 3, NEW, "COMPLETED"), told).broken().what.starts_with("ECS rolled"));
}

// What the table leaves open.

#[test]
fn what_was_before_still_shown_right_after_the_update_is_not_there_yet() {
    for deployment in [Some("ecs-svc/2"), None] {
        let before =
            reason(entry("PRIMARY", 1, OLD, "COMPLETED"), "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/0.");
        let mut look = Look::at(json!([before]), Some(vec![]));
        look.deployment = deployment;
        assert_eq!(look.note(), "ECS does not show the new deployment yet");
    }
}

#[test]
fn what_was_before_still_shown_after_a_minute_is_a_conflict() {
    let mut look = Look::at(json!([entry("PRIMARY", 1, OLD, "COMPLETED")]), Some(vec![]));
    look.seconds = 61;
    let failure = look.broken();
    assert_eq!((failure.kind, failure.what.as_str()), (Kind::Conflict, "ECS never showed the deployment of web:42"));
    look.sent = 30;
    look.note();
}

#[test]
fn traffic_given_back_to_what_was_before_is_a_rollback_although_its_id_is_the_old_one() {
    let look = Look::at(json!([entry("PRIMARY", 1, OLD, "COMPLETED")]), Some(vec![record(2, "ROLLBACK_SUCCESSFUL")]));
    assert_eq!(look.broken().what, "ECS rolled web:42 back to web:41");
}

#[test]
fn behind_a_classic_load_balancer_numbers_decide() {
    let mut primary = entry("PRIMARY", 2, NEW, "");
    let mut look = Look::at(json!([primary, entry("ACTIVE", 1, OLD, "")]), None);
    look.note();
    primary["runningCount"] = json!(2);
    look.service["deployments"] = json!([primary]);
    look.arrived();
}

#[test]
fn nothing_begun_is_there_when_the_service_runs_our_task_definition() {
    let mut look = Look::at(json!([entry("PRIMARY", 1, NEW, "COMPLETED")]), Some(vec![]));
    look.awaited = Awaited::Present;
    (look.previous, look.deployment) = (Some(NEW), None);
    assert_eq!(look.arrived().0, "ecs-svc/1");
    look.service["deployments"] = json!([entry("PRIMARY", 3, THIRD, "COMPLETED")]);
    assert_eq!(look.broken().kind, Kind::Superseded);
}

#[test]
fn a_desired_count_of_zero_arrives_and_says_that_nothing_was_proven() {
    let mut look = Look::at(json!([entry("PRIMARY", 2, NEW, "COMPLETED")]), Some(vec![record(2, "SUCCESSFUL")]));
    look.service["desiredCount"] = json!(0);
    assert!(look.arrived().1[0].contains("proves nothing"));
}

#[test]
fn a_stage_is_told_with_its_share_and_wait_until_lets_go_at_its_stage() {
    let mut shifting = record(2, "IN_PROGRESS");
    shifting["lifecycleStage"] = json!("PRODUCTION_TRAFFIC_SHIFT");
    shifting["targetServiceRevision"]["requestedProductionTrafficWeight"] = json!(10.0);
    let mut look = Look::at(replacing("IN_PROGRESS"), Some(vec![shifting.clone()]));
    look.wait_until = WaitUntil::ProductionTraffic;
    assert!(look.note().starts_with("stage production traffic shift with 10 % of the traffic; 1 of 2"), "{}", look.note());
    shifting["lifecycleStage"] = json!("POST_PRODUCTION_TRAFFIC_SHIFT");
    look.known = Some(vec![shifting.clone()]);
    assert!(look.arrived().1[0].contains("wait-until"));
    look.wait_until = WaitUntil::Bake;
    look.note();
    shifting["lifecycleStage"] = json!("BAKE_TIME");
    look.known = Some(vec![shifting]);
    look.arrived();
    look.wait_until = WaitUntil::Completed;
    look.note();
}

#[test]
fn a_service_deleted_meanwhile_is_missing() {
    for status in ["DRAINING", "INACTIVE", ""] {
        let mut look = Look::at(json!([]), None);
        look.service["status"] = json!(status);
        assert_eq!(look.broken().kind, Kind::Missing);
    }
}

// The way back.

fn back(deployments: Value, known: Option<Vec<Value>>) -> Look {
    let mut look = Look::at(deployments, known);
    (look.definition, look.previous) = (OLD, None);
    (look.awaited, look.deployment) = (Awaited::WayBack("ecs-svc/2"), None);
    look
}

#[test]
fn a_way_back_has_arrived_when_ecs_calls_it_successful_and_the_old_task_definition_serves() {
    let there = json!([entry("PRIMARY", 3, OLD, "COMPLETED")]);
    back(there.clone(), Some(vec![record(2, "ROLLBACK_SUCCESSFUL")])).arrived();
    back(there.clone(), None).arrived();
    back(there, Some(vec![record(2, "ROLLBACK_IN_PROGRESS")])).note();
    let flipped = json!([entry("PRIMARY", 1, OLD, "COMPLETED"), entry("ACTIVE", 2, NEW, "FAILED")]);
    back(flipped, Some(vec![record(2, "ROLLBACK_SUCCESSFUL")])).arrived();
}

#[test]
fn a_way_back_that_has_just_begun_is_on_its_way_although_our_release_is_still_primary() {
    for status in ["STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"] {
        assert!(back(replacing("IN_PROGRESS"), Some(vec![record(2, status)])).note().starts_with("ECS goes back to web:41"));
    }
}

#[test]
fn a_way_back_that_failed_is_told_as_such() {
    let failure = back(json!([entry("PRIMARY", 3, OLD, "FAILED")]), None).broken();
    assert_eq!(failure.what, "ECS could not roll back to web:41: the service may serve nobody");
    back(replacing("IN_PROGRESS"), Some(vec![record(2, "ROLLBACK_FAILED")])).broken();
}

#[test]
fn a_deployment_that_ended_before_it_could_be_stopped_is_not_on_its_way_back() {
    for status in ["SUCCESSFUL", "STOPPED"] {
        assert_eq!(back(replacing("COMPLETED"), Some(vec![record(2, status)])).broken().kind, Kind::Conflict);
    }
}

#[test]
fn a_way_back_crossed_by_somebody_elses_deployment_is_superseded() {
    let failure = back(json!([entry("PRIMARY", 4, THIRD, "IN_PROGRESS")]), Some(vec![record(2, "ROLLBACK_SUCCESSFUL")])).broken();
    assert_eq!(failure.kind, Kind::Superseded);
}

#[test]
fn our_deployment_is_found_by_task_definition_among_those_that_were_not_there_before() {
    let look = Look::at(replacing("IN_PROGRESS"), None);
    let ours = |definition, awaited| Ours {
        task_definition: definition,
        previous: None,
        awaited,
        deployment: None,
        since: Timestamp(0),
        sent: Timestamp(0),
        wait_until: WaitUntil::Completed,
        essential: &[],
    };
    assert_eq!(id_of_ours(&look.service, &ours(NEW, Awaited::After("ecs-svc/1"))), Some("ecs-svc/2"));
    assert_eq!(id_of_ours(&look.service, &ours(OLD, Awaited::After("ecs-svc/1"))), None);
    assert_eq!(id_of_ours(&look.service, &ours(OLD, Awaited::Present)), Some("ecs-svc/1"));
}

#[test]
fn whatever_ecs_tells_no_look_panics() {
    for service in [json!(null), json!([]), json!({ "status": "ACTIVE", "deployments": [1, null, { "status": "PRIMARY" }] })] {
        let mut look = Look::at(json!([]), Some(vec![json!(null), json!({ "status": 3 })]));
        look.service = service;
        look.stopped = vec![json!(null), json!({ "containers": 7 })];
        look.judged();
    }
}
