//! What cannot be deployed is said before anything is changed: what, why, and what to do.

use serde_json::json;
use touchdown::failure::{Failure, Kind};
use touchdown::simulator::fault::Fault;
use touchdown::simulator::seed::{Balancer, ServiceSeed};
use touchdown::target::Target;

use super::stage::{Deck, image};

async fn unread(deck: &Deck) -> Failure {
    Target::snapshot(&*deck.ecs).await.unwrap_err()
}

fn untouched(deck: &Deck) {
    let changing = deck.stage.world.requests().into_iter().filter(|request| request.changing && request.operation.starts_with("ecs:"));
    assert_eq!(changing.count(), 0);
}

#[tokio::test]
async fn a_service_or_cluster_that_does_not_exist_is_missing_here() {
    let deck = Deck::web().await.again(|common, _| common.service = "wbe".to_owned());
    let failure = unread(&deck).await;
    assert_eq!(failure.kind, Kind::Missing);
    insta::assert_snapshot!(failure, @r"
    web: there is no service wbe in the cluster default in eu-west-1
      why  signed in to account 123456789012
      fix  check service, cluster and region: a service of another region or account is not seen
           create the service first (Terraform, console): Touchdown deploys services, it does not design them
    ");
    let deck = deck.again(|_, settings| settings.cluster = "prod".to_owned());
    let failure = unread(&deck).await;
    assert_eq!((failure.kind, failure.what.as_str()), (Kind::Missing, "web: there is no cluster prod in eu-west-1"));
}

#[tokio::test]
async fn a_service_that_was_deleted_is_missing_although_it_is_still_shown() {
    let deck = Deck::web().await;
    deck.session.ecs().delete_service().cluster("default").service("web").force(true).send().await.unwrap();
    let failure = unread(&deck).await;
    assert_eq!(failure.kind, Kind::Missing);
    assert!(failure.fix[0].contains("create the service"), "{failure}");
}

#[tokio::test]
async fn controllers_we_do_not_drive_are_refused_by_their_names() {
    for (controller, name) in [("CODE_DEPLOY", "CodeDeploy"), ("EXTERNAL", "external")] {
        let deck = Deck::of(ServiceSeed { controller: controller.to_owned(), ..ServiceSeed::new("web") }).await;
        let failure = unread(&deck).await;
        assert_eq!(failure.kind, Kind::Config);
        assert!(failure.what.contains(name) && failure.fix[0].contains("controller to ECS"), "{failure}");
        untouched(&deck);
    }
    let deck = Deck::of(ServiceSeed { settings: json!({ "resourceManagementType": "ECS" }), ..ServiceSeed::new("web") }).await;
    assert!(unread(&deck).await.what.contains("Express Mode"));
}

#[tokio::test]
async fn a_missing_permission_names_itself_and_who_lacks_it() {
    let deck = Deck::web().await;
    deck.stage.world.deny("ecs:DescribeServices");
    let failure = unread(&deck).await;
    assert_eq!(failure.kind, Kind::Denied);
    insta::assert_snapshot!(failure.fix[0], @"allow ecs:DescribeServices to this role (examples/aws/policy.json has every permission)");
    assert!(failure.why[1].contains("arn:aws:sts::123456789012:assumed-role/deploy/touchdown-42"), "{failure}");
    let deck = Deck::with(Fault::DeniedUpdate).await;
    let captured = deck.captured().await;
    let prepared = Target::prepare(&*deck.ecs, &image("v2"), &captured.before).await.unwrap();
    let failure = deck.applied(&captured, &prepared).await.unwrap_err();
    assert!(failure.kind == Kind::Denied && failure.fix[0].contains("ecs:UpdateService and iam:PassRole"), "{failure}");
    assert_eq!(deck.running(), ["web:1"]);
}

#[tokio::test]
async fn a_permission_for_one_of_two_services_does_not_take_the_other_with_it() {
    let deck = Deck::web().await;
    deck.stage.world.add_service(&ServiceSeed::new("api")).unwrap();
    let api =
        touchdown::target::ecs::Ecs::new(super::stage::common("api"), deck.settings.clone(), None, deck.session.clone(), &deck.clusters);
    deck.stage.world.deny_for("ecs:DescribeServices", "api");
    // Slow enough that the two are asked for in one call.
    deck.stage.world.set_request_latency(std::time::Duration::from_secs(5));
    let first = Target::snapshot(&*deck.ecs);
    let (first, web, api) = tokio::join!(first, Target::snapshot(&*deck.ecs), Target::snapshot(&api));
    assert!(first.is_ok() && web.is_ok(), "{web:?}");
    let denied = api.unwrap_err();
    assert!(denied.kind == Kind::Denied && denied.fix[0].contains("ecs:DescribeServices"), "{denied}");
    let together = |call: &serde_json::Value| call["services"].as_array().unwrap().len() == 2;
    assert!(deck.sent("DescribeServices").iter().any(together), "they were never asked for together");
}

#[tokio::test]
async fn a_service_nothing_can_prove_is_a_mistake_unless_there_is_another_way_to_prove_it() {
    let bare = || Deck::of(ServiceSeed { balancer: Balancer::Nothing, ..ServiceSeed::new("web") });
    let deck = bare().await;
    let captured = deck.captured().await;
    for failure in [
        Target::plan(&*deck.ecs, &image("v2"), &captured.before).await.unwrap_err(),
        Target::prepare(&*deck.ecs, &image("v2"), &captured.before).await.unwrap_err(),
    ] {
        assert_eq!(failure.kind, Kind::Config);
        assert!(failure.fix[0].contains("health.url") && failure.fix[0].contains("healthCheck"), "{failure}");
    }
    untouched(&deck);
    for waive in [true, false] {
        let deck = bare().await.again(|common, _| (common.health_waived, common.address_given) = (waive, !waive));
        let captured = deck.captured().await;
        Target::prepare(&*deck.ecs, &image("v2"), &captured.before).await.unwrap();
    }
}

#[tokio::test]
async fn another_deployment_under_way_is_told() {
    let deck = Deck::web().await;
    deck.stage.world.deploy_by_somebody_else("web");
    deck.stage.clock.sleep(std::time::Duration::from_secs(5)).await;
    let captured = deck.captured().await;
    assert_eq!(captured.revision.as_deref(), Some("web:1"), "the last successful one is what serves");
    assert!(captured.in_flight.as_ref().is_some_and(|told| told.contains("web:2 is in progress")), "{captured:?}");
}

#[tokio::test]
async fn a_daemon_has_no_desired_count_to_set() {
    let deck = Deck::of(ServiceSeed { daemon: true, ..ServiceSeed::new("web") }).await;
    let failure = unread(&deck.again(|_, settings| settings.desired_count = Some(2))).await;
    assert_eq!((failure.kind, failure.fix[0].as_str()), (Kind::Config, "remove desired-count"));
}

#[tokio::test]
async fn a_serving_revision_that_was_deregistered_is_told_before_anything_depends_on_it() {
    let deck = Deck::web().await;
    let client = deck.session.ecs();
    client.deregister_task_definition().task_definition("web:1").send().await.unwrap();
    assert_eq!(deck.captured().await.notes, ["web:1 is deregistered: ECS may refuse to go back to it"]);
}
