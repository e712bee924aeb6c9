//! Pushes through lost answers and resets, refusals, stops and kills: the right image in the end, or a clear error and no moved tag.

use std::time::Duration;

use touchdown::simulator::request::{Injection, Moment, When};

use super::{REGION, layout, outcome, push_only, rig, tag};
use crate::crash::killed_at;
use crate::rig::{REPOSITORY, side_by_side};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_survives_whatever_happens_to_one_of_its_requests() {
    let (_, digest) = layout(super::PLATFORM);
    let clean = push_only().await;
    assert_eq!(clean.main().await.code, 0);
    let requests = clean.simulator.world().requests().len();
    assert!(requests > 10, "only {requests}");
    let injections = [
        Injection::LoseAnswer,
        Injection::ResetBefore,
        Injection::Status(500),
        Injection::Throttle,
        Injection::Busy(Duration::from_secs(2)),
        Injection::CutShort,
    ];
    let cases = injections.into_iter().flat_map(|injection| (0..requests).map(move |index| (injection, index)));
    side_by_side(cases.map(|(injection, index)| {
        let digest = digest.clone();
        async move {
            let rig = push_only().await;
            let world = rig.simulator.world();
            let old = world.add_image(REGION, "web", "latest");
            world.inject(When::Request(index), injection);
            let ran = rig.main().await;
            let place = world.requests().get(index).map(|request| request.operation.clone());
            assert_eq!(ran.code, 0, "{injection:?} at {index} {place:?}: {}", ran.stdout);
            assert_ne!(old, digest);
            assert_eq!((tag(&rig, "v2"), tag(&rig, "latest")), (Some(digest.clone()), Some(digest.clone())), "{injection:?} at {index}");
        }
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_for_good_ends_in_a_clear_error_and_no_tag() {
    let places =
        ["ecr:GetAuthorizationToken", "registry:HEAD blob", "registry:POST upload", "registry:PUT upload", "registry:PUT manifest"];
    let injections = [Injection::ResetBefore, Injection::Status(500), Injection::Throttle, Injection::Busy(Duration::from_secs(2))];
    let cases = places.into_iter().flat_map(|place| injections.into_iter().map(move |injection| (place, injection)));
    side_by_side(cases.map(|(place, injection)| async move {
        let rig = rig().await;
        let world = rig.simulator.world();
        let old = world.add_image(REGION, "web", "latest");
        (0..500).for_each(|index| world.inject(When::Operation(place.to_owned(), index), injection));
        let ran = rig.main().await;
        assert_eq!(outcome(&ran), (1, "untouched".to_owned()), "{injection:?} of {place}: {}", ran.stdout);
        assert!(ran.summary.contains("Why") || ran.summary.contains("why"), "{injection:?} of {place}: {}", ran.summary);
        assert_eq!((tag(&rig, "v2"), tag(&rig, "latest")), (None, Some(old)), "{injection:?} of {place}");
        assert_eq!(world.serving("web"), "v1", "{injection:?} of {place}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_may_not_push_is_told_what_is_missing_and_nothing_is_changed() {
    for denied in ["ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:GetAuthorizationToken"] {
        let rig = rig().await;
        rig.simulator.world().deny(denied);
        let ran = rig.main().await;
        assert_eq!(outcome(&ran), (1, "untouched".to_owned()), "{denied}: {}", ran.stdout);
        assert!(ran.summary.contains(denied), "{denied}: {}", ran.summary);
        assert_eq!((tag(&rig, "v2"), rig.simulator.world().serving("web")), (None, "v1".to_owned()), "{denied}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_that_is_not_there_is_a_mistake_unless_it_is_to_be_made() {
    let rig = rig().await.input("push-to", &format!("{REPOSITORY}/team/new"));
    let ran = rig.main().await;
    assert_eq!(outcome(&ran), (1, "untouched".to_owned()), "{}", ran.stdout);
    assert!(ran.summary.contains("create-repository"), "{}", ran.summary);
    let rig = rig.input("create-repository", "true");
    let ran = rig.main().await;
    assert_eq!(outcome(&ran), (0, "live".to_owned()), "{}", ran.stdout);
    assert!(rig.simulator.world().tag(REGION, "team/new", "v2").is_some());
    assert_eq!(rig.simulator.world().count("CreateRepository"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_that_is_stopped_moves_no_tag_and_the_next_one_goes_on() {
    let rig = rig().await;
    let world = rig.simulator.world();
    let old = world.add_image(REGION, "web", "latest");
    world.inject(When::Operation("registry:PUT manifest".to_owned(), 0), Injection::Delay(Duration::from_secs(200)));
    let main = rig.start();
    while world.count("registry:PUT manifest") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    main.stop.request("SIGINT");
    let ran = main.ended().await;
    assert_eq!(ran.output("outcome"), "untouched", "{}", ran.stdout);
    assert_ne!(ran.code, 0);
    assert!(ran.summary.contains("SIGINT"), "{}", ran.summary);
    assert_eq!(tag(&rig, "latest"), Some(old));
    let post = rig.post(&ran.state).await;
    assert_eq!(world.serving("web"), "v1", "{}", post.stdout);
    let sent = world.count("registry:PUT upload");
    assert!(sent > 0);
    let again = rig.main().await;
    assert_eq!(outcome(&again), (0, "live".to_owned()), "{}", again.stdout);
    assert_eq!(tag(&rig, "latest"), tag(&rig, "v2"));
    assert_eq!(world.count("registry:PUT upload"), sent, "what has arrived is not sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_main_that_is_killed_while_it_pushes_leaves_nothing_to_put_back() {
    let rig = rig().await;
    let world = rig.simulator.world();
    let old = world.add_image(REGION, "web", "latest");
    world.inject(When::Operation("registry:PUT manifest".to_owned(), 0), Injection::Delay(Duration::from_secs(200)));
    let main = rig.start();
    while world.count("registry:PUT manifest") == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ran = main.killed().await;
    let post = rig.post(&ran.state).await;
    assert_eq!(post.code, 0, "{}", post.stdout);
    assert_eq!((tag(&rig, "latest"), world.serving("web")), (Some(old), "v1".to_owned()));
    assert!(rig.home().is_empty(), "{:?}", rig.home());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_that_pushes_killed_anywhere_ends_in_one_version_and_its_tags() {
    let clean = rig().await;
    assert_eq!(clean.main().await.code, 0);
    let requests = clean.simulator.world().requests().len();
    let cases = [Moment::Before, Moment::After].into_iter().flat_map(|moment| (0..=requests).map(move |index| (moment, index)));
    side_by_side(cases.map(|(moment, index)| async move {
        let rig = rig().await;
        let world = rig.simulator.world();
        let old = world.add_image(REGION, "web", "latest");
        let Some(ran) = killed_at(&rig, index, moment).await else { return };
        let place = format!("killed {moment:?} request {index} ({})", world.requests()[index].operation);
        let committed = ran.state.values().any(|line| line.contains("\"committed\""));
        let post = rig.post(&ran.state).await;
        let (version, latest) = if committed { ("v2", tag(&rig, "v2").unwrap()) } else { ("v1", old) };
        for _ in 0..600 {
            if world.serving("web") == version {
                break;
            }
            rig.clock.sleep(Duration::from_secs(1)).await;
        }
        assert_eq!((world.serving("web").as_str(), tag(&rig, "latest")), (version, Some(latest)), "{place}: {}", post.stdout);
        assert!(rig.home().is_empty(), "{place}: post left {:?}", rig.home());
    }))
    .await;
}
