//! The annotations of a run through the boundary: one error, or else at most one warning and one notice (of every run, `rig.rs` counts them).

use touchdown::simulator::fault::Fault;

use crate::rig::{Ran, Rig};
use crate::runner_grammar::parse_stdout;

/// Kind, title and message of every annotation.
fn annotations(ran: &Ran) -> Vec<(String, String, String)> {
    let annotations =
        parse_stdout(&ran.stdout).into_iter().filter(|command| ["error", "warning", "notice"].contains(&command.name.as_str()));
    annotations.map(|command| (command.name, command.properties.get("title").cloned().unwrap_or_default(), command.data)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_release_is_worth_no_annotation() {
    assert_eq!(annotations(&Rig::new().await.input("skip-push", "false").main().await), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_release_is_one_error_with_its_outcome_reason_and_remedy() {
    let rig = Rig::new().await;
    rig.simulator.world().set_fault("web", Fault::CrashOnStart);
    let ran = rig.main().await;
    let [(kind, title, message)] = annotations(&ran).try_into().unwrap();
    assert_eq!((kind.as_str(), title.as_str()), ("error", "web was rolled back: web:1 serves again, proven"));
    let lines: Vec<&str> = message.lines().collect();
    assert!(lines[0].starts_with("web:2 does not start: "), "{message}");
    assert!(lines[1].starts_with("why: task ") && lines[1].contains("exit code 1"), "{message}");
    assert_eq!(lines[lines.len() - 1], "fix: read the application's last log lines: they tell why it ended", "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_proved_is_one_warning_and_what_a_person_should_know_one_notice() {
    let rig = Rig::new().await.input("skip-verify", "true");
    rig.simulator.world().set_fault("web", Fault::NoDeploymentApi);
    let ran = rig.main().await;
    let told = annotations(&ran);
    let kinds: Vec<(&str, &str)> = told.iter().map(|(kind, title, _)| (kind.as_str(), title.as_str())).collect();
    assert_eq!(kinds, [("warning", "deployed without proof"), ("notice", "web is live on web:2, not proven")]);
    assert!(told[0].2.contains("skip-verify") && told[1].2.contains("ecs:ListServiceDeployments"), "{told:?}");
}
