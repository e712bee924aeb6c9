//! The real binary as the runner starts it: its own process, its own clock, real signals; as PID 1, and in the scratch image.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use touchdown::clock::Clock;
use touchdown::http::Endpoints;
use touchdown::simulator::Simulator;
use touchdown::simulator::request::Moment;
use touchdown::simulator::seed::ServiceSeed;

use crate::action_harness::{Ladder, Ran, Runner, Trigger};
use crate::rig::{DIGEST, ROLE};

/// A simulator on the wall's clock whose rollouts take this long.
async fn simulator(rollout: Duration) -> Simulator {
    let simulator = Simulator::start(Clock::real()).await.unwrap();
    let world = simulator.world();
    world.add_role(ROLE, &["*"]);
    world.add_service(&ServiceSeed::new("web")).unwrap();
    world.set_rollout_time(rollout);
    world.set_consistency_lag(Duration::ZERO, Duration::ZERO);
    simulator
}

/// The step that deploys v2 to it.
fn step(simulator: &Simulator) -> Runner {
    let endpoints = simulator.endpoints();
    let runner = Runner::new()
        .input("target", "ecs")
        .input("service", "web")
        .input("region", "eu-west-1")
        .input("image", &format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/web@{DIGEST}"))
        .input("skip-push", "true")
        .input("aws-role", ROLE)
        .input("env", "VERSION=v2")
        .input("health-version", "/version=v2")
        .input("health-interval", "10ms")
        .env("AWS_ENDPOINT_URL", &endpoints.aws)
        .id_token(&endpoints.token_request_url, &endpoints.token_request_bearer);
    let hosts = endpoints.hosts.iter();
    hosts.fold(runner, |runner, host| runner.env(&format!("TOUCHDOWN_ENDPOINT_{}", Endpoints::key(host)), &endpoints.aws))
}

/// The harness blocks, so it gets a thread of its own.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn told(ran: &Ran) -> String {
    format!("{:?}\n{}\n{}", ran.code, ran.stdout, ran.stderr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_deploys_and_its_post_step_is_quiet() {
    let simulator = simulator(Duration::ZERO).await;
    let runner = step(&simulator);
    let (main, post) = apart(move || {
        let main = runner.main();
        let post = runner.post(&main);
        (main, post)
    })
    .await;
    assert_eq!(main.code, Some(0), "{}", told(&main));
    assert_eq!(main.outputs["outcome"], "live");
    assert!(main.file_errors.is_empty(), "{:?}", main.file_errors);
    assert_eq!((post.code, post.summary.as_str()), (Some(0), ""), "{}", told(&post));
    assert_eq!(simulator.world().serving("web"), "v2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_by_the_runners_ladder_it_leaves_in_time_and_post_puts_everything_back() {
    let simulator = simulator(Duration::from_secs(20)).await;
    let world = simulator.world();
    let runner = step(&simulator);
    let (main, post) = apart(move || {
        let runner = runner.cancel(Trigger::Printed("deploying".to_owned()));
        let main = runner.main();
        let runner = runner.without_cancel();
        let post = runner.post(&main);
        (main, post)
    })
    .await;
    assert_eq!(main.code, Some(130), "{}", told(&main));
    assert!(main.took < Duration::from_secs(20), "{:?}", main.took);
    assert!(post.stdout.contains("rolled back"), "{}", told(&post));
    assert_eq!(world.serving("web"), "v1");
    assert!(post.summary.contains("rolled back"), "{}", post.summary);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_the_update_post_puts_everything_back() {
    for moment in [Moment::Before, Moment::After] {
        let simulator = simulator(Duration::from_secs(5)).await;
        let world = simulator.world();
        let (tell, reached) = std::sync::mpsc::channel();
        world.on_request(Box::new(move |request, now| {
            if request.operation == "ecs:UpdateService" && now == moment {
                let _ = tell.send(());
                return touchdown::simulator::request::Hook::HoldForever;
            }
            touchdown::simulator::request::Hook::Go
        }));
        let again = world.clone();
        let runner = step(&simulator);
        let post = apart(move || {
            let at_once = Ladder { interrupted: Duration::ZERO, terminated: Duration::ZERO };
            let reached = Trigger::When(Box::new(move || reached.try_recv().is_ok()));
            let main = runner.cancel(reached).ladder(at_once);
            let ran = main.main();
            again.on_request_no_more();
            main.without_cancel().post(&ran)
        })
        .await;
        assert_eq!(world.serving("web"), "v1", "{moment:?}: {}", told(&post));
    }
}

/// Stops main while it waits for the answer to its first request of this operation (its first after the update, where it makes some
/// before), lets post do its work, and lets main go on.
async fn stopped_at((operation, after_update): (&'static str, bool)) {
    let simulator = simulator(Duration::from_secs(5)).await;
    let world = simulator.world();
    let (reached, stopped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (tell, wait) = (reached.clone(), stopped.clone());
    let updated = AtomicBool::new(!after_update);
    world.on_request(Box::new(move |request, now| {
        if request.operation == "ecs:UpdateService" {
            updated.store(true, Ordering::SeqCst);
        }
        let here = request.operation == operation && now == Moment::After && updated.load(Ordering::SeqCst);
        if here && !tell.swap(true, Ordering::SeqCst) {
            while !wait.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        touchdown::simulator::request::Hook::Go
    }));
    let (runner, requests) = (step(&simulator), world.clone());
    let (post, main, by_post) = apart(move || {
        let reached = Trigger::When(Box::new(move || reached.load(Ordering::SeqCst)));
        let main = runner.stopped_main(&reached);
        stopped.store(true, Ordering::SeqCst);
        let post = runner.post_of(&main);
        let by_post = requests.requests().len();
        (post, main.go_on(), by_post)
    })
    .await;
    let told = format!("stopped at {operation}: {}\n--- main, going on ---\n{}", told(&post), told(&main));
    assert!(post.stdout.contains("the step is still running: it is held off"), "{told}");
    let later: Vec<String> = world.requests()[by_post..].iter().filter(|one| one.changing).map(|one| one.operation.clone()).collect();
    assert_eq!(later, Vec::<String>::new(), "main changed something after post: {told}");
    assert_ne!(main.code, Some(0), "{told}");
    assert_eq!(world.serving("web"), "v1", "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_main_that_stood_still_while_post_worked_changes_nothing_when_it_goes_on() {
    // Before the release is marked, before it is applied, while it rolls out, while it is being proven.
    let moments =
        [("ecs:RegisterTaskDefinition", false), ("ecs:TagResource", false), ("ecs:UpdateService", false), ("app:GET /health", true)];
    futures_util::future::join_all(moments.map(stopped_at)).await;
}

/// Whether this machine lets us be PID 1 of a namespace.
fn can_be_pid_one() -> bool {
    let tried = std::process::Command::new("unshare").args(["--fork", "--pid", "--mount-proc", "true"]).status();
    tried.is_ok_and(|status| status.success()) && Path::new("/proc/self").exists()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_pid_one_it_hears_the_runner_and_leaves() {
    if !can_be_pid_one() {
        crate::setup::skip("PID 1", "this machine allows no PID namespaces");
        return;
    }
    let simulator = simulator(Duration::from_secs(20)).await;
    let runner = step(&simulator).being_pid_one();
    let main = apart(move || runner.cancel(Trigger::Printed("deploying".to_owned())).main()).await;
    assert!(main.orphan.is_none(), "{}", told(&main));
    assert!(main.stdout.contains("SIGINT"), "{}", told(&main));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scratch_image_deploys_is_cancelled_and_put_back_under_a_real_engine() {
    let Some((docker, tag)) = crate::container::image() else {
        crate::setup::skip("the image with the real binary", "no engine or no image: `make test` sets them up");
        return;
    };
    let simulator = simulator(Duration::from_secs(20)).await;
    let world = simulator.world();
    let runner = step(&simulator).in_docker(&docker, &tag).cancel(Trigger::Printed("deploying".to_owned()));
    let (main, post) = apart(move || {
        let main = runner.main();
        let runner = runner.without_cancel();
        let post = runner.post(&main);
        (main, post)
    })
    .await;
    assert!(main.orphan.is_none() && main.stdout.contains("SIGINT"), "{}", told(&main));
    assert!(post.stdout.contains("rolled back"), "{}", told(&post));
    assert_eq!(world.serving("web"), "v1");

    world.set_rollout_time(Duration::ZERO);
    let again = step(&simulator).in_docker(&docker, &tag);
    let (live, _runner) = apart(move || (again.main(), again)).await;
    assert_eq!((live.code, live.outputs.get("outcome").map(String::as_str)), (Some(0), Some("live")), "{}", told(&live));
    assert!(Path::new(&live.outputs["report"]).is_file(), "the next step can read it: {}", live.outputs["report"]);
    assert_eq!(world.serving("web"), "v2");
}
