//! ELBv2: target groups, load balancers, listeners, rules, certificates, and the health of targets as the services' tasks have it.

use std::collections::BTreeMap;

use crate::simulator::ecs::model::{Fitness, Phase, Service, Task};
use crate::simulator::ecs::stages;
use crate::simulator::wire::{Outcome, Refusal, element, members, numbered};
use crate::simulator::world::State;

/// A load balancer.
#[derive(Debug, Clone)]
pub(crate) struct LoadBalancer {
    pub arn: String,
    pub name: String,
    pub dns: String,
    pub scheme: &'static str,
    /// `application` or `network`.
    pub kind: &'static str,
    pub listeners: Vec<Listener>,
}

/// A listener.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    pub arn: String,
    pub port: u16,
    pub protocol: &'static str,
    pub certificate: Option<String>,
    /// `None`: a redirect to HTTPS; an empty one: a fixed 404.
    pub default: Option<String>,
    pub rules: Vec<Rule>,
}

/// A rule; its targets share one service.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub arn: String,
    pub priority: u32,
    pub hosts: Vec<String>,
    pub paths: Vec<String>,
    pub target_groups: Vec<String>,
}

/// A target group.
#[derive(Debug, Clone)]
pub(crate) struct TargetGroup {
    pub arn: String,
    pub name: String,
    pub port: u16,
    pub protocol: &'static str,
    pub health_path: String,
    pub balancer: String,
}

/// Carries out one action; the answer is the inside of its result element.
pub(crate) fn answer(state: &State, action: &str, form: &BTreeMap<String, String>) -> Outcome<String> {
    match action {
        "DescribeTargetGroups" => target_groups(state, form),
        "DescribeLoadBalancers" => load_balancers(state, form),
        "DescribeListeners" => listeners(state, form),
        "DescribeRules" => rules(state, form),
        "DescribeListenerCertificates" => certificates(state, form),
        "DescribeTargetHealth" => target_health(state, form),
        other => Err(Refusal::new("InvalidAction", format!("the simulator does not model {other}"))),
    }
}

fn target_groups(state: &State, form: &BTreeMap<String, String>) -> Outcome<String> {
    let (arns, names) = (numbered(form, "TargetGroupArns"), numbered(form, "Names"));
    let known = &state.platform.target_groups;
    if let Some(missing) = arns.iter().find(|arn| !known.iter().any(|group| group.arn == **arn)) {
        return Err(Refusal::new("TargetGroupNotFound", format!("Target groups '{missing}' not found")));
    }
    let balancer = form.get("LoadBalancerArn");
    let chosen = known.iter().filter(|group| {
        (arns.is_empty() || arns.contains(&group.arn))
            && (names.is_empty() || names.contains(&group.name))
            && balancer.is_none_or(|balancer| *balancer == group.balancer)
    });
    Ok(members("TargetGroups", chosen.map(target_group)))
}

fn target_group(group: &TargetGroup) -> String {
    let http = group.protocol == "HTTP";
    let mut xml = element("TargetGroupArn", &group.arn) + &element("TargetGroupName", &group.name);
    xml += &element("Protocol", group.protocol);
    xml += &element("Port", &group.port.to_string());
    xml += &element("VpcId", "vpc-0a1b2c3d");
    xml += &element("HealthCheckProtocol", group.protocol);
    xml += &element("HealthCheckPort", "traffic-port");
    if http {
        xml += &element("HealthCheckPath", &group.health_path);
        xml += "<Matcher><HttpCode>200</HttpCode></Matcher>";
    }
    xml += "<HealthCheckEnabled>true</HealthCheckEnabled><HealthCheckIntervalSeconds>30</HealthCheckIntervalSeconds>";
    xml +=
        "<HealthyThresholdCount>5</HealthyThresholdCount><UnhealthyThresholdCount>2</UnhealthyThresholdCount><TargetType>ip</TargetType>";
    let balancers = Some(group.balancer.clone()).filter(|arn| !arn.is_empty());
    xml + &members("LoadBalancerArns", balancers.into_iter().map(|arn| crate::simulator::wire::escape(&arn)))
}

