//! The containerd store: the engine pushes the image itself, as it is, with our login. What is ours: the name it pushes under, which is put back as it
//! was, its progress, another try where that helps, and the digest that must come out.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use http::Method;
use serde_json::json;

use crate::failure::{Failure, Kind, Result};
use crate::http::{Answer, Intent, NoAnswer};
use crate::image::content::Platform;
use crate::image::platform::listed;
use crate::image::reference::RepositoryName;
use crate::image::registry::login::Login;
use crate::values::Digest;

use super::report::{self, Report};
use super::{Daemon, Inspected, encoded, encoded_platform, refused};

pub use super::report::Advance;

/// An image of the containerd store.
pub struct Delivery {
    daemon: Daemon,
    /// What its name means: an index, or one image.
    image: Inspected,
    platform: Option<Platform>,
    /// The digest that must come out, where it is known: of the platform's image where one is chosen and the engine tells it.
    expected: Option<Digest>,
}

/// Where the engine is to push to.
pub struct Destination<'a> {
    /// The repository.
    pub repository: &'a RepositoryName,
    /// The tag it is to have there: a push of the engine needs one.
    pub tag: &'a str,
    /// What the registry is shown.
    pub login: &'a Login,
}

/// What the engine pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its digest in the registry.
    pub digest: Digest,
    /// Whether that is the digest which was to come out. Where a platform was chosen and the engine could not tell its digest beforehand, and where
    /// not every platform of an index was in the store, it is not known; and older engines push the whole index whatever was chosen.
    pub as_expected: bool,
}

impl Delivery {
    pub(super) async fn new(daemon: Daemon, image: Inspected, platform: Option<Platform>) -> Result<Self> {
        let Some(asked) = &platform else {
            let expected = Some(image.id.clone());
            return Ok(Self { daemon, image, platform, expected });
        };
        let there = image.platforms();
        if there.iter().all(|one| one.is_known() && !one.suits(asked)) && (image.is_single() || image.manifests.is_some()) {
            return Err(super::unsuited(asked, &there));
        }
        if image.is_single() {
            let expected = Some(image.id.clone());
            return Ok(Self { daemon, image, platform: None, expected });
        }
        // From engine 28.1 on it is told here which image of the index that is.
        let chosen = daemon.inspect(&daemon.kept.to_string(), platform.as_ref()).await?;
        let expected = chosen.filter(Inspected::is_single).map(|chosen| chosen.id);
        Ok(Self { daemon, image, platform, expected })
    }

    pub(super) fn image(&self) -> &Inspected {
        &self.image
    }

    /// The digest that will come out, where it is known: whoever finds it at the destination need not push.
    pub fn expected(&self) -> Option<&Digest> {
        self.expected.as_ref()
    }

    /// Lets the engine push, and tells how it goes.
    pub async fn deliver(&self, to: &Destination<'_>, progress: &(dyn Fn(Advance) + Send + Sync)) -> Result<Delivered> {
        let name = format!("{}:{}", to.repository, to.tag);
        let before = self.daemon.inspect(&name, None).await?.map(|image| image.id);
        if before.as_ref() != Some(&self.image.id) {
            self.name(&self.image.id, to.repository, to.tag).await?;
        }
        let delivered = self.push(to, progress).await;
        match &before {
            Some(before) if *before == self.image.id => {}
            Some(before) => self.name(before, to.repository, to.tag).await?,
            None => self.unname(&name).await,
        }
        delivered
    }

