//! The loop against a platform on paper, one that can do what no single cloud can: steps, swaps, panics, lost answers.
//! What the clouds really do is tested against the simulator.

mod paper;
mod stage;

use std::future::Future;
use std::sync::Arc;

use touchdown::engine::member::JobOnCancel;
use touchdown::engine::record::{Entry, JobRollback, OnTrouble, Outcome, Record};
use touchdown::engine::run::{Driver, drive};
use touchdown::engine::state;
use touchdown::failure::Kind;
use touchdown::target::UndoCost;

use paper::{Mischief, OnPaper};
use stage::{Rig, migration, outcomes, rig};

#[tokio::test]
async fn a_good_release_goes_live_in_one_apply() {
    let rig = rig(&[("web", &[], Mischief::None)]);
    let entries = rig.main().await;
    assert_eq!(outcomes(&entries), [Outcome::Live]);
    assert_eq!(rig.calls("web"), ["snapshot", "prepare", "apply", "finish"]);
    assert!(matches!(entries.last().unwrap().record, Record::Finished { group: 0 }));
}

#[tokio::test]
async fn a_release_with_steps_is_settled_and_proven_at_each() {
    let mut rig = rig(&[("web", &[], Mischief::None)]);
    rig.targets[0].steps = vec![10, 50, 100];
    let entries = rig.main().await;
    assert_eq!(outcomes(&entries), [Outcome::Live]);
    assert_eq!(rig.calls("web"), ["snapshot", "prepare", "apply", "advance 10", "advance 50", "advance 100", "finish"]);
}

#[tokio::test]
async fn a_release_that_never_arrives_is_put_back() {
    let rig = rig(&[("web", &[], Mischief::NeverArrives)]);
    assert_eq!(outcomes(&rig.main().await), [Outcome::RolledBack]);
    assert_eq!(rig.serves(), ["old"]);
}

