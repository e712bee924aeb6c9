//! The new revision: what survives, what changes, what is left out.

use serde_json::{Value, json};
use touchdown::failure::{Failure, Kind};
use touchdown::simulator::fault::Fault;
use touchdown::simulator::seed::{CircuitBreaker, ServiceSeed};
use touchdown::target::{EnvChange, Target};

use super::stage::{Deck, image, rich_definition};

async fn rich() -> Deck {
    let mut definition = rich_definition();
    definition["tags"] = json!([{ "key": "team", "value": "shop" }, { "key": "empty", "value": "" }]);
    Deck::of(ServiceSeed { definition: Some(definition), ..ServiceSeed::new("web") }).await
}

fn app(definition: &Value) -> Value {
    definition["containerDefinitions"].as_array().unwrap().iter().find(|one| one["name"] == "app").unwrap().clone()
}

async fn refused(deck: &Deck) -> Failure {
    let captured = deck.captured().await;
    Target::prepare(&*deck.ecs, &image("v2"), &captured.before).await.unwrap_err()
}

#[tokio::test]
async fn unknown_keys_and_empty_strings_survive_and_the_image_is_a_digest() {
    let deck = rich().await;
    deck.deployed("v2").await.unwrap();
    let sent = &deck.sent("RegisterTaskDefinition")[0];
    assert_eq!(sent["aKeyNobodyHasHeardOf"], json!({ "nested": ["", { "empty": "" }] }));
    assert_eq!((&sent["enableFaultInjection"], &sent["containerDefinitions"][0]["command"]), (&json!(false), &json!([""])));
    assert_eq!((&app(sent)["futureSetting"], &app(sent)["image"]), (&json!(7), &json!(image("v2").reference())));
    assert!(app(sent)["environment"].as_array().unwrap().contains(&json!({ "name": "EMPTY", "value": "" })));
    assert_eq!(sent["tags"], json!([{ "key": "team", "value": "shop" }, { "key": "empty", "value": "" }]));
    let gone = ["taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy"];
    assert!(gone.iter().all(|key| sent.get(key).is_none()), "{sent}");
    assert_eq!(deck.newest()["aKeyNobodyHasHeardOf"], sent["aKeyNobodyHasHeardOf"], "the signature held over every key");
}

#[tokio::test]
async fn nothing_changed_makes_no_revision_and_no_update() {
    let deck = Deck::web().await;
    deck.deployed("v2").await.unwrap();
    let captured = deck.captured().await;
    assert_eq!(Target::plan(&*deck.ecs, &image("v2"), &captured.before).await.unwrap(), Vec::<String>::new());
    let prepared = Target::prepare(&*deck.ecs, &image("v2"), &captured.before).await.unwrap();
    assert_eq!((prepared.changes.len(), prepared.revision.as_str()), (0, "web:2"));
    deck.settled(&prepared.release).await.unwrap();
    assert_eq!((deck.count("RegisterTaskDefinition"), deck.count("UpdateService")), (1, 1));
}

#[tokio::test]
async fn force_deploys_the_same_revision_anew_and_comes_back_by_stopping() {
    let deck = Deck::web().await;
    deck.deployed("v2").await.unwrap();
    let deck = deck.again(|_, settings| settings.force = true);
    let before = deck.stage.world.describe("web")["deployments"][0]["id"].clone();
    let (_, prepared) = deck.begun("v2").await;
    assert_eq!((prepared.revision.as_str(), deck.sent("UpdateService")[1]["forceNewDeployment"].clone()), ("web:2", json!(true)));
    deck.settled(&prepared.release).await.unwrap();
    assert_ne!(deck.stage.world.describe("web")["deployments"][0]["id"], before);
}

#[tokio::test]
async fn a_failed_present_deployment_is_no_reason_to_change_nothing() {
    let seed = ServiceSeed { breaker: CircuitBreaker::Stop, ..ServiceSeed::new("web") };
    let deck = Deck::of(seed).await;
    deck.deployed("v2").await.unwrap();
    deck.stage.world.set_fault("web", Fault::CircuitBreakerNoRollback);
    deck.deployed("v3").await.unwrap_err();
    deck.stage.world.set_fault("web", Fault::None);
    let captured = deck.captured().await;
    assert_eq!(captured.revision.as_deref(), Some("web:2"), "what really serves, not what the service points at");
    let (_, prepared) = deck.begun("v2").await;
    assert_eq!(prepared.changes, ["task definition: web:3 (its deployment did not succeed) → web:2"]);
    deck.settled(&prepared.release).await.unwrap();
    assert_eq!((deck.running(), deck.count("RegisterTaskDefinition")), (vec!["web:2".to_owned()], 2));
}

