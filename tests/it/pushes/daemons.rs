//! `docker://NAME` through the whole action: the legacy store by export, the containerd store by the daemon's own push.

use serde_json::json;

use super::{PLATFORM, REGION, layers, outcome, rig, tag};
use crate::image_sources::daemon::legacy;
use crate::image_sources::stand_in::{StandIn, World};
use crate::rig::Rig;

const NAME: &str = "docker.io/library/web:ci";

async fn with(daemon: &StandIn) -> Rig {
    rig().await.env("DOCKER_HOST", &daemon.docker_host()).input("image", "docker://web:ci")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_of_the_legacy_store_is_exported_once_and_deployed() {
    let (inspected, export) = legacy(&layers());
    let id = inspected["Id"].as_str().unwrap().to_owned();
    let mut world = World::legacy().image(NAME, inspected);
    world.exports.insert(id, export);
    let daemon = StandIn::start(world);
    let rig = with(&daemon).await;
    let ran = rig.main().await;
    assert_eq!(outcome(&ran), (0, "live".to_owned()), "{}", ran.stdout);
    let exports = || daemon.asked("GET").iter().filter(|path| path.contains("/get")).count();
    assert_eq!((exports(), Some(ran.output("digest"))), (1, tag(&rig, "v2")));
    let again = rig.main().await;
    assert_eq!(outcome(&again), (0, "unchanged".to_owned()), "{}", again.stdout);
    assert_eq!(exports(), 1, "what serves is not exported again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fargate_gets_layers_in_zstd_unless_gzip_is_asked_for() {
    let mut digests = Vec::new();
    for compression in ["auto", "zstd", "gzip"] {
        let (inspected, export) = legacy(&layers());
        let id = inspected["Id"].as_str().unwrap().to_owned();
        let mut world = World::legacy().image(NAME, inspected);
        world.exports.insert(id, export);
        let daemon = StandIn::start(world);
        let rig = with(&daemon).await.input("compression", compression);
        let ran = rig.main().await;
        assert_eq!(outcome(&ran), (0, "live".to_owned()), "{}", ran.stdout);
        digests.push(ran.output("digest"));
    }
    assert!(digests[0] == digests[1] && digests[1] != digests[2], "{digests:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_of_the_containerd_store_is_pushed_by_the_daemon_under_a_tag_that_is_new() {
    // The same image lies in another region's registry: its digest is known, and here it comes with the daemon's push.
    let elsewhere = rig().await;
    let digest = elsewhere.simulator.world().add_image("us-east-1", "web", "v2");
    let daemon = StandIn::start(World::containerd().image(NAME, in_containerd(&digest)));
    let rig = with(&daemon).await;
    let world = rig.simulator.world().clone();
    let old = world.add_image(REGION, "web", "latest");
    let (daemon, asked) =
        (std::sync::Arc::new(daemon), |daemon: &StandIn| daemon.asked("POST").into_iter().find(|path| path.contains("/push")));
    let (watched, lands) = (daemon.clone(), world.clone());
    let landing = tokio::spawn(async move {
        while asked(&watched).is_none() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        lands.add_image(REGION, "web", "v2");
    });
    let ran = rig.main().await;
    landing.await.unwrap();
    assert_eq!(outcome(&ran), (0, "live".to_owned()), "{}", ran.stdout);
    assert_ne!(digest, old);
    assert_eq!((tag(&rig, "v2"), tag(&rig, "latest")), (Some(digest.clone()), Some(digest.clone())));
    assert_eq!(ran.output("digest"), digest);
    assert!(asked(&daemon).unwrap().ends_with("tag=v2"), "{:?}", asked(&daemon));
    assert_eq!(daemon.world.lock().unwrap().logins[0]["username"], "AWS");
    let again = rig.main().await;
    assert_eq!(outcome(&again), (0, "unchanged".to_owned()), "{}", again.stdout);
    assert_eq!(daemon.world.lock().unwrap().logins.len(), 1, "what is there is not pushed again");
}

fn in_containerd(digest: &str) -> serde_json::Value {
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let (os, architecture) = PLATFORM.split_once('/').unwrap();
    json!({
        "Id": digest, "Os": os, "Architecture": architecture, "RootFS": { "Type": "layers", "Layers": [] }, "Config": {},
        "Descriptor": { "mediaType": media_type, "digest": digest, "size": 1000, "platform": { "os": os, "architecture": architecture } },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_is_not_there_or_has_no_such_image_is_told_with_what_to_do() {
    let daemon = StandIn::start(World::legacy());
    let ran = with(&daemon).await.main().await;
    assert_eq!(outcome(&ran), (1, "untouched".to_owned()), "{}", ran.stdout);
    assert!(ran.stdout.contains("the Docker daemon has no image"), "{}", ran.stdout);
    let rig = rig().await.env("DOCKER_HOST", "unix:///nowhere/docker.sock").input("image", "docker://web:ci");
    let ran = rig.main().await;
    assert_eq!(outcome(&ran), (1, "untouched".to_owned()), "{}", ran.stdout);
    assert!(ran.stdout.contains("the Docker daemon cannot be reached"), "{}", ran.stdout);
}
