//! How ECS shows what it keeps: services, deployments, service deployments, revisions, tasks as JSON.

use serde_json::{Map, Value, json};

use crate::clock::Timestamp;
use crate::simulator::ecs::model::{Container, Deployment, Fitness, Phase, Progress, Rollout, Service, Task};
use crate::simulator::wire::seconds;

/// A service as DescribeServices shows it.
pub(crate) fn service(service: &Service, tags: bool, now: Timestamp) -> Value {
    let primary = service.primary().map(|primary| primary.number.clone()).unwrap_or_default();
    let running = |task: &&Task| task.phase == Phase::Running;
    let pending = |task: &&Task| matches!(task.phase, Phase::Provisioning | Phase::Pending);
    let mut view = service.settings.clone();
    view.retain(|key, _| !matches!(key.as_str(), "volumeConfigurations" | "serviceConnectConfiguration"));
    let fields = json!({
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": service.cluster_arn,
        "status": service.status,
        "desiredCount": service.desired,
        "runningCount": service.tasks.iter().filter(running).count(),
        "pendingCount": service.tasks.iter().filter(pending).count(),
        "deployments": service.deployments.iter().rev().filter(|one| shown(service, one, &primary))
            .map(|one| deployment(service, one, one.number == primary)).collect::<Vec<_>>(),
        "events": service.events.iter().map(|(id, at, text)| json!({ "id": id, "createdAt": seconds(*at), "message": text })).collect::<Vec<_>>(),
        "createdAt": seconds(service.created_at),
        "createdBy": "arn:aws:iam::123456789012:role/terraform",
    });
    view.extend(fields.as_object().cloned().unwrap_or_default());
    current(service, &mut view, now);
    if service.settings.get("deploymentController").is_some_and(|controller| controller.get("type") != Some(&json!("ECS"))) {
        other_controller(service, &mut view);
    }
    if tags {
        view.insert("tags".to_owned(), Value::Array(service.tags.clone()));
    }
    Value::Object(view)
}

/// With the hostile text, where one is set.
fn worded(service: &Service, reason: &str) -> String {
    service.hostile.as_ref().map_or(reason.to_owned(), |hostile| format!("{reason} {hostile}"))
}

/// An older deployment is ACTIVE while tasks of it are left.
fn shown(service: &Service, deployment: &Deployment, primary: &str) -> bool {
    deployment.number == primary || service.count(&deployment.number, |task| task.phase != Phase::Stopped) > 0
}

fn current(service: &Service, view: &mut Map<String, Value>, now: Timestamp) {
    let listed = service.deployments.iter().rev().find(|deployment| deployment.rollback_of.is_none() && deployment.visible_at <= now);
    if let Some(deployment) = listed.filter(|_| !service.classic()) {
        view.insert("currentServiceDeployment".to_owned(), json!(service.deployment_arn(&deployment.number)));
    }
    let Some(primary) = service.primary() else { return };
    let serving = match primary.rollout {
        Rollout::Completed => vec![primary],
        _ => service.deployments.iter().filter(|one| shown(service, one, &primary.number)).collect(),
    };
    let revisions: Vec<Value> = serving.iter().map(|one| revision_summary(service, one)).collect();
    view.insert("currentServiceRevisions".to_owned(), Value::Array(revisions));
}

/// With CodeDeploy or an external controller there are task sets instead of deployments.
fn other_controller(service: &Service, view: &mut Map<String, Value>) {
    let sets = service.primary().into_iter().map(|primary| {
        json!({
            "id": format!("ecs-svc/{}", primary.number),
            "taskSetArn": format!("{}/ecs-svc/{}", service.arn.replacen(":service/", ":task-set/", 1), primary.number),
            "status": "PRIMARY",
            "taskDefinition": primary.definition,
            "stabilityStatus": "STEADY_STATE",
            "computedDesiredCount": service.desired,
        })
    });
    view.insert("taskSets".to_owned(), sets.collect());
    view.insert("deployments".to_owned(), json!([]));
    view.retain(|key, _| !matches!(key.as_str(), "currentServiceDeployment" | "currentServiceRevisions"));
}

fn revision_summary(service: &Service, deployment: &Deployment) -> Value {
    json!({
        "arn": service.revision_arn(&deployment.revision),
        "requestedTaskCount": service.desired,
        "runningTaskCount": service.count(&deployment.number, |task| task.phase == Phase::Running),
        "pendingTaskCount": service.count(&deployment.number, |task| matches!(task.phase, Phase::Provisioning | Phase::Pending)),
    })
}

