//! The ECS API: one dispatch by operation name; each folder file has a part of it. Time passes in `rollout`, `stages` and `life`.

pub(crate) mod definitions;
pub(crate) mod deployments;
pub(crate) mod life;
pub(crate) mod model;
pub(crate) mod releases;
pub(crate) mod rollout;
pub(crate) mod services;
pub(crate) mod stages;
pub(crate) mod tags;
pub(crate) mod tasks;
pub(crate) mod views;

use serde_json::{Value, json};

use crate::simulator::fault::Fault;
use crate::simulator::seed::Answers;
use crate::simulator::wire::{Outcome, Refusal, text};
use crate::simulator::world::{Cluster, State, arn};

/// Carries out one operation.
pub(crate) fn answer(state: &mut State, region: &str, operation: &str, body: &Value) -> Outcome {
    refuse_by_fault(state, region, operation, body)?;
    match operation {
        "CreateCluster" => create_cluster(state, region, body),
        "DescribeClusters" => describe_clusters(state, region, body),
        "RegisterTaskDefinition" => definitions::register(state, region, body),
        "DescribeTaskDefinition" => definitions::describe(state, region, body),
        "DeregisterTaskDefinition" => definitions::deregister(state, region, body),
        "ListTaskDefinitions" => definitions::list(state, region, body),
        "CreateService" => services::create(state, region, body, Answers::default()),
        "UpdateService" => services::update(state, region, body),
        "DescribeServices" => services::describe_services(state, region, body),
        "ListServices" => services::list(state, region, body),
        "DeleteService" => services::delete(state, region, body),
        "ListServiceDeployments" => deployments::list(state, region, body),
        "DescribeServiceDeployments" => deployments::describe(state, body),
        "DescribeServiceRevisions" => deployments::revisions(state, body),
        "StopServiceDeployment" => deployments::stop(state, body),
        "ContinueServiceDeployment" => deployments::go_on(state, body),
        "ListTasks" => tasks::list(state, region, body),
        "DescribeTasks" => tasks::describe(state, region, body),
        "RunTask" => tasks::run(state, region, body),
        "StopTask" => tasks::stop(state, region, body),
        "TagResource" => tags::tag(state, body),
        "UntagResource" => tags::untag(state, body),
        "ListTagsForResource" => tags::list(state, body),
        other => Err(Refusal::new("UnknownOperationException", format!("the simulator does not model {other}"))),
    }
}

/// True for the operations that change something.
pub(crate) fn changes(operation: &str) -> bool {
    let verbs = ["Create", "Register", "Deregister", "Update", "Delete", "Stop", "Continue", "Run", "Tag", "Untag"];
    verbs.iter().any(|verb| operation.starts_with(verb))
}

/// The service an operation is about, by name, where the request tells.
pub(crate) fn subject(body: &Value) -> Option<String> {
    let named = [text(body, "service"), text(body, "serviceName")];
    let first = body.get("services").and_then(|services| services.get(0)).and_then(Value::as_str).unwrap_or_default();
    let arns = [text(body, "serviceDeploymentArn"), text(body, "resourceArn")];
    let inside = arns.iter().filter(|arn| arn.contains(":service")).filter_map(|arn| arn.split('/').nth(2));
    let name = named.into_iter().chain([first]).find(|name| !name.is_empty()).map(|name| name.rsplit('/').next().unwrap_or(name));
    name.or_else(|| inside.into_iter().next()).map(str::to_owned)
}

