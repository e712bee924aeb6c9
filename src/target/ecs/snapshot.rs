//! What really serves, and what the next revision would be. Reads only.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cloud::aws::signed::Refusal;
use crate::failure::{Failure, Kind, Result};
use crate::target::{Before, Captured};
use crate::values::PinnedImage;

use super::release::Snapshot;
use super::shown::{list, moment, primary, short, text};
use super::{Ecs, mark, revision};

/// States in which a service deployment is under way.
const UNDER_WAY: [&str; 5] = ["PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"];

/// How long a new service deployment may be missing from the list.
const UNLISTED: Duration = Duration::from_secs(60);

/// Reads what serves: the last successful task definition when the present deployment is not completed.
pub(super) async fn take(ecs: &Ecs) -> Result<Captured<Snapshot>> {
    let service = ecs.service().await?;
    refuse_what_we_cannot(ecs, &service)?;
    let (present, in_flight) = present(ecs, &service).await;
    let (task_definition, served) = match &present {
        Present::Serves(arn) => (arn.clone(), true),
        Present::NeverServed(arn) => (arn.clone(), false),
    };
    let snapshot = Snapshot {
        service_arn: text(&service, "serviceArn").to_owned(),
        task_definition: task_definition.clone(),
        deployment: primary(&service).map(|primary| text(primary, "id").to_owned()).unwrap_or_default(),
        desired_count: service["desiredCount"].as_u64().unwrap_or_default(),
    };
    let found = ecs.found(&service).await?;
    let mut notes = found.notes;
    let Runs { image, deregistered, on } = running(ecs, &service, &task_definition).await;
    if deregistered {
        notes.push(format!("{} is deregistered: ECS may refuse to go back to it", short(&task_definition)));
    }
    Ok(Captured {
        before: if served { Before::Running(snapshot) } else { Before::NeverServed(snapshot) },
        revision: Some(short(&task_definition)),
        image,
        address: found.address,
        mark: mark::read(&service).map(Box::new),
        runs_on: ecs.definition.as_ref().map_or(on, runs_on),
        reads_zstd: reads_zstd(&service),
        in_flight,
        notes,
    })
}

enum Present {
    Serves(String),
    NeverServed(String),
}

/// Which task definition serves, and whether a deployment is under way.
async fn present(ecs: &Ecs, service: &Value) -> (Present, Option<String>) {
    let Some(primary) = primary(service) else { return (Present::NeverServed(text(service, "taskDefinition").to_owned()), None) };
    let arn = text(primary, "taskDefinition").to_owned();
    let completed = matches!(text(primary, "rolloutState"), "COMPLETED" | "");
    let count = |deployment: &Value| deployment["runningCount"].as_u64().unwrap_or_default();
    if completed && (count(primary) > 0 || service["desiredCount"] == 0 || text(primary, "rolloutState") == "COMPLETED") {
        return (Present::Serves(arn), None);
    }
    let failed = text(primary, "rolloutState") == "FAILED";
    // A deployment that has just begun is not listed for some seconds.
    let young = ecs.session.http().clock().now().since(moment(primary, "createdAt")) < UNLISTED;
    let under_way = match under_way(ecs, service).await {
        Some(true) => true,
        Some(false) => young && !failed,
        None => !failed,
    };
    let in_flight = under_way.then(|| {
        format!(
            "deployment {} of {} is {}",
            text(primary, "id"),
            short(&arn),
            text(primary, "rolloutState").to_lowercase().replace('_', " ")
        )
    });
    if let Some(last) = last_successful(ecs, service).await {
        return (Present::Serves(last), in_flight);
    }
    let others = list(service, "deployments").filter(|deployment| deployment["status"] != "PRIMARY");
    match others.filter(|deployment| count(deployment) > 0).max_by_key(|deployment| count(deployment)) {
        Some(old) => (Present::Serves(text(old, "taskDefinition").to_owned()), in_flight),
        None if count(primary) > 0 && text(primary, "rolloutState") != "FAILED" => (Present::Serves(arn), in_flight),
        None => (Present::NeverServed(arn), in_flight.filter(|_| false)),
    }
}

