//! Registries that are not ECR's: GitHub's with the workflow's token, one with a login of the settings; and what none of it may show.

use base64::Engine;
use touchdown::simulator::seed::ServiceSeed;

use super::{REGION, layout, outcome, push_only, rig, tag};
use crate::image::fake::{Asks, Fake, Manners};
use crate::rig::{REPOSITORY, Rig};

const TOKEN: &str = "ghs_notTheRealTokenOfAnybody0123456789";
const PASSWORD: &str = "correct-horse-battery-staple";

fn at(rig: Rig, host: &str, fake: &Fake) -> Rig {
    let key = touchdown::http::Endpoints::key(host);
    rig.env(&format!("TOUCHDOWN_ENDPOINT_{key}"), &format!("http://127.0.0.1:{}", fake.port))
}

async fn github() -> Fake {
    Fake::start(Manners { asks: Asks::Bearer("octo", TOKEN), ..Manners::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_workflow_s_token_pushes_to_github_s_registry() {
    let fake = github().await;
    let rig = at(push_only().await, "ghcr.io", &fake).input("push-to", "ghcr.io/acme/web").input("github-token", TOKEN);
    let rig = rig.input("aws-role", "").input("aws-region", "");
    let ran = rig.main().await;
    let (_, digest) = layout(super::PLATFORM);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!((fake.tag("acme/web", "v2"), fake.tag("acme/web", "latest")), (Some(digest.clone()), Some(digest)));
    assert_eq!(rig.simulator.world().requests(), Vec::new(), "nobody signs in to a cloud for it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_of_another_registry_is_copied_and_deployed() {
    let fake = github().await;
    let rig = at(push_only().await, "ghcr.io", &fake).input("push-to", "ghcr.io/acme/web").input("github-token", TOKEN);
    assert_eq!(rig.main().await.code, 0);
    let rig = at(super::rig().await, "ghcr.io", &fake).input("image", "ghcr.io/acme/web:v2").input("github-token", TOKEN);
    let ran = rig.main().await;
    assert_eq!(outcome(&ran), (0, "live".to_owned()), "{}", ran.stdout);
    assert_eq!(tag(&rig, "v2"), fake.tag("acme/web", "v2"));
    let running = rig.simulator.world().task_definition(REGION, "web")["containerDefinitions"][0]["image"].clone();
    assert_eq!(running, format!("{REPOSITORY}/web@{}", tag(&rig, "v2").unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_of_another_registry_is_looked_up_and_deployed_from_there() {
    let fake = github().await;
    let push = at(push_only().await, "ghcr.io", &fake).input("push-to", "ghcr.io/acme/web").input("github-token", TOKEN);
    assert_eq!(push.main().await.code, 0);
    let rig = at(Rig::with(&[ServiceSeed::new("web")], 100.0).await, "ghcr.io", &fake).input("github-token", TOKEN);
    let ran = rig.input("image", "ghcr.io/acme/web:v2").main().await;
    assert_eq!(outcome(&ran), (0, "live".to_owned()), "{}", ran.stdout);
    assert_eq!(Some(ran.output("digest")), fake.tag("acme/web", "v2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_let_in_is_told_what_to_set() {
    let fake = github().await;
    let rig = at(push_only().await, "ghcr.io", &fake).input("push-to", "ghcr.io/acme/web").input("github-token", "ghs_another");
    let ran = rig.main().await;
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("packages: write"), "{}", ran.stdout);
    assert_eq!(fake.tag("acme/web", "v2"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_login_is_ever_shown_or_kept() {
    let fake = Fake::start(Manners { asks: Asks::Basic("robot", PASSWORD), ..Manners::default() }).await;
    let rig = at(push_only().await, "registry.example.com", &fake).env("RUNNER_DEBUG", "1").input("github-token", TOKEN);
    let rig = rig.input("push-to", "registry.example.com/web").input("registry-username", "robot").input("registry-password", PASSWORD);
    let ran = rig.main().await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    let ecr = rig_for_ecr().await;
    let with_ecr = ecr.main().await;
    assert_eq!(outcome(&with_ecr), (0, "live".to_owned()), "{}", with_ecr.stdout);
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("robot:{PASSWORD}"));
    let logins = [PASSWORD.to_owned(), TOKEN.to_owned(), basic];
    for (ran, rig) in [(&ran, &rig), (&with_ecr, &ecr)] {
        let printed: String = ran.stdout.lines().filter(|line| !line.starts_with("::add-mask::")).collect();
        let state: String = ran.state.values().cloned().collect();
        let home: String = rig.home_files().into_iter().map(|(_, text)| text).collect();
        for (place, text) in [("log", &printed), ("summary", &ran.summary), ("outputs", &ran.outputs), ("state", &state), ("home", &home)] {
            assert!(!logins.iter().any(|login| text.contains(login)), "the {place} has a login: {text}");
            assert!(!text.to_lowercase().contains("authorization: "), "{place}: {text}");
        }
    }
}

async fn rig_for_ecr() -> Rig {
    rig().await.env("RUNNER_DEBUG", "1").input("github-token", TOKEN)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_s_pull_request_pushes_nothing() {
    let rig = push_only().await.env("GITHUB_EVENT_NAME", "pull_request");
    let ran = rig.main().await;
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    assert!(ran.stdout.contains("allow-pull-request"), "{}", ran.stdout);
    assert_eq!(rig.simulator.world().requests(), Vec::new());
    let allowed = rig.input("allow-pull-request", "true").main().await;
    assert_eq!(allowed.code, 0, "{}", allowed.stdout);
}