fn refuse_by_fault(state: &State, region: &str, operation: &str, body: &Value) -> Outcome<()> {
    let named = subject(body);
    let service = state.services.iter().find(|service| Some(&service.name) == named.as_ref());
    let anywhere = |fault: Fault| state.services.iter().any(|service| service.fault == fault);
    let deployment_api = ["ListServiceDeployments", "DescribeServiceDeployments", "DescribeServiceRevisions", "StopServiceDeployment"];
    let denied = match service.map(|service| service.fault) {
        Some(Fault::DeniedUpdate) => operation == "UpdateService",
        _ => deployment_api.contains(&operation) && anywhere(Fault::NoDeploymentApi),
    };
    if denied {
        let resource = service.map_or_else(|| arn("ecs", region, "service-deployment/*"), |service| service.arn.clone());
        return Err(refused(&state.identities.principal, &format!("ecs:{operation}"), &resource));
    }
    Ok(())
}

/// AccessDeniedException as IAM words it.
pub(crate) fn refused(principal: &str, action: &str, resource: &str) -> Refusal {
    let policy = format!("because no identity-based policy allows the {action} action");
    Refusal::new(
        "AccessDeniedException",
        format!("User: {principal} is not authorized to perform: {action} on resource: {resource} {policy}"),
    )
}

/// The cluster of this name or ARN; an empty one is `default`.
pub(crate) fn cluster_of<'a>(state: &'a State, region: &str, name: &str) -> Outcome<&'a Cluster> {
    let short = if name.is_empty() { "default" } else { name.rsplit('/').next().unwrap_or(name) };
    let found = state.platform.clusters.iter().find(|cluster| cluster.region == region && cluster.name == short);
    found.ok_or_else(|| Refusal::new("ClusterNotFoundException", "Cluster not found."))
}

/// The index of the service a request names by `cluster` and `service`.
pub(crate) fn service_of(state: &State, region: &str, body: &Value) -> Outcome<usize> {
    let cluster = cluster_of(state, region, text(body, "cluster"))?;
    let name = text(body, "service").rsplit('/').next().unwrap_or_default();
    let found = state.services.iter().rposition(|service| service.cluster_arn == cluster.arn && service.name == name);
    found.ok_or_else(|| Refusal::new("ServiceNotFoundException", "Service not found."))
}

/// Makes a cluster where there is none of this name.
pub(crate) fn ensure_cluster(state: &mut State, region: &str, name: &str) -> Cluster {
    if let Ok(cluster) = cluster_of(state, region, name) {
        return cluster.clone();
    }
    let name = if name.is_empty() { "default" } else { name };
    let cluster = Cluster { region: region.to_owned(), name: name.to_owned(), arn: arn("ecs", region, &format!("cluster/{name}")) };
    state.platform.clusters.push(cluster.clone());
    cluster
}

fn create_cluster(state: &mut State, region: &str, body: &Value) -> Outcome {
    let cluster = ensure_cluster(state, region, text(body, "clusterName"));
    Ok(json!({ "cluster": show_cluster(state, &cluster) }))
}

fn describe_clusters(state: &mut State, region: &str, body: &Value) -> Outcome {
    let mut asked = crate::simulator::wire::texts(body, "clusters");
    if asked.is_empty() {
        asked.push("default".to_owned());
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in asked {
        match cluster_of(state, region, &name) {
            Ok(cluster) => found.push(show_cluster(state, cluster)),
            Err(_) => {
                let short = name.rsplit('/').next().unwrap_or(&name);
                failures.push(json!({ "arn": arn("ecs", region, &format!("cluster/{short}")), "reason": "MISSING" }));
            }
        }
    }
    Ok(json!({ "clusters": found, "failures": failures }))
}

fn show_cluster(state: &State, cluster: &Cluster) -> Value {
    let inside: Vec<_> = state.services.iter().filter(|service| service.cluster_arn == cluster.arn).collect();
    let running: usize = inside.iter().map(|service| service.tasks.iter().filter(|task| task.phase == model::Phase::Running).count()).sum();
    json!({
        "clusterArn": cluster.arn,
        "clusterName": cluster.name,
        "status": "ACTIVE",
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": running,
        "pendingTasksCount": 0,
        "activeServicesCount": inside.iter().filter(|service| service.status == "ACTIVE").count(),
        "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
    })
}