/// Whether a service deployment is under way; `None`: not for us to see.
async fn under_way(ecs: &Ecs, service: &Value) -> Option<bool> {
    let body = json!({ "cluster": ecs.settings.cluster, "service": text(service, "serviceArn"), "status": UNDER_WAY });
    match ecs.api.list_service_deployments(body).await {
        Ok(Ok(answer)) => Some(answer["serviceDeployments"].as_array().is_some_and(|all| !all.is_empty())),
        Ok(Err(refusal)) => {
            ecs.not_seen(&refusal);
            None
        }
        Err(_) => None,
    }
}

/// The task definition of the last successful service deployment.
async fn last_successful(ecs: &Ecs, service: &Value) -> Option<String> {
    let ended = ["SUCCESSFUL", "ROLLBACK_SUCCESSFUL"];
    let body = json!({ "cluster": ecs.settings.cluster, "service": text(service, "serviceArn"), "status": ended });
    let Ok(Ok(answer)) = ecs.api.list_service_deployments(body).await else { return None };
    let newest = list(&answer, "serviceDeployments").max_by_key(|one| moment(one, "createdAt"))?;
    let revision = if text(newest, "status") == "ROLLBACK_SUCCESSFUL" {
        let described = ecs.api.describe_service_deployments(json!({ "serviceDeploymentArns": [newest["serviceDeploymentArn"]] })).await;
        let Ok(Ok(answer)) = described else { return None };
        text(&answer["serviceDeployments"][0]["rollback"], "serviceRevisionArn").to_owned()
    } else {
        text(newest, "targetServiceRevisionArn").to_owned()
    };
    let Ok(Ok(answer)) = ecs.api.describe_service_revisions(json!({ "serviceRevisionArns": [revision] })).await else { return None };
    answer["serviceRevisions"][0]["taskDefinition"].as_str().map(str::to_owned)
}

/// What a task definition tells of what runs.
#[derive(Default)]
struct Runs {
    image: Option<String>,
    deregistered: bool,
    on: Option<&'static str>,
}

/// What a task definition's containers run on: Fargate's default is Intel, a cluster's own machines may be anything.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RuntimePlatform.html> (2026-11)
pub(crate) fn runs_on(definition: &Value) -> Option<&'static str> {
    let platform = &definition["runtimePlatform"];
    let windows = text(platform, "operatingSystemFamily").starts_with("WINDOWS");
    let mut kinds = list(definition, "requiresCompatibilities").peekable();
    let on_fargate = kinds.peek().is_some() && kinds.all(|kind| kind == "FARGATE");
    match text(platform, "cpuArchitecture") {
        "ARM64" => Some("linux/arm64"),
        "X86_64" | "" if windows => Some("windows/amd64"),
        "X86_64" => Some("linux/amd64"),
        "" if on_fargate => Some("linux/amd64"),
        _ => None,
    }
}

/// Fargate reads zstd on Linux since its platform version 1.4.0; a cluster's own machines as their Docker does.
/// <https://aws.amazon.com/blogs/containers/reducing-aws-fargate-startup-times-with-zstd-compressed-container-images/> (2026-11)
fn reads_zstd(service: &Value) -> bool {
    let mut providers = list(service, "capacityProviderStrategy").map(|provider| text(provider, "capacityProvider")).peekable();
    let by_providers = providers.peek().is_some() && providers.all(|provider| provider.starts_with("FARGATE"));
    let version = text(service, "platformVersion");
    let recent = version == "LATEST" || semver::Version::parse(version).is_ok_and(|version| version >= semver::Version::new(1, 4, 0));
    let windows = text(service, "platformFamily").to_ascii_lowercase().starts_with("windows");
    (by_providers || text(service, "launchType") == "FARGATE") && recent && !windows
}

/// The image that serves, with the digest that really runs: ECS resolves a tag once for each revision of the service.
async fn running(ecs: &Ecs, service: &Value, task_definition: &str) -> Runs {
    let Ok(Ok(answer)) = ecs.api.describe_task_definition(json!({ "taskDefinition": task_definition })).await else {
        return Runs::default();
    };
    let definition = &answer["taskDefinition"];
    let runs = Runs { image: None, deregistered: text(definition, "status") == "INACTIVE", on: runs_on(definition) };
    let Ok(index) = revision::container(definition, &ecs.order, balanced(service)) else { return runs };
    let container = &definition["containerDefinitions"][index];
    let image = text(container, "image").to_owned();
    let digest = if image.contains('@') { None } else { resolved(ecs, service, task_definition, text(container, "name")).await };
    Runs { image: Some(digest.map_or_else(|| image.clone(), |digest| format!("{image}@{digest}"))), ..runs }
}

