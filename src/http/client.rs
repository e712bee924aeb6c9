//! How the client is made: one TLS stack with compiled-in roots, proxies from the variables handed in, redirects never followed.

use std::collections::BTreeMap;

use reqwest::redirect::Policy;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::failure::{Failure, Result};

/// The user agent of every request.
const AGENT: &str = concat!("touchdown/", env!("CARGO_PKG_VERSION"));

/// A builder with everything that all clients share.
pub(super) fn builder(tls: &ClientConfig, environment: &BTreeMap<String, String>) -> Result<reqwest::ClientBuilder> {
    let builder = reqwest::Client::builder().user_agent(AGENT).redirect(Policy::none()).no_proxy().tls_backend_preconfigured(tls.clone());
    proxies(environment)?.into_iter().try_fold(builder, |builder, proxy| Ok(builder.proxy(proxy)))
}

/// The compiled-in roots, and those of `SSL_CERT_FILE` for companies whose proxy signs everything anew.
pub(super) fn tls(environment: &BTreeMap<String, String>) -> Result<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(file) = environment.get("SSL_CERT_FILE").filter(|file| !file.is_empty()) {
        let unusable = |why: String| {
            Failure::config("SSL_CERT_FILE cannot be used")
                .why(format!("{file}: {why}"))
                .fix("name a readable PEM file with at least one certificate")
        };
        let certificates: Vec<CertificateDer<'static>> =
            CertificateDer::pem_file_iter(file).and_then(Iterator::collect).map_err(|error| unusable(error.to_string()))?;
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(unusable("it holds no certificate".to_owned()));
        }
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|error| Failure::bug("TLS cannot be set up").why(error.to_string()))?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

/// `https_proxy` and `http_proxy`, lower case first, with `no_proxy`; loopback is never proxied.
fn proxies(environment: &BTreeMap<String, String>) -> Result<Vec<reqwest::Proxy>> {
    let value = |name: &str| {
        let upper = name.to_uppercase();
        [name, upper.as_str()].into_iter().find_map(|name| environment.get(name)).filter(|value| !value.is_empty())
    };
    let direct = format!("localhost,127.0.0.0/8,::1,{}", value("no_proxy").map_or("", String::as_str));
    let direct = || reqwest::NoProxy::from_string(&direct);
    let unusable = |name: &str| Failure::config(format!("{name} cannot be used")).fix("write it as http://host:port");
    let mut proxies = Vec::new();
    if let Some(url) = value("https_proxy") {
        proxies.push(reqwest::Proxy::https(url).map_err(|_| unusable("https_proxy"))?.no_proxy(direct()));
    }
    if let Some(url) = value("http_proxy") {
        proxies.push(reqwest::Proxy::http(url).map_err(|_| unusable("http_proxy"))?.no_proxy(direct()));
    }
    Ok(proxies)
}
