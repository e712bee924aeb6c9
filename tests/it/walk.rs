//! The whole walk of a deploy through the boundary: inputs in, the state of the cloud, the summary and the outputs out.

use touchdown::simulator::fault::Fault;
use touchdown::simulator::request::{Injection, When};

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_release_goes_live_and_post_has_nothing_to_do() {
    let rig = Rig::new().await;
    let ran = rig.main().await;
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(ran.output("outcome"), "live");
    assert_eq!(rig.simulator.world().count("UpdateService"), 1);
    assert_eq!(rig.simulator.world().count("RegisterTaskDefinition"), 1);
    let before = rig.simulator.world().requests().len();
    let post = rig.post(&ran.state).await;
    assert_eq!(post.code, 0, "{}", post.stdout);
    assert_eq!(rig.simulator.world().requests().len(), before, "post asks nobody anything: {}", post.stdout);
    assert_eq!(rig.home(), Vec::<String>::new(), "post leaves nothing in HOME");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crashing_release_is_put_back_and_explained() {
    let rig = Rig::new().await;
    rig.simulator.world().set_fault("web", Fault::CrashOnStart);
    let ran = rig.main().await;
    assert_ne!(ran.code, 0);
    assert_eq!(ran.output("outcome"), "rolled-back", "{}", ran.stdout);
    assert_eq!(rig.simulator.world().serving("web"), "v1");
    assert!(ran.summary.contains("exited with"), "{}", ran.summary);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_image_again_changes_nothing_and_is_proven() {
    let rig = Rig::new().await;
    assert_eq!(rig.main().await.output("outcome"), "live");
    let again = rig.main().await;
    assert_eq!(again.code, 0);
    assert_eq!(again.output("outcome"), "unchanged", "{}", again.stdout);
    assert_eq!(rig.simulator.world().count("UpdateService"), 1);
    assert_eq!(rig.simulator.world().count("RegisterTaskDefinition"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_ends_in_a_clear_outcome_and_never_in_a_false_green() {
    let good = [Fault::None, Fault::Throttled, Fault::LostAnswer, Fault::ServerErrors, Fault::NoDeploymentApi];
    let untested = [Fault::MigrationFails, Fault::Alarm, Fault::PausedHook, Fault::Stuck, Fault::SlowHealth, Fault::UnhealthyAfterBake];
    for (fault, name, _) in Fault::ALL.iter().filter(|(fault, _, _)| !untested.contains(fault)) {
        let rig = Rig::new().await.input("health-version", "/version=v2").input("env", "VERSION=v2");
        rig.simulator.world().set_fault("web", *fault);
        let ran = rig.main().await;
        let outcome = ran.output("outcome");
        let expected: &[&str] = match fault {
            fault if good.contains(fault) => &["live"],
            Fault::Superseded => &["superseded"],
            Fault::DeniedSignIn | Fault::DeniedUpdate => &["untouched", "rolled-back"],
            Fault::RollbackFails => &["stuck"],
            _ => &["rolled-back"],
        };
        assert!(expected.contains(&outcome.as_str()), "{name}: {outcome}\n{}", ran.stdout);
        assert_eq!(ran.code == 0, outcome == "live", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_at_any_request_of_a_deploy_never_makes_a_second_release() {
    let clean = Rig::new().await;
    clean.main().await;
    let requests = clean.simulator.world().requests().len();
    for injection in [Injection::LoseAnswer, Injection::ResetBefore, Injection::Status(500), Injection::Throttle] {
        for index in 0..requests {
            let rig = Rig::new().await;
            rig.simulator.world().inject(When::Request(index), injection);
            let ran = rig.main().await;
            let world = rig.simulator.world();
            let applied = world.running("web").len();
            assert_eq!(applied, 1, "{injection:?} at {index}: a mixture runs\n{}", ran.stdout);
            let outcome = ran.output("outcome");
            assert!(
                ["live", "rolled-back", "untouched"].contains(&outcome.as_str()),
                "{injection:?} at {index}: {outcome}\n{}",
                ran.stdout
            );
            let updates = world.describe("web")["deployments"].as_array().unwrap().len();
            assert_eq!(updates, 1, "{injection:?} at {index}");
            assert_eq!(ran.code == 0, outcome == "live", "{injection:?} at {index}");
        }
    }
}