/// The digest a service revision resolved the container's image to.
async fn resolved(ecs: &Ecs, service: &Value, task_definition: &str, container: &str) -> Option<String> {
    let arns: Vec<&Value> = list(service, "currentServiceRevisions").map(|one| &one["arn"]).collect();
    if arns.is_empty() || ecs.is_blind() {
        return None;
    }
    let Ok(Ok(answer)) = ecs.api.describe_service_revisions(json!({ "serviceRevisionArns": arns })).await else { return None };
    let revision = list(&answer, "serviceRevisions").find(|one| text(one, "taskDefinition") == task_definition)?;
    let image = list(revision, "containerImages").find(|one| text(one, "containerName") == container)?;
    image["imageDigest"].as_str().map(str::to_owned)
}

/// The container the load balancer leads to.
pub(super) fn balanced(service: &Value) -> Option<&str> {
    list(service, "loadBalancers").find_map(|balancer| balancer["containerName"].as_str())
}

/// The next revision, before it is made.
pub(super) struct Next {
    pub(super) body: Value,
    pub(super) changes: Vec<String>,
    /// The serving revision already is what was asked for: nothing is registered.
    pub(super) same_revision: bool,
    pub(super) serving: String,
    pub(super) deployment: String,
    pub(super) container: String,
    pub(super) desired_count: Option<u64>,
}

/// Renders what would be registered, and says what differs.
pub(super) async fn next_revision(ecs: &Ecs, image: &PinnedImage, before: &Before<Snapshot>) -> Result<Next> {
    let (Before::Running(snapshot) | Before::NeverServed(snapshot)) = before else { return Err(missing(ecs)) };
    let service = ecs.service().await?;
    let asked = json!({ "taskDefinition": snapshot.task_definition, "include": ["TAGS"] });
    let said = ecs.api.describe_task_definition(asked).await?;
    let answer =
        said.map_err(|refusal| ecs.refused(refusal, "the serving task definition cannot be read", "ecs:DescribeTaskDefinition"))?;
    let (serving, tags) = (&answer["taskDefinition"], &answer["tags"]);
    let balanced = balanced(&service);
    let base = ecs.definition.as_ref().unwrap_or(serving);
    let wanted = revision::Wanted { order: &ecs.order, settings: &ecs.settings, image: &image.reference(), balanced };
    let body = revision::render(base, tags, &wanted)?;
    prove_possible(ecs, &service, &body)?;
    let mut changes = revision::changes(&revision::registrable(serving, tags), &body);
    let same_revision = changes.is_empty();
    let points_at = primary(&service).map(|primary| text(primary, "taskDefinition")).unwrap_or_default();
    if same_revision && points_at != snapshot.task_definition {
        changes.push(format!(
            "task definition: {} (its deployment did not succeed) → {}",
            short(points_at),
            short(&snapshot.task_definition)
        ));
    }
    let desired_count = ecs.settings.desired_count.map(u64::from).filter(|count| service["desiredCount"].as_u64() != Some(*count));
    if let Some(count) = desired_count {
        changes.push(format!("desired count: {} → {count}", service["desiredCount"]));
    }
    if ecs.settings.force && changes.is_empty() {
        changes.push("nothing differs: deployed anew, as force asks".to_owned());
    }
    let index = revision::container(&body, &ecs.order, balanced)?;
    Ok(Next {
        container: text(&body["containerDefinitions"][index], "name").to_owned(),
        body,
        changes,
        same_revision,
        serving: snapshot.task_definition.clone(),
        deployment: snapshot.deployment.clone(),
        desired_count,
    })
}

