//! Images through the whole action: from where they lie into the simulator's ECR, deployed by digest, tagged once the release stands.

mod daemons;
mod disturbed;
mod elsewhere;
mod real;
mod referrers;
mod suiting;
mod tags;

use touchdown::simulator::fault::Fault;

use crate::image_sources::build::{self, Layout};
use crate::rig::{REPOSITORY, ROLE, Ran, Rig};

pub const REGION: &str = "eu-west-1";
pub const PLATFORM: &str = "linux/amd64";

/// The layers of a small image.
pub fn layers() -> Vec<Vec<u8>> {
    vec![build::layer("app", b"app"), build::layer("data", &build::noise(7, 30_000))]
}

/// An image for `platform` as a layout, and its digest.
pub fn layout(platform: &str) -> (Layout, String) {
    let mut layout = Layout::default();
    let image = layout.image(platform, &layers());
    let digest = image["digest"].as_str().unwrap().to_owned();
    layout.name(image, Some("ci"));
    (layout, digest)
}

/// A step that pushes `web.tar` to the repository `web` as `v2` and `latest`, and deploys it to the service `web`.
pub async fn rig() -> Rig {
    let (layout, _) = layout(PLATFORM);
    let rig = Rig::new().await.bytes("web.tar", &layout.tar()).input("image", "archive:web.tar").input("skip-push", "");
    let rig = rig.input("push-to", &format!("{REPOSITORY}/web")).input("tags", "v2\nlatest");
    rig.simulator.world().add_repository(REGION, "web", false);
    rig.input("env", "VERSION=v2").input("health-version", "/version=v2")
}

/// A step that only pushes.
pub async fn push_only() -> Rig {
    let (layout, _) = layout(PLATFORM);
    let rig = Rig::empty(100.0).await.bytes("web.tar", &layout.tar()).input("image", "archive:web.tar").input("skip-deploy", "true");
    rig.simulator.world().add_repository(REGION, "web", false);
    rig.input("push-to", &format!("{REPOSITORY}/web")).input("tags", "v2\nlatest").input("aws-role", ROLE).input("aws-region", REGION)
}

pub fn tag(rig: &Rig, tag: &str) -> Option<String> {
    rig.simulator.world().tag(REGION, "web", tag)
}

