//! Every fault has the effect its name promises.

use std::time::Duration;

use serde_json::{Value, json};
use touchdown::simulator::fault::Fault;
use touchdown::simulator::seed::{Balancer, CircuitBreaker, ServiceSeed};

use super::client::Client;

const HOST: &str = "web.example.com";

async fn with(fault: Fault) -> Client {
    let client = Client::with(200.0, ServiceSeed::new("web")).await;
    client.world.set_fault("web", fault);
    client
}

#[test]
fn every_fault_has_a_name_of_its_own_that_parses_back() {
    let mut names: Vec<&str> = Fault::ALL.iter().map(|(_, name, _)| *name).collect();
    for (fault, name, words) in Fault::ALL {
        assert_eq!(Fault::parse(name).unwrap(), *fault);
        assert_eq!(fault.name(), *name);
        assert!(!words.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Fault::ALL.len());
}

#[test]
fn an_unknown_fault_is_answered_with_the_nearest_and_the_list() {
    let failure = Fault::parse("crash-at-start").unwrap_err().to_string();
    assert!(failure.contains("\"crash-on-start\"") && failure.contains("out-of-memory"), "{failure}");
}

#[tokio::test]
async fn a_good_release_completes_and_then_everyone_gets_it() {
    let client = with(Fault::None).await;
    assert_eq!(client.world.serving("web"), "v1");
    let number = client.deploy("v2").await;
    let deployment = client.deployment_is(&number, "SUCCESSFUL").await;
    let ended = client.world.rollout_ended_at("web").unwrap();
    let told = deployment["finishedAt"].as_f64().unwrap();
    assert!((told - Duration::from_millis(ended.0).as_secs_f64()).abs() < 0.01, "{told}");
    let web = client.web().await;
    assert_eq!(web["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(web["deployments"][0]["rolloutState"], "COMPLETED");
    assert_eq!(client.world.serving("web"), "v2");
    let (status, body) = client.get(HOST, "/health").await;
    assert_eq!((status, body.as_str()), (200, r#"{"status":"ok","version":"v2"}"#));
}

#[tokio::test]
async fn a_crash_stops_tasks_with_their_exit_code_and_leaves_the_old_release_serving() {
    for (fault, code, reason) in
        [(Fault::CrashOnStart, 1, Value::Null), (Fault::OutOfMemory, 137, json!("OutOfMemoryError: Container killed due to memory usage"))]
    {
        let client = with(fault).await;
        let number = client.deploy("v2").await;
        let task = client.stopped_tasks(&number).await.remove(0);
        assert_eq!(task["stopCode"], "EssentialContainerExited");
        assert_eq!(task["containers"][0]["exitCode"], code);
        assert_eq!(task["containers"][0]["reason"], reason);
        assert_eq!(client.world.serving("web"), "v1");
        assert!(client.world.log_lines("/ecs/web").iter().any(|line| line.contains("DATABASE_URL") || line.contains("memory")));
        client.until("failedTasks", async || client.web().await["deployments"][0]["failedTasks"].as_u64().filter(|count| *count > 2)).await;
        assert_eq!(client.web().await["deployments"][0]["rolloutState"], "IN_PROGRESS", "no circuit breaker, no end");
        assert_eq!(client.world.rollout_ended_at("web"), None);
    }
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_fails_to_start() {
    let client = with(Fault::ImagePull).await;
    let number = client.deploy("v2").await;
    let task = client.stopped_tasks(&number).await.remove(0);
    assert_eq!(task["stopCode"], "TaskFailedToStart");
    assert!(task["stoppedReason"].as_str().unwrap().starts_with("CannotPullContainerError"));
    assert_eq!(task["containers"][0].get("exitCode"), None);
}

#[tokio::test]
async fn an_unhealthy_release_is_killed_by_the_load_balancer_checks() {
    let client = with(Fault::NeverHealthy).await;
    let number = client.deploy("v2").await;
    let task = client.stopped_tasks(&number).await.remove(0);
    assert_eq!(task["stopCode"], "ServiceSchedulerInitiated");
    assert!(task["stoppedReason"].as_str().unwrap().starts_with("Task failed ELB health checks in"));
    assert!(client.web().await["events"].to_string().contains("Health checks failed with these codes: [500]"));
    assert_eq!(client.world.serving("web"), "v1");
}

#[tokio::test]
async fn without_anyone_checking_an_unhealthy_release_completes_and_answers_500() {
    let seed = ServiceSeed { balancer: Balancer::Nothing, hosts: vec!["proxy.example.com".into()], ..ServiceSeed::new("web") };
    let client = Client::with(200.0, seed).await;
    client.world.set_fault("web", Fault::NeverHealthy);
    let number = client.deploy("v2").await;
    client.deployment_is(&number, "SUCCESSFUL").await;
    assert_eq!(client.get("proxy.example.com", "/health").await.0, 500);
}

#[tokio::test]
async fn a_wrong_version_completes_and_tells_the_version_before() {
    let client = with(Fault::WrongVersion).await;
    let number = client.deploy("v2").await;
    client.deployment_is(&number, "SUCCESSFUL").await;
    assert!(client.get(HOST, "/health").await.1.contains("\"v1\""));
}

#[tokio::test]
async fn a_slow_release_takes_six_seconds_of_the_clock_and_a_flapping_one_fails_every_second_time() {
    let client = with(Fault::SlowHealth).await;
    let number = client.deploy("v2").await;
    client.deployment_is(&number, "SUCCESSFUL").await;
    let before = client.clock.now();
    assert_eq!(client.get(HOST, "/health").await.0, 200);
    assert!(client.clock.now().since(before) >= Duration::from_secs(6));

    let client = with(Fault::Flapping).await;
    let number = client.deploy("v2").await;
    client.deployment_is(&number, "SUCCESSFUL").await;
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(client.get(HOST, "/health").await.0);
    }
    assert_eq!(answers.iter().filter(|status| **status == 500).count(), 3, "{answers:?}");
}

#[tokio::test]
async fn the_circuit_breaker_rolls_back_by_itself() {
    let client = with(Fault::CircuitBreakerRollback).await;
    let before = client.web().await;
    let number = client.deploy("v2").await;
    let deployment = client.deployment_is(&number, "ROLLBACK_SUCCESSFUL").await;
    assert_eq!(deployment["deploymentCircuitBreaker"], json!({ "status": "TRIGGERED", "failureCount": 4, "threshold": 3 }));
    assert_eq!(deployment["rollback"]["reason"], "Service deployment rolled back because the circuit breaker threshold was exceeded.");
    let after = client.web().await;
    assert_eq!(after["taskDefinition"], before["taskDefinition"]);
    assert_ne!(after["deployments"][0]["id"], format!("ecs-svc/{number}"));
    let reason = after["deployments"][0]["rolloutStateReason"].as_str().unwrap();
    assert!(reason.starts_with("ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/"), "{reason}");
    assert_eq!(client.world.serving("web"), "v1");
}

#[tokio::test]
async fn the_circuit_breaker_without_rollback_leaves_it_failed() {
    let client = with(Fault::CircuitBreakerNoRollback).await;
    let number = client.deploy("v2").await;
    let deployment = client.deployment_is(&number, "STOPPED").await;
    assert!(deployment["statusReason"].as_str().unwrap().contains("circuit breaker"));
    let web = client.web().await;
    assert_eq!(
        (&web["deployments"][0]["rolloutState"], &web["deployments"][0]["id"]),
        (&json!("FAILED"), &json!(format!("ecs-svc/{number}")))
    );
    assert_eq!(client.world.serving("web"), "v1");
}

#[tokio::test]
async fn the_service_s_own_circuit_breaker_counts_too() {
    let client = Client::with(200.0, ServiceSeed { breaker: CircuitBreaker::Rollback, ..ServiceSeed::new("web") }).await;
    client.world.set_fault("web", Fault::CrashOnStart);
    let number = client.deploy("v2").await;
    client.deployment_is(&number, "ROLLBACK_SUCCESSFUL").await;
}

#[tokio::test]
async fn somebody_else_s_deploy_takes_the_place_of_ours() {
    let client = with(Fault::Superseded).await;
    let number = client.deploy("v2").await;
    client.deployment_is(&number, "STOPPED").await;
    let theirs = client
        .until("theirs completes", async || Some(client.web().await).filter(|web| web["deployments"][0]["rolloutState"] == "COMPLETED"))
        .await;
    assert!(theirs["taskDefinition"].as_str().unwrap().ends_with("web:3"), "{}", theirs["taskDefinition"]);
    assert_eq!(client.world.serving("web"), "somebody-else");
}

#[tokio::test]
async fn a_stuck_release_stays_in_progress_for_hours() {
    let client = Client::with(10_000.0, ServiceSeed::new("web")).await;
    client.world.set_fault("web", Fault::Stuck);
    client.deploy("v2").await;
    client.clock.sleep(Duration::from_secs(2 * 3600)).await;
    let web = client.web().await;
    assert_eq!((&web["deployments"][0]["rolloutState"], &web["pendingCount"]), (&json!("IN_PROGRESS"), &json!(2)));
}

#[tokio::test]
async fn no_capacity_is_told_by_events_and_no_task_starts() {
    let client = with(Fault::Placement).await;
    client.deploy("v2").await;
    client.until("the event", async || client.web().await["events"].to_string().contains("was unable to place a task").then_some(())).await;
    assert_eq!(client.web().await["pendingCount"], 0);
}

#[tokio::test]
async fn an_alarm_rolls_back_and_is_named() {
    let client = with(Fault::Alarm).await;
    let number = client.deploy("v2").await;
    let deployment = client.deployment_is(&number, "ROLLBACK_SUCCESSFUL").await;
    assert_eq!(deployment["alarms"]["triggeredAlarmNames"], json!(["web-5xx-rate"]));
    assert_eq!(client.world.serving("web"), "v1");
}

#[tokio::test]
async fn a_pause_hook_waits_until_somebody_continues_it() {
    let client = with(Fault::PausedHook).await;
    let number = client.deploy("v2").await;
    let paused = client
        .until("the pause", async || {
            Some(client.deployment(&number).await).filter(|one| one["lifecycleHookDetails"][0]["status"] == "AWAITING_ACTION")
        })
        .await;
    let hook = &paused["lifecycleHookDetails"][0]["hookId"];
    assert_eq!(client.world.serving("web"), "v1+v2", "both run while it waits");
    client.ecs("ContinueServiceDeployment", json!({ "serviceDeploymentArn": paused["serviceDeploymentArn"], "hookId": hook })).await;
    client.deployment_is(&number, "SUCCESSFUL").await;
}

#[tokio::test]
async fn a_release_that_breaks_later_is_healthy_first() {
    let client = with(Fault::UnhealthyAfterBake).await;
    client.world.set_break_after(Duration::from_secs(900));
    let number = client.deploy("v2").await;
    client.deployment_is(&number, "SUCCESSFUL").await;
    assert_eq!(client.get(HOST, "/health").await.0, 200);
    client.until("it breaks", async || (client.get(HOST, "/health").await.0 == 500).then_some(())).await;
    let group = client.web().await["loadBalancers"][0]["targetGroupArn"].as_str().unwrap().to_owned();
    assert!(client.elb("DescribeTargetHealth", "TargetGroupArn", &group).await.1.contains("<State>unhealthy</State>"));
}

#[tokio::test]
async fn a_failed_rollback_is_told_however_it_was_begun() {
    let client = with(Fault::RollbackFails).await;
    let before = client.web().await["taskDefinition"].clone();
    let number = client.deploy("v2").await;
    client.stopped_tasks(&number).await;
    let arn = client.deployment(&number).await["serviceDeploymentArn"].clone();
    client.ecs("StopServiceDeployment", json!({ "serviceDeploymentArn": arn, "stopType": "ROLLBACK" })).await;
    client.deployment_is(&number, "ROLLBACK_FAILED").await;

    let client = with(Fault::RollbackFails).await;
    client.deploy("v2").await;
    client.ecs("UpdateService", json!({ "service": "web", "taskDefinition": before })).await;
    client.until("FAILED", async || (client.web().await["deployments"][0]["rolloutState"] == "FAILED").then_some(())).await;
}

#[tokio::test]
async fn denials_are_worded_as_iam_words_them() {
    let client = with(Fault::DeniedUpdate).await;
    let (status, answer) = client.call("ecs", "UpdateService", json!({ "service": "web", "desiredCount": 3 })).await.unwrap();
    assert_eq!((status, &answer["__type"]), (400, &json!("AccessDeniedException")));
    let message = answer["message"].as_str().unwrap();
    assert!(
        message.contains(
            "is not authorized to perform: ecs:UpdateService on resource: arn:aws:ecs:eu-west-1:123456789012:service/default/web"
        )
    );

    client.world.set_fault("web", Fault::NoDeploymentApi);
    assert_eq!(client.refused("ListServiceDeployments", json!({ "service": "web" })).await, "AccessDeniedException");
    client.world.deny("elasticloadbalancing:*");
    let (status, xml) = client.elb("DescribeTargetHealth", "TargetGroupArn", "x").await;
    assert!(status == 400 && xml.contains("<Code>AccessDenied"), "{status} {xml}");
}

#[tokio::test]
async fn throttling_and_server_errors_pass_at_the_next_try() {
    let client = with(Fault::Throttled).await;
    assert_eq!(client.refused("DescribeClusters", json!({})).await, "ThrottlingException");
    client.ecs("DescribeClusters", json!({})).await;
    client.world.set_fault("web", Fault::ServerErrors);
    assert_eq!(client.refused("ListServices", json!({})).await, "ServerException");
    client.ecs("ListServices", json!({})).await;
}

#[tokio::test]
async fn a_lost_answer_is_lost_once_and_the_update_stands() {
    let client = with(Fault::LostAnswer).await;
    let definition = client.register("v2").await;
    let body = json!({ "service": "web", "taskDefinition": definition });
    assert_eq!(client.call("ecs", "UpdateService", body.clone()).await, None);
    client.until("v2", async || (client.world.serving("web") == "v2").then_some(())).await;
    let ours = client.web().await["deployments"][0]["id"].clone();
    let again = client.ecs("UpdateService", body).await;
    assert_eq!(again["service"]["deployments"][0]["id"], ours, "nothing changed: no new deployment");
}

#[tokio::test]
async fn a_failing_migration_exits_with_1_and_says_why() {
    let client = with(Fault::MigrationFails).await;
    let network = json!({ "awsvpcConfiguration": { "subnets": ["subnet-0a1b2c3d"] } });
    let ran = client.ecs("RunTask", json!({ "taskDefinition": "web", "networkConfiguration": network, "startedBy": "touchdown" })).await;
    let arn = ran["tasks"][0]["taskArn"].clone();
    let task = client
        .until("STOPPED", async || {
            let task = client.ecs("DescribeTasks", json!({ "tasks": [arn] })).await["tasks"][0].clone();
            Some(task).filter(|task| task["lastStatus"] == "STOPPED")
        })
        .await;
    assert_eq!(task["containers"][0]["exitCode"], 1);
    assert!(client.world.log_lines("/ecs/web").iter().any(|line| line.starts_with("migration 2 failed")));
}
