//! Which way to a service is taken, and by which name.

use super::{Balancer, Found, Listener, Way, balancers, choose, fits, listeners, ways_through};
use crate::values::{Address, NamedBy};

const GROUP: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/1";
const DNS: &str = "web-123.eu-west-1.elb.amazonaws.com";

fn way() -> Way {
    Way { dns: DNS.to_owned(), public: true, secure: true, port: 443, certificate: Some("arn:aws:acm:…".to_owned()), ..Way::default() }
}

fn plain() -> Way {
    Way { secure: false, port: 80, certificate: None, ..way() }
}

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

fn at(url: &str, via: Option<&str>) -> Option<Address> {
    Some(Address { url: url.to_owned(), via: via.map(str::to_owned), named_by: NamedBy::Platform })
}

#[test]
fn the_host_of_the_rule_is_the_name_and_the_load_balancer_is_connected_to() {
    let found = choose(&[plain(), Way { hosts: names(&["*.example.com", "app.example.com"]), ..way() }]);
    assert_eq!(found, Found { address: at("https://app.example.com", Some(DNS)), notes: vec![] });
}

#[test]
fn without_a_host_in_the_rule_the_certificate_tells_the_name() {
    let certified = |all: &[&str]| Way { certified: names(all), ..way() };
    assert_eq!(choose(&[certified(&["*.example.com", "app.example.com"])]).address, at("https://app.example.com", Some(DNS)));
    let nameless = choose(&[certified(&["*.example.com"])]);
    assert_eq!(nameless.address, None);
    assert!(nameless.notes[0].contains("acm:DescribeCertificate") && nameless.notes[0].contains("health.url"));
}

#[test]
fn a_pattern_in_the_rule_takes_a_name_of_the_certificate_that_it_lets_through() {
    let ruled = Way { hosts: names(&["*.example.com"]), certified: names(&["example.org", "api.example.com"]), ..way() };
    assert_eq!(choose(&[ruled]).address, at("https://api.example.com", Some(DNS)));
    let found = choose(&[Way { hosts: names(&["*.example.com"]), ..plain() }]);
    assert_eq!(found.address, None);
    assert!(found.notes[0].contains("*.example.com"));
}

#[test]
fn plain_http_without_a_rule_is_called_by_the_load_balancers_own_name() {
    assert_eq!(choose(&[plain()]), Found { address: at(&format!("http://{DNS}"), None), notes: vec![] });
    assert_eq!(choose(&[Way { port: 8080, ..plain() }]).address, at(&format!("http://{DNS}:8080"), None));
}

#[test]
fn a_way_with_a_name_goes_before_one_without_and_https_before_http() {
    let secure = Way { hosts: names(&["app.example.com"]), port: 8443, ..way() };
    let same_plain = Way { hosts: names(&["app.example.com"]), ..plain() };
    assert_eq!(choose(&[same_plain.clone(), secure]).address, at("https://app.example.com:8443", Some(DNS)));
    assert_eq!(choose(&[way(), same_plain]).address, at("http://app.example.com", Some(DNS)));
}

#[test]
fn a_rule_for_some_paths_or_with_further_conditions_is_told_and_taken_last() {
    let narrow = Way { hosts: names(&["app.example.com"]), paths: names(&["/api/*"]), ..way() };
    let found = choose(std::slice::from_ref(&narrow));
    assert!(found.address.is_some() && found.notes[0].contains("only /api/*"), "{found:?}");
    let wide = Way { hosts: names(&["www.example.com"]), ..way() };
    assert_eq!(choose(&[narrow.clone(), wide]).address, at("https://www.example.com", Some(DNS)));
    let strange = Way { paths: vec![], further: names(&["http-header"]), ..narrow };
    assert!(choose(&[strange]).notes[0].contains("http-header"));
    let all = Way { hosts: names(&["app.example.com"]), paths: names(&["/*"]), ..way() };
    assert_eq!(choose(&[all]).notes, Vec::<String>::new());
}

#[test]
fn an_internal_load_balancer_or_none_has_no_address_and_says_so() {
    assert!(choose(&[Way { public: false, ..plain() }]).notes[0].contains("internal"));
    assert!(choose(&[]).notes[0].contains("health.url"));
    assert_eq!(
        choose(&[Way { public: false, hosts: names(&["app.example.com"]), ..way() }, plain()]).address,
        at(&format!("http://{DNS}"), None)
    );
}

fn balancer() -> Balancer {
    Balancer { arn: "arn:lb".to_owned(), dns: DNS.to_owned(), public: true }
}

