//! Several services of one `touchdown.yml` through the boundary: together, one after the other, by environment, and a hundred at once.

use std::fmt::Write;
use std::time::Duration;

use serde_json::json;
use touchdown::clock::Clock;
use touchdown::http::Endpoints;
use touchdown::simulator::Simulator;
use touchdown::simulator::fault::Fault;
use touchdown::simulator::handle::World;
use touchdown::simulator::seed::ServiceSeed;

use crate::action_harness::{Ladder, Runner, Trigger};
use crate::rig::{DIGEST, REPOSITORY, ROLE, Ran, Rig};

/// A file of these services; each is `name: more settings`.
fn file(services: &[(&str, &str)], rest: &str) -> String {
    let mut text = format!(
        "version: 1\nauth: {{ aws: {{ role: \"{ROLE}\", region: eu-west-1 }} }}\n\
         defaults: {{ target: ecs, env: {{ VERSION: v2 }}, health: {{ version: /version=v2, interval: 1s }} }}\nservices:\n"
    );
    for (name, more) in services {
        let _ = writeln!(text, "  {name}: {{ image: \"{REPOSITORY}/{name}@{DIGEST}\"{more} }}");
    }
    text + rest
}

async fn rig(services: &[(&str, &str)], rest: &str) -> Rig {
    let rig = Rig::empty(100.0).await;
    services.iter().for_each(|(name, _)| rig.simulator.world().add_service(&ServiceSeed::new(name)).unwrap());
    rig.file(".github/touchdown.yml", &file(services, rest)).input("skip-push", "true")
}

/// The services that were updated, in their order.
fn updated(world: &World) -> Vec<String> {
    let requests = world.requests().into_iter().filter(|request| request.operation == "ecs:UpdateService");
    requests.filter_map(|request| request.service).collect()
}

