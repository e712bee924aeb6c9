//! The whole walk of a deploy through the boundary: inputs in, the state of the cloud, the summary and the outputs out.

use touchdown::simulator::fault::Fault;
use touchdown::simulator::request::{Injection, When};

use crate::rig::{Rig, side_by_side};

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
    assert!(ran.summary.contains("exit code 1"), "{}", ran.summary);
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
    let cases = Fault::ALL.iter().filter(|(fault, _, _)| !untested.contains(fault)).map(|(fault, name, _)| async move {
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
    });
    side_by_side(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_at_any_request_of_a_deploy_never_makes_a_second_release() {
    let clean = Rig::new().await;
    clean.main().await;
    let requests = clean.simulator.world().requests().len();
    let injections = [Injection::LoseAnswer, Injection::ResetBefore, Injection::Status(500), Injection::Throttle];
    let cases = injections.into_iter().flat_map(|injection| (0..requests).map(move |index| (injection, index)));
    side_by_side(cases.map(|(injection, index)| async move {
        let rig = Rig::new().await;
        rig.simulator.world().inject(When::Request(index), injection);
        let ran = rig.main().await;
        let world = rig.simulator.world();
        let operation = world.requests().get(index).map(|request| request.operation.clone());
        let place = format!("{injection:?} at {index} ({operation:?})\n{}", ran.stdout);
        assert_eq!(world.running("web").len(), 1, "a mixture runs: {place}");
        let outcome = ran.output("outcome");
        assert!(["live", "rolled-back", "untouched"].contains(&outcome.as_str()), "{outcome}: {place}");
        assert_eq!(world.describe("web")["deployments"].as_array().unwrap().len(), 1, "{place}");
        assert_eq!(ran.code == 0, outcome == "live", "{place}");
    }))
    .await;
}
