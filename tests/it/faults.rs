//! Every fault of the simulator through the whole action: how the service stands in the end, the exit status, and what the summary explains.

use std::time::Duration;

use serde_json::json;
use touchdown::simulator::fault::Fault;
use touchdown::simulator::seed::ServiceSeed;

use crate::report::document::held;
use crate::rig::{Ran, Rig, side_by_side};

/// How a run with a fault must end.
struct Expected {
    outcome: &'static str,
    serving: &'static str,
    told: &'static [&'static str],
}

/// Words of the sentence at the top, by outcome.
const LIVE: &str = "web is live on web:2, proven";
const BACK: &str = "web was rolled back: web:1 serves again, proven";
const NOT_DEPLOYED: &str = "web was not deployed: its migrate job failed; the service was not touched, the database may have been";

/// The table: a fault, how it ends, and the words that must stand in the summary.
fn expected(fault: Fault) -> Expected {
    let live = |told: &'static [&'static str]| Expected { outcome: "live", serving: "v2", told };
    let back = |told: &'static [&'static str]| Expected { outcome: "rolled-back", serving: "v1", told };
    let untouched = |told: &'static [&'static str]| Expected { outcome: "untouched", serving: "v1", told };
    match fault {
        Fault::None | Fault::Throttled | Fault::LostAnswer | Fault::ServerErrors => live(&[LIVE, "it tells version v2, as shipped"]),
        Fault::NoDeploymentApi => live(&[LIVE, "without ecs:ListServiceDeployments", "a rollback cannot stop a running deployment"]),
        Fault::CrashOnStart => {
            back(&[BACK, "web:2 does not start", "exit code 1 (an error of the application)", "DATABASE_URL is not set"])
        }
        Fault::OutOfMemory => back(&[BACK, "exit code 137 (killed, SIGKILL: out of memory", "give the task more memory"]),
        Fault::ImagePull => back(&[BACK, "CannotPullContainerError", "check that the image is in the registry"]),
        Fault::NeverHealthy => back(&[BACK, "does not become healthy: ", "(the load balancer's health checks failed)", "the grace period"]),
        Fault::WrongVersion => back(&[BACK, "expected version v2, got v1: another build answers", "compare health.version"]),
        Fault::SlowHealth => back(&[BACK, "no answer within 5s", "raise health.timeout"]),
        Fault::Flapping => back(&[BACK, "expected status 200-299, got 500", "checks were wrong since"]),
        Fault::CircuitBreakerRollback => back(&[BACK, "circuit breaker threshold was exceeded", "4 tasks failed, 3 are allowed"]),
        Fault::CircuitBreakerNoRollback => back(&[BACK, "ECS ended the deployment of web:2", "4 tasks failed, 3 are allowed"]),
        Fault::Superseded => Expected {
            outcome: "superseded",
            serving: "somebody-else",
            told: &["web was superseded", "web:3 (deployment ecs-svc/", "left alone", "one concurrency group"],
        },
        Fault::Stuck => {
            back(&[BACK, "0 of 2 tasks running, 2 pending", "has been PENDING for", "its image is being pulled", "raise timeout"])
        }
        Fault::DeniedSignIn => untouched(&[
            "Nothing was changed: AWS did not let this run assume",
            "the token's subject is repo:acme/shop",
            "token.actions.githubusercontent.com:sub",
        ]),
        Fault::DeniedUpdate => untouched(&[
            "web was not touched: web:1 serves as before",
            "the service could not be updated",
            "allow ecs:UpdateService and iam:PassRole",
        ]),
        Fault::MigrationFails => {
            untouched(&[NOT_DEPLOYED, "the migrate job failed", "exit code 1", "last lines of the migrate job", "contains null values"])
        }
        Fault::RollbackFails => Expected {
            outcome: "stuck",
            serving: "v1",
            told: &[
                "web is stuck: web:1 could not be put back",
                "aws ecs update-service",
                "--task-definition web:1",
                "ECS could not roll back to web:1",
            ],
        },
        Fault::PausedHook => back(&[BACK, "paused at hook", "aws ecs continue-service-deployment", "--action CONTINUE", "raise timeout"]),
        Fault::Alarm => back(&[BACK, "one or more alarms were detected", "alarms in ALARM: web-5xx-rate"]),
        Fault::UnhealthyAfterBake => back(&[BACK, "got 500", "it was healthy and broke", "into the hold time of 180"]),
        Fault::Placement => back(&[BACK, "ECS finds no place for the new tasks", "unable to place a task", "give the cluster capacity"]),
    }
}

/// How fast the clock runs. A slow answer is only told from a slow machine where the time it is given is real.
fn pace(fault: Fault) -> f64 {
    if fault == Fault::SlowHealth { 2.5 } else { 50.0 }
}