#[tokio::test]
async fn variables_are_merged_removed_and_their_values_never_told() {
    let deck = rich().await.again(|common, _| {
        common.env.insert("LOG_LEVEL".to_owned(), EnvChange::Set("hush-hush".to_owned()));
        common.env.insert("OLD".to_owned(), EnvChange::Unset);
        common.env.insert("VERSION".to_owned(), EnvChange::Set(String::new()));
        common.secrets.insert("EMPTY".to_owned(), "arn:aws:secretsmanager:eu-west-1:123456789012:secret:empty".to_owned());
    });
    let captured = deck.captured().await;
    let prepared = Target::prepare(&*deck.ecs, &image("v2"), &captured.before).await.unwrap();
    let sent = app(&deck.sent("RegisterTaskDefinition")[0]);
    assert_eq!(sent["environment"], json!([{ "name": "LOG_LEVEL", "value": "hush-hush" }, { "name": "VERSION", "value": "" }]));
    let names: Vec<&str> = sent["secrets"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["TOKEN", "EMPTY"]);
    let told = prepared.changes.join("\n");
    assert!(!told.contains("hush"), "{told}");
    for change in [
        "app.environment.LOG_LEVEL is added",
        "app.environment.OLD is removed",
        "app.environment.VERSION changes",
        "app.secrets.EMPTY is added",
    ] {
        assert!(told.contains(change), "{told}");
    }
}

#[tokio::test]
async fn cpu_and_memory_are_set_and_told() {
    let deck = Deck::web().await.again(|_, settings| {
        settings.cpu = Some("512".to_owned());
        settings.memory = Some("1024".to_owned());
    });
    let captured = deck.captured().await;
    let changes = Target::plan(&*deck.ecs, &image("v2"), &captured.before).await.unwrap();
    assert!(changes.contains(&"cpu: 256 → 512".to_owned()) && changes.contains(&"memory: 512 → 1024".to_owned()), "{changes:?}");
    assert_eq!(deck.count("RegisterTaskDefinition"), 0, "a plan makes nothing");
}

#[tokio::test]
async fn a_file_to_start_from_replaces_the_serving_revision_and_equals_it_up_to_what_ecs_fills_in() {
    let mut file = rich_definition();
    file["containerDefinitions"][1]["image"] = json!("anything");
    file["containerDefinitions"][0]["cpu"] = Value::Null;
    let deck = rich().await.starting_from(file.clone());
    deck.deployed("v2").await.unwrap();
    let captured = deck.captured().await;
    assert_eq!(Target::plan(&*deck.ecs, &image("v2"), &captured.before).await.unwrap(), Vec::<String>::new());
    file["containerDefinitions"][1]["healthCheck"] = json!({ "command": ["CMD", "true"] });
    let deck = deck.starting_from(file);
    let changes = Target::plan(&*deck.ecs, &image("v2"), &captured.before).await.unwrap();
    assert_eq!(changes, ["app.healthCheck changes"]);
}

#[tokio::test]
async fn the_container_is_the_named_one_or_the_only_one_or_the_one_behind_the_load_balancer() {
    let deck = rich().await;
    let captured = deck.captured().await;
    Target::prepare(&*deck.ecs, &image("v2"), &captured.before).await.unwrap();
    assert_eq!(app(&deck.sent("RegisterTaskDefinition")[0])["image"], image("v2").reference());
    let deck = deck.again(|common, _| common.container = Some("proxy".to_owned()));
    Target::prepare(&*deck.ecs, &image("v2"), &captured.before).await.unwrap();
    assert_eq!(deck.sent("RegisterTaskDefinition")[1]["containerDefinitions"][0]["image"], image("v2").reference());
    let deck = deck.again(|common, _| common.container = Some("nginx".to_owned()));
    let failure = refused(&deck).await;
    assert_eq!(failure.kind, Kind::Config);
    assert!(failure.what.contains("nginx") && failure.fix[0].contains("proxy, app"), "{failure}");
}

#[tokio::test]
async fn a_container_that_cannot_be_told_is_a_mistake_that_names_them_all() {
    let mut definition = rich_definition();
    definition["containerDefinitions"][0]["portMappings"] = json!([{ "containerPort": 80 }]);
    let seed =
        ServiceSeed { balancer: touchdown::simulator::seed::Balancer::Nothing, definition: Some(definition), ..ServiceSeed::new("web") };
    let failure = refused(&Deck::of(seed).await).await;
    assert_eq!((failure.kind, failure.fix[0].as_str()), (Kind::Config, "set container to one of: proxy, app"));
}

#[tokio::test]
async fn what_ecs_refuses_to_register_is_told_as_it_is() {
    let mut file = rich_definition();
    file["family"] = json!("");
    let failure = refused(&Deck::web().await.starting_from(file)).await;
    assert!(failure.why[0].contains("Family should not be null or empty"), "{failure}");
}
