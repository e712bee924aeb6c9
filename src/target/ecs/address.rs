//! Where users reach a service: from its target group to the internet-facing load balancer, the listener and the rule that lead there,
//! and the name they use. Reading and choosing are pure; `find` only asks.

#[cfg(test)]
mod tests;

use roxmltree::{Document, Node};
use serde_json::json;

use crate::cloud::aws::Session;
use crate::cloud::aws::signed::{self, ACM, ELB, Refusal};
use crate::failure::{Kind, Result};
use crate::values::{Address, NamedBy};

use super::shown::{list, text};

/// What was found out about the way to a service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Found {
    /// The address, if there is one.
    pub(super) address: Option<Address>,
    /// Why there is none, or what to know about it.
    pub(super) notes: Vec<String>,
}

impl Found {
    fn nothing(why: impl Into<String>) -> Self {
        Self { address: None, notes: vec![why.into()] }
    }
}

/// The address users reach `target_group` at. A refused look is a note; only what may pass in a moment is a failure.
pub(super) async fn find(session: &Session, target_group: &str) -> Result<Found> {
    match ways_to(session, target_group).await? {
        Ok(ways) => Ok(choose(&ways)),
        Err(refusal) if refusal.kind() == Kind::Transient => Err(refusal.into_failure("the load balancer could not be read")),
        Err(refusal) if refusal.is_denied() => Ok(Found::nothing(
            "the load balancer may not be read, so no address is known: allow elasticloadbalancing:Describe… (examples/aws/policy.json), or set health.url",
        )),
        Err(refusal) => Ok(Found::nothing(format!(
            "the load balancer could not be read ({}: {}), so no address is known",
            refusal.code, refusal.message
        ))),
    }
}

/// Every way from a load balancer to the target group, with the names that are known.
async fn ways_to(session: &Session, target_group: &str) -> Result<Result<Vec<Way>, Refusal>> {
    let asked = |name: &str, values: &[String]| -> Vec<(String, String)> {
        values.iter().enumerate().map(|(index, value)| (format!("{name}.member.{}", index + 1), value.clone())).collect()
    };
    let groups = asked("TargetGroupArns", &[target_group.to_owned()]);
    let arns = match signed::query(session, ELB, "DescribeTargetGroups", &groups).await? {
        Ok(xml) => members(&xml, "LoadBalancerArns", |node| node.text().map(str::to_owned)),
        Err(refusal) => return Ok(Err(refusal)),
    };
    if arns.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let balancers = match signed::query(session, ELB, "DescribeLoadBalancers", &asked("LoadBalancerArns", &arns)).await? {
        Ok(xml) => balancers(&xml),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut ways = Vec::new();
    for balancer in balancers {
        let fields = [("LoadBalancerArn".to_owned(), balancer.arn.clone())];
        let listeners = match signed::query(session, ELB, "DescribeListeners", &fields).await? {
            Ok(xml) => listeners(&xml),
            Err(refusal) => return Ok(Err(refusal)),
        };
        for listener in listeners {
            let rules = match rules(session, &listener).await? {
                Ok(xml) => xml,
                Err(refusal) => return Ok(Err(refusal)),
            };
            ways.extend(ways_through(&balancer, &listener, &rules, target_group));
        }
    }
    for way in &mut ways {
        way.certified = certified(session, way).await;
    }
    Ok(Ok(ways))
}

/// The rules of a listener; only those of Application Load Balancers have any.
async fn rules(session: &Session, listener: &Listener) -> Result<Result<String, Refusal>> {
    if !listener.protocol.starts_with("HTTP") {
        return Ok(Ok(String::new()));
    }
    signed::query(session, ELB, "DescribeRules", &[("ListenerArn".to_owned(), listener.arn.clone())]).await
}

/// The names on the certificate, where the rule does not tell one; none when they may not be read.
async fn certified(session: &Session, way: &Way) -> Vec<String> {
    let Some(arn) = way.certificate.as_ref().filter(|arn| arn.contains(":acm:") && way.concrete().is_none()) else { return Vec::new() };
    let Ok(Ok(answer)) = signed::json(session, ACM, "DescribeCertificate", &json!({ "CertificateArn": arn })).await else {
        return Vec::new();
    };
    let certificate = &answer["Certificate"];
    let further = list(certificate, "SubjectAlternativeNames").filter_map(serde_json::Value::as_str);
    let mut names: Vec<String> = std::iter::once(text(certificate, "DomainName")).chain(further).map(str::to_owned).collect();
    names.retain(|name| !name.is_empty());
    names
}

/// A load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Balancer {
    arn: String,
    dns: String,
    public: bool,
}