/// The settings by which the fault can be told.
fn told_by(rig: Rig, fault: Fault) -> Rig {
    let rig = rig.input("health-version", "/version=v2").input("env", "VERSION=v2");
    match fault {
        Fault::Stuck | Fault::PausedHook => rig.input("timeout", "2m"),
        Fault::SlowHealth => rig.input("health-retries", "2").input("health-interval", "1s"),
        Fault::UnhealthyAfterBake => rig.input("stabilize", "3m"),
        Fault::MigrationFails => rig.input("migrate-command", "bin/migrate"),
        _ => rig,
    }
}

/// The summary as a person reads it: without what keeps foreign text from being markup.
fn read(ran: &Ran) -> String {
    let marks = [("&#8288;", ""), ("&nbsp;", " "), ("&#34;", "\""), ("&#64;", "@"), ("**", ""), ("`", "")];
    marks.iter().fold(ran.summary.clone(), |text, (written, read)| text.replace(written, read))
}

fn ended_as_expected(ran: &Ran, name: &str, expected: &Expected) {
    held(ran, &format!("fault-{name}"));
    let summary = read(ran);
    assert_eq!(ran.output("outcome"), expected.outcome, "{name}: {}", ran.stdout);
    assert_eq!(ran.code, u8::from(expected.outcome != "live"), "{name}: {}", ran.stdout);
    for words in expected.told {
        assert!(summary.contains(words), "{name}: {words:?} is not in the summary:\n{summary}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_ends_as_it_must_and_the_summary_explains_it() {
    let cases = Fault::ALL.iter().map(|(fault, name, _)| async move {
        let rig = told_by(Rig::with(&[ServiceSeed::new("web")], pace(*fault)).await, *fault);
        let world = rig.simulator.world();
        world.set_fault("web", *fault);
        world.set_rollout_time(Duration::from_secs_f64(45.0 * pace(*fault) / 50.0));
        world.set_break_after(Duration::from_secs(60));
        let ran = rig.main().await;
        let expected = expected(*fault);
        ended_as_expected(&ran, name, &expected);
        let settled = async {
            while world.serving("web") != expected.serving {
                rig.clock.sleep(Duration::from_secs(1)).await;
            }
        };
        let settled = tokio::time::timeout(rig.clock.patience(Duration::from_secs(300)), settled).await;
        assert!(settled.is_ok(), "{name}: {} serves", world.serving("web"));
        let post = rig.post(&ran.state).await;
        assert_eq!(post.code, 0, "{name}: post has nothing to do: {}", post.stdout);
    });
    side_by_side(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_ends_in_a_rehearsal_as_it_would_in_earnest() {
    let cases = Fault::ALL.iter().map(|(fault, name, _)| async move {
        let rig = told_by(Rig::new().await, *fault).input("mode", "rehearse").input("fault", name);
        let ran = rig.main().await;
        assert_eq!(ran.output("outcome"), expected(*fault).outcome, "{name}: {}", ran.stdout);
        assert!(rig.simulator.world().requests().is_empty(), "{name}: it asked somebody");
    });
    side_by_side(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_rollout_that_somebody_continues_goes_live() {
    let rig = told_by(Rig::with(&[ServiceSeed::new("web")], 100.0).await, Fault::None);
    rig.simulator.world().set_fault("web", Fault::PausedHook);
    let main = rig.start();
    let command = async {
        loop {
            let told = main.printed();
            if let Some((_, rest)) = told.split_once("aws ecs continue-service-deployment ")
                && let Some((command, _)) = rest.split_once(" --action CONTINUE")
            {
                return command.to_owned();
            }
            rig.clock.sleep(Duration::from_secs(1)).await;
        }
    };
    let words: Vec<String> = command.await.split(' ').map(str::to_owned).collect();
    let [_, arn, _, hook] = words.as_slice() else { panic!("{words:?}") };
    let go_on = json!({ "serviceDeploymentArn": arn, "hookId": hook, "action": "CONTINUE" });
    rig.somebody().ecs("ContinueServiceDeployment", go_on).await;
    let ran = main.ended().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "live"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_ecs_takes_no_notice_of_health_checks_yet_the_time_runs_out_and_what_to_do_is_told_all_the_same() {
    let seed = ServiceSeed { settings: json!({ "healthCheckGracePeriodSeconds": 600 }), ..ServiceSeed::new("web") };
    let rig = told_by(Rig::with(&[seed], 50.0).await, Fault::None).input("timeout", "2m");
    rig.simulator.world().set_fault("web", Fault::NeverHealthy);
    let ran = rig.main().await;
    assert_eq!(ran.output("outcome"), "rolled-back", "{}", ran.stdout);
    let summary = read(&ran);
    for words in ["had not arrived when its time was up", "check its path, its codes and the grace period", "raise timeout"] {
        assert!(summary.contains(words), "{words:?} is not in {summary}");
    }
}
