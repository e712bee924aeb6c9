//! `docker://name[:tag]`: an image of the daemon of this machine. Its legacy store is exported and packed on the way; with the containerd store the
//! daemon pushes by itself, which is faster than any export. Everything is asked for by the image's id, so that a name that moves meanwhile misleads nobody.
//! <https://docs.docker.com/reference/api/engine/version/v1.41/> (2026-11)

pub mod delivery;
pub mod export;
mod recognition;
mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::failure::{Failure, Kind, Result, cut};
use crate::http::docker::Engine;
use crate::http::{Answer, Intent, NoAnswer};
use crate::image::configuration::Origin;
use crate::image::content::{Descriptor, Platform};
use crate::image::manifest;
use crate::image::reference::Kept;
use crate::values::Digest;

use super::tree::unsuited;
use super::{Packing, Wanted};
use delivery::Delivery;
use export::Export;

/// What stays as it is in a path of the engine's API.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');
/// Where the daemon listens unless it is told otherwise.
const SOCKET: &str = "/var/run/docker.sock";
/// What the engine calls the containerd store.
const CONTAINERD: &str = "io.containerd.snapshotter.v1";

/// An image of a daemon.
pub enum Held {
    /// In the legacy store: it is read from here.
    Legacy(Export),
    /// In the containerd store: the daemon pushes it.
    Containerd(Box<Delivery>),
}

/// The socket that `DOCKER_HOST` names; without it the usual one.
pub fn socket(docker_host: Option<&str>) -> Result<PathBuf> {
    match docker_host.map(str::trim).filter(|host| !host.is_empty()) {
        None => Ok(PathBuf::from(SOCKET)),
        Some(host) => match host.strip_prefix("unix://").filter(|path| path.starts_with('/')) {
            Some(path) => Ok(PathBuf::from(path)),
            None => {
                let mut host = host.to_owned();
                cut(&mut host, 200);
                Err(Failure::config(format!("DOCKER_HOST is {host:?}, and only sockets of this machine are served"))
                    .fix("write unix:///var/run/docker.sock, or save the image and write archive:FILE"))
            }
        },
    }
}

/// Finds the image `kept` in the daemon, and the way it is to be taken.
pub async fn open(engine: &Engine, kept: &Kept, wanted: &Wanted, packing: &Packing) -> Result<Held> {
    let daemon = Daemon { engine: engine.clone(), kept: kept.clone() };
    let (store, inspected) = (daemon.store().await?, daemon.inspect(&kept.to_string(), None).await?);
    let image = inspected.ok_or_else(|| daemon.missing())?;
    match store {
        Store::Containerd => Ok(Held::Containerd(Box::new(Delivery::new(daemon, image, wanted.platform.clone()).await?))),
        Store::Legacy => {
            let own = image.platform();
            match &wanted.platform {
                Some(asked) if own.is_known() && !own.suits(asked) => Err(unsuited(asked, &[own])),
                _ => Ok(Held::Legacy(Export::new(daemon, image, packing.clone()))),
            }
        }
    }
}

impl Held {
    /// What it runs on, as far as the daemon says.
    pub fn platforms(&self) -> Vec<Platform> {
        let platforms = match self {
            Self::Legacy(export) => vec![export.image().platform()],
            Self::Containerd(delivery) => delivery.image().platforms(),
        };
        platforms.into_iter().filter(Platform::is_known).collect()
    }

    /// Where it comes from, as it says.
    pub fn origin(&self) -> Origin {
        let image = match self {
            Self::Legacy(export) => export.image(),
            Self::Containerd(delivery) => delivery.image(),
        };
        let nothing = BTreeMap::new();
        let annotations = image.descriptor.as_ref().map_or(&nothing, |descriptor| &descriptor.annotations);
        Origin::of(&[annotations, image.config.as_ref().and_then(|config| config.labels.as_ref()).unwrap_or(&nothing)])
    }

    /// Its id: of the containerd store the digest of its manifest or index, of the legacy store that of its configuration.
    pub fn id(&self) -> &Digest {
        match self {
            Self::Legacy(export) => &export.image().id,
            Self::Containerd(delivery) => &delivery.image().id,
        }
    }
}

/// How a daemon keeps its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Store {
    Legacy,
    Containerd,
}

/// A daemon, and the name of the image that is wanted of it.
#[derive(Clone)]
struct Daemon {
    engine: Engine,
    kept: Kept,
}

/// What the engine tells of an image.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: Digest,
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
    config: Option<Labelled>,
    #[serde(rename = "RootFS")]
    root_fs: Option<RootFs>,
    /// From engine 28 on, of the containerd store.
    descriptor: Option<Descriptor>,
    /// Where it was asked for.
    manifests: Option<Vec<Listed>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Labelled {
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    layers: Option<Vec<Digest>>,
}