/// One of its listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listener {
    arn: String,
    protocol: String,
    port: u16,
    certificate: Option<String>,
    default_groups: Vec<String>,
}

/// One way from a load balancer to a target group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Way {
    dns: String,
    public: bool,
    secure: bool,
    port: u16,
    /// Host patterns of the rule; empty: any.
    hosts: Vec<String>,
    /// Path patterns of the rule; empty: any.
    paths: Vec<String>,
    /// What else the rule asks of a request: a header, a method, a source address.
    further: Vec<String>,
    /// ARN of the certificate, where the load balancer ends TLS.
    certificate: Option<String>,
    /// The names on it, where they are known.
    certified: Vec<String>,
}

impl Way {
    /// A host of the rule that is a name and no pattern.
    fn concrete(&self) -> Option<&str> {
        self.hosts.iter().map(String::as_str).find(|host| is_name(host))
    }

    /// The name users call: the rule's; else one of the certificate that the rule lets through; on plain HTTP without a rule any.
    fn name(&self) -> Option<&str> {
        let lets_through = |name: &&str| self.hosts.is_empty() || self.hosts.iter().any(|host| fits(host, name));
        let certified = || self.certified.iter().map(String::as_str).filter(|name| is_name(name)).find(lets_through);
        let own = || (!self.secure && self.hosts.is_empty()).then_some(self.dns.as_str());
        self.concrete().or_else(certified).or_else(own)
    }

    /// The better way has the lower rank.
    fn rank(&self) -> (bool, bool, bool, bool, bool) {
        (!self.public, self.name().is_none(), !self.further.is_empty(), !self.paths.is_empty(), !self.secure)
    }
}

/// The best way, as an address.
fn choose(ways: &[Way]) -> Found {
    let Some(way) = ways.iter().min_by_key(|way| way.rank()) else {
        return Found::nothing("no load balancer leads to the service's target group, so no address is known: set health.url");
    };
    if !way.public {
        return Found::nothing(
            "the load balancer is internal, so health is not asked from here: set health.url if this runner can reach the service",
        );
    }
    let Some(name) = way.name() else { return Found::nothing(nameless(way)) };
    let mut notes = Vec::new();
    if !way.paths.is_empty() && !way.paths.iter().any(|path| path == "/*" || path == "*") {
        notes.push(format!("the load balancer sends only {} to the service: health.path must be among it", way.paths.join(", ")));
    }
    if !way.further.is_empty() {
        notes.push(format!("the load balancer's rule also asks for {}: health requests may not reach the service", way.further.join(", ")));
    }
    let usual = way.port == if way.secure { 443 } else { 80 };
    let port = if usual { String::new() } else { format!(":{}", way.port) };
    let scheme = if way.secure { "https" } else { "http" };
    let via = (name != way.dns).then(|| way.dns.clone());
    Found { address: Some(Address { url: format!("{scheme}://{name}{port}"), via, named_by: NamedBy::Platform }), notes }
}

/// Why a way has no name that could be called.
fn nameless(way: &Way) -> String {
    let patterns = way.hosts.join(", ");
    match (way.hosts.is_empty(), &way.certificate) {
        (false, _) => format!("the load balancer's rule is for {patterns}, and no certain name is known: set health.url to one of them"),
        (true, Some(_)) => {
            "the listener has no rule with a host, and the name on its certificate is not known: allow acm:DescribeCertificate, or set health.url"
                .to_owned()
        }
        (true, None) => "TLS ends behind the load balancer, so the name of the service is not known: set health.url".to_owned(),
    }
}

fn is_name(host: &str) -> bool {
    !host.is_empty() && !host.contains(['*', '?'])
}

/// Whether a host pattern (`*`: any letters, `?`: one) lets `name` through.
fn fits(pattern: &str, name: &str) -> bool {
    fits_bytes(pattern.to_ascii_lowercase().as_bytes(), name.to_ascii_lowercase().as_bytes())
}

fn fits_bytes(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], []) => fits_bytes(rest, name),
        ([b'*', rest @ ..], [_, later @ ..]) => fits_bytes(rest, name) || fits_bytes(pattern, later),
        ([wanted, rest @ ..], [letter, later @ ..]) => (*wanted == b'?' || wanted == letter) && fits_bytes(rest, later),
        ([_, ..], []) | ([], [_, ..]) => false,
    }
}