fn load_balancers(state: &State, form: &BTreeMap<String, String>) -> Outcome<String> {
    let (arns, names) = (numbered(form, "LoadBalancerArns"), numbered(form, "Names"));
    let known = &state.platform.balancers;
    if let Some(missing) = arns.iter().find(|arn| !known.iter().any(|balancer| balancer.arn == **arn)) {
        return Err(Refusal::new("LoadBalancerNotFound", format!("Load balancers '[{missing}]' not found")));
    }
    let wanted = |one: &&LoadBalancer| (arns.is_empty() || arns.contains(&one.arn)) && (names.is_empty() || names.contains(&one.name));
    let chosen = known.iter().filter(wanted);
    Ok(members(
        "LoadBalancers",
        chosen.map(|one| {
            let mut xml = element("LoadBalancerArn", &one.arn) + &element("LoadBalancerName", &one.name) + &element("DNSName", &one.dns);
            xml += &element("Scheme", one.scheme);
            xml += &element("Type", one.kind);
            xml += &element("CanonicalHostedZoneId", "Z32O12XQLNTSW2");
            xml + "<State><Code>active</Code></State><IpAddressType>ipv4</IpAddressType><VpcId>vpc-0a1b2c3d</VpcId>"
        }),
    ))
}

fn listeners(state: &State, form: &BTreeMap<String, String>) -> Outcome<String> {
    let (wanted, arns) = (form.get("LoadBalancerArn"), numbered(form, "ListenerArns"));
    if wanted.is_some_and(|arn| !state.platform.balancers.iter().any(|one| one.arn == *arn)) {
        return Err(Refusal::new("LoadBalancerNotFound", "One or more load balancers not found"));
    }
    let mut found = Vec::new();
    for balancer in state.platform.balancers.iter().filter(|one| wanted.is_none_or(|arn| *arn == one.arn)) {
        for listener in balancer.listeners.iter().filter(|one| arns.is_empty() || arns.contains(&one.arn)) {
            let mut xml = element("ListenerArn", &listener.arn) + &element("LoadBalancerArn", &balancer.arn);
            xml += &element("Port", &listener.port.to_string());
            xml += &element("Protocol", listener.protocol);
            let certificate = listener.certificate.iter().map(|arn| element("CertificateArn", arn));
            xml += &members("Certificates", certificate);
            xml += &members("DefaultActions", [default_action(state, listener)]);
            found.push(xml);
        }
    }
    Ok(members("Listeners", found))
}

fn default_action(state: &State, listener: &Listener) -> String {
    match listener.default.as_deref() {
        None => {
            let redirect = "<RedirectConfig><Protocol>HTTPS</Protocol><Port>443</Port><StatusCode>HTTP_301</StatusCode></RedirectConfig>";
            format!("<Type>redirect</Type>{redirect}")
        }
        Some("") => "<Type>fixed-response</Type><FixedResponseConfig><StatusCode>404</StatusCode></FixedResponseConfig>".to_owned(),
        Some(group) => forward(state, &[group.to_owned()]),
    }
}

/// A forward action with the weights the service's deployment gives its target groups now.
fn forward(state: &State, groups: &[String]) -> String {
    let service =
        state.services.iter().find(|service| service.target_groups().0.is_some_and(|first| groups.iter().any(|one| one == first)));
    let weights = service.map_or((100.0, 0.0), stages::weights);
    let tuples = groups.iter().enumerate().map(|(index, arn)| {
        let weight = if index == 0 { weights.0 } else { weights.1 };
        element("TargetGroupArn", arn) + &element("Weight", &format!("{weight:.0}"))
    });
    let mut xml = "<Type>forward</Type>".to_owned();
    if let [only] = groups {
        xml += &element("TargetGroupArn", only);
    }
    xml + "<ForwardConfig>" + &members("TargetGroups", tuples) + "</ForwardConfig>"
}

