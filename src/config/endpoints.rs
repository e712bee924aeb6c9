//! Overridden addresses: plain http only to loopback, other hosts only when that is allowed, and always told. It calls none of them.

use std::collections::BTreeMap;

use url::Host;

use crate::cloud::aws::AwsEndpoints;
use crate::http::Endpoints;
use crate::runner::env::Env;
use crate::runner::mistake::Mistake;
use crate::runner::workspace::Workspace;

/// What the environment overrides.
#[derive(Default)]
pub(super) struct Overridden {
    pub(super) hosts: Endpoints,
    pub(super) aws: AwsEndpoints,
    pub(super) notes: Vec<String>,
    pub(super) mistakes: Vec<Mistake>,
}

/// Whether hosts other than loopback may be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// `allow-endpoint-overrides: true`.
    Everywhere,
    /// By default.
    Loopback,
}

/// Reads `AWS_ENDPOINT_URL…` and `TOUCHDOWN_ENDPOINT_…`. What is refused is left out.
pub(super) fn endpoints(env: &Env, allowed: Allowed) -> Overridden {
    let (mut read, mut hosts) = (Overridden::default(), BTreeMap::new());
    // <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html> (2026-11)
    let ignored = env.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    for (name, value) in env.iter().filter(|(_, value)| !value.is_empty()) {
        let of_aws = name.strip_prefix("AWS_ENDPOINT_URL").filter(|rest| !ignored && (rest.is_empty() || rest.starts_with('_')));
        let of_host = name.strip_prefix("TOUCHDOWN_ENDPOINT_");
        if of_aws.is_none() && of_host.is_none() {
            continue;
        }
        match judge(value, allowed) {
            Err((what, write)) => {
                read.mistakes.push(Mistake::new(name, what, write));
                continue;
            }
            Ok(Where::Loopback) => {}
            Ok(Where::Elsewhere) => read.notes.push(format!("{name} sends requests to {value}")),
        }
        match (of_aws, of_host) {
            (Some(""), _) => read.aws.all = Some(value.to_owned()),
            (Some(service), _) => {
                read.aws.by_service.insert(service.trim_start_matches('_').to_lowercase().replace('_', ""), value.to_owned());
            }
            (None, Some(host)) => {
                hosts.insert(host.to_owned(), value.to_owned());
            }
            (None, None) => {}
        }
    }
    Overridden { hosts: Endpoints(hosts), ..read }
}

/// What else stands between us and the clouds: a proxy and further certificates are told, and certificates of the checkout are refused.
pub(super) fn way(env: &Env, workspace: &Workspace, notes: &mut Vec<String>) -> Option<Mistake> {
    let proxies = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];
    for name in proxies {
        let host = env.get(name).and_then(|value| url::Url::parse(value).ok()).and_then(|url| url.host_str().map(str::to_owned));
        notes.extend(host.map(|host| format!("requests go through the proxy {host} ({name})")));
    }
    let file = env.get("SSL_CERT_FILE").filter(|file| !file.is_empty())?;
    if env.get("GITHUB_WORKSPACE").is_some() && workspace.holds(file) {
        let what = "names certificates of the checkout: whoever can change a branch could read every request";
        return Some(Mistake::new("SSL_CERT_FILE", what, "name a file that the runner's image brings along"));
    }
    notes.push(format!("the certificates of {file} are trusted too (SSL_CERT_FILE)"));
    None
}

enum Where {
    Loopback,
    Elsewhere,
}

fn judge(value: &str, allowed: Allowed) -> Result<Where, (&'static str, &'static str)> {
    let url = url::Url::parse(value).map_err(|_| ("is no address", "write https://…, or http:// on loopback"))?;
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(("is no address", "write https://…, or http:// on loopback")),
    };
    match (url.scheme(), loopback, allowed) {
        ("http" | "https", true, _) => Ok(Where::Loopback),
        ("https", false, Allowed::Everywhere) => Ok(Where::Elsewhere),
        ("https", false, Allowed::Loopback) => {
            Err(("sends requests to another host", "set allow-endpoint-overrides: true if this is meant"))
        }
        _ => Err(("sends requests to another host in the clear", "write https://…, or http:// on loopback")),
    }
}
