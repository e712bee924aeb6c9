//! Images that are not pushed: their tag is there and their platform suits the service's machines, or they are refused before anything is changed;
//! what may not be read is said in one line and deployed.

use serde_json::json;
use touchdown::simulator::seed::ServiceSeed;

use super::{PLATFORM, REGION, layers, outcome, tag};
use crate::image_sources::build::Layout;
use crate::rig::{REPOSITORY, Ran, Rig};

const ARM: &str = "linux/arm64";

/// The service `web` on ARM machines, and a step that deploys what lies under `v2` of the repository `web`.
async fn on_arm() -> Rig {
    Rig::with(&[arm("web")], 100.0).await.input("image", &format!("{REPOSITORY}/web:v2"))
}

fn arm(name: &str) -> ServiceSeed {
    let mut seed = ServiceSeed::new(name);
    let image = format!("{REPOSITORY}/{name}:before");
    seed.definition = Some(json!({
        "family": name, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "runtimePlatform": { "cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX" },
        "containerDefinitions": [{
            "name": name, "image": image, "essential": true, "portMappings": [{ "containerPort": seed.port, "protocol": "tcp" }],
        }],
    }));
    seed
}

/// The same, with an index for both platforms under that tag.
async fn with_an_index() -> Rig {
    let mut layout = Layout::default();
    let children = [PLATFORM, ARM].map(|platform| (platform, layout.image(platform, &layers())));
    let index = layout.index(&children);
    layout.name(index, None);
    let rig = on_arm().await.bytes("web.tar", &layout.tar());
    rig.simulator.world().add_repository(REGION, "web", false);
    let push = rig.input("image", "archive:web.tar").input("push-to", &format!("{REPOSITORY}/web")).input("tags", "v2");
    let push = push.input("skip-push", "").input("skip-deploy", "true").input("skip-verify", "true");
    let ran = push.main().await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    let rig = push.input("image", &format!("{REPOSITORY}/web:v2")).input("push-to", "").input("tags", "").input("skip-push", "true");
    rig.input("skip-deploy", "").input("skip-verify", "")
}

/// Nothing was changed at the cloud.
fn refused(rig: &Rig, ran: &Ran, words: &[&str]) {
    assert_eq!(outcome(ran), (1, "untouched".to_owned()), "{}", ran.stdout);
    words.iter().for_each(|word| assert!(ran.summary.contains(word), "{word}: {}", ran.summary));
    let changing: Vec<String> = rig.simulator.world().requests().into_iter().filter(|one| one.changing).map(|one| one.operation).collect();
    assert!(changing.iter().all(|operation| operation.starts_with("sts:")), "{changing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_of_an_image_for_other_machines_is_refused_before_anything_is_changed() {
    let rig = on_arm().await;
    rig.simulator.world().add_image(REGION, "web", "v2");
    let ran = rig.main().await;
    refused(&rig, &ran, &["does not run on linux/arm64", "it is an image for linux/amd64", "docker buildx build --platform linux/arm64"]);
    let plan = rig.main_in("plan").await;
    assert_eq!(plan.code, 1, "a plan tells it too: {}", plan.stdout);
    assert!(plan.stdout.contains("does not run on linux/arm64"), "{}", plan.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_is_not_there_is_refused_before_anything_is_changed() {
    let rig = on_arm().await;
    rig.simulator.world().add_repository(REGION, "web", false);
    let ran = rig.main().await;
    refused(&rig, &ran, &["v2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_for_the_right_machines_or_an_index_with_one_is_deployed() {
    let single = on_arm().await;
    single.simulator.world().add_image_for(ARM, REGION, "web", "v2");
    for rig in [single, with_an_index().await] {
        let ran = rig.main().await;
        assert_eq!(outcome(&ran), (0, "live".to_owned()), "{}", ran.stdout);
        assert_eq!(Some(ran.output("digest")), tag(&rig, "v2"));
        assert!(ran.stdout.contains(&format!("{REPOSITORY}/web:v2 is {}", ran.output("digest"))), "it says which: {}", ran.stdout);
        assert!(!ran.stdout.contains("not checked"), "{}", ran.stdout);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_platform_that_is_chosen_of_an_index_is_the_one_that_counts() {
    let rig = with_an_index().await.input("platform", PLATFORM);
    let ran = rig.main().await;
    assert_eq!(outcome(&ran), (1, "untouched".to_owned()), "{}", ran.stdout);
    assert!(ran.summary.contains("does not run on linux/arm64"), "{}", ran.summary);
    let ran = rig.input("platform", "linux/s390x").main().await;
    assert_eq!(outcome(&ran), (1, "untouched".to_owned()), "{}", ran.stdout);
    assert!(ran.summary.contains("is not built for linux/s390x"), "{}", ran.summary);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_read_is_told_in_a_line_and_deployed() {
    for denied in ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"] {
        let rig = on_arm().await;
        // It could not run, and nobody here may know.
        rig.simulator.world().add_image(REGION, "web", "v2");
        rig.simulator.world().deny(denied);
        let ran = rig.main().await;
        assert_eq!(outcome(&ran), (0, "live".to_owned()), "{denied}: {}", ran.stdout);
        let lines: Vec<&str> = ran.stdout.lines().filter(|line| line.contains("not checked: whether")).collect();
        assert_eq!(lines.len(), 1, "{denied}: {}", ran.stdout);
        assert!(lines[0].contains(denied) && lines[0].contains(ARM), "{}", lines[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_given_by_digest_is_not_looked_for() {
    let rig = on_arm().await;
    let digest = rig.simulator.world().add_image(REGION, "web", "v2");
    let rig = rig.input("image", &format!("{REPOSITORY}/web@{digest}"));
    let ran = rig.main().await;
    assert_eq!(outcome(&ran), (0, "live".to_owned()), "{}", ran.stdout);
    let asked: Vec<String> = rig.simulator.world().requests().into_iter().map(|request| request.operation).collect();
    assert!(!asked.iter().any(|operation| operation.starts_with("registry:") || operation.starts_with("ecr:")), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_image_of_several_services_is_pushed_while_one_does_not_fit() {
    let push = format!("{{ from: 'archive:web.tar', push-to: {REPOSITORY}/web, tags: [v2] }}");
    // Another image of its own that is there; and the very same image, on other machines.
    for (api, words) in [(format!("{REPOSITORY}/api:v1"), "does not run on linux/amd64"), (push.clone(), "does not run on linux/arm64")] {
        let shared = api == push;
        let rig = super::rig().await;
        let world = rig.simulator.world();
        world.add_service(&if shared { arm("api") } else { ServiceSeed::new("api") }).unwrap();
        world.add_image_for(ARM, REGION, "api", "v1");
        let service = |name: &str, image: &str| format!("  {name}:\n    target: ecs\n    region: {REGION}\n    image: {image}\n");
        let file = format!("version: 1\nservices:\n{}{}", service("web", &push), service("api", &api));
        let bare = ["target", "service", "region", "image", "push-to", "tags", "env", "health-version"];
        let rig = bare.into_iter().fold(rig, |rig, name| rig.input(name, "")).file(".github/touchdown.yml", &file);
        let ran = rig.main().await;
        refused(&rig, &ran, &[words]);
        assert_eq!(tag(&rig, "v2"), None);
    }
}