#[tokio::test]
async fn one_bad_member_takes_its_group_back_dependents_first() {
    let rig = rig(&[("api", &["web"], Mischief::NeverArrives), ("web", &[], Mischief::None)]);
    let entries = rig.main().await;
    assert_eq!(outcomes(&entries), [Outcome::RolledBack, Outcome::RolledBack]);
    assert_eq!(rig.serves(), ["old", "old"]);
    let undos: Vec<String> = entries
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::Service { name, event: touchdown::engine::record::Event::UndoStarted } => Some(name.0.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(undos, ["api", "web"]);
}

#[tokio::test]
async fn a_panic_in_a_verb_is_a_bug_and_what_it_did_is_put_back() {
    let rig = rig(&[("web", &[], Mischief::PanicsInApply)]);
    let entries = rig.main().await;
    assert_eq!(outcomes(&entries), [Outcome::RolledBack]);
    assert_eq!(state::fold(&entries).services.values().next().unwrap().failure.as_ref().unwrap().kind, Kind::Bug);
    assert_eq!(rig.serves(), ["old"]);
}

#[tokio::test]
async fn a_lost_answer_is_looked_at_again_and_goes_live() {
    let rig = rig(&[("web", &[], Mischief::LosesTheAnswer)]);
    assert_eq!(outcomes(&rig.main().await), [Outcome::Live]);
}

#[tokio::test]
async fn somebody_elses_deployment_is_left_alone_and_the_others_go_back() {
    let rig = rig(&[("api", &[], Mischief::SomebodyElse), ("web", &[], Mischief::None)]);
    let entries = rig.main().await;
    assert_eq!(outcomes(&entries)[0], Outcome::Superseded);
    assert!(matches!(outcomes(&entries)[1], Outcome::RolledBack | Outcome::Untouched), "{:?}", outcomes(&entries));
    assert!(!rig.calls("api").contains(&"rollback".to_owned()));
}

#[tokio::test]
async fn a_rollback_that_fails_says_what_to_type() {
    let rig = rig(&[("web", &[], Mischief::UndoFails)]);
    let entries = rig.main().await;
    assert_eq!(outcomes(&entries), [Outcome::Stuck]);
    let json = serde_json::to_string(&entries).unwrap();
    assert!(json.contains("paper point web old"), "{json}");
}

#[tokio::test]
async fn leave_leaves_and_says_how_to_put_it_back() {
    let mut rig = rig(&[("web", &[], Mischief::NeverArrives)]);
    rig.plan.on_failure = OnTrouble::Leave;
    let entries = rig.main().await;
    assert_eq!(outcomes(&entries), [Outcome::Failed]);
    assert_eq!(rig.serves(), ["new"]);
    assert!(state::fold(&entries).services.values().next().unwrap().kept.is_some());
}

#[tokio::test]
async fn a_failed_migration_changes_nothing_and_an_unsafe_one_is_never_undone_by_itself() {
    let mut safe = rig(&[("web", &[], Mischief::JobFails)]);
    safe.migrate = migration(JobRollback::Safe, JobOnCancel::Finish);
    assert_eq!(outcomes(&safe.main().await), [Outcome::Untouched]);
    assert_eq!(safe.serves(), ["old"]);

    let mut risky = rig(&[("web", &[], Mischief::NeverArrives)]);
    risky.migrate = migration(JobRollback::Unsafe, JobOnCancel::Finish);
    let entries = risky.main().await;
    assert_eq!(outcomes(&entries), [Outcome::Failed]);
    assert_eq!(risky.serves(), ["new"], "left, for the old release may not run on the new schema");
    assert!(state::fold(&entries).services.values().next().unwrap().kept.is_some());
}

/// Kills the run by a panic right after journal line `at` was kept; returns false when the run ended before.
async fn killed_after_line(rig: &Rig, at: u32) -> bool {
    let rig = rig.clone();
    let run = tokio::spawn(async move {
        let watcher = Box::new(move |entry: &Entry| assert!(entry.seq != at, "killed"));
        let mut journal = rig.journal().watched(watcher);
        journal.append(rig.opening()).unwrap();
        drive(rig.given(Driver::Main), journal).await.1.unwrap();
    });
    run.await.is_err()
}

#[tokio::test]
async fn killed_after_any_line_the_post_step_leaves_one_version_everywhere() {
    for mischief in [Mischief::None, Mischief::NeverArrives, Mischief::LosesTheAnswer] {
        let mut killed = 0;
        for at in 0.. {
            let mut rig = rig(&[("api", &["web"], mischief), ("web", &[], Mischief::None)]);
            rig.migrate = migration(JobRollback::Safe, JobOnCancel::Finish);
            if !killed_after_line(&rig, at).await {
                break;
            }
            killed += 1;
            let entries = rig.post().await;
            let serves = rig.serves();
            assert_eq!(serves[0], serves[1], "{mischief:?}, killed after line {at}: {:#?}", outcomes(&entries));
            let expected = if state::fold(&entries).committed.contains(&0) { "new" } else { "old" };
            assert_eq!(serves[0], expected, "{mischief:?}, killed after line {at}");
            assert!(state::fold(&entries).settled(), "{mischief:?}, killed after line {at}");
        }
        assert!(killed > 15, "{mischief:?}: only {killed} lines");
    }
}

#[tokio::test]
async fn a_signal_sends_the_undo_and_post_proves_it() {
    let rig = rig(&[("web", &[], Mischief::JobRunsOn)]);
    let stop = rig.stop.clone();
    rig.world.lock().unwrap().get_mut("web").unwrap().mischief = Mischief::None;
    rig.world.lock().unwrap().get_mut("web").unwrap().looks = 0;
    let watcher_stop = stop.clone();
    let watcher = Box::new(move |entry: &Entry| {
        if matches!(&entry.record, Record::Service { event: touchdown::engine::record::Event::Applied, .. }) {
            watcher_stop.request("SIGINT");
        }
    });
    let mut journal = rig.journal().watched(watcher);
    journal.append(rig.opening()).unwrap();
    let (journal, ended) = drive(rig.given(Driver::Main), journal).await;
    ended.unwrap();
    assert_eq!(outcomes(journal.entries()), [Outcome::RollingBack]);
    assert_eq!(rig.serves(), ["old"], "the undo is sent at once");
    assert_eq!(outcomes(&rig.post().await), [Outcome::RolledBack]);
}

#[tokio::test]
async fn a_signal_leaves_a_swap_to_post() {
    let mut rig = rig(&[("web", &[], Mischief::None)]);
    rig.targets[0].undo = UndoCost::Several;
    let stop = rig.stop.clone();
    let watcher = Box::new(move |entry: &Entry| {
        if matches!(&entry.record, Record::Service { event: touchdown::engine::record::Event::Applied, .. }) {
            stop.request("SIGTERM");
        }
    });
    let mut journal = rig.journal().watched(watcher);
    journal.append(rig.opening()).unwrap();
    drive(rig.given(Driver::Main), journal).await.1.unwrap();
    assert_eq!(rig.serves(), ["new"]);
    assert_eq!(outcomes(&rig.post().await), [Outcome::RolledBack]);
    assert_eq!(rig.serves(), ["old"]);
}

#[tokio::test]
async fn a_migration_under_way_is_seen_to_its_end_by_post_or_stopped_where_asked() {
    for (on_cancel, stopped) in [(JobOnCancel::Finish, false), (JobOnCancel::Stop, true)] {
        let mut rig = rig(&[("web", &[], Mischief::JobRunsOn)]);
        rig.migrate = migration(JobRollback::Safe, on_cancel);
        let stop = rig.stop.clone();
        let watcher = Box::new(move |entry: &Entry| {
            if matches!(&entry.record, Record::Service { event: touchdown::engine::record::Event::JobRunning { .. }, .. }) {
                stop.request("SIGINT");
            }
        });
        let mut journal = rig.journal().watched(watcher);
        journal.append(rig.opening()).unwrap();
        drive(rig.given(Driver::Main), journal).await.1.unwrap();
        assert_eq!(outcomes(&rig.post().await), [Outcome::Untouched]);
        assert_eq!(rig.calls("web").contains(&"stop job".to_owned()), stopped);
        assert!(!rig.calls("web").contains(&"apply".to_owned()));
    }
}

/// Futures of the boxed twin own what they need: this only has to compile.
#[allow(dead_code)]
fn verbs_are_static(target: Arc<OnPaper>) -> impl Future + 'static {
    touchdown::target::any::AnyTarget::snapshot(target)
}
