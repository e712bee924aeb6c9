//! Docker's own configuration: who is signed in where, and the helper programs it names for that; no other program is ever started.
//! <https://docs.docker.com/reference/cli/docker/login/#credential-stores>, github.com/docker/docker-credential-helpers (2026-11)

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;

use crate::clock::Clock;
use crate::failure::{Failure, Kind, Result, cut};
use crate::values::Secret;

use super::env::Env;

/// The largest configuration that is read, in bytes.
const LARGEST: u64 = 256 * 1024;
/// How long a helper may take: it may ask a cloud.
const HELPING: Duration = Duration::from_secs(30);
/// Docker Hub, as Docker's configuration names it.
const HUB: &str = "https://index.docker.io/v1/";

/// The configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
    /// Where helpers are looked for.
    #[serde(skip)]
    path: Option<String>,
}

/// A login that Docker keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerLogin {
    /// Name and password.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token that is exchanged for others.
    Identity(Secret),
    /// A token for the registry itself.
    Token(Secret),
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

impl DockerConfig {
    /// The file in `DOCKER_CONFIG`, else in `.docker` below `HOME`; `None`: there is none.
    pub fn of(env: &Env) -> Result<Option<Self>> {
        let folder = env.get("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(PathBuf::from(env.get("HOME")?).join(".docker")));
        let Some(path) = folder.map(|folder| folder.join("config.json")).filter(|path| path.is_file()) else { return Ok(None) };
        let unreadable = |why: String| {
            Failure::config("Docker's configuration cannot be read")
                .why(format!("{}: {why}", path.display()))
                .fix("correct the file, or set registry-username and registry-password")
        };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path).map_err(|error| unreadable(error.to_string()))?;
        file.take(LARGEST).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
        let read = Self::read(&bytes).map_err(unreadable)?;
        Ok(Some(Self { path: env.get("PATH").map(str::to_owned), ..read }))
    }

    /// Reads the text of a configuration. An error names the place and no content.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("it is no such JSON at line {}, column {}", error.line(), error.column()))
    }

    /// The login for the registry `host`, as Docker looks for it: its helper, the store, the file itself.
    pub async fn login(&self, host: &str, clock: &Clock) -> Result<Option<DockerLogin>> {
        let named = self.cred_helpers.iter().find(|(key, _)| is_of(key, host)).map(|(_, helper)| helper);
        if let Some(helper) = named.or(self.creds_store.as_ref()) {
            let key = self.auths.keys().find(|key| is_of(key, host)).cloned();
            let server = key.unwrap_or_else(|| if host == "docker.io" { HUB.to_owned() } else { host.to_owned() });
            match self.helped(helper, &server, clock).await {
                // The store of a desktop is often not there where the work is done, and most registries were never in it.
                Err(failure) if failure.kind == Kind::Missing && named.is_none() => {}
                Ok(None) if named.is_none() => {}
                found => return found,
            }
        }
        let Some(auth) = self.auths.iter().find(|(key, _)| is_of(key, host)).map(|(_, auth)| auth) else { return Ok(None) };
        auth.login().map_err(|why| Failure::config(format!("Docker's configuration has no login for {host} that can be read")).why(why))
    }

    /// Asks `docker-credential-HELPER` for `server`; `None`: it knows no login.
    async fn helped(&self, helper: &str, server: &str, clock: &Clock) -> Result<Option<DockerLogin>> {
        let sound = !helper.is_empty() && helper.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !sound {
            return Err(Failure::config(format!(
                "Docker's configuration names the credential helper {helper:?}, which is no name of a program"
            )));
        }
        let program = format!("docker-credential-{helper}");
        let failed = |kind: Kind, why: String| {
            Failure::new(kind, format!("{program}, which Docker's configuration names, gave no login for {server}"))
                .why(why)
                .fix("sign in to the registry in a step before, or set registry-username and registry-password")
        };
        let asking = clock.within(HELPING, asked(&program, server, self.path.as_deref())).await;
        let output = asking.ok_or_else(|| failed(Kind::Denied, "it did not answer in time".to_owned()))?.map_err(|error| {
            let kind = if error.kind() == std::io::ErrorKind::NotFound { Kind::Missing } else { Kind::Denied };
            failed(kind, error.to_string())
        })?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() {
            let mut said = if said.is_empty() { String::from_utf8_lossy(&output.stderr).trim().to_owned() } else { said };
            if said.contains("credentials not found") {
                return Ok(None);
            }
            cut(&mut said, 200);
            return Err(failed(Kind::Denied, said));
        }
        let Helped { username, secret } =
            serde_json::from_str(&said).map_err(|_| failed(Kind::Denied, "its answer is no login".to_owned()))?;
        let secret = Secret::new(secret);
        Ok(Some(if username == "<token>" { DockerLogin::Identity(secret) } else { DockerLogin::Password { username, password: secret } }))
    }
}

impl Auth {
    fn login(&self) -> Result<Option<DockerLogin>, &'static str> {
        let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = set(&self.identitytoken) {
            return Ok(Some(DockerLogin::Identity(Secret::new(token))));
        }
        if let Some(token) = set(&self.registrytoken) {
            return Ok(Some(DockerLogin::Token(Secret::new(token))));
        }
        if let Some(encoded) = set(&self.auth) {
            let decoded =
                base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let decoded = decoded.ok_or("its auth is no base64 of a text")?;
            let (username, password) = decoded.split_once(':').ok_or("its auth holds no name and password")?;
            let password = Secret::new(password.trim_end_matches('\0'));
            return Ok(Some(DockerLogin::Password { username: username.to_owned(), password }));
        }
        let pair = set(&self.username).zip(set(&self.password));
        Ok(pair.map(|(username, password)| DockerLogin::Password { username, password: Secret::new(password) }))
    }
}

/// Whether `key`, a host or an address, means the registry `host`.
fn is_of(key: &str, host: &str) -> bool {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let bare = bare.split('/').next().unwrap_or_default();
    let hub = |name: &str| matches!(name, "docker.io" | "index.docker.io" | "registry-1.docker.io");
    bare.eq_ignore_ascii_case(host) || hub(bare) && hub(host)
}

async fn asked(program: &str, server: &str, path: Option<&str>) -> std::io::Result<std::process::Output> {
    let mut command = tokio::process::Command::new(program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    path.into_iter().for_each(|path| {
        command.env("PATH", path);
    });
    let mut child = command.spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(server.as_bytes()).await?;
    }
    child.wait_with_output().await
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth(…)")
    }
}