pub fn outcome(ran: &Ran) -> (u8, String) {
    (ran.code, ran.output("outcome"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_a_layout_and_a_saved_image_are_pushed_and_deployed_by_their_digest() {
    let (layout, digest) = layout(PLATFORM);
    let saved = build::archive(&build::saved(PLATFORM, &layers()));
    for source in ["archive:web.tar", "oci:folder:ci", "archive:saved.tar"] {
        let rig = rig().await.bytes("saved.tar", &saved).input("image", source);
        layout.write(&rig.workspace().join("folder"));
        let ran = rig.main().await;
        let world = rig.simulator.world();
        assert_eq!(outcome(&ran), (0, "live".to_owned()), "{source}: {}", ran.stdout);
        let pushed = tag(&rig, "v2").unwrap();
        // What has a manifest keeps it to the byte.
        assert!(source == "archive:saved.tar" || pushed == digest, "{source}");
        assert_eq!(tag(&rig, "latest").as_ref(), Some(&pushed), "{source}: a tag that is new is written at once");
        let running = world.task_definition(REGION, "web")["containerDefinitions"][0]["image"].clone();
        assert_eq!(running, format!("{REPOSITORY}/web@{pushed}"), "{source}");
        assert_eq!(ran.output("digest"), pushed, "{source}");
        assert!(
            ran.summary.contains("pushed ") && ran.summary.contains(" kB (") && ran.summary.contains("built from abc123"),
            "{source}: {}",
            ran.summary
        );
        let again = rig.main().await;
        assert_eq!(outcome(&again), (0, "unchanged".to_owned()), "{source}: {}", again.stdout);
        assert!(again.summary.contains("all of it was there already ("), "{source}: {}", again.summary);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_is_pushed_and_deployed_nowhere_and_its_tags_move_at_once() {
    let rig = push_only().await;
    let old = rig.simulator.world().add_image(REGION, "web", "latest");
    let ran = rig.main().await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    let digest = tag(&rig, "v2").unwrap();
    assert_ne!(digest, old);
    assert_eq!(tag(&rig, "latest"), Some(digest.clone()));
    assert_eq!(ran.output("digest"), digest, "{}", ran.outputs);
    assert_eq!(ran.output("image"), format!("{REPOSITORY}/web@{digest}"));
    assert!(ran.summary.contains(&digest[..19]), "{}", ran.summary);
    let post = rig.post(&ran.state).await;
    assert_eq!(post.code, 0, "{}", post.stdout);
    assert!(rig.home().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_push_the_first_tag_says_what_is_deployed() {
    let rig = rig().await.input("skip-push", "true");
    let there = rig.simulator.world().add_image(REGION, "web", "v2");
    let ran = rig.main().await;
    assert_eq!(outcome(&ran), (0, "live".to_owned()), "{}", ran.stdout);
    assert_eq!(ran.output("digest"), there);
    let registry = |request: &touchdown::simulator::request::Request| request.operation.starts_with("registry:");
    assert!(!rig.simulator.world().requests().iter().any(|request| registry(request) && request.changing), "it is only looked at");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_and_a_rehearsal_push_nothing() {
    let (_, digest) = layout(PLATFORM);
    let rig = rig().await;
    let plan = rig.main_in("plan").await;
    assert_eq!(outcome(&plan), (0, "planned".to_owned()), "{}", plan.stdout);
    assert!(plan.stdout.contains(&digest[..19]), "{}", plan.stdout);
    let rehearsal = rig.main_in("rehearse").await;
    assert_eq!(rehearsal.code, 0, "{}", rehearsal.stdout);
    assert!(rehearsal.summary.contains("nothing is pushed"), "{}", rehearsal.summary);
    assert!(rig.simulator.world().requests().iter().all(|request| !request.changing || request.operation.starts_with("sts:")));
    assert_eq!(tag(&rig, "v2"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_cannot_run_on_the_service_s_machines_is_refused_before_anything_is_sent() {
    let (layout, _) = layout("linux/arm64");
    let rig = rig().await.bytes("web.tar", &layout.tar());
    let ran = rig.main().await;
    assert_eq!(outcome(&ran), (1, "untouched".to_owned()), "{}", ran.stdout);
    assert!(ran.summary.contains("linux/arm64") && ran.summary.contains("linux/amd64"), "{}", ran.summary);
    assert!(!rig.simulator.world().requests().iter().any(|request| request.changing && request.operation.starts_with("registry:")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_not_there_or_is_broken_ends_before_anything_is_tagged() {
    let (layout, _) = layout(PLATFORM);
    let (whole, mut spoilt) = (layout.tar(), layout.clone());
    let largest = spoilt.blobs.values_mut().max_by_key(|bytes| bytes.len()).unwrap();
    largest[1000] ^= 1;
    for (name, bytes) in [("missing", None), ("cut", Some(whole[..whole.len() / 2].to_vec())), ("spoilt", Some(spoilt.tar()))] {
        let rig = rig().await;
        std::fs::remove_file(rig.workspace().join("web.tar")).unwrap();
        let rig = match bytes {
            Some(bytes) => rig.bytes("web.tar", &bytes),
            None => rig,
        };
        let ran = rig.main().await;
        assert_eq!(outcome(&ran), (1, "untouched".to_owned()), "{name}: {}", ran.stdout);
        assert!(ran.stdout.contains("web.tar") || ran.stdout.contains("digest"), "{name}: {}", ran.stdout);
        assert_eq!((tag(&rig, "v2"), tag(&rig, "latest")), (None, None), "{name}");
        assert_eq!(rig.simulator.world().serving("web"), "v1", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commit_that_an_image_names_is_proof_of_it_and_any_other_is_none() {
    let (built, other) = ("b".repeat(40), "c".repeat(40));
    for (answers, end) in [(&built, (0, "live".to_owned())), (&other, (1, "rolled-back".to_owned()))] {
        let mut layout = Layout::default();
        let mut config = build::configuration(PLATFORM, &layers());
        config["config"]["Labels"]["org.opencontainers.image.revision"] = serde_json::json!(built);
        let config = layout.blob(build::OCI_CONFIG, config.to_string().into_bytes());
        let packed: Vec<_> = layers().iter().map(|layer| layout.blob(&format!("{}+gzip", build::OCI_LAYER), build::gzip(layer))).collect();
        let manifest = serde_json::json!({ "schemaVersion": 2, "mediaType": build::OCI_MANIFEST, "config": config, "layers": packed });
        let image = layout.blob(build::OCI_MANIFEST, manifest.to_string().into_bytes());
        layout.name(image, None);
        let rig = rig().await.bytes("web.tar", &layout.tar());
        // This run is of another commit: the image was built before.
        let ran = rig.input("env", &format!("VERSION={answers}")).input("health-version", "/version=sha").main().await;
        assert_eq!(outcome(&ran), end, "{}", ran.stdout);
    }
}

/// The service's next release fails.
pub fn failing(rig: &Rig) {
    rig.simulator.world().set_fault("web", Fault::CrashOnStart);
}
