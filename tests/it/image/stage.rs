//! Repositories to push to, as a run would open them: this machine's registries, their logins, and skopeo as an independent reader.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use touchdown::clock::Clock;
use touchdown::failure::Result;
use touchdown::http::{Endpoints, Fence, Http, Options};
use touchdown::image::content::Content;
use touchdown::image::hashing::digest_of;
use touchdown::image::push::progress::silent;
use touchdown::image::push::{Moving, Push, Pushed, push};
use touchdown::image::reference::RepositoryName;
use touchdown::image::registry::login::{Fixed, Login};
use touchdown::image::registry::{Entrance, Purpose, Repository};
use touchdown::runner::log::{Log, Style};
use touchdown::values::{Digest, Secret};

use super::debian::{Debian, Guard};
use crate::setup::component;

/// A client on whose clock `pace` seconds pass in one.
pub fn client(pace: f64, endpoints: Endpoints) -> Http {
    let environment = std::collections::BTreeMap::new();
    Http::new(Options { clock: Clock::scaled(pace), endpoints, fence: Fence(None), environment }).unwrap()
}

pub fn robot() -> Login {
    Login::Password { username: "robot".to_owned(), password: Secret::new("hunter2") }
}

pub fn entrance(http: Http, login: Login) -> Entrance {
    Entrance { http, log: Log::new(Box::new(std::io::sink()), Style::Plain), supplier: Arc::new(Fixed(login)) }
}

/// A repository of a registry of this machine, on a clock that runs 50 times as fast as the wall.
pub fn repository(port: u16, path: &str, login: Login) -> Repository {
    opened(&format!("127.0.0.1:{port}/{path}"), Purpose::Push, entrance(client(50.0, Endpoints::default()), login))
}

pub fn opened(name: &str, purpose: Purpose, entrance: Entrance) -> Repository {
    Repository::new(RepositoryName::parse(name).unwrap(), purpose, entrance)
}

/// Pushes with tags that may move.
pub async fn pushed(content: &dyn Content, to: &Repository, tags: &[&str]) -> Result<Pushed> {
    let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
    push(Push { content, to, tags: &tags, moving: Moving::Now, progress: silent() }).await
}

/// Debian's registry, where the set-up has brought it.
pub fn debian(guard: &Guard<'_>) -> Option<Debian> {
    Some(Debian::start(&component("registry")?, guard, None, &std::env::temp_dir()))
}

/// What skopeo reads at `reference`: the digest of the raw manifest; and that every blob can be copied back. `None`: there is no skopeo here.
pub fn read_by_skopeo(reference: &str) -> Option<Digest> {
    let skopeo: PathBuf = component("skopeo")?;
    let source = format!("docker://{reference}");
    let raw = Command::new(&skopeo).args(["inspect", "--raw", "--tls-verify=false", "--creds=robot:hunter2", &source]).output().unwrap();
    assert!(raw.status.success(), "{}", String::from_utf8_lossy(&raw.stderr));
    let folder = tempfile::tempdir().unwrap();
    let copied = Command::new(&skopeo)
        .args(["--insecure-policy", "copy", "--quiet", "--all", "--src-tls-verify=false", "--src-creds=robot:hunter2", &source])
        .arg(format!("dir:{}", folder.path().join("image").display()))
        .output()
        .unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    Some(digest_of(&raw.stdout).unwrap())
}