fn ways_through(balancer: &Balancer, listener: &Listener, rules: &str, target_group: &str) -> Vec<Way> {
    // A network load balancer that passes TCP through does not tell what is spoken: on 443 it is taken for HTTPS.
    let secure = matches!(listener.protocol.as_str(), "HTTPS" | "TLS") || (listener.protocol.starts_with("TCP") && listener.port == 443);
    if matches!(listener.protocol.as_str(), "UDP" | "QUIC") {
        return Vec::new();
    }
    let way = Way {
        dns: balancer.dns.clone(),
        public: balancer.public,
        secure,
        port: listener.port,
        certificate: listener.certificate.clone(),
        ..Way::default()
    };
    let by_rule = members(rules, "Rules", |rule| {
        let condition = |field: &str| conditions(rule, field);
        let known = ["host-header", "path-pattern"];
        let further = fields(rule).into_iter().filter(|field| !known.contains(&field.as_str())).collect();
        let leads = groups(rule, "Actions").iter().any(|group| group == target_group);
        leads.then(|| Way { hosts: condition("host-header"), paths: condition("path-pattern"), further, ..way.clone() })
    });
    let by_default = listener.default_groups.iter().any(|group| group == target_group) && rules.is_empty();
    by_rule.into_iter().chain(by_default.then_some(way)).collect()
}

fn balancers(xml: &str) -> Vec<Balancer> {
    members(xml, "LoadBalancers", |node| {
        Some(Balancer {
            arn: child(node, "LoadBalancerArn"),
            dns: child(node, "DNSName"),
            public: child(node, "Scheme") == "internet-facing",
        })
    })
}

fn listeners(xml: &str) -> Vec<Listener> {
    members(xml, "Listeners", |node| {
        let certificate = node.descendants().find(|inner| named(*inner, "CertificateArn")).and_then(|inner| inner.text());
        Some(Listener {
            arn: child(node, "ListenerArn"),
            protocol: child(node, "Protocol"),
            port: child(node, "Port").parse().ok()?,
            certificate: certificate.map(str::to_owned),
            default_groups: groups(node, "DefaultActions"),
        })
    })
}

/// The target groups an element's actions forward to.
fn groups(node: Node<'_, '_>, actions: &str) -> Vec<String> {
    let inside = node.children().filter(|child| named(*child, actions)).flat_map(|actions| actions.descendants());
    inside.filter(|node| named(*node, "TargetGroupArn")).filter_map(|node| node.text().map(str::to_owned)).collect()
}

/// What a rule's conditions are about.
fn fields(rule: Node<'_, '_>) -> Vec<String> {
    inside(rule, "Conditions").map(|condition| child(condition, "Field")).filter(|field| !field.is_empty()).collect()
}

/// The values of a rule's conditions on `field`, each once: AWS tells them in an old place and a new one.
fn conditions(rule: Node<'_, '_>, field: &str) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for condition in inside(rule, "Conditions").filter(|condition| child(*condition, "Field") == field) {
        for list in condition.descendants().filter(|node| named(*node, "Values")) {
            for value in list.children().filter(|value| named(*value, "member")).filter_map(|value| value.text()) {
                if !values.iter().any(|known| known == value) {
                    values.push(value.to_owned());
                }
            }
        }
    }
    values
}

/// The members of the first list of this name.
fn members<T>(xml: &str, list: &str, read: impl Fn(Node<'_, '_>) -> Option<T>) -> Vec<T> {
    let Ok(document) = Document::parse(xml) else { return Vec::new() };
    let Some(found) = document.descendants().find(|node| named(*node, list)) else { return Vec::new() };
    found.children().filter(|node| named(*node, "member")).filter_map(read).collect()
}

/// The members of a list directly beneath `node`.
fn inside<'a, 'input>(node: Node<'a, 'input>, list: &'static str) -> impl Iterator<Item = Node<'a, 'input>> {
    let lists = node.children().filter(move |child| named(*child, list));
    lists.flat_map(|list| list.children()).filter(|member| named(*member, "member"))
}

fn named(node: Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

fn child(node: Node<'_, '_>, name: &str) -> String {
    node.children().find(|child| named(*child, name)).and_then(|child| child.text()).unwrap_or_default().to_owned()
}
