//! The way back: what is sent, that it arrives, and what is left alone.

use std::sync::Arc;

use serde_json::json;
use touchdown::clock::Timestamp;
use touchdown::failure::Kind;
use touchdown::simulator::fault::Fault;
use touchdown::simulator::request::{Injection, When};
use touchdown::simulator::seed::{ServiceSeed, Strategy};
use touchdown::target::any::AnyTarget;
use touchdown::target::ecs::WaitUntil;
use touchdown::target::{Before, Holder, Leavings, Mark, Target, Undo, UndoCost};
use touchdown::values::RunId;

use super::stage::Deck;

#[tokio::test]
async fn a_deployment_under_way_is_stopped_and_ecs_goes_back() {
    let deck = Deck::with(Fault::CrashOnStart).await;
    let (captured, prepared) = deck.begun("v2").await;
    deck.settled(&prepared.release).await.unwrap_err();
    assert!(matches!(deck.undone(&captured, &prepared).await, Undo::Begun(_)));
    assert_eq!((deck.count("StopServiceDeployment"), deck.count("UpdateService")), (1, 1));
    assert_eq!(deck.running(), ["web:1"]);
    assert_eq!(deck.undone(&captured, &prepared).await, Undo::NothingToUndo, "asked again it has nothing to do");
    assert_eq!(deck.sent("DeregisterTaskDefinition").len(), 0);
}

#[tokio::test]
async fn a_completed_deployment_is_put_back_by_an_update() {
    let deck = Deck::web().await;
    let (captured, prepared) = deck.begun("v2").await;
    deck.settled(&prepared.release).await.unwrap();
    assert!(matches!(deck.undone(&captured, &prepared).await, Undo::Begun(_)));
    assert_eq!((deck.count("StopServiceDeployment"), deck.count("UpdateService")), (0, 2));
    assert_eq!(deck.running(), ["web:1"]);
}

#[tokio::test]
async fn a_rollback_that_ecs_has_begun_is_followed_and_not_fought() {
    let deck = Deck::with(Fault::CircuitBreakerRollback).await;
    let (captured, prepared) = deck.begun("v2").await;
    deck.settled(&prepared.release).await.unwrap_err();
    deck.undone(&captured, &prepared).await;
    assert_eq!((deck.count("StopServiceDeployment"), deck.count("UpdateService")), (0, 1));
    assert_eq!(deck.running(), ["web:1"]);
}

#[tokio::test]
async fn a_rollback_that_ecs_has_begun_is_followed_by_another_process_too() {
    let deck = Deck::with(Fault::CircuitBreakerRollback).await;
    let (captured, prepared) = deck.begun("v2").await;
    deck.settled(&prepared.release).await.unwrap_err();
    let deck = deck.again(|_, _| {});
    deck.undone(&captured, &prepared).await;
    assert_eq!((deck.count("UpdateService"), deck.running()), (1, vec!["web:1".to_owned()]));
}

#[tokio::test]
async fn a_deployment_ecs_gave_up_without_a_rollback_is_put_back_by_an_update() {
    let deck = Deck::with(Fault::CircuitBreakerNoRollback).await;
    let (captured, prepared) = deck.begun("v2").await;
    deck.settled(&prepared.release).await.unwrap_err();
    assert!(matches!(deck.undone(&captured, &prepared).await, Undo::Begun(_)));
    assert_eq!(deck.running(), ["web:1"]);
}

#[tokio::test]
async fn without_the_right_to_stop_deployments_an_update_goes_back() {
    let deck = Deck::with(Fault::NoDeploymentApi).await;
    let (captured, prepared) = deck.begun("v2").await;
    assert!(matches!(deck.undone(&captured, &prepared).await, Undo::Begun(_)));
    assert_eq!((deck.count("UpdateService"), deck.running()), (2, vec!["web:1".to_owned()]));
    let deck = Deck::web().await;
    deck.stage.world.deny("ecs:StopServiceDeployment");
    let (captured, prepared) = deck.begun("v2").await;
    assert!(matches!(deck.undone(&captured, &prepared).await, Undo::Begun(_)));
    assert_eq!(deck.running(), ["web:1"]);
}

#[tokio::test]
async fn a_way_back_that_fails_is_told_and_asked_again_it_deploys_the_old_release_once_more() {
    let deck = Deck::with(Fault::RollbackFails).await;
    let (captured, prepared) = deck.begun("v2").await;
    deck.settled(&prepared.release).await.unwrap_err();
    let Undo::Begun(back) = Target::rollback(&*deck.ecs, &captured.before, &prepared.release).await.unwrap() else { panic!("not begun") };
    let failure = deck.settled(&back).await.unwrap_err();
    assert!(matches!(failure.kind, Kind::Unhealthy), "{failure}");
    deck.stage.world.set_fault("web", Fault::None);
    deck.undone(&captured, &prepared).await;
}

