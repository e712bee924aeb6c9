//! What ended tasks say, by tables: stop codes, exit codes, events, targets.

use serde_json::{Value, json};

use super::{
    TargetHealth, deployment_in_words, events, fatal, log_lines, log_streams, remedies, stopped_tasks, targets, task_in_words,
    waiting_tasks,
};
use crate::clock::Timestamp;

const NEW: &str = "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:42";

fn task(id: &str, code: &str, reason: &str, containers: Value) -> Value {
    json!({ "taskArn": format!("arn:aws:ecs:eu-west-1:123456789012:task/default/{id}"), "taskDefinitionArn": NEW,
        "stopCode": code, "stoppedReason": reason, "stoppedAt": 100, "containers": containers })
}

fn essential() -> Vec<String> {
    vec!["app".to_owned()]
}

#[test]
fn a_task_that_ended_is_told_with_codes_in_words_and_each_reason_once() {
    let told = |code: &str, reason: &str, containers: Value| task_in_words(&task("0123456789abcdef", code, reason, containers));
    let memory = "OutOfMemoryError: Container killed due to memory usage";
    insta::assert_snapshot!([
        told("EssentialContainerExited", "Essential container in task exited", json!([{ "name": "app", "exitCode": 127 }, { "name": "proxy", "exitCode": 0 }])),
        told("EssentialContainerExited", memory, json!([{ "name": "app", "exitCode": 137, "reason": memory }])),
        told("TaskFailedToStart", "CannotPullContainerError: not found", json!([{ "name": "app", "reason": "CannotPullContainerError: not found" }])),
        told("ServiceSchedulerInitiated", "Task failed container health checks", json!([{ "name": "app", "healthStatus": "UNHEALTHY" }])),
        told("SpotInterruption", "", json!([])),
        told("", "", json!([{ "name": "app", "exitCode": 42 }])),
    ].join("\n"), @r"
    task 01234567: an essential container ended (Essential container in task exited); container app exit code 127 (command not found)
    task 01234567: an essential container ended (OutOfMemoryError: Container killed due to memory usage); container app exit code 137 (killed, SIGKILL: out of memory, or it did not stop in time)
    task 01234567: the task could not start (CannotPullContainerError: not found)
    task 01234567: ECS stopped it (Task failed container health checks); container app, its health check failed
    task 01234567: its spot capacity was taken away
    task 01234567: it stopped; container app exit code 42
    ");
}

#[test]
fn a_sidecar_that_was_killed_with_its_task_is_not_the_reason() {
    let containers = json!([{ "name": "proxy", "exitCode": 137 }, { "name": "app", "exitCode": 1 }]);
    let ended = task("1", "EssentialContainerExited", "Essential container in task exited", containers);
    assert_eq!(fatal(&ended, &essential()).as_deref(), Some("container app ended with exit code 1"));
    let wanted = task(
        "1",
        "ServiceSchedulerInitiated",
        "Scaling activity initiated by (deployment ecs-svc/2)",
        json!([{ "name": "app", "exitCode": 143 }]),
    );
    assert_eq!(fatal(&wanted, &essential()), None);
    let clean = task("1", "EssentialContainerExited", "", json!([{ "name": "app", "exitCode": 0 }]));
    assert_eq!(fatal(&clean, &essential()), None);
}

#[test]
fn foreign_text_is_cut() {
    let long = "x".repeat(5000);
    let told = task_in_words(&task("1", "TaskFailedToStart", &long, json!([{ "name": "app", "reason": format!("y{long}") }])));
    assert!(told.len() < 700, "{}", told.len());
    let lines = log_lines(&json!({ "events": [{ "message": format!("{long}\nsecond") }, { "message": "third" }] }));
    assert_eq!((lines.len(), lines[0].chars().count() <= 200, lines[2].as_str()), (3, true, "third"));
}

#[test]
fn what_to_do_follows_from_how_the_tasks_ended() {
    let fix = |reason: &str, code: Option<i64>| {
        let containers = code.map_or(json!([{ "name": "app" }]), |code| json!([{ "name": "app", "exitCode": code }]));
        remedies(&[&task("1", "EssentialContainerExited", reason, containers)]).join("")
    };
    assert!(fix("CannotPullContainerError: … not found", None).contains("in the registry"));
    assert!(fix("CannotPullContainerError: … 403 Forbidden", None).contains("execution role"));
    assert!(fix("CannotPullContainerError: i/o timeout", None).contains("NAT"));
    assert!(fix("exec format error", Some(1)).contains("runtimePlatform"));
    assert!(fix("ResourceInitializationError: unable to pull secrets", None).contains("secrets"));
    assert!(fix("OutOfMemoryError: …", Some(137)).contains("memory"));
    assert!(fix("Task failed ELB health checks in (target-group …)", Some(143)).contains("grace period"));
    assert!(fix("", Some(127)).contains("entryPoint"));
    assert!(fix("", Some(3)).contains("log lines"));
    assert_eq!(fix("", Some(0)), "");
}

#[test]
fn stopped_tasks_of_the_release_are_counted_by_their_end_and_replaced_ones_left_out() {
    let crash =
        |id: &str| task(id, "EssentialContainerExited", "Essential container in task exited", json!([{ "name": "app", "exitCode": 1 }]));
    let mut old = crash("4");
    old["taskDefinitionArn"] = json!("arn:task-definition/web:41");
    let replaced = task("5", "ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/3)", json!([]));
    let told = stopped_tasks(&[crash("1"), crash("2"), old, replaced, task("3", "SpotInterruption", "", json!([]))], NEW).unwrap();
    assert_eq!(told.title, "stopped tasks of web:42");
    insta::assert_snapshot!(told.lines.join("\n"), @r"
    task 1: an essential container ended (Essential container in task exited); container app exit code 1 (an error of the application) (2 tasks)
    task 3: its spot capacity was taken away
    ");
    assert_eq!(stopped_tasks(&[], NEW), None);
}

#[test]
fn events_of_trouble_since_the_start_are_told_once_each() {
    let event = |at: u64, message: &str| json!({ "createdAt": at, "message": message });
    let service = json!({ "events": [
        event(1_800_000_030, "(service web) (task 0123456789abcdef0123456789abcdef) failed container health checks."),
        event(1_800_000_020, "(service web) (task 1123456789abcdef0123456789abcdef) failed container health checks."),
        event(1_800_000_015, "(service web) has started 2 tasks: (task 0123456789abcdef0123456789abcdef)."),
        event(1_700_000_000, "(service web) was unable to place a task."),
    ] });
    let told = events(&service, Timestamp(1_800_000_000_000)).unwrap();
    insta::assert_snapshot!(told.lines.join("\n"), @"2027-01-15T08:00:30Z (service web) (task 0123456789abcdef0123456789abcdef) failed container health checks.");
}

#[test]
fn alarms_and_the_circuit_breaker_are_told_only_when_they_went_off() {
    let quiet = json!({ "deploymentCircuitBreaker": { "status": "MONITORING", "failureCount": 1, "threshold": 3 }, "alarms": { "status": "MONITORING", "triggeredAlarmNames": [] } });
    assert!(deployment_in_words(&quiet).is_empty());
    let loud = json!({ "deploymentCircuitBreaker": { "status": "TRIGGERED", "failureCount": 3, "threshold": 3 },
        "alarms": { "triggeredAlarmNames": ["errors", "latency"] }, "lifecycleHookDetails": [{ "hookId": "approve", "status": "TIMED_OUT" }] });
    insta::assert_snapshot!(deployment_in_words(&loud).join("\n"), @r"
    the circuit breaker stopped it: 3 tasks failed, 3 are allowed
    alarms in ALARM: errors, latency
    the lifecycle hook approve answered TIMED_OUT
    ");
}

#[test]
fn the_log_of_the_container_that_failed_comes_first_and_other_drivers_are_left_out() {
    let log = |prefix: &str| json!({ "logDriver": "awslogs", "options": { "awslogs-group": "/ecs/web", "awslogs-stream-prefix": prefix, "awslogs-region": "eu-central-1" } });
    let definition = json!({ "containerDefinitions": [
        { "name": "proxy", "logConfiguration": log("p") },
        { "name": "app", "logConfiguration": log("a") },
        { "name": "agent", "logConfiguration": { "logDriver": "splunk" } },
    ] });
    let ended = task("0123", "EssentialContainerExited", "", json!([{ "name": "proxy", "exitCode": 0 }, { "name": "app", "exitCode": 1 }]));
    let streams: Vec<String> =
        log_streams(&definition, &ended).into_iter().map(|one| format!("{:?} {} {}", one.region, one.group, one.stream)).collect();
    assert_eq!(streams, [r#"Some("eu-central-1") /ecs/web a/app/0123"#, r#"Some("eu-central-1") /ecs/web p/proxy/0123"#]);
}

#[test]
fn targets_are_read_from_the_answer_of_the_load_balancer() {
    let xml = r#"<DescribeTargetHealthResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><DescribeTargetHealthResult>
        <TargetHealthDescriptions>
          <member><Target><Id>10.0.0.5</Id><Port>8080</Port></Target><TargetHealth><State>unhealthy</State>
            <Reason>Target.ResponseCodeMismatch</Reason><Description>Health checks failed with these codes: [500]</Description></TargetHealth></member>
          <member><Target><Id>10.0.0.6</Id><Port>8080</Port></Target><TargetHealth><State>healthy</State></TargetHealth></member>
        </TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>"#;
    let all = targets(xml);
    let healthy = TargetHealth {
        id: "10.0.0.6".to_owned(),
        port: 8080,
        state: "healthy".to_owned(),
        reason: String::new(),
        description: String::new(),
    };
    assert_eq!(all[1], healthy);
    let told = super::unhealthy_targets(&all).unwrap();
    assert_eq!(told.lines, ["10.0.0.5:8080 is unhealthy: Target.ResponseCodeMismatch, Health checks failed with these codes: [500]"]);
    assert!(targets("not xml").is_empty());
}

#[test]
fn a_task_is_matched_with_its_target_by_its_private_address() {
    let own = json!({ "attachments": [{ "details": [{ "name": "subnetId", "value": "s" }, { "name": "privateIPv4Address", "value": "10.0.0.5" }] }] });
    assert_eq!(super::private_address(&own), Some("10.0.0.5"));
    assert_eq!(super::private_address(&json!({})), None);
}

#[test]
fn tasks_that_do_not_run_tell_what_they_wait_for_and_how_long() {
    let waiting = |status: &str| {
        let mut waiting = task("0123456789abcdef", "", "", json!([]));
        waiting["lastStatus"] = json!(status);
        waiting["createdAt"] = json!(100);
        waiting
    };
    let told = waiting_tasks(&["RUNNING", "PENDING", "PROVISIONING"].map(waiting), Timestamp(220_000)).unwrap();
    insta::assert_snapshot!(told.lines.join("\n"), @r"
    task 01234567 has been PENDING for 120 s: its image is being pulled, or its containers wait to be started
    task 01234567 has been PROVISIONING for 120 s: its place and its network interface are being made
    ");
    assert_eq!(waiting_tasks(&[waiting("RUNNING")], Timestamp(220_000)), None);
}