fn deployment(service: &Service, deployment: &Deployment, primary: bool) -> Value {
    let running = service.count(&deployment.number, |task| task.phase == Phase::Running);
    let mut view = json!({
        "id": format!("ecs-svc/{}", deployment.number),
        "status": if primary { "PRIMARY" } else { "ACTIVE" },
        "taskDefinition": deployment.definition,
        "desiredCount": if primary { service.desired } else { service.count(&deployment.number, Task::live) },
        "pendingCount": service.count(&deployment.number, |task| matches!(task.phase, Phase::Provisioning | Phase::Pending)),
        "runningCount": running,
        "failedTasks": deployment.failed,
        "createdAt": seconds(deployment.created_at),
        "updatedAt": seconds(deployment.updated_at),
    });
    let Some(fields) = view.as_object_mut() else { return view };
    for key in ["launchType", "capacityProviderStrategy", "platformVersion", "networkConfiguration"] {
        if let Some(value) = deployment.settings.get(key) {
            fields.insert(key.to_owned(), value.clone());
        }
    }
    if !service.classic() {
        fields.insert("rolloutState".to_owned(), json!(deployment.rollout.as_str()));
        fields.insert("rolloutStateReason".to_owned(), json!(worded(service, &deployment.rollout_reason)));
    }
    view
}

/// An entry of ListServiceDeployments.
pub(crate) fn brief(service: &Service, deployment: &Deployment) -> Value {
    let mut view = json!({
        "serviceDeploymentArn": service.deployment_arn(&deployment.number),
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "createdAt": seconds(deployment.created_at),
        "targetServiceRevisionArn": service.revision_arn(&deployment.revision),
        "status": deployment.progress.as_str(),
    });
    let Some(fields) = view.as_object_mut() else { return view };
    if deployment.progress != Progress::Pending {
        fields.insert("startedAt".to_owned(), seconds(deployment.created_at));
    }
    if let Some(at) = deployment.finished_at {
        fields.insert("finishedAt".to_owned(), seconds(at));
    }
    if let Some(reason) = &deployment.reason {
        fields.insert("statusReason".to_owned(), json!(worded(service, reason)));
    }
    view
}

/// An entry of DescribeServiceDeployments.
pub(crate) fn service_deployment(service: &Service, deployment: &Deployment) -> Value {
    let mut view = brief(service, deployment);
    let Some(fields) = view.as_object_mut() else { return view };
    let mut target = revision_summary(service, deployment);
    let mut sources = Vec::new();
    if let Some(source) = service.deployments.iter().find(|one| Some(&one.number) == deployment.source.as_ref()) {
        sources.push(revision_summary(service, source));
    }
    if service.shifting() {
        target["requestedProductionTrafficWeight"] = json!(deployment.weight);
        sources.iter_mut().for_each(|source| source["requestedProductionTrafficWeight"] = json!(100.0 - deployment.weight));
    }
    fields.remove("targetServiceRevisionArn");
    fields.insert("targetServiceRevision".to_owned(), target);
    fields.insert("sourceServiceRevisions".to_owned(), json!(sources));
    fields.insert("updatedAt".to_owned(), seconds(deployment.updated_at));
    let configuration = deployment.settings.get("deploymentConfiguration").cloned().unwrap_or_default();
    fields.insert("deploymentConfiguration".to_owned(), configuration);
    fields.insert("deploymentCircuitBreaker".to_owned(), breaker(deployment));
    fields.insert("alarms".to_owned(), alarms(deployment));
    if let Some((stage, _)) = deployment.stage {
        fields.insert("lifecycleStage".to_owned(), json!(stage));
    }
    if let Some(back) = &deployment.rollback {
        let revision = service.revision_arn(&back.revision);
        fields.insert(
            "rollback".to_owned(),
            json!({ "reason": worded(service, &back.reason), "startedAt": seconds(back.at), "serviceRevisionArn": revision }),
        );
    }
    if let Some(pause) = &deployment.pause {
        let action = if pause.rollback_on_timeout { "ROLLBACK" } else { "CONTINUE" };
        let details = json!([{ "hookId": pause.hook, "targetType": "PAUSE", "status": pause.status,
            "expiresAt": seconds(pause.expires), "timeoutAction": action }]);
        fields.insert("lifecycleHookDetails".to_owned(), details);
    }
    view
}

