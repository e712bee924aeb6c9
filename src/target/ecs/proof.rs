//! What the platform itself shows of a release that has arrived: its running tasks, what they run, and their targets.
//! Each call may be refused; then there is one fact less.

use serde_json::{Value, json};

use crate::cloud::aws::signed::{self, ELB};

use super::Ecs;
use super::evidence::{TargetHealth, private_address, targets};
use super::release::Release;
use super::shown::{list, moment, number, primary, short, text};

/// What is seen of the running tasks.
pub(super) enum Proof {
    /// Facts for the report.
    Facts(Vec<String>),
    /// Tasks should run, may be listed, and none of the release is.
    NothingRuns,
}

impl Ecs {
    /// Facts beyond ECS's own word.
    pub(super) async fn proof(&self, release: &Release, service: &Value) -> Proof {
        let counts = primary(service).map(|primary| (number(primary, "runningCount"), number(primary, "desiredCount")));
        let (running, desired) = counts.unwrap_or_default();
        let mut facts = vec![format!("{running} of {desired} tasks run {}", short(&release.task_definition))];
        let Some(tasks) = self.listed_tasks(release, "RUNNING").await else { return Proof::Facts(facts) };
        let tasks: Vec<Value> = tasks.into_iter().filter(|task| text(task, "lastStatus") == "RUNNING").collect();
        if tasks.is_empty() && desired > 0 {
            return Proof::NothingRuns;
        }
        facts.extend(image(release, &tasks));
        let healthy = tasks.iter().filter(|task| text(task, "healthStatus") == "HEALTHY").count();
        if healthy > 0 {
            facts.push(format!("{healthy} healthy by their container's own check"));
        }
        facts.extend(in_balancer(&tasks, &self.targets(service).await));
        Proof::Facts(facts)
    }

    /// Tasks of the release, newest first; none when we may not see them. `desired`: `RUNNING` or `STOPPED`.
    pub(super) async fn tasks(&self, release: &Release, desired: &str) -> Vec<Value> {
        self.listed_tasks(release, desired).await.unwrap_or_default()
    }

    async fn listed_tasks(&self, release: &Release, desired: &str) -> Option<Vec<Value>> {
        let body = json!({ "cluster": self.settings.cluster, "serviceName": self.order.service, "desiredStatus": desired });
        let Ok(Ok(listed)) = self.api.list_tasks(body).await else { return None };
        let arns: Vec<&Value> = list(&listed, "taskArns").take(100).collect();
        if arns.is_empty() {
            return Some(Vec::new());
        }
        let body = json!({ "cluster": self.settings.cluster, "tasks": arns });
        let Ok(Ok(described)) = self.api.describe_tasks(body).await else { return None };
        let of_release = list(&described, "tasks").filter(|task| text(task, "taskDefinitionArn") == release.task_definition);
        let mut tasks: Vec<Value> = of_release.cloned().collect();
        tasks.sort_by_key(|task| std::cmp::Reverse(moment(task, "createdAt")));
        Some(tasks)
    }

    /// What the load balancers think of the service's targets, in both groups of a blue/green service.
    pub(super) async fn targets(&self, service: &Value) -> Vec<TargetHealth> {
        let groups = list(service, "loadBalancers")
            .flat_map(|one| [text(one, "targetGroupArn"), text(&one["advancedConfiguration"], "alternateTargetGroupArn")]);
        let mut all = Vec::new();
        for group in groups.filter(|group| !group.is_empty()) {
            let fields = [("TargetGroupArn".to_owned(), group.to_owned())];
            if let Ok(Ok(xml)) = signed::query(&self.session, ELB, "DescribeTargetHealth", &fields).await {
                all.extend(targets(&xml));
            }
        }
        all
    }
}

/// How many tasks run the digest that was shipped: by what they pulled, or by a reference that can mean nothing else.
fn image(release: &Release, tasks: &[Value]) -> Option<String> {
    let (_, digest) = release.image.split_once('@')?;
    let ships = |container: &Value| {
        let pulled = text(container, "imageDigest") == digest || text(container, "image").ends_with(&format!("@{digest}"));
        text(container, "name") == release.container && pulled
    };
    let count = tasks.iter().filter(|task| list(task, "containers").any(ships)).count();
    (count > 0).then(|| format!("{count} running with {}", digest.get(..19).unwrap_or(digest)))
}

fn in_balancer(tasks: &[Value], targets: &[TargetHealth]) -> Option<String> {
    let addresses: Vec<&str> = tasks.iter().filter_map(private_address).collect();
    let healthy = targets.iter().filter(|target| target.state == "healthy");
    let count = healthy.filter(|target| addresses.is_empty() || addresses.contains(&target.id.as_str())).count();
    (count > 0).then(|| {
        let which = if addresses.is_empty() { "targets" } else { "of its tasks" };
        format!("{count} {which} healthy in the load balancer")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{in_balancer, targets};

    fn task(address: &str) -> Value {
        json!({ "attachments": [{ "details": [{ "name": "privateIPv4Address", "value": address }] }] })
    }

    #[test]
    fn only_targets_of_the_release_count() {
        let xml = |id: &str, state: &str| {
            format!("<member><Target><Id>{id}</Id><Port>80</Port></Target><TargetHealth><State>{state}</State></TargetHealth></member>")
        };
        let all = [xml("10.0.0.1", "healthy"), xml("10.0.0.2", "initial"), xml("10.0.0.9", "healthy")].concat();
        let seen = targets(&format!("<R><TargetHealthDescriptions>{all}</TargetHealthDescriptions></R>"));
        assert_eq!(
            in_balancer(&[task("10.0.0.1"), task("10.0.0.2")], &seen).as_deref(),
            Some("1 of its tasks healthy in the load balancer")
        );
        assert_eq!(in_balancer(&[json!({})], &seen).as_deref(), Some("2 targets healthy in the load balancer"));
        assert_eq!(in_balancer(&[task("10.0.0.2")], &seen), None);
    }
}