/// The output `services`: every service with its outcome, in the order of the file.
fn outcomes(ran: &Ran) -> Vec<String> {
    let services: serde_json::Value = serde_json::from_str(&ran.output("services")).unwrap();
    services.as_object().unwrap().iter().map(|(name, entry)| format!("{name} {}", entry["outcome"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_goes_live_together_each_after_what_it_waits_for() {
    let rig = rig(&[("web", ", after: [api]"), ("api", ", after: [db]"), ("db", "")], "groups: [[web, api, db]]\n").await;
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "live"), "{}", ran.stdout);
    assert_eq!(outcomes(&ran), ["web live", "api live", "db live"]);
    let world = rig.simulator.world();
    assert_eq!(updated(&world), ["db", "api", "web"]);
    assert!(["web", "api", "db"].iter().all(|name| world.serving(name) == "v2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_one_of_a_group_fails_all_of_it_is_put_back_and_a_later_one_is_never_begun() {
    let rig = rig(&[("web", ", after: [api]"), ("api", ", after: [db]"), ("db", "")], "groups: [[web, api, db]]\n").await;
    let world = rig.simulator.world();
    world.set_fault("api", Fault::CrashOnStart);
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (1, "rolled-back"), "{}", ran.stdout);
    assert_eq!(outcomes(&ran), ["web untouched", "api rolled-back", "db rolled-back"]);
    assert!(["web", "api", "db"].iter().all(|name| world.serving(name) == "v1"));
    assert!(!updated(&world).contains(&"web".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_in_no_group_stand_alone_and_the_step_fails_all_the_same() {
    let rig = rig(&[("web", ""), ("api", ""), ("later", ", after: [api]")], "").await;
    let world = rig.simulator.world();
    world.set_fault("api", Fault::CrashOnStart);
    let ran = rig.main().await;
    assert_ne!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(outcomes(&ran), ["web live", "api rolled-back", "later untouched"], "{}", ran.stdout);
    assert_eq!((world.serving("web"), world.serving("api"), world.serving("later")), ("v2".to_owned(), "v1".to_owned(), "v1".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_jobs_own_environment_chooses_what_lies_over_the_file() {
    let rest = "environments:\n  staging: { services: { web: { service: web-staging } } }\n  production: { services: { web: { service: web-production } } }\n";
    let rig = Rig::empty(100.0).await.file(".github/touchdown.yml", &file(&[("web", "")], rest)).input("skip-push", "true");
    let world = rig.simulator.world();
    ["web-staging", "web-production"].iter().for_each(|name| world.add_service(&ServiceSeed::new(name)).unwrap());
    world.set_claims(&json!({ "environment": "staging", "sub": "repo:acme/shop:environment:staging" }));
    let ran = rig.main().await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(updated(&world), ["web-staging"]);
    let ran = rig.input("environment", "production").main().await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(updated(&world), ["web-staging", "web-production"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plan_verify_history_and_rollback_take_the_file_too() {
    let services = [("web", ""), ("api", "")];
    let rig = rig(&services, "groups: [[web, api]]\n").await;
    let rig = rig.input("mode", "plan");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "planned"), "{}", ran.stdout);
    assert!(updated(&rig.simulator.world()).is_empty());
    let rig = rig.input("mode", "deploy");
    assert_eq!(rig.main().await.output("outcome"), "live");
    for (mode, outcome) in [("verify", "healthy"), ("rollback", "live")] {
        let ran = rig.main_in(mode).await;
        assert_eq!((ran.code, ran.output("outcome").as_str()), (0, outcome), "{mode}: {}", ran.stdout);
    }
    assert!(services.iter().all(|(name, _)| rig.simulator.world().serving(name) == "v1"));
    let ran = rig.main_in("history").await;
    assert!(ran.stdout.contains("web:2") && ran.stdout.contains("api:2"), "{}", ran.stdout);
}

/// A hundred services in three stages, all of one group: each of a stage waits for one of the stage before.
fn hundred() -> (Vec<String>, String) {
    let names: Vec<String> = (0..100).map(|index| format!("s{index:02}")).collect();
    let after = |index: usize| if index < 34 { String::new() } else { format!(", after: [{}]", names[index - 34]) };
    let services: Vec<(String, String)> = names.iter().enumerate().map(|(index, name)| (name.clone(), after(index))).collect();
    let services: Vec<(&str, &str)> = services.iter().map(|(name, more)| (name.as_str(), more.as_str())).collect();
    let text = file(&services, &format!("groups: [[{}]]\n", names.join(", ")));
    (names, text)
}

/// A world of a hundred services, and the step that deploys them with the real binary.
async fn world_of_a_hundred(rollout: Duration) -> (Simulator, Vec<String>, Runner) {
    let (names, text) = hundred();
    let simulator = Simulator::start(Clock::real()).await.unwrap();
    let world = simulator.world();
    world.add_role(ROLE, &["*"]);
    names.iter().for_each(|name| world.add_service(&ServiceSeed::new(name)).unwrap());
    world.set_rollout_time(rollout);
    world.set_consistency_lag(Duration::ZERO, Duration::ZERO);
    let endpoints = simulator.endpoints();
    let runner = Runner::new()
        .file(".github/touchdown.yml", &text)
        .input("skip-push", "true")
        .env("AWS_ENDPOINT_URL", &endpoints.aws)
        .id_token(&endpoints.token_request_url, &endpoints.token_request_bearer);
    let hosts = endpoints.hosts.iter();
    let runner = hosts.fold(runner, |runner, host| runner.env(&format!("TOUCHDOWN_ENDPOINT_{}", Endpoints::key(host)), &endpoints.aws));
    (simulator, names, runner)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_services_in_three_stages_go_live_and_post_is_started_with_their_whole_state() {
    let (simulator, names, runner) = world_of_a_hundred(Duration::ZERO).await;
    let world = simulator.world();
    let (main, post) = tokio::task::spawn_blocking(move || {
        let main = runner.main();
        let post = runner.post(&main);
        (main, post)
    })
    .await
    .unwrap();
    assert_eq!(main.code, Some(0), "{}\n{}", main.stdout, main.stderr);
    let bytes: usize = main.state.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
    let megabytes = main.peak_memory / 1_000_000;
    println!("100 services live: {bytes} bytes of state in {} lines, {:?}, {megabytes} MB", main.state.len(), main.took);
    assert!(bytes <= 512 * 1024, "{bytes}");
    assert!((1..=100).contains(&megabytes), "{megabytes} MB");
    assert_eq!((post.code, post.stdout.trim()), (Some(0), ""), "{}", post.stdout);
    assert!(names.iter().all(|name| world.serving(name) == "v2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_services_killed_in_their_third_stage_are_all_put_back_by_post() {
    let (simulator, names, runner) = world_of_a_hundred(Duration::from_secs(1)).await;
    let (world, watched) = (simulator.world(), simulator.world());
    let (main, post) = tokio::task::spawn_blocking(move || {
        let third = Trigger::When(Box::new(move || watched.count("UpdateService") >= 80));
        let at_once = Ladder { interrupted: Duration::ZERO, terminated: Duration::ZERO };
        let runner = runner.cancel(third).ladder(at_once);
        let main = runner.main();
        let post = runner.without_cancel().post(&main);
        (main, post)
    })
    .await
    .unwrap();
    let bytes: usize = main.state.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
    println!("100 services killed: {bytes} bytes of state, post took {:?}", post.took);
    assert!(bytes <= 512 * 1024, "{bytes}");
    let left: Vec<&String> = names.iter().filter(|name| world.serving(name) != "v1").collect();
    assert!(left.is_empty(), "{left:?} were not put back: {}", post.stdout);
    assert!(post.took < Duration::from_secs(240), "{:?}", post.took);
}