fn breaker(deployment: &Deployment) -> Value {
    let state = match (deployment.breaker.enabled, deployment.breaker.triggered, deployment.progress.over()) {
        (false, _, _) => "DISABLED",
        (true, true, _) => "TRIGGERED",
        (true, false, false) => "MONITORING",
        (true, false, true) => "MONITORING_COMPLETE",
    };
    json!({ "status": state, "failureCount": deployment.failed, "threshold": deployment.breaker.threshold })
}

fn alarms(deployment: &Deployment) -> Value {
    let alarms = &deployment.alarms;
    let state = match (alarms.enabled, alarms.triggered, deployment.progress.over()) {
        (false, _, _) => "DISABLED",
        (true, true, _) => "TRIGGERED",
        (true, false, false) => "MONITORING",
        (true, false, true) => "MONITORING_COMPLETE",
    };
    let triggered: &[String] = if alarms.triggered { &alarms.names } else { &[] };
    json!({ "status": state, "alarmNames": alarms.names, "triggeredAlarmNames": triggered })
}

/// A task as DescribeTasks shows it.
pub(crate) fn task(task: &Task, cluster_arn: &str) -> Value {
    let mut view = json!({
        "taskArn": task.arn,
        "clusterArn": cluster_arn,
        "taskDefinitionArn": task.definition,
        "containers": task.containers.iter().map(|one| container(task, one)).collect::<Vec<_>>(),
        "lastStatus": task.phase.as_str(),
        "desiredStatus": if task.live() { "RUNNING" } else { "STOPPED" },
        "startedBy": task.started_by,
        "group": task.group,
        "launchType": task.launch_type,
        "createdAt": seconds(task.created_at),
        "healthStatus": if task.containers.iter().any(|one| one.checked) { fitness(task.fitness) } else { "UNKNOWN" },
        "attachments": attachments(task),
        "connectivity": "CONNECTED",
        "version": 3,
        "availabilityZone": "a",
    });
    let Some(fields) = view.as_object_mut() else { return view };
    for (key, at) in [("startedAt", task.started_at), ("stoppingAt", task.stopping_at), ("stoppedAt", task.stopped_at)] {
        if let Some(at) = at {
            fields.insert(key.to_owned(), seconds(at));
        }
    }
    if let Some((code, reason)) = &task.stop {
        fields.insert("stopCode".to_owned(), json!(code));
        fields.insert("stoppedReason".to_owned(), json!(reason));
    }
    view
}

fn fitness(fitness: Fitness) -> &'static str {
    match fitness {
        Fitness::Healthy => "HEALTHY",
        Fitness::Unhealthy => "UNHEALTHY",
        Fitness::Unchecked | Fitness::Initial | Fitness::Draining => "UNKNOWN",
    }
}

fn attachments(task: &Task) -> Value {
    if !task.awsvpc {
        return json!([]);
    }
    let details = json!([
        { "name": "subnetId", "value": "subnet-0a1b2c3d" },
        { "name": "privateIPv4Address", "value": task.ip },
    ]);
    let state = if task.phase == Phase::Stopped { "DELETED" } else { "ATTACHED" };
    json!([{ "id": task.id, "type": "ElasticNetworkInterface", "status": state, "details": details }])
}

fn container(task: &Task, container: &Container) -> Value {
    let mut view = json!({
        "containerArn": format!("{}/{}", task.arn.replacen(":task/", ":container/", 1), container.name),
        "taskArn": task.arn,
        "name": container.name,
        "image": container.image,
        "lastStatus": task.phase.as_str(),
        "networkInterfaces": if task.awsvpc { json!([{ "attachmentId": task.id, "privateIpv4Address": task.ip }]) } else { json!([]) },
        "healthStatus": if container.checked { fitness(task.fitness) } else { "UNKNOWN" },
    });
    let Some(fields) = view.as_object_mut() else { return view };
    if task.started_at.is_some() {
        fields.insert("imageDigest".to_owned(), json!(container.digest));
        fields.insert("runtimeId".to_owned(), json!(format!("{}-{}", task.id, container.name.len())));
    }
    if let Some(code) = container.exit_code {
        fields.insert("exitCode".to_owned(), json!(code));
    }
    if let Some(reason) = &container.reason {
        fields.insert("reason".to_owned(), json!(reason));
    }
    view
}