fn listener(protocol: &str, port: u16) -> Listener {
    let default_groups = vec![GROUP.to_owned()];
    Listener { arn: "arn:l".to_owned(), protocol: protocol.to_owned(), port, certificate: None, default_groups }
}

#[test]
fn a_network_load_balancer_passes_plain_tcp_and_udp_is_nobodys_health() {
    let through = |protocol, port| ways_through(&balancer(), &listener(protocol, port), "", GROUP);
    assert_eq!(choose(&through("TCP", 8080)).address, at(&format!("http://{DNS}:8080"), None));
    assert!(choose(&through("TCP", 443)).notes[0].contains("TLS ends behind"));
    assert_eq!(through("UDP", 53), vec![]);
    let certified: Vec<Way> = through("TLS", 443).into_iter().map(|way| Way { certified: names(&["app.example.com"]), ..way }).collect();
    assert_eq!(choose(&certified).address, at("https://app.example.com", Some(DNS)));
}

#[test]
fn only_rules_that_lead_to_the_target_group_are_ways_weighted_ones_included() {
    let rules = format!(
        r#"<DescribeRulesResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><DescribeRulesResult><Rules>
      <member><Priority>1</Priority><Conditions><member><Field>host-header</Field><Values><member>other.example.com</member></Values></member></Conditions>
        <Actions><member><Type>forward</Type><TargetGroupArn>arn:other</TargetGroupArn></member></Actions></member>
      <member><Priority>2</Priority><Conditions>
        <member><Field>host-header</Field><Values><member>app.example.com</member></Values><HostHeaderConfig><Values><member>app.example.com</member></Values></HostHeaderConfig></member>
        <member><Field>path-pattern</Field><PathPatternConfig><Values><member>/v1/*</member></Values></PathPatternConfig></member>
        <member><Field>http-request-method</Field><HttpRequestMethodConfig><Values><member>GET</member></Values></HttpRequestMethodConfig></member></Conditions>
        <Actions><member><Type>forward</Type><ForwardConfig><TargetGroups>
          <member><TargetGroupArn>arn:green</TargetGroupArn><Weight>0</Weight></member>
          <member><TargetGroupArn>{GROUP}</TargetGroupArn><Weight>100</Weight></member></TargetGroups></ForwardConfig></member></Actions></member>
      <member><Priority>default</Priority><Conditions/><Actions><member><Type>redirect</Type></member></Actions></member>
    </Rules></DescribeRulesResult></DescribeRulesResponse>"#
    );
    let ways = ways_through(&balancer(), &listener("HTTPS", 443), &rules, GROUP);
    let expected = Way {
        hosts: names(&["app.example.com"]),
        paths: names(&["/v1/*"]),
        further: names(&["http-request-method"]),
        certificate: None,
        ..way()
    };
    assert_eq!(ways, [expected]);
}

#[test]
fn load_balancers_and_listeners_are_read_as_aws_writes_them() {
    let xml = format!(
        "<R><LoadBalancers><member><LoadBalancerArn>arn:lb</LoadBalancerArn><DNSName>{DNS}</DNSName><Scheme>internet-facing</Scheme></member></LoadBalancers></R>"
    );
    assert_eq!(balancers(&xml), [balancer()]);
    let xml = format!(
        "<R><Listeners><member><ListenerArn>arn:l</ListenerArn><Port>443</Port><Protocol>HTTPS</Protocol>
        <Certificates><member><CertificateArn>arn:aws:acm:1</CertificateArn></member></Certificates>
        <DefaultActions><member><Type>forward</Type><TargetGroupArn>{GROUP}</TargetGroupArn></member></DefaultActions></member>
        <member><Port>no number</Port></member></Listeners></R>"
    );
    let expected = Listener { certificate: Some("arn:aws:acm:1".to_owned()), ..listener("HTTPS", 443) };
    assert_eq!(listeners(&xml), [expected]);
    assert_eq!((balancers("not xml"), listeners("<R/>")), (vec![], vec![]));
}

#[test]
fn host_patterns_are_those_of_the_load_balancer() {
    for (pattern, name, expected) in [
        ("*.example.com", "a.b.example.com", true),
        ("*.example.com", "example.com", false),
        ("app-?.example.com", "app-1.example.com", true),
        ("APP.example.com", "app.Example.com", true),
        ("app.example.com", "app.example.com.evil", false),
        ("*", "", true),
    ] {
        assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
    }
    assert!(!fits("", "äöü"));
}
