//! A release on its way: what is sent, how it is followed, what is said when it arrives or does not.

use std::time::Duration;

use futures_util::future::join_all;
use touchdown::failure::Kind;
use touchdown::runner::env::Env;
use touchdown::runner::log::Style;
use touchdown::runner::trace::Lines;
use touchdown::simulator::fault::Fault;
use touchdown::simulator::request::{Hook, Injection, Moment, When};
use touchdown::simulator::seed::{Balancer, Past, ServiceSeed, Strategy};
use touchdown::target::any::AnyTarget;
use touchdown::target::ecs::{Ecs, WaitUntil};
use touchdown::target::{Before, Target};
use touchdown::values::NamedBy;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;

use super::stage::{Deck, common, image};
use crate::runner::Printed;

#[tokio::test]
async fn a_good_release_arrives_with_its_address_and_the_platforms_own_facts() {
    let deck = Deck::web().await;
    let (captured, prepared) = deck.begun("v2").await;
    assert!(matches!(captured.before, Before::Running(_)));
    assert_eq!((captured.revision.as_deref(), captured.in_flight.as_deref()), (Some("web:1"), None));
    assert!(captured.image.unwrap().starts_with("123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:v1@sha256:"));
    assert_eq!(prepared.revision, "web:2");
    let arrival = deck.settled(&prepared.release).await.unwrap();
    let main = arrival.main.unwrap();
    assert_eq!((main.url.as_str(), main.named_by), ("https://web.example.com", NamedBy::Platform));
    assert!(main.via.unwrap().ends_with(".elb.amazonaws.com"));
    let digest = image("v2").digest;
    assert_eq!(
        arrival.facts,
        [
            "2 of 2 tasks run web:2".to_owned(),
            format!("2 running with {}", &digest.as_str()[..19]),
            "2 of its tasks healthy in the load balancer".to_owned()
        ]
    );
    assert_eq!(arrival.notes, Vec::<String>::new());
    assert_eq!(deck.running(), ["web:2"]);
}

