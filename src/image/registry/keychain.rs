//! Who supplies the login for which registry: what is written in the settings first, then the cloud's own session, Docker's own configuration,
//! the workflow's token for GitHub's registry; else nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::clock::Clock;
use crate::cloud::aws::{Session, ecr};
use crate::failure::Result;
use crate::http::Http;
use crate::runner::docker_config::{DockerConfig, DockerLogin};
use crate::values::Secret;

use super::google::ArtifactRegistry;
use super::login::{AccessTokens, Acr, Ecr, Fixed, Login, Supplier};
use crate::image::reference::RepositoryName;

/// Every login this run may use.
#[derive(Clone, Default)]
pub struct Keychain {
    /// `registry-username` and `registry-password`, and the registry they are for.
    pub written: Option<Written>,
    /// Sessions by region.
    pub aws: BTreeMap<String, Session>,
    /// Google Cloud's access tokens.
    pub google: Option<Arc<dyn AccessTokens>>,
    /// Entra's access tokens for registries, and the directory.
    pub azure: Option<(Arc<dyn AccessTokens>, Option<String>)>,
    /// The workflow's actor and token.
    pub github: Option<(String, Secret)>,
    /// Docker's own configuration.
    pub docker: Option<DockerConfig>,
}

/// A login as it is written in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The registry.
    pub host: String,
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

impl Keychain {
    /// Who supplies the login for the registry of `name`.
    pub fn supplier(&self, http: &Http, name: &RepositoryName) -> Arc<dyn Supplier> {
        if let Some(written) = self.written.as_ref().filter(|written| written.host == name.host()) {
            return password(&written.username, &written.password);
        }
        let region = ecr::Repository::parse(&name.to_string()).map(|place| place.region);
        let session = region.and_then(|region| self.aws.get(&region).cloned().or_else(|| self.aws.values().next()?.in_region(&region)));
        if let Some(session) = session {
            return Arc::new(Ecr { session });
        }
        let host = name.host();
        let is_azure = [".azurecr.io", ".azurecr.us", ".azurecr.cn"].iter().any(|suffix| host.ends_with(suffix));
        if let Some((tokens, tenant)) = self.azure.as_ref().filter(|_| is_azure) {
            return Arc::new(Acr { http: http.clone(), tokens: tokens.clone(), tenant: tenant.clone(), host: host.to_owned() });
        }
        let is_google = host.ends_with(".pkg.dev") || host == "gcr.io" || host.ends_with(".gcr.io");
        if let Some(tokens) = self.google.as_ref().filter(|_| is_google) {
            return Arc::new(ArtifactRegistry { http: http.clone(), tokens: tokens.clone() });
        }
        let workflow = self.github.clone().filter(|_| host == "ghcr.io");
        Arc::new(Kept { docker: self.docker.clone(), workflow, host: host.to_owned(), clock: http.clock().clone() })
    }
}

fn password(username: &str, password: &Secret) -> Arc<dyn Supplier> {
    Arc::new(Fixed(Login::Password { username: username.to_owned(), password: password.clone() }))
}

/// Docker's own configuration, else the workflow's token: who signed in in a step before meant it.
struct Kept {
    docker: Option<DockerConfig>,
    workflow: Option<(String, Secret)>,
    host: String,
    clock: Clock,
}

impl Supplier for Kept {
    fn login(&self) -> BoxFuture<'_, Result<Login>> {
        async {
            let kept = match &self.docker {
                Some(docker) => docker.login(&self.host, &self.clock).await?,
                None => None,
            };
            Ok(match (kept, &self.workflow) {
                (Some(DockerLogin::Password { username, password }), _) => Login::Password { username, password },
                (Some(DockerLogin::Identity(token)), _) => Login::Identity(token),
                (Some(DockerLogin::Token(token)), _) => Login::Token(token),
                (None, Some((actor, token))) => Login::Password { username: actor.clone(), password: token.clone() },
                (None, None) => Login::Anonymous,
            })
        }
        .boxed()
    }
}
