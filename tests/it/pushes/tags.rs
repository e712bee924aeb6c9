//! Tags that mean another image: moved when the release stands and not before, by post where main did not live to do it, never after a rollback.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;
use touchdown::simulator::request::{Hook, Moment, Request};

use super::{REGION, failing, outcome, push_only, rig, tag};
use crate::rig::{REPOSITORY, Ran, Rig};

/// Kills main at the first manifest that is written after the service was changed: the tag that moves.
async fn killed_before_the_tag(rig: &Rig) -> Ran {
    let (reached, changed) = (Arc::new(Notify::new()), AtomicBool::new(false));
    let tell = reached.clone();
    rig.simulator.world().on_request(Box::new(move |request: &Request, now: Moment| {
        if request.operation == "ecs:UpdateService" {
            changed.store(true, Ordering::Relaxed);
        }
        if changed.load(Ordering::Relaxed) && request.operation == "registry:PUT manifest" && now == Moment::Before {
            tell.notify_one();
            return Hook::HoldForever;
        }
        Hook::Go
    }));
    let main = rig.start();
    reached.notified().await;
    let ran = main.killed().await;
    rig.simulator.world().on_request_no_more();
    ran
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_moves_after_the_commit_and_not_before() {
    let rig = rig().await;
    let world = rig.simulator.world();
    let old = world.add_image(REGION, "web", "latest");
    let ran = rig.main().await;
    assert_eq!(outcome(&ran), (0, "live".to_owned()), "{}", ran.stdout);
    let digest = tag(&rig, "v2").unwrap();
    assert_eq!(tag(&rig, "latest"), Some(digest.clone()));
    assert_ne!(digest, old);
    let requests = world.requests();
    let at = |operation: &str, last: bool| {
        let mut found = requests.iter().enumerate().filter(|(_, request)| request.operation == operation).map(|(index, _)| index);
        if last { found.next_back() } else { found.next() }.unwrap()
    };
    assert!(at("registry:PUT manifest", false) < at("ecs:UpdateService", false));
    assert!(at("registry:PUT manifest", true) > at("ecs:DescribeServices", true) - 3, "the last tag comes at the end");
    let moved = requests.iter().filter(|request| request.operation == "registry:PUT manifest").count();
    assert_eq!(moved, 2, "the image with its new tag, then the tag that moves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_release_moves_no_tag() {
    let rig = rig().await;
    let old = rig.simulator.world().add_image(REGION, "web", "latest");
    failing(&rig);
    let ran = rig.main().await;
    assert_eq!(outcome(&ran), (1, "rolled-back".to_owned()), "{}", ran.stdout);
    assert_eq!(tag(&rig, "latest"), Some(old));
    assert!(tag(&rig, "v2").is_some(), "the tag that is new names what was tried");
    rig.post(&ran.state).await;
    assert_ne!(tag(&rig, "latest"), tag(&rig, "v2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_move_with_the_push_where_that_is_asked_for() {
    let rig = rig().await.input("move-tags", "pushed");
    rig.simulator.world().add_image(REGION, "web", "latest");
    failing(&rig);
    let ran = rig.main().await;
    assert_eq!(outcome(&ran), (1, "rolled-back".to_owned()), "{}", ran.stdout);
    assert_eq!(tag(&rig, "latest"), tag(&rig, "v2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn post_moves_the_tags_of_a_main_that_was_killed_after_its_commit() {
    let rig = rig().await;
    let old = rig.simulator.world().add_image(REGION, "web", "latest");
    let ran = killed_before_the_tag(&rig).await;
    assert_eq!(tag(&rig, "latest"), Some(old));
    let post = rig.post(&ran.state).await;
    assert_eq!(post.code, 0, "{}", post.stdout);
    assert_eq!(tag(&rig, "latest"), tag(&rig, "v2"), "{}", post.stdout);
    assert_eq!(rig.simulator.world().serving("web"), "v2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_somebody_else_moved_meanwhile_stays_theirs() {
    let rig = rig().await;
    let world = rig.simulator.world();
    world.add_image(REGION, "web", "latest");
    let ran = killed_before_the_tag(&rig).await;
    let theirs = world.add_image(REGION, "web", "theirs");
    world.set_tag(REGION, "web", "latest", &theirs);
    let post = rig.post(&ran.state).await;
    assert_eq!(post.code, 0, "{}", post.stdout);
    assert_eq!(tag(&rig, "latest"), Some(theirs));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_gives_tags_and_moves_no_bytes() {
    let rig = push_only().await.input("image", "").input("tags", "from staging to latest and v1.2.3");
    let world = rig.simulator.world();
    let staged = world.add_image(REGION, "web", "staging");
    let ran = rig.main().await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!((tag(&rig, "latest"), tag(&rig, "v1.2.3")), (Some(staged.clone()), Some(staged)));
    assert_eq!(world.count("registry:POST upload"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_cannot_be_written_twice_is_a_clear_error_unless_it_means_the_image_already() {
    let rig = rig().await.input("tags", "v2");
    rig.simulator.world().add_repository(REGION, "web", true);
    assert_eq!(outcome(&rig.main().await), (0, "live".to_owned()));
    let again = rig.main().await;
    assert_eq!(outcome(&again), (0, "unchanged".to_owned()), "{}", again.stdout);
    let other = super::rig().await.input("tags", "v2").input("move-tags", "pushed");
    other.simulator.world().add_repository(REGION, "web", true);
    other.simulator.world().add_image(REGION, "web", "v2");
    let ran = other.main().await;
    assert_eq!(outcome(&ran), (1, "untouched".to_owned()), "{}", ran.stdout);
    assert!(ran.stdout.contains("immutable") && ran.stdout.contains(&format!("{REPOSITORY}/web")), "{}", ran.stdout);
}