/// One manifest of an index.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    descriptor: Descriptor,
}

impl Inspected {
    fn platform(&self) -> Platform {
        let variant = self.variant.clone().filter(|variant| !variant.is_empty());
        Platform { os: self.os.clone(), architecture: self.architecture.clone(), variant }
    }

    /// Those of its index, where the engine lists them.
    fn platforms(&self) -> Vec<Platform> {
        let listed = self.manifests.iter().flatten().filter_map(|listed| listed.descriptor.platform.clone());
        let listed: Vec<Platform> = listed.filter(Platform::is_known).collect();
        if listed.is_empty() { vec![self.platform()] } else { listed }
    }

    /// The plain layers, from the lowest up.
    fn layers(&self) -> &[Digest] {
        self.root_fs.as_ref().and_then(|root| root.layers.as_deref()).unwrap_or_default()
    }

    /// Whether it is known to be one image and no index.
    fn is_single(&self) -> bool {
        self.descriptor.as_ref().is_some_and(|descriptor| manifest::MANIFESTS.contains(&descriptor.media_type.as_str()))
    }
}

impl Daemon {
    async fn store(&self) -> Result<Store> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Info {
            driver_status: Option<Vec<Vec<String>>>,
        }
        let answer = self.get("/info").await?;
        let info: Info = self.read(&answer)?;
        let told = info.driver_status.unwrap_or_default();
        let containerd = told.iter().any(|pair| matches!(pair.as_slice(), [key, value] if key == "driver-type" && value == CONTAINERD));
        Ok(if containerd { Store::Containerd } else { Store::Legacy })
    }

    /// What the engine tells of `name`; of one `platform` in it, where that is asked for and the engine is new enough to know.
    async fn inspect(&self, name: &str, platform: Option<&Platform>) -> Result<Option<Inspected>> {
        let query = match platform {
            Some(platform) => format!("?platform={}", encoded_platform(platform)?),
            None => "?manifests=1".to_owned(),
        };
        let answer = self.get(&format!("/images/{}/json{query}", encoded(name))).await?;
        match answer.status {
            200 => self.read(&answer).map(Some),
            404 => Ok(None),
            _ => Err(refused(&answer)),
        }
    }

    async fn get(&self, path: &str) -> Result<Answer> {
        let mut tried = 0;
        loop {
            tried += 1;
            match self.engine.call(Method::GET, path, Intent::Read).await {
                Ok(answer) if answer.status < 500 => return Ok(answer),
                Ok(answer) if !self.engine.pause(tried).await => return Err(refused(&answer)),
                Err(cause @ NoAnswer::NotSent(_)) => return Err(self.unreached(cause)),
                Err(cause) if !self.engine.pause(tried).await => return Err(self.unreached(cause)),
                _ => {}
            }
        }
    }

    fn read<T: serde::de::DeserializeOwned>(&self, answer: &Answer) -> Result<T> {
        if answer.status != 200 {
            return Err(refused(answer));
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            Failure::new(Kind::Conflict, "the Docker daemon answers in a way that is not understood").why(error.to_string())
        })
    }

    fn unreached(&self, cause: NoAnswer) -> Failure {
        cause
            .into_failure("the Docker daemon cannot be reached")
            .fix("check that Docker runs here; in a container, that its socket is mounted (GitHub does it for actions)")
            .fix("or save the image in a step before, docker save --output image.tar NAME, and write archive:image.tar")
    }

    fn missing(&self) -> Failure {
        Failure::new(Kind::Missing, format!("the Docker daemon has no image {}", self.kept))
            .why(format!("it was asked at {}", self.engine.socket().display()))
            .fix("build it in a step before: docker build --tag NAME, or docker buildx build --load --tag NAME")
    }
}

/// `name` in a path.
fn encoded(name: &str) -> String {
    utf8_percent_encode(name, PLAIN).to_string()
}

/// A platform in a query, as JSON.
fn encoded_platform(platform: &Platform) -> Result<String> {
    let json = serde_json::to_string(platform).map_err(|error| Failure::bug(error.to_string()))?;
    Ok(utf8_percent_encode(&json, NON_ALPHANUMERIC).to_string())
}

/// What the engine said instead.
fn refused(answer: &Answer) -> Failure {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    let said = serde_json::from_slice::<Said>(&answer.body).map(|said| said.message);
    let mut said = said.unwrap_or_else(|_| String::from_utf8_lossy(&answer.body).into_owned());
    cut(&mut said, 300);
    let kind = match answer.status {
        401 | 403 => Kind::Denied,
        404 => Kind::Missing,
        400..=499 => Kind::Conflict,
        _ => Kind::Transient,
    };
    Failure::new(kind, "the Docker daemon refuses").why(format!("it answered {}: {said}", answer.status))
}
