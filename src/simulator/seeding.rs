//! Fills a world: a service from its seed, with task definition, cluster, load balancer, listeners and rules.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::simulator::ecs::model::Definition;
use crate::simulator::ecs::{definitions, ensure_cluster, releases, services};
use crate::simulator::elb::{Listener, LoadBalancer, Rule, TargetGroup};
use crate::simulator::seed::{Balancer, Past, ServiceSeed, Strategy};
use crate::simulator::wire::{Outcome, text};
use crate::simulator::world::{Pace, State, arn};

/// Makes a service with all it stands on.
pub(crate) fn add(state: &mut State, seed: &ServiceSeed) -> Outcome<()> {
    let cluster = seed.cluster.rsplit('/').next().unwrap_or_default().to_owned();
    ensure_cluster(state, &seed.region, &cluster);
    let registered = definitions::register(state, &seed.region, &seed.task_definition())?;
    let definition = registered.pointer("/taskDefinition/taskDefinitionArn").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut body = seed.create_service(&definition);
    if let Some(balancers) = balance(state, seed) {
        body["loadBalancers"] = balancers;
    }
    // It was made an hour ago and is at rest: its first rollout took no time.
    let (pace, now) = (state.platform.pace, state.platform.now);
    state.platform.pace = Pace::of(Duration::ZERO);
    state.platform.now = Timestamp(now.0.saturating_sub(3_600_000));
    let created = services::create(state, &seed.region, &body, seed.answers.clone());
    (state.platform.pace, state.platform.now) = (pace, now);
    created?;
    let State { services: all, platform, .. } = state;
    let Some(service) = all.last_mut() else { return Ok(()) };
    service.hosts.clone_from(&seed.hosts);
    match seed.past {
        Past::NeverRan => releases::never_ran(service, platform, now),
        Past::Serves => {
            let containers = platform.definition(&seed.region, &definition).map(Definition::containers).unwrap_or_default();
            let images: Vec<String> = containers.iter().map(|container| text(container, "image").to_owned()).collect();
            platform.old_images.extend(images);
            service.good.insert(definition);
        }
    }
    Ok(())
}

/// Makes what stands before a service; gives `loadBalancers` of CreateService.
fn balance(state: &mut State, seed: &ServiceSeed) -> Option<Value> {
    let (kind, scheme) = match seed.balancer {
        Balancer::Nothing => return None,
        Balancer::Classic => {
            let name = format!("{}-classic", seed.name);
            return Some(json!([{ "loadBalancerName": name, "containerName": seed.container, "containerPort": seed.port }]));
        }
        Balancer::Public => ("application", "internet-facing"),
        Balancer::Internal => ("application", "internal"),
        Balancer::Network => ("network", "internet-facing"),
    };
    let short = if kind == "network" { "net" } else { "app" };
    let id = state.platform.hex(16);
    let name = format!("{}-{}", seed.name, seed.cluster.rsplit('/').next().unwrap_or_default());
    let balancer = arn("elasticloadbalancing", &seed.region, &format!("loadbalancer/{short}/{name}/{id}"));
    let shifts = seed.strategy != Strategy::Rolling;
    let groups: Vec<String> = ["blue", "green"]
        .iter()
        .take(if shifts { 2 } else { 1 })
        .map(|color| {
            let group = target_group(state, seed, &balancer, color);
            let arn = group.arn.clone();
            state.platform.target_groups.push(group);
            arn
        })
        .collect();
    let listeners = listeners(state, seed, &balancer, &groups);
    let rule = listeners.first().and_then(|listener| listener.rules.first()).map(|rule| rule.arn.clone());
    let prefix = if scheme == "internal" { "internal-" } else { "" };
    let dns = format!("{prefix}{name}-{}.{}.elb.amazonaws.com", &id[..8], seed.region);
    state.platform.balancers.push(LoadBalancer { arn: balancer, name, dns, scheme, kind, listeners });
    let mut entry = json!({ "targetGroupArn": groups[0], "containerName": seed.container, "containerPort": seed.port });
    if let Some(other) = groups.get(1) {
        let role = "arn:aws:iam::123456789012:role/ecs-load-balancers";
        entry["advancedConfiguration"] = json!({ "alternateTargetGroupArn": other, "productionListenerRule": rule, "roleArn": role });
    }
    Some(json!([entry]))
}

fn target_group(state: &mut State, seed: &ServiceSeed, balancer: &str, color: &str) -> TargetGroup {
    let name = format!("{}-{color}", seed.name);
    let id = state.platform.hex(16);
    TargetGroup {
        arn: arn("elasticloadbalancing", &seed.region, &format!("targetgroup/{name}/{id}")),
        name,
        port: seed.port,
        protocol: if seed.balancer == Balancer::Network { "TCP" } else { "HTTP" },
        health_path: "/health".to_owned(),
        balancer: balancer.to_owned(),
    }
}

fn listeners(state: &mut State, seed: &ServiceSeed, balancer: &str, groups: &[String]) -> Vec<Listener> {
    let (first, second, rule) = (state.platform.hex(16), state.platform.hex(16), state.platform.hex(16));
    let base = balancer.replacen(":loadbalancer/", ":listener/", 1);
    let network = seed.balancer == Balancer::Network;
    let ruled = !network && (seed.host.is_some() || !seed.path_patterns.is_empty());
    let rules = ruled.then(|| Rule {
        arn: format!("{}/{first}/{rule}", balancer.replacen(":loadbalancer/", ":listener-rule/", 1)),
        priority: 10,
        hosts: seed.host.iter().cloned().collect(),
        paths: seed.path_patterns.clone(),
        target_groups: groups.to_vec(),
    });
    let certificate = arn("acm", &seed.region, &format!("certificate/{first}"));
    let secure = Listener {
        arn: format!("{base}/{first}"),
        port: 443,
        protocol: if network { "TLS" } else { "HTTPS" },
        certificate: Some(certificate),
        default: Some(if ruled { String::new() } else { groups[0].clone() }),
        rules: rules.into_iter().collect(),
    };
    let plain =
        Listener { arn: format!("{base}/{second}"), port: 80, protocol: "HTTP", certificate: None, default: None, rules: Vec::new() };
    if network { vec![secure] } else { vec![secure, plain] }
}