#[tokio::test]
async fn one_update_carries_only_what_changes_and_never_a_desired_count() {
    let deck = Deck::web().await;
    deck.deployed("v2").await.unwrap();
    let updates = deck.sent("UpdateService");
    let keys: Vec<&str> = updates[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((updates.len(), keys.as_slice()), (1, ["cluster", "service", "taskDefinition"].as_slice()));
}

#[tokio::test]
async fn an_answer_that_was_lost_is_looked_for_and_nothing_is_done_twice() {
    for force in [false, true] {
        for operation in ["RegisterTaskDefinition", "UpdateService"] {
            for injection in [Injection::LoseAnswer, Injection::ResetBefore, Injection::Throttle, Injection::Status(500)] {
                let deck = Deck::web().await.again(|_, settings| settings.force = force);
                deck.stage.world.inject(When::Operation(operation.to_owned(), 0), injection);
                let (_, prepared) = deck.begun("v2").await;
                let arrival = deck.settled(&prepared.release).await;
                let context = format!("{operation} {injection:?} force={force}");
                arrival.unwrap_or_else(|failure| panic!("{context}: {failure}"));
                assert_eq!(prepared.revision, "web:2", "{context}: another revision was made");
                let deployments = &deck.stage.world.describe("web")["deployments"];
                assert_eq!(deployments.as_array().unwrap().len(), 1, "{context}");
                let all = AnyTarget::lists(deck.ecs.clone()).unwrap().releases(10).await.unwrap();
                assert_eq!(all.len(), 2, "{context}: {all:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_release_that_does_not_start_fails_early_with_its_reason_and_remedy() {
    for (fault, reason, remedy) in [
        (Fault::CrashOnStart, "exit code 1", "last log lines"),
        (Fault::OutOfMemory, "exit code 137 (killed", "more memory"),
        (Fault::ImagePull, "CannotPullContainerError", "in the registry"),
    ] {
        let deck = Deck::with(fault).await;
        let failure = deck.deployed("v2").await.unwrap_err();
        assert_eq!(failure.kind, Kind::Unhealthy, "{failure}");
        assert!(failure.what.starts_with("web:2 does not start"), "{failure}");
        assert!(failure.why.join(" ").contains(reason) && failure.fix.join(" ").contains(remedy), "{failure}");
        assert_eq!(deck.stage.world.describe("web")["deployments"][0]["rolloutState"], "IN_PROGRESS", "ECS itself had not given up");
    }
}

#[tokio::test]
async fn what_ecs_ends_by_itself_is_told_in_its_own_words() {
    for (fault, what, why) in [
        (Fault::CircuitBreakerRollback, "web:2", "circuit breaker"),
        (Fault::CircuitBreakerNoRollback, "web:2", "tasks"),
        (Fault::Alarm, "web:2", "alarms in ALARM"),
    ] {
        let deck = Deck::with(fault).await;
        let failure = deck.deployed("v2").await.unwrap_err();
        assert_eq!(failure.kind, Kind::Unhealthy, "{failure}");
        assert!(failure.what.contains(what), "{failure}");
        assert!(failure.why.join(" ").contains(why), "{fault:?}: {failure}");
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_found_is_first_a_note_and_then_a_failure() {
    let deck = Deck::with(Fault::Placement).await;
    let (_, prepared) = deck.begun("v2").await;
    deck.note(&prepared.release, "unable to place a task").await;
    let failure = deck.settled(&prepared.release).await.unwrap_err();
    assert_eq!((failure.kind, failure.what.as_str()), (Kind::Unhealthy, "ECS finds no place for the new tasks"));
}

#[tokio::test]
async fn a_pause_hook_is_told_with_the_command_that_continues_it() {
    let deck = Deck::with(Fault::PausedHook).await;
    let (_, prepared) = deck.begun("v2").await;
    let note = deck.note(&prepared.release, "paused at hook").await;
    assert!(note.contains("aws ecs continue-service-deployment --service-deployment-arn arn:aws:ecs:"), "{note}");
}

#[tokio::test]
async fn somebody_elses_deployment_in_the_middle_is_superseded_and_named() {
    let deck = Deck::with(Fault::Superseded).await;
    let failure = deck.deployed("v2").await.unwrap_err();
    assert_eq!(failure.kind, Kind::Superseded, "{failure} {}", deck.stage.world.describe("web"));
    assert!(failure.what.starts_with("web:3 (deployment ecs-svc/"), "{failure}");
}

#[tokio::test]
async fn somebody_elses_deployment_before_the_update_is_superseded_and_nothing_is_sent() {
    let deck = Deck::web().await;
    let captured = deck.captured().await;
    let prepared = Target::prepare(&*deck.ecs, &image("v2"), &captured.before).await.unwrap();
    deck.stage.world.deploy_by_somebody_else("web");
    let failure = deck.applied(&captured, &prepared).await.unwrap_err();
    assert_eq!((failure.kind, deck.count("UpdateService")), (Kind::Superseded, 0));
}

#[tokio::test]
async fn without_the_right_to_see_service_deployments_it_arrives_and_says_once_what_is_lost() {
    let deck = Deck::with(Fault::NoDeploymentApi).await;
    let arrival = deck.deployed("v2").await.unwrap();
    assert_eq!(arrival.notes.len(), 1);
    assert!(arrival.notes[0].starts_with("without ecs:ListServiceDeployments"), "{:?}", arrival.notes);
    assert_eq!(deck.count("ListServiceDeployments"), 1, "a refused look is not repeated");
}

#[tokio::test]
async fn without_the_rights_beyond_ecs_itself_it_still_arrives_with_fewer_facts() {
    let deck = Deck::web().await;
    for operation in ["elasticloadbalancing:*", "ecs:ListTasks", "ecs:DescribeTasks", "ecs:ListServiceDeployments", "logs:*"] {
        deck.stage.world.deny(operation);
    }
    let arrival = deck.deployed("v2").await.unwrap();
    assert_eq!((arrival.main, arrival.facts.len()), (None, 1));
    assert!(arrival.notes.iter().any(|note| note.contains("elasticloadbalancing:Describe")), "{:?}", arrival.notes);
}

#[tokio::test]
async fn a_service_terraform_made_that_never_ran_gets_its_first_release() {
    let deck = Deck::of(ServiceSeed { past: Past::NeverRan, ..ServiceSeed::new("web") }).await;
    let (captured, prepared) = deck.begun("v2").await;
    assert!(matches!(captured.before, Before::NeverServed(_)), "{captured:?}");
    assert_eq!(captured.in_flight, None);
    deck.settled(&prepared.release).await.unwrap();
    assert_eq!(deck.running(), ["web:2"]);
}

#[tokio::test]
async fn services_of_every_kind_arrive() {
    let seeds = [
        ServiceSeed { balancer: Balancer::Classic, ..ServiceSeed::new("web") },
        ServiceSeed { balancer: Balancer::Nothing, container_health: true, ..ServiceSeed::new("web") },
        ServiceSeed { balancer: Balancer::Network, ..ServiceSeed::new("web") },
        ServiceSeed { balancer: Balancer::Internal, ..ServiceSeed::new("web") },
        ServiceSeed { daemon: true, ..ServiceSeed::new("web") },
        ServiceSeed { desired: 0, ..ServiceSeed::new("web") },
        ServiceSeed { strategy: Strategy::BlueGreen, ..ServiceSeed::new("web") },
        ServiceSeed { strategy: Strategy::Canary, ..ServiceSeed::new("web") },
        ServiceSeed { strategy: Strategy::Linear, ..ServiceSeed::new("web") },
    ];
    for seed in seeds {
        let kind = format!("{:?} {:?} daemon={} desired={}", seed.balancer, seed.strategy, seed.daemon, seed.desired);
        let nothing_runs = seed.desired == 0;
        let deck = Deck::of(seed).await;
        let arrival = deck.deployed("v2").await.unwrap_or_else(|failure| panic!("{kind}: {failure}"));
        if nothing_runs {
            assert!(arrival.notes.iter().any(|note| note.contains("desired count is 0")), "{arrival:?}");
        } else {
            assert_eq!(deck.running(), ["web:2"], "{kind}");
        }
    }
}

#[tokio::test]
async fn a_blue_green_deployment_tells_its_stages_and_wait_until_lets_go_early() {
    let deck = Deck::of(ServiceSeed { strategy: Strategy::BlueGreen, ..ServiceSeed::new("web") }).await;
    let deck = deck.again(|_, settings| settings.wait_until = WaitUntil::Bake);
    let (_, prepared) = deck.begun("v2").await;
    deck.note(&prepared.release, "stage scale up").await;
    let arrival = deck.settled(&prepared.release).await.unwrap();
    assert!(arrival.notes[0].contains("stage bake time"), "{:?}", arrival.notes);
    assert_eq!(deck.running(), ["web:1", "web:2"], "blue still stands by");
}

#[tokio::test]
async fn another_process_sees_the_same_deployment_arrive() {
    let deck = Deck::web().await;
    let (_, prepared) = deck.begun("v2").await;
    let deck = deck.again(|_, _| {});
    deck.settled(&prepared.release).await.unwrap();
}

#[tokio::test]
async fn a_deployment_forced_by_somebody_with_our_task_definition_is_adopted() {
    let deck = Deck::web().await;
    let (_, prepared) = deck.begun("v2").await;
    deck.note(&prepared.release, "tasks running").await;
    let body = serde_json::json!({ "cluster": "default", "service": "web", "forceNewDeployment": true });
    let force = deck.session.ecs().update_service().cluster("default").service("web").force_new_deployment(true).send().await;
    force.unwrap_or_else(|error| panic!("{body}: {error:?}"));
    let arrival = deck.settled(&prepared.release).await.unwrap();
    assert!(arrival.notes.iter().any(|note| note.contains("followed instead of ecs-svc/")), "{:?}", arrival.notes);
}

#[tokio::test]
async fn twenty_services_of_a_cluster_are_looked_at_ten_to_a_call() {
    let deck = Deck::web().await;
    let mut all = vec![deck.ecs.clone()];
    for number in 1..20 {
        let name = format!("web{number}");
        deck.stage.world.add_service(&ServiceSeed::new(&name)).unwrap();
        all.push(std::sync::Arc::new(Ecs::new(common(&name), deck.settings.clone(), None, deck.session.clone(), &deck.clusters)));
    }
    deck.stage.world.set_request_latency(Duration::from_secs(10));
    let found = join_all(all.into_iter().map(AnyTarget::snapshot)).await;
    assert!(found.iter().all(Result::is_ok));
    let calls = deck.sent("DescribeServices");
    let asked: usize = calls.iter().map(|call| call["services"].as_array().unwrap().len()).sum();
    assert_eq!(asked, 20);
    assert!(calls.len() <= 4, "{} calls", calls.len());
}

#[tokio::test]
async fn somebody_elses_update_right_after_ours_is_found_by_the_next_look() {
    let deck = Deck::web().await;
    let captured = deck.captured().await;
    let prepared = Target::prepare(&*deck.ecs, &image("v2"), &captured.before).await.unwrap();
    deck.applied(&captured, &prepared).await.unwrap();
    deck.stage.world.deploy_by_somebody_else("web");
    let failure = deck.settled(&prepared.release).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Superseded, "{failure}");
    assert_eq!(deck.count("UpdateService"), 1);
}

#[tokio::test]
async fn somebody_elses_update_in_the_very_moment_before_ours_is_replaced_by_it_and_that_is_said() {
    let deck = Deck::web().await;
    let captured = deck.captured().await;
    let prepared = Target::prepare(&*deck.ecs, &image("v2"), &captured.before).await.unwrap();
    let world = deck.stage.world.clone();
    deck.stage.world.on_request(Box::new(move |request, now| {
        if request.operation == "ecs:UpdateService" && now == Moment::Before {
            world.deploy_by_somebody_else("web");
        }
        Hook::Go
    }));
    // Ours is under way for long enough that theirs has tasks by then.
    deck.stage.world.inject(When::Operation("UpdateService".to_owned(), 0), Injection::Delay(Duration::from_secs(10)));
    let (log, printed) = Printed::log(Style::Plain);
    let traced = tracing_subscriber::registry().with(Lines::new(log, &Env::default()));
    deck.applied(&captured, &prepared).with_subscriber(traced).await.unwrap();
    let said = "another deployment, of web:3, began a moment before this one and is replaced by it";
    assert!(printed.text().contains(said), "{}", printed.text());
    deck.settled(&prepared.release).await.unwrap();
    assert_eq!((deck.count("UpdateService"), deck.running()), (1, vec!["web:2".to_owned()]));
}
