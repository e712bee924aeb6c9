//! How the client for the clouds' APIs is made: one TLS stack with compiled-in roots, redirects never followed.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::redirect::Policy;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::failure::{Failure, Result};

use super::proxy::Proxies;

/// The user agent of every request.
pub(super) const AGENT: &str = concat!("touchdown/", env!("CARGO_PKG_VERSION"));
/// Bounds a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Connections that idle longer are not used again: a server that hung up meanwhile would make a changing request look lost.
const IDLE: Duration = Duration::from_secs(15);

/// The client.
pub(super) fn client(tls: &ClientConfig, proxies: Proxies) -> Result<reqwest::Client> {
    let proxy = reqwest::Proxy::custom(move |url| proxies.for_url(url).cloned());
    // HTTP/1.1 on purpose: over HTTP/2 many servers grant a stream about 1 MB for each round trip, and all uploads would share one connection.
    let builder = reqwest::Client::builder().http1_only().user_agent(AGENT).redirect(Policy::none()).no_proxy().proxy(proxy);
    let builder = builder.tls_backend_preconfigured(tls.clone()).connect_timeout(CONNECT).pool_idle_timeout(IDLE);
    builder.build().map_err(|error| Failure::bug("the HTTP client cannot be made").why(error.to_string()))
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
