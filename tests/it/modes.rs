//! The other modes through the boundary: they look, go back, and rehearse.

use touchdown::simulator::fault::Fault;

use crate::rig::Rig;

fn changes(rig: &Rig) -> Vec<String> {
    rig.simulator.world().requests().into_iter().filter(|request| request.changing).map(|request| request.operation).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_says_what_would_change_and_changes_nothing() {
    let rig = Rig::new().await.input("mode", "plan");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "planned"), "{}", ran.stdout);
    assert!(ran.summary.contains("image"), "{}", ran.summary);
    assert_eq!(changes(&rig), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_proves_what_runs_and_fails_when_it_is_not_healthy() {
    let rig = Rig::new().await.input("mode", "verify").input("health-interval", "1s");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "healthy"), "{}", ran.stdout);
    let rig = rig.input("health-path", "/nowhere");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (1, "unhealthy"), "{}", ran.stdout);
    assert_eq!(changes(&rig), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_goes_to_the_last_successful_release_and_proves_it() {
    let rig = Rig::new().await.input("env", "VERSION=v2");
    assert_eq!(rig.main().await.output("outcome"), "live");
    assert_eq!(rig.simulator.world().serving("web"), "v2");
    let rig = rig.input("mode", "rollback");
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "live"), "{}", ran.stdout);
    assert_eq!(rig.simulator.world().serving("web"), "v1");
    let rig = rig.input("to", "web:2");
    assert_eq!(rig.main().await.output("outcome"), "live");
    assert_eq!(rig.simulator.world().serving("web"), "v2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_lists_the_releases_and_says_which_serves() {
    let rig = Rig::new().await;
    assert_eq!(rig.main().await.output("outcome"), "live");
    let rig = rig.input("mode", "history");
    let ran = rig.main().await;
    assert!(ran.stdout.contains("web:2") && ran.stdout.contains("serves"), "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_asks_no_cloud_and_plays_the_fault() {
    let rig = Rig::new().await.input("mode", "rehearse").input("fault", Fault::CrashOnStart.name());
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (1, "rolled-back"), "{}", ran.stdout);
    assert!(rig.simulator.world().requests().is_empty());
    let ran = rig.input("fault", "crash-on-stat").main().await;
    assert!(ran.stdout.contains("crash-on-start"), "{}", ran.stdout);
}