#[tokio::test]
async fn somebody_elses_deployment_is_left_alone() {
    let deck = Deck::web().await;
    let (captured, prepared) = deck.begun("v2").await;
    deck.settled(&prepared.release).await.unwrap();
    deck.stage.world.deploy_by_somebody_else("web");
    let undo = deck.undone(&captured, &prepared).await;
    assert_eq!(undo, Undo::Superseded { by: "web:3".to_owned() });
    assert_eq!((deck.count("UpdateService"), deck.count("StopServiceDeployment")), (1, 0));
}

#[tokio::test]
async fn what_was_never_applied_needs_no_undo() {
    let deck = Deck::web().await;
    let captured = deck.captured().await;
    let prepared = Target::prepare(&*deck.ecs, &super::stage::image("v2"), &captured.before).await.unwrap();
    assert_eq!(deck.undone(&captured, &prepared).await, Undo::NothingToUndo);
    assert_eq!(deck.count("UpdateService"), 0);
}

#[tokio::test]
async fn an_undo_right_after_an_update_ecs_does_not_show_yet_waits_for_it_to_show() {
    let deck = Deck::web().await;
    deck.stage.world.set_consistency_lag(std::time::Duration::from_secs(6), std::time::Duration::from_secs(5));
    let (captured, prepared) = deck.begun("v2").await;
    assert!(matches!(deck.undone(&captured, &prepared).await, Undo::Begun(_)));
    assert_eq!(deck.running(), ["web:1"]);
}

#[tokio::test]
async fn a_lost_answer_on_the_way_back_is_looked_for() {
    for (operation, nth, settle) in [("StopServiceDeployment", 0, false), ("UpdateService", 1, true)] {
        for injection in [Injection::LoseAnswer, Injection::ResetBefore, Injection::Throttle, Injection::Status(500)] {
            let deck = Deck::web().await;
            let (captured, prepared) = deck.begun("v2").await;
            if settle {
                deck.settled(&prepared.release).await.unwrap();
            }
            deck.stage.world.inject(When::Operation(operation.to_owned(), nth), injection);
            deck.undone(&captured, &prepared).await;
            assert_eq!(deck.running(), ["web:1"], "{operation} {injection:?}");
            let stops_accepted = deck.stage.world.describe("web")["deployments"].as_array().unwrap().len();
            assert_eq!(stops_accepted, 1, "{operation} {injection:?}");
        }
    }
}

#[tokio::test]
async fn a_bake_is_ended_by_giving_the_traffic_back() {
    let seed = ServiceSeed { strategy: Strategy::BlueGreen, ..ServiceSeed::new("web") };
    let deck = Deck::of(seed).await.again(|_, settings| settings.wait_until = WaitUntil::Bake);
    let (captured, prepared) = deck.begun("v2").await;
    deck.settled(&prepared.release).await.unwrap();
    assert!(matches!(deck.undone(&captured, &prepared).await, Undo::Begun(_)));
    assert_eq!(deck.count("StopServiceDeployment"), 1);
    assert_eq!(deck.running(), ["web:1"]);
}

#[tokio::test]
async fn a_desired_count_that_was_asked_for_goes_back_with_everything_else() {
    for fault in [Fault::None, Fault::CrashOnStart, Fault::CircuitBreakerRollback] {
        let deck = Deck::with(fault).await.again(|_, settings| settings.desired_count = Some(3));
        assert_eq!(Target::undo_cost(&*deck.ecs), UndoCost::Several);
        let (captured, prepared) = deck.begun("v2").await;
        assert_eq!(deck.sent("UpdateService")[0]["desiredCount"], 3);
        let _ = deck.settled(&prepared.release).await;
        deck.undone(&captured, &prepared).await;
        assert_eq!(deck.stage.world.describe("web")["desiredCount"], 2, "{fault:?}");
        assert_eq!(deck.running(), ["web:1"], "{fault:?}");
    }
    assert_eq!(Target::undo_cost(&*Deck::web().await.ecs), UndoCost::OneCall);
}

