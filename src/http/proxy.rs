//! Which proxy a request goes through: `https_proxy` and `http_proxy`, lower case first, except where `no_proxy` says otherwise.
//! Loopback is never proxied. The rules are those of GitHub's own actions, and address ranges besides.
//! <https://github.com/actions/toolkit/blob/main/packages/http-client/src/proxy.ts> (2026-11)

use std::collections::BTreeMap;
use std::net::IpAddr;

use url::Url;

use crate::failure::{Failure, Result};

/// The proxies of this machine.
#[derive(Clone, Default)]
pub(super) struct Proxies {
    https: Option<Url>,
    http: Option<Url>,
    direct: Vec<String>,
}

impl Proxies {
    /// Reads the variables by name; empty ones are not set.
    pub(super) fn of(environment: &BTreeMap<String, String>) -> Result<Self> {
        let value = |name: &str| {
            let set = |name: &str| environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
            set(name).or_else(|| set(&name.to_uppercase()))
        };
        let proxy = |name: &str| value(name).map(|text| read(name, text)).transpose();
        let direct = value("no_proxy").unwrap_or_default().split([',', ' ']).map(|entry| entry.trim().to_lowercase());
        Ok(Self { https: proxy("https_proxy")?, http: proxy("http_proxy")?, direct: direct.filter(|entry| !entry.is_empty()).collect() })
    }

    /// The proxy for `url`, where it has one.
    pub(super) fn for_url(&self, url: &Url) -> Option<&Url> {
        let proxy = if url.scheme() == "https" { self.https.as_ref()? } else { self.http.as_ref()? };
        let host = url.host_str()?.to_lowercase();
        let port = url.port_or_known_default()?;
        let direct = loopback(&host) || self.direct.iter().any(|entry| excepts(entry, &host, port));
        (!direct).then_some(proxy)
    }
}

/// A proxy as people write it; without a scheme it is plain http. Its credentials never stand in an error.
fn read(name: &str, text: &str) -> Result<Url> {
    let unusable = || Failure::config(format!("{name} cannot be used")).fix("write it as http://host:port");
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&whole).map_err(|error| unusable().why(error.to_string()))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => Ok(url),
        scheme => Err(unusable().why(format!("proxies are spoken to by http or https, not {scheme}"))),
    }
}

fn loopback(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || literal(host).is_some_and(|address| address.is_loopback())
}

fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether `entry` of `no_proxy` means `host`: `*`, a host, a domain with or without a leading dot, `host:port`, or an address range.
fn excepts(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" || within(entry, host) {
        return true;
    }
    let named = |entry: &str, host: &str| {
        let bare = entry.trim_start_matches('.');
        host == bare || host.strip_suffix(bare).is_some_and(|rest| rest.ends_with('.'))
    };
    named(entry, host) || named(entry, &format!("{host}:{port}")) || literal(host).is_some_and(|address| literal(entry) == Some(address))
}

/// Whether the address `host` lies in the range `entry`, e.g. `10.0.0.0/8`.
fn within(entry: &str, host: &str) -> bool {
    let range = entry.split_once('/').and_then(|(start, bits)| Some((start.parse::<IpAddr>().ok()?, bits.parse::<u32>().ok()?)));
    match (range, literal(host)) {
        (Some((IpAddr::V4(start), bits)), Some(IpAddr::V4(host))) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or_default();
            start.to_bits() & mask == host.to_bits() & mask
        }
        (Some((IpAddr::V6(start), bits)), Some(IpAddr::V6(host))) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or_default();
            start.to_bits() & mask == host.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies> {
        Proxies::of(&variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn proxy(variables: &[(&str, &str)], url: &str) -> Option<String> {
        proxies(variables).unwrap().for_url(&Url::parse(url).unwrap()).map(ToString::to_string)
    }

    #[test]
    fn lower_case_goes_before_upper_case_and_an_empty_variable_is_not_set() {
        let url = "https://app.example.com/";
        assert_eq!(proxy(&[("https_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:2")], url).as_deref(), Some("http://a:1/"));
        assert_eq!(proxy(&[("https_proxy", ""), ("HTTPS_PROXY", "http://b:2")], url).as_deref(), Some("http://b:2/"));
        assert_eq!(proxy(&[("http_proxy", "http://a:1")], url), None, "https does not go through http_proxy");
        assert_eq!(proxy(&[("https_proxy", "proxy.corp:3128")], url).as_deref(), Some("http://proxy.corp:3128/"));
    }

    #[test]
    fn what_no_proxy_names_and_loopback_go_directly() {
        for (exceptions, host, direct) in [
            ("", "app.example.com", false),
            ("*", "app.example.com", true),
            ("app.example.com", "app.example.com", true),
            ("APP.example.com", "app.example.com", true),
            ("example.com", "app.example.com", true),
            (".example.com", "app.example.com", true),
            ("ample.com", "app.example.com", false),
            (".ample.com", "app.example.com", false),
            ("app.example.com:443", "app.example.com", true),
            ("app.example.com:8443", "app.example.com", false),
            ("other.com, app.example.com", "app.example.com", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("0.0.0.0/0", "11.1.2.3", true),
            ("10.0.0.0/33", "10.1.2.3", false),
            ("fd00::/8", "[fd12::1]", true),
            ("fd12::1", "[fd12::1]", true),
            ("", "localhost", true),
            ("", "127.0.0.9", true),
            ("", "[::1]", true),
        ] {
            let variables = [("https_proxy", "http://proxy:3128"), ("no_proxy", exceptions)];
            assert_eq!(proxy(&variables, &format!("https://{host}/")).is_none(), direct, "{exceptions:?} and {host}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_a_mistake_that_does_not_tell_its_password() {
        for text in ["socks5://user:hunter2@proxy", "http://user:hunter2@proxy:port"] {
            let failure = proxies(&[("https_proxy", text)]).err().unwrap();
            assert_eq!(failure.kind, crate::failure::Kind::Config);
            assert!(!failure.to_string().contains("hunter2"), "{failure}");
        }
    }
}
