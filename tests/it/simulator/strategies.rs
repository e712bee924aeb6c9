//! Blue/green, linear and canary, and services of unusual kinds.

use std::time::Duration;

use serde_json::{Value, json};
use touchdown::simulator::fault::Fault;
use touchdown::simulator::seed::{Balancer, Past, ServiceSeed, Strategy};

use super::client::Client;

const HOST: &str = "web.example.com";

async fn shifting(strategy: Strategy) -> Client {
    Client::with(200.0, ServiceSeed { strategy, ..ServiceSeed::new("web") }).await
}

/// Waits for a stage of the deployment.
async fn stage(client: &Client, number: &str, stage: &str) -> Value {
    client.until(stage, async || Some(client.deployment(number).await).filter(|one| one["lifecycleStage"] == stage)).await
}

#[tokio::test]
async fn blue_green_gives_all_traffic_at_once_and_bakes() {
    let client = shifting(Strategy::BlueGreen).await;
    let number = client.deploy("v2").await;
    let baking = stage(&client, &number, "BAKE_TIME").await;
    assert_eq!(baking["targetServiceRevision"]["requestedProductionTrafficWeight"], 100.0);
    assert_eq!(baking["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"], 0.0);
    assert!(client.get(HOST, "/health").await.1.contains("\"v2\""));
    assert_eq!(client.world.serving("web"), "v1+v2", "blue still runs");
    client.deployment_is(&number, "SUCCESSFUL").await;
    assert_eq!(client.world.serving("web"), "v2");
    let again = client.deploy("v3").await;
    client.deployment_is(&again, "SUCCESSFUL").await;
    assert!(client.get(HOST, "/health").await.1.contains("\"v3\""), "and back in the first target group");
}

#[tokio::test]
async fn a_stop_during_the_bake_gives_the_traffic_back_at_once() {
    let seed = ServiceSeed { strategy: Strategy::BlueGreen, ..ServiceSeed::new("web") };
    let client = Client::with(200.0, seed).await;
    client.ecs("UpdateService", json!({ "service": "web", "deploymentConfiguration": { "bakeTimeInMinutes": 600 } })).await;
    let number = client.deploy("v2").await;
    let baking = stage(&client, &number, "BAKE_TIME").await;
    client.ecs("StopServiceDeployment", json!({ "serviceDeploymentArn": baking["serviceDeploymentArn"], "stopType": "ROLLBACK" })).await;
    client.until("v1 again", async || client.get(HOST, "/health").await.1.contains("\"v1\"").then_some(())).await;
    client.deployment_is(&number, "ROLLBACK_SUCCESSFUL").await;
    assert_eq!(client.world.serving("web"), "v1");
}

#[tokio::test]
async fn a_canary_gets_a_little_first_and_linear_goes_in_steps() {
    for (strategy, weight) in [(Strategy::Canary, 10.0), (Strategy::Linear, 50.0)] {
        let client = shifting(strategy).await;
        let hours = json!({ "canaryConfiguration": { "canaryPercent": 10.0, "canaryBakeTimeInMinutes": 600 },
            "linearConfiguration": { "stepPercent": 50.0, "stepBakeTimeInMinutes": 600 } });
        client.ecs("UpdateService", json!({ "service": "web", "deploymentConfiguration": hours })).await;
        let number = client.deploy("v2").await;
        client
            .until("the first step", async || {
                let deployment = client.deployment(&number).await;
                (deployment["targetServiceRevision"]["requestedProductionTrafficWeight"] == weight).then_some(())
            })
            .await;
        let mut new = 0;
        for _ in 0..100 {
            new += u32::from(client.get(HOST, "/health").await.1.contains("\"v2\""));
        }
        assert_eq!(f64::from(new), weight, "{strategy:?}");
    }
}

