//! Where a login comes from: Docker's own configuration and its helpers, the settings, the cloud's session, the workflow.

use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::json;
use touchdown::clock::Clock;
use touchdown::cloud::aws::ecr::{self, authorization, create};
use touchdown::failure::{Kind, Result};
use touchdown::http::Endpoints;
use touchdown::image::reference::RepositoryName;
use touchdown::image::registry::keychain::{Keychain, Written};
use touchdown::image::registry::login::Login;
use touchdown::runner::docker_config::{DockerConfig, DockerLogin};
use touchdown::runner::env::Env;
use touchdown::values::Secret;

use super::stage::client;
use crate::aws::{REGION, Stage};

/// A home with a configuration, and helpers that answer `get` with these scripts.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn with(config: &serde_json::Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".docker")).unwrap();
        std::fs::write(folder.path().join(".docker/config.json"), config.to_string()).unwrap();
        Self { folder }
    }

    fn helper(self, name: &str, script: &str) -> Self {
        let path = self.folder.path().join(format!("docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\nserver=$(cat)\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn config(&self) -> DockerConfig {
        let home = self.folder.path().display().to_string();
        let env: Env = [("HOME", home.clone()), ("PATH", format!("{home}:/usr/bin:/bin"))].into_iter().collect();
        DockerConfig::of(&env).unwrap().unwrap()
    }

    async fn login(&self, host: &str) -> Result<Option<DockerLogin>> {
        self.config().login(host, &Clock::real()).await
    }
}

fn password(username: &str, password: &str) -> Option<DockerLogin> {
    Some(DockerLogin::Password { username: username.to_owned(), password: Secret::new(password) })
}

fn auth(pair: &str) -> serde_json::Value {
    json!({ "auth": STANDARD.encode(pair) })
}

#[tokio::test]
async fn logins_in_docker_s_configuration_are_found_by_host_however_the_key_is_written() {
    let home = Home::with(&json!({ "auths": {
        "ghcr.io": auth("octo:ghp:with:colons"),
        "https://index.docker.io/v1/": auth("hubber:secret"),
        "https://registry.example.com/v2/": { "username": "a", "password": "b" },
        "token.example.com": { "auth": STANDARD.encode("x:"), "identitytoken": "identity" },
        "direct.example.com": { "registrytoken": "token" },
        "empty.example.com": {},
    } }));
    assert_eq!(home.login("ghcr.io").await.unwrap(), password("octo", "ghp:with:colons"));
    assert_eq!(home.login("docker.io").await.unwrap(), password("hubber", "secret"));
    assert_eq!(home.login("registry.example.com").await.unwrap(), password("a", "b"));
    assert_eq!(home.login("token.example.com").await.unwrap(), Some(DockerLogin::Identity(Secret::new("identity"))));
    assert_eq!(home.login("direct.example.com").await.unwrap(), Some(DockerLogin::Token(Secret::new("token"))));
    for nobody in ["empty.example.com", "quay.io", "example.com", "evil-ghcr.io"] {
        assert_eq!(home.login(nobody).await.unwrap(), None, "{nobody}");
    }
}

#[tokio::test]
async fn helpers_are_asked_for_the_hosts_they_are_named_for_and_the_store_for_the_others() {
    let config = json!({
        "auths": { "https://index.docker.io/v1/": {}, "quay.io": auth("file:secret") },
        "credHelpers": { "ghcr.io": "gh", "registry.example.com": "identity", "bad.example.com": "../../bin/sh" },
        "credsStore": "store",
    });
    let home = Home::with(&config)
        .helper("gh", r#"[ "$1 $server" = "get ghcr.io" ] && echo '{"ServerURL":"ghcr.io","Username":"octo","Secret":"from-gh"}'"#)
        .helper("identity", r#"echo '{"Username":"<token>","Secret":"identity"}'"#)
        .helper(
            "store",
            r#"case $server in https://index.docker.io/v1/) echo '{"Username":"hubber","Secret":"x"}';; broken.example.com) echo "locked"; exit 2;; *) echo "credentials not found in native keychain"; exit 1;; esac"#,
        );
    assert_eq!(home.login("ghcr.io").await.unwrap(), password("octo", "from-gh"));
    assert_eq!(home.login("registry.example.com").await.unwrap(), Some(DockerLogin::Identity(Secret::new("identity"))));
    assert_eq!(home.login("docker.io").await.unwrap(), password("hubber", "x"));
    assert_eq!(home.login("quay.io").await.unwrap(), password("file", "secret"), "what the store does not know stands in the file");
    let locked = home.login("broken.example.com").await.unwrap_err();
    assert!(locked.kind == Kind::Denied && locked.to_string().contains("locked"), "{locked}");
    assert_eq!(home.login("bad.example.com").await.unwrap_err().kind, Kind::Config);
}

#[tokio::test]
async fn a_helper_that_is_not_there_is_named_and_a_store_that_is_not_there_is_passed_over() {
    let home = Home::with(&json!({ "credHelpers": { "ghcr.io": "nowhere" }, "credsStore": "desktop" }));
    let missing = home.login("ghcr.io").await.unwrap_err();
    assert!(missing.what.contains("docker-credential-nowhere"), "{missing}");
    assert_eq!(home.login("quay.io").await.unwrap(), None);
}

#[test]
fn a_configuration_that_is_none_is_a_mistake_that_tells_none_of_it() {
    let home = Home::with(&json!({}));
    std::fs::write(home.folder.path().join(".docker/config.json"), r#"{"auths": {"x": "hunter2"}"#).unwrap();
    let env: Env = [("HOME", home.folder.path().display().to_string())].into_iter().collect();
    let failure = DockerConfig::of(&env).unwrap_err();
    assert!(failure.kind == Kind::Config && !failure.to_string().contains("hunter2"), "{failure}");
    let elsewhere: Env = [("HOME", "/nowhere")].into_iter().collect();
    assert!(DockerConfig::of(&elsewhere).unwrap().is_none());
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_of_docker_s_configuration_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = DockerConfig::read(&bytes);
    }

    #[test]
    fn no_login_in_docker_s_configuration_makes_it_stumble(key in "[ -~]{0,30}", auth in "[A-Za-z0-9+/=:]{0,40}", host in "[a-z.:0-9]{0,20}") {
        let config = DockerConfig::read(json!({ "auths": { key: { "auth": auth } } }).to_string().as_bytes()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _ = runtime.block_on(config.login(&host, &Clock::real()));
    }
}

#[tokio::test]
async fn a_login_is_taken_from_the_settings_first_then_docker_s_configuration_then_the_workflow() {
    let http = client(50.0, Endpoints::default());
    let home = Home::with(&json!({ "auths": { "ghcr.io": auth("from:docker") } }));
    let written = Written { host: "ghcr.io".to_owned(), username: "from".to_owned(), password: Secret::new("settings") };
    let github = Some(("octo".to_owned(), Secret::new("workflow")));
    let all = Keychain { written: Some(written), github: github.clone(), docker: Some(home.config()), ..Keychain::default() };
    let shown = |keychain: Keychain, name: &'static str| {
        let supplier = keychain.supplier(&http, &RepositoryName::parse(name).unwrap());
        async move { supplier.login().await.unwrap() }
    };
    let login = |username: &str, password: &str| Login::Password { username: username.to_owned(), password: Secret::new(password) };
    assert_eq!(shown(all.clone(), "ghcr.io/acme/web").await, login("from", "settings"));
    assert_eq!(shown(Keychain { written: None, ..all.clone() }, "ghcr.io/acme/web").await, login("from", "docker"));
    assert_eq!(shown(Keychain { github, ..Keychain::default() }, "ghcr.io/acme/web").await, login("octo", "workflow"));
    assert_eq!(shown(all, "quay.io/acme/web").await, Login::Anonymous);
}

#[tokio::test]
async fn ecr_s_password_and_its_repositories_come_from_the_session() {
    let stage = Stage::at(100.0).await;
    let session = stage.sign_in().await;
    let (username, password) = authorization(&session).await.unwrap();
    assert_eq!((username.as_str(), password.expose().is_empty()), ("AWS", false));
    let place = ecr::Repository { account: "123456789012".to_owned(), region: REGION.to_owned(), name: "team/new".to_owned() };
    create(&session, &place).await.unwrap();
    create(&session, &place).await.unwrap();
    assert_eq!(stage.world.count("CreateRepository"), 2, "one that is there is left as it is");
    let keychain = Keychain { aws: [(REGION.to_owned(), session)].into(), ..Keychain::default() };
    let name = RepositoryName::parse(&format!("123456789012.dkr.ecr.{REGION}.amazonaws.com/team/new")).unwrap();
    let supplier = keychain.supplier(&client(50.0, Endpoints::default()), &name);
    assert!(matches!(supplier.login().await.unwrap(), Login::Password { username, .. } if username == "AWS"));
}