    async fn push(&self, to: &Destination<'_>, progress: &(dyn Fn(Advance) + Send + Sync)) -> Result<Delivered> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.push_once(to, progress).await {
                Ok(report) => return self.judged(to, report),
                Err(failure) if failure.kind != Kind::Transient || !self.daemon.engine.pause(tried).await => return Err(failure),
                Err(failure) => tracing::info!(why = failure.why.join("; "), "the engine's push is tried again"),
            }
        }
    }

    async fn push_once(&self, to: &Destination<'_>, progress: &(dyn Fn(Advance) + Send + Sync)) -> Result<Report> {
        let chosen = match &self.platform {
            Some(platform) => format!("&platform={}", encoded_platform(platform)?),
            None => String::new(),
        };
        let path = format!("/images/{}/push?tag={}{chosen}", encoded(&to.repository.to_string()), encoded(to.tag));
        let request = http::Request::post(path).header("x-registry-auth", shown(to.login, to.repository.host())?);
        let what = || format!("the Docker daemon could not push to {}", to.repository);
        let lost = |cause: NoAnswer| cause.into_failure(what());
        let mut following = self.daemon.engine.follow(request, Intent::Change).await.map_err(lost)?;
        if following.status != 200 {
            let answer = following.whole().await.map_err(lost)?;
            return Err(report::failure(refused(&answer).why.join("; ").as_str(), what()));
        }
        let mut report = Report::default();
        while let Some(bytes) = following.next().await.map_err(lost)? {
            if report.take(&bytes) {
                progress(report.advance());
            }
        }
        report.end();
        match &report.error {
            Some(_) if report.content_missing => Err(self.incomplete()),
            Some(said) => Err(report::failure(said, what())),
            None => Ok(report),
        }
    }

    /// Whether what was pushed is what was to be pushed.
    fn judged(&self, to: &Destination<'_>, report: Report) -> Result<Delivered> {
        let Some(digest) = report.pushed else {
            return Err(Failure::new(Kind::Transient, format!("the Docker daemon does not say what it pushed to {}", to.repository)));
        };
        match &self.expected {
            Some(expected) if *expected == digest => Ok(Delivered { digest, as_expected: true }),
            // Told by the engine itself: of the index only this is in the store.
            Some(expected) if report.instead_of.as_ref() == Some(expected) => Ok(Delivered { digest, as_expected: false }),
            // An older engine cannot choose.
            Some(_) if self.platform.is_some() && digest == self.image.id => Ok(Delivered { digest, as_expected: false }),
            None => Ok(Delivered { digest, as_expected: false }),
            Some(expected) => Err(Failure::new(Kind::Conflict, format!("the Docker daemon pushed another image to {}", to.repository))
                .why(format!("{expected} was to be pushed, and it says that it pushed {digest}"))
                .fix("let no other step build or tag under this name meanwhile, and run it again")),
        }
    }

    fn incomplete(&self) -> Failure {
        Failure::new(Kind::Missing, format!("not everything of {} is in the Docker daemon", self.daemon.kept))
            .why(format!("it is an image for {}", listed(&self.image.platforms())))
            .fix("choose one with platform, or build all of them here")
    }

    /// Gives the image `id` a name in the engine.
    async fn name(&self, id: &Digest, repository: &RepositoryName, tag: &str) -> Result<()> {
        let path = format!("/images/{}/tag?repo={}&tag={}", encoded(id.as_str()), encoded(&repository.to_string()), encoded(tag));
        let answer = self.change(Method::POST, &path).await?;
        if answer.status == 201 { Ok(()) } else { Err(refused(&answer)) }
    }

    /// Takes the name away again. Where that fails, a name is left over in a daemon that is thrown away with its runner.
    async fn unname(&self, name: &str) {
        let path = format!("/images/{}?noprune=true", encoded(name));
        if !matches!(self.change(Method::DELETE, &path).await, Ok(answer) if answer.status == 200) {
            tracing::info!(name, "the name is left in the Docker daemon");
        }
    }

    /// Naming is repeatable, so it is tried again whatever happened.
    async fn change(&self, method: Method, path: &str) -> Result<Answer> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.daemon.engine.call(method.clone(), path, Intent::Change).await {
                Ok(answer) if answer.status < 500 => return Ok(answer),
                Err(cause @ NoAnswer::Fenced) => return Err(cause.into_failure("nothing is pushed any more")),
                Ok(answer) if !self.daemon.engine.pause(tried).await => return Ok(answer),
                Err(cause) if !self.daemon.engine.pause(tried).await => return Err(self.daemon.unreached(cause)),
                _ => {}
            }
        }
    }
}

/// The login as the engine wants it: <https://docs.docker.com/reference/api/engine/version/v1.41/#section/Authentication> (2026-11)
fn shown(login: &Login, host: &str) -> Result<http::HeaderValue> {
    let server = if host == crate::image::reference::HUB { "https://index.docker.io/v1/" } else { host };
    let mut said = BTreeMap::from([("serveraddress", json!(server))]);
    match login {
        Login::Anonymous => {}
        Login::Password { username, password } => {
            said.insert("username", json!(username));
            said.insert("password", json!(password.expose()));
        }
        Login::Identity(token) => drop(said.insert("identitytoken", json!(token.expose()))),
        Login::Token(token) => drop(said.insert("registrytoken", json!(token.expose()))),
    }
    let json = serde_json::to_vec(&said).map_err(|error| Failure::bug(error.to_string()))?;
    let mut value = http::HeaderValue::from_str(&URL_SAFE.encode(json)).map_err(|error| Failure::bug(error.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}