#[tokio::test]
async fn a_pause_hook_of_a_stage_waits_and_can_roll_back() {
    let client = shifting(Strategy::BlueGreen).await;
    let hooks = json!([{ "targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"] }]);
    client.ecs("UpdateService", json!({ "service": "web", "deploymentConfiguration": { "lifecycleHooks": hooks } })).await;
    let number = client.deploy("v2").await;
    let paused = client
        .until("the pause", async || {
            Some(client.deployment(&number).await).filter(|one| one["lifecycleHookDetails"][0]["status"] == "AWAITING_ACTION")
        })
        .await;
    assert_eq!(paused["lifecycleStage"], "POST_TEST_TRAFFIC_SHIFT");
    let answer = json!({ "serviceDeploymentArn": paused["serviceDeploymentArn"], "hookId": paused["lifecycleHookDetails"][0]["hookId"], "action": "ROLLBACK" });
    client.ecs("ContinueServiceDeployment", answer).await;
    client.deployment_is(&number, "ROLLBACK_SUCCESSFUL").await;
}

#[tokio::test]
async fn behind_a_classic_load_balancer_there_is_no_rollout_state() {
    let client = Client::with(200.0, ServiceSeed { balancer: Balancer::Classic, ..ServiceSeed::new("web") }).await;
    assert_eq!(client.web().await["deployments"][0].get("rolloutState"), None);
    client.deploy("v2").await;
    client
        .until("v2 alone", async || {
            (client.world.serving("web") == "v2" && client.web().await["deployments"].as_array().unwrap().len() == 1).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_service_that_never_ran_has_no_completed_deployment() {
    let client = Client::with(200.0, ServiceSeed { past: Past::NeverRan, ..ServiceSeed::new("web") }).await;
    let web = client.web().await;
    assert_eq!((&web["deployments"][0]["rolloutState"], &web["runningCount"]), (&json!("IN_PROGRESS"), &json!(0)));
    assert_eq!(client.get(HOST, "/health").await.0, 503);
    let number = client.deploy("v2").await;
    client.deployment_is(&number, "SUCCESSFUL").await;
    assert_eq!(client.world.serving("web"), "v2");
}

#[tokio::test]
async fn no_desired_tasks_is_a_complete_deployment_of_nothing() {
    let client = Client::with(200.0, ServiceSeed { desired: 0, ..ServiceSeed::new("web") }).await;
    let number = client.deploy("v2").await;
    client.deployment_is(&number, "SUCCESSFUL").await;
    assert_eq!(client.world.serving("web"), "");
}

#[tokio::test]
async fn a_daemon_takes_no_desired_count_and_is_replaced_in_place() {
    let client = Client::with(200.0, ServiceSeed { daemon: true, balancer: Balancer::Nothing, ..ServiceSeed::new("web") }).await;
    assert_eq!(client.refused("UpdateService", json!({ "service": "web", "desiredCount": 3 })).await, "InvalidParameterException");
    let number = client.deploy("v2").await;
    client.deployment_is(&number, "SUCCESSFUL").await;
}

#[tokio::test]
async fn other_deployment_controllers_are_told_and_take_no_task_definition() {
    for controller in ["CODE_DEPLOY", "EXTERNAL"] {
        let client = Client::with(200.0, ServiceSeed { controller: controller.into(), ..ServiceSeed::new("web") }).await;
        let web = client.web().await;
        assert_eq!((&web["deploymentController"]["type"], &web["deployments"]), (&json!(controller), &json!([])));
        let definition = client.register("v2").await;
        let code = client.refused("UpdateService", json!({ "service": "web", "taskDefinition": definition })).await;
        assert_eq!(code, "InvalidParameterException");
    }
}

#[tokio::test]
async fn a_rollout_of_no_length_is_complete_at_the_first_look() {
    let client = Client::with(1.0, ServiceSeed::new("web")).await;
    client.world.set_rollout_time(Duration::ZERO);
    client.deploy("v2").await;
    assert_eq!(client.web().await["deployments"][0]["rolloutState"], "COMPLETED");
    client.world.set_fault("web", Fault::CircuitBreakerRollback);
    let number = client.deploy("v3").await;
    client.deployment_is(&number, "ROLLBACK_SUCCESSFUL").await;
    assert_eq!(client.world.serving("web"), "v2");
}