#[tokio::test]
async fn the_release_back_to_a_service_that_never_served_is_no_proof_of_anything() {
    let seed = ServiceSeed { past: touchdown::simulator::seed::Past::NeverRan, ..ServiceSeed::new("web") };
    let deck = Deck::of(seed).await;
    deck.stage.world.set_fault("web", Fault::CrashOnStart);
    let (captured, prepared) = deck.begun("v2").await;
    deck.settled(&prepared.release).await.unwrap_err();
    let undo = deck.insist(async || Target::rollback(&*deck.ecs, &captured.before, &prepared.release).await).await.unwrap();
    assert_eq!(undo, Undo::NothingToUndo);
    assert_eq!(deck.count("StopServiceDeployment"), 0, "ECS has nothing to roll back to");
    let service = deck.stage.world.describe("web");
    assert!(service["taskDefinition"].as_str().unwrap().ends_with("web:1"));
}

#[tokio::test]
async fn the_commands_by_hand_are_whole() {
    let deck = Deck::web().await.again(|_, settings| settings.desired_count = Some(3));
    let captured = deck.captured().await;
    insta::assert_snapshot!(Target::by_hand(&*deck.ecs, &captured.before).join("\n"), @r"
    aws ecs update-service --region eu-west-1 --cluster default --service web --task-definition web:1 --desired-count 2
    aws ecs wait services-stable --region eu-west-1 --cluster default --services web
    ");
    assert_eq!(Target::by_hand(&*deck.ecs, &Before::Absent), Vec::<String>::new());
}

#[tokio::test]
async fn an_open_mark_is_written_read_and_repaired() {
    let deck = Deck::web().await;
    let marks = AnyTarget::marks(deck.ecs.clone()).unwrap();
    let by = Holder { run: RunId { id: "7".to_owned(), attempt: 1 }, step: "a1".to_owned() };
    let open = Mark::Open { by: by.clone(), until: Timestamp(1), back_to: "web:1".to_owned(), to: "web:2".to_owned() };
    marks.write(open.clone()).await.unwrap();
    assert_eq!(deck.captured().await.mark.map(|mark| *mark), Some(open.clone()));
    assert_eq!(marks.leavings(open.clone()).await.unwrap(), Leavings::Nothing);
    assert_eq!(marks.repair(open.clone()).await.unwrap(), Undo::NothingToUndo);
    deck.deployed("v2").await.unwrap();
    assert_eq!(marks.leavings(open.clone()).await.unwrap(), Leavings::Release);
    marks.close(Holder { step: "b2".to_owned(), ..by.clone() }).await.unwrap();
    assert_eq!(deck.captured().await.mark.map(|mark| *mark), Some(open.clone()), "another step's mark is not ours to close");
    let Undo::Begun(back) = marks.repair(open.clone()).await.unwrap() else { panic!("not begun") };
    deck.settled(&serde_json::from_value(back).unwrap()).await.unwrap();
    assert_eq!(deck.running(), ["web:1"]);
    marks.write(Mark::Proven { revision: "web:1".to_owned() }).await.unwrap();
    assert_eq!(deck.captured().await.mark.map(|mark| *mark), Some(Mark::Proven { revision: "web:1".to_owned() }));
    marks.write(open.clone()).await.unwrap();
    marks.close(by.clone()).await.unwrap();
    assert_eq!(marks.read().await.unwrap(), Some(Mark::Closed { by }));
    deck.stage.world.deny("ecs:TagResource");
    assert_eq!(marks.write(Mark::Proven { revision: "web:1".to_owned() }).await.unwrap_err().kind, Kind::Denied);
}

#[tokio::test]
async fn history_tells_what_serves_and_the_last_good_release_can_be_gone_back_to() {
    let deck = Deck::web().await;
    deck.deployed("v2").await.unwrap();
    let lists = AnyTarget::lists(deck.ecs.clone()).unwrap();
    let all = lists.releases(10).await.unwrap();
    let told: Vec<(&str, &str)> = all.iter().map(|one| (one.revision.as_str(), one.note.as_str())).collect();
    assert_eq!(told, [("web:2", "successful, serves"), ("web:1", "successful")]);
    let before = AnyTarget::snapshot(Arc::clone(&deck.ecs)).await.unwrap().before;
    let back = lists.release(None, before.clone()).await.unwrap();
    assert_eq!((back.revision.as_str(), back.changes.as_slice()), ("web:1", ["task definition: web:2 → web:1".to_owned()].as_slice()));
    AnyTarget::apply(Arc::clone(&deck.ecs), back.release.clone(), before.clone()).await.unwrap();
    deck.settled(&serde_json::from_value(back.release).unwrap()).await.unwrap();
    assert_eq!(deck.running(), ["web:1"]);
    let missing = lists.release(Some("web:77".to_owned()), before).await.unwrap_err();
    assert!(missing.what.contains("web:77"), "{missing}");
    assert_eq!(json!(missing.kind), json!("missing"));
}
