//! Where users reach a service: from its target group to the internet-facing load balancer, the listener and the rule that lead there.
//! The reading of the answers is pure.

use roxmltree::{Document, Node};

use crate::cloud::aws::Session;
use crate::cloud::aws::signed::{self, ELB};
use crate::failure::Result;
use crate::values::{Address, NamedBy};

/// What was found out about the way to a service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Found {
    /// The address, if there is one.
    pub(super) address: Option<Address>,
    /// Why there is none, or what to know about it.
    pub(super) notes: Vec<String>,
}

/// The address users reach `target_group` at.
pub(super) async fn find(session: &Session, target_group: &str) -> Result<Found> {
    let fields = [("TargetGroupArns.member.1".to_owned(), target_group.to_owned())];
    let groups = match signed::query(session, ELB, "DescribeTargetGroups", &fields).await? {
        Ok(xml) => xml,
        Err(refusal) if refusal.is_denied() => {
            let note = "the load balancer cannot be read, so no address is known: allow elasticloadbalancing:Describe*, or set health.url";
            return Ok(Found { address: None, notes: vec![note.to_owned()] });
        }
        Err(refusal) => return Err(refusal.into_failure("the target group cannot be read")),
    };
    let Some(balancer) = texts(&groups, "LoadBalancerArns", "member").into_iter().next() else {
        return Ok(Found { address: None, notes: vec!["the target group hangs on no load balancer".to_owned()] });
    };
    let fields = [("LoadBalancerArns.member.1".to_owned(), balancer.clone())];
    let balancers = read(session, "DescribeLoadBalancers", &fields).await?;
    if signed::element(&balancers, "Scheme").as_deref() != Some("internet-facing") {
        let note = "the load balancer is internal: health is not asked from here; set health.url if the runner can reach it";
        return Ok(Found { address: None, notes: vec![note.to_owned()] });
    }
    let Some(dns) = signed::element(&balancers, "DNSName") else { return Ok(Found::default()) };
    let listeners = listeners(&read(session, "DescribeListeners", &[("LoadBalancerArn".to_owned(), balancer)]).await?);
    let mut ways = Vec::new();
    for listener in listeners {
        let rules = if listener.protocol.starts_with("HTTP") {
            read(session, "DescribeRules", &[("ListenerArn".to_owned(), listener.arn.clone())]).await?
        } else {
            String::new()
        };
        ways.extend(ways_of(&listener, &rules, target_group));
    }
    Ok(best(ways, &dns))
}

async fn read(session: &Session, action: &str, fields: &[(String, String)]) -> Result<String> {
    let said = signed::query(session, ELB, action, fields).await?;
    said.map_err(|refusal| refusal.into_failure(format!("{action} was refused")))
}

#[derive(Debug, Clone)]
struct Listener {
    arn: String,
    protocol: String,
    port: String,
    default_groups: Vec<String>,
}

/// One way from a listener to the target group.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    scheme: &'static str,
    port: String,
    host: Option<String>,
    wildcard: Option<String>,
}

fn listeners(xml: &str) -> Vec<Listener> {
    let Ok(document) = Document::parse(xml) else { return Vec::new() };
    let all = document.descendants().filter(|node| named(*node, "Listeners")).flat_map(|node| node.children());
    all.filter(|node| named(*node, "member"))
        .map(|node| Listener {
            arn: child(node, "ListenerArn"),
            protocol: child(node, "Protocol"),
            port: child(node, "Port"),
            default_groups: groups(node, "DefaultActions"),
        })
        .collect()
}

fn ways_of(listener: &Listener, rules: &str, target_group: &str) -> Vec<Way> {
    let scheme = if matches!(listener.protocol.as_str(), "HTTPS" | "TLS") { "https" } else { "http" };
    let way = |host: Option<String>, wildcard: Option<String>| Way { scheme, port: listener.port.clone(), host, wildcard };
    let mut ways: Vec<Way> = Vec::new();
    if let Ok(document) = Document::parse(rules) {
        let all = document.descendants().filter(|node| named(*node, "Rules")).flat_map(|node| node.children());
        for rule in all.filter(|node| named(*node, "member")) {
            if !groups(rule, "Actions").iter().any(|group| group == target_group) {
                continue;
            }
            let hosts = hosts(rule);
            let concrete = hosts.iter().find(|host| !host.contains(['*', '?'])).cloned();
            ways.push(way(concrete, hosts.into_iter().next()));
        }
    }
    if ways.is_empty() && listener.default_groups.iter().any(|group| group == target_group) {
        ways.push(way(None, None));
    }
    ways
}

/// HTTPS with a name, then anything with a name, then plain HTTP, then HTTPS whose certificate cannot match.
fn best(ways: Vec<Way>, dns: &str) -> Found {
    let rank = |way: &Way| match (way.scheme, &way.host, &way.wildcard) {
        ("https", Some(_), _) => 0,
        (_, Some(_), _) => 1,
        ("http", None, None) => 2,
        ("https", None, None) => 3,
        _ => 4,
    };
    let Some(way) = ways.into_iter().min_by_key(rank) else {
        return Found { address: None, notes: vec!["no listener of the load balancer leads to the target group".to_owned()] };
    };
    let mut notes = Vec::new();
    if way.host.is_none() && (way.scheme == "https" || way.wildcard.is_some()) {
        let rule = way.wildcard.as_deref().map(|host| format!(" (its rule is for {host})")).unwrap_or_default();
        notes.push(format!("the listener names no host{rule}, so the certificate or the rule may not match: set health.url"));
    }
    let host = way.host.unwrap_or_else(|| dns.to_owned());
    let usual = matches!((way.scheme, way.port.as_str()), ("https", "443") | ("http", "80"));
    let port = if usual { String::new() } else { format!(":{}", way.port) };
    let via = (host != dns).then(|| dns.to_owned());
    Found { address: Some(Address { url: format!("{}://{host}{port}", way.scheme), via, named_by: NamedBy::Platform }), notes }
}

/// The target groups an element's actions forward to.
fn groups(node: Node<'_, '_>, actions: &str) -> Vec<String> {
    let inside = node.children().filter(|child| named(*child, actions)).flat_map(|actions| actions.descendants());
    inside.filter(|node| named(*node, "TargetGroupArn")).filter_map(|node| node.text().map(str::to_owned)).collect()
}

fn hosts(rule: Node<'_, '_>) -> Vec<String> {
    let conditions = rule.descendants().filter(|node| named(*node, "Conditions")).flat_map(|node| node.children());
    let by_host = conditions.filter(|condition| child(*condition, "Field") == "host-header");
    let mut hosts: Vec<String> = by_host
        .flat_map(|condition| condition.descendants())
        .filter(|node| named(*node, "Values"))
        .flat_map(|values| values.children().filter(|value| named(*value, "member")))
        .filter_map(|value| value.text().map(str::to_owned))
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    hosts
}

fn texts(xml: &str, list: &str, item: &str) -> Vec<String> {
    let Ok(document) = Document::parse(xml) else { return Vec::new() };
    let lists = document.descendants().filter(|node| named(*node, list)).flat_map(|node| node.children());
    lists.filter(|node| named(*node, item)).filter_map(|node| node.text().map(str::to_owned)).collect()
}

fn named(node: Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

fn child(node: Node<'_, '_>, name: &str) -> String {
    node.children().find(|child| named(*child, name)).and_then(|child| child.text()).unwrap_or_default().to_owned()
}
