//! Opens repositories with whatever login this run has for their registries.

use crate::config::plan::RegistryAuth;
use crate::failure::Result;
use crate::http::Http;
use crate::image::reference::RepositoryName;
use crate::image::registry::keychain::{Keychain, Written};
use crate::image::registry::login::Login;
use crate::image::registry::{Entrance, Purpose, Repository};
use crate::runner::docker_config::DockerConfig;
use crate::runner::log::Log;

use crate::mode::context::Context;
use crate::mode::members::Sessions;

/// Every registry this run may speak to.
#[derive(Clone)]
pub(crate) struct Registries {
    http: Http,
    log: Log,
    auth: RegistryAuth,
    keychain: Keychain,
}

impl Registries {
    /// With the logins of the settings, of the cloud sessions, of the workflow and of Docker's own configuration.
    pub(crate) fn of(context: &Context, auth: &RegistryAuth, sessions: &Sessions) -> Result<Self> {
        [&auth.written, &auth.github].into_iter().flatten().for_each(|(_, password)| context.log.mask(password));
        let docker = DockerConfig::of(&context.env)?;
        let keychain = Keychain { aws: sessions.by_region(), github: auth.github.clone(), docker, ..Keychain::default() };
        Ok(Self { http: context.http.clone(), log: context.log.clone(), auth: auth.clone(), keychain })
    }

    /// A repository the settings are about: the written login is its registry's.
    pub(crate) fn open(&self, name: &RepositoryName, purpose: Purpose) -> Repository {
        self.entered(name, purpose, self.with_the_written(name))
    }

    /// A repository an image is taken from: the written login is for where it goes, unless that is the same registry.
    pub(crate) fn source(&self, name: &RepositoryName, to: &RepositoryName) -> Repository {
        if name.host() == to.host() {
            return self.open(name, Purpose::Pull);
        }
        self.entered(name, Purpose::Pull, self.keychain.clone())
    }

    /// What a registry is shown that somebody else speaks to for us.
    pub(crate) async fn login(&self, name: &RepositoryName) -> Result<Login> {
        self.with_the_written(name).supplier(&self.http, name).login().await
    }

    fn with_the_written(&self, name: &RepositoryName) -> Keychain {
        let written = self.auth.written.clone();
        let written = written.map(|(username, password)| Written { host: name.host().to_owned(), username, password });
        Keychain { written, ..self.keychain.clone() }
    }

    fn entered(&self, name: &RepositoryName, purpose: Purpose, keychain: Keychain) -> Repository {
        let supplier = keychain.supplier(&self.http, name);
        Repository::new(name.clone(), purpose, Entrance { http: self.http.clone(), log: self.log.clone(), supplier })
    }
}