/// Something must be able to prove the release: an address, the load balancer, or the container's own check.
fn prove_possible(ecs: &Ecs, service: &Value, body: &Value) -> Result<()> {
    let balanced = service["loadBalancers"].as_array().is_some_and(|balancers| !balancers.is_empty());
    let own_check = list(body, "containerDefinitions").any(|container| container["healthCheck"].is_object());
    if balanced || own_check || ecs.order.address_given || ecs.order.health_waived {
        return Ok(());
    }
    Err(Failure::config(format!("{}: nothing can prove that the new release is healthy", ecs.order.name))
        .why("the service has no load balancer, its task definition no healthCheck, and health.url is not set")
        .fix("set health.url, or give the container a healthCheck, or set health.path to none with a reason"))
}

/// Controllers and modes this target does not drive, each refused by its name.
fn refuse_what_we_cannot(ecs: &Ecs, service: &Value) -> Result<()> {
    let refuse = |what: &str, fix: &str| Err(Failure::config(format!("{}: {what}", ecs.order.name)).fix(fix));
    if text(service, "status") != "ACTIVE" {
        let status = text(service, "status").to_lowercase();
        return Err(Failure::new(Kind::Missing, format!("{}: the service {} is {status}", ecs.order.name, ecs.order.service))
            .why("a deleted service stays visible for a while")
            .fix("create the service again (Terraform, console), then deploy"));
    }
    match text(&service["deploymentController"], "type") {
        "CODE_DEPLOY" => {
            return refuse(
                "the service is deployed by CodeDeploy, which is not driven yet",
                "switch its deployment controller to ECS (in place since 2025), or deploy with CodeDeploy",
            );
        }
        "EXTERNAL" => {
            return refuse(
                "the service has an external deployment controller",
                "switch its deployment controller to ECS: its task sets belong to another tool",
            );
        }
        _ => {}
    }
    if text(service, "schedulingStrategy") == "DAEMON" && ecs.settings.desired_count.is_some() {
        return refuse("a daemon service runs one task on each instance, so it has no desired count", "remove desired-count");
    }
    if text(service, "resourceManagementType") == "ECS" {
        return refuse(
            "this is an Express Mode service, which is not driven yet",
            "update it with `aws ecs update-express-gateway-service`",
        );
    }
    Ok(())
}

/// No such service, and what to look at.
pub(super) fn missing(ecs: &Ecs) -> Failure {
    let (service, cluster, region) = (&ecs.order.service, &ecs.settings.cluster, ecs.session.region());
    Failure::new(Kind::Missing, format!("{}: there is no service {service} in the cluster {cluster} in {region}", ecs.order.name))
        .why(format!("signed in to account {}", ecs.session.identity().account))
        .fix("check service, cluster and region: a service of another region or account is not seen")
        .fix("create the service first (Terraform, console): Touchdown deploys services, it does not design them")
}

/// The service cannot be read.
pub(super) fn unreadable(ecs: &Ecs, refusal: Refusal) -> Failure {
    if refusal.code == "ClusterNotFoundException" {
        let (cluster, region) = (&ecs.settings.cluster, ecs.session.region());
        return Failure::new(Kind::Missing, format!("{}: there is no cluster {cluster} in {region}", ecs.order.name))
            .why(format!("signed in to account {}", ecs.session.identity().account))
            .fix("check cluster and region");
    }
    ecs.refused(refusal, "the service cannot be read", "ecs:DescribeServices")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn zstd_is_for_fargate_on_linux_from_1_4_on() {
        for (service, reads) in [
            (json!({ "launchType": "FARGATE", "platformVersion": "LATEST", "platformFamily": "Linux" }), true),
            (json!({ "launchType": "FARGATE", "platformVersion": "1.4.0" }), true),
            (json!({ "launchType": "FARGATE", "platformVersion": "1.3.0" }), false),
            (json!({ "launchType": "FARGATE" }), false),
            (json!({ "launchType": "FARGATE", "platformVersion": "LATEST", "platformFamily": "WINDOWS_SERVER_2022_CORE" }), false),
            (json!({ "launchType": "EC2", "platformVersion": "LATEST" }), false),
            (json!({ "capacityProviderStrategy": [{ "capacityProvider": "FARGATE_SPOT" }], "platformVersion": "1.4.0" }), true),
            (
                json!({ "capacityProviderStrategy": [{ "capacityProvider": "FARGATE" }, { "capacityProvider": "own" }], "platformVersion": "1.4.0" }),
                false,
            ),
        ] {
            assert_eq!(reads_zstd(&service), reads, "{service}");
        }
    }
}