fn rules(state: &State, form: &BTreeMap<String, String>) -> Outcome<String> {
    let wanted = form.get("ListenerArn").map(String::as_str).unwrap_or_default();
    let listener = state.platform.balancers.iter().flat_map(|one| &one.listeners).find(|listener| listener.arn == wanted);
    let listener = listener.ok_or_else(|| Refusal::new("ListenerNotFound", "One or more listeners not found"))?;
    let mut found: Vec<String> = listener
        .rules
        .iter()
        .map(|rule| {
            let mut xml = element("RuleArn", &rule.arn) + &element("Priority", &rule.priority.to_string());
            xml += &members("Conditions", conditions(rule));
            xml += &members("Actions", [forward(state, &rule.target_groups)]);
            xml + "<IsDefault>false</IsDefault>"
        })
        .collect();
    let default = members("Actions", [default_action(state, listener)]);
    let arn = element("RuleArn", &format!("{}/default", listener.arn.replacen(":listener/", ":listener-rule/", 1)));
    found.push(format!("{arn}<Priority>default</Priority><Conditions/>{default}<IsDefault>true</IsDefault>"));
    Ok(members("Rules", found))
}

fn conditions(rule: &Rule) -> Vec<String> {
    let condition = |field: &str, config: &str, values: &[String]| {
        let escaped = || values.iter().map(|value| crate::simulator::wire::escape(value));
        let mut xml = element("Field", field) + &members("Values", escaped());
        xml += &format!("<{config}>{}</{config}>", members("Values", escaped()));
        xml
    };
    let hosts = (!rule.hosts.is_empty()).then(|| condition("host-header", "HostHeaderConfig", &rule.hosts));
    let paths = (!rule.paths.is_empty()).then(|| condition("path-pattern", "PathPatternConfig", &rule.paths));
    hosts.into_iter().chain(paths).collect()
}

fn certificates(state: &State, form: &BTreeMap<String, String>) -> Outcome<String> {
    let wanted = form.get("ListenerArn").map(String::as_str).unwrap_or_default();
    let listener = state.platform.balancers.iter().flat_map(|one| &one.listeners).find(|listener| listener.arn == wanted);
    let listener = listener.ok_or_else(|| Refusal::new("ListenerNotFound", "One or more listeners not found"))?;
    let certificate = listener.certificate.iter().map(|arn| element("CertificateArn", arn) + "<IsDefault>true</IsDefault>");
    Ok(members("Certificates", certificate))
}

fn target_health(state: &State, form: &BTreeMap<String, String>) -> Outcome<String> {
    let wanted = form.get("TargetGroupArn").map(String::as_str).unwrap_or_default();
    if !state.platform.target_groups.iter().any(|group| group.arn == wanted) {
        return Err(Refusal::new("TargetGroupNotFound", "One or more target groups not found"));
    }
    let mut found = Vec::new();
    for service in &state.services {
        for task in targets(service, wanted) {
            found.push(description(task, state.platform.now));
        }
    }
    Ok(members("TargetHealthDescriptions", found))
}

/// The tasks registered with a target group: those that run, and those that drain.
pub(crate) fn targets<'a>(service: &'a Service, group: &str) -> Vec<&'a Task> {
    let (first, other) = service.target_groups();
    let registered = |task: &&Task| matches!(task.phase, Phase::Running | Phase::Deactivating);
    let inside = |task: &&Task| if task.alternate { other == Some(group) } else { first == Some(group) };
    service.tasks.iter().filter(registered).filter(inside).collect()
}

fn description(task: &Task, now: crate::clock::Timestamp) -> String {
    let broken = task.breaks_at.is_some_and(|at| at <= now);
    let (state, reason, words) = match task.fitness {
        Fitness::Draining => ("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"),
        Fitness::Initial => ("initial", "Elb.RegistrationInProgress", "Target registration is in progress"),
        Fitness::Unhealthy => ("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [500]"),
        Fitness::Healthy | Fitness::Unchecked if broken => {
            ("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [500]")
        }
        Fitness::Healthy | Fitness::Unchecked => ("healthy", "", ""),
    };
    let mut health = element("State", state);
    if !reason.is_empty() {
        health += &(element("Reason", reason) + &element("Description", words));
    }
    let target = element("Id", &task.ip) + "<Port>8080</Port><AvailabilityZone>a</AvailabilityZone>";
    format!("<Target>{target}</Target><HealthCheckPort>8080</HealthCheckPort><TargetHealth>{health}</TargetHealth>")
}
