//! The pure part of the engine, by tables: what a service needs next, what a group is told.

use std::collections::BTreeSet;

use serde_json::json;
use touchdown::clock::Timestamp;
use touchdown::engine::group::{Circumstances, Services, Verdict, Wanted, ended, may_begin, may_unwind, mixed, never_begins, verdict};
use touchdown::engine::record::{Asked, Event, GroupPlan, Job, JobRollback, MemberPlan, OnTrouble, Outcome};
use touchdown::engine::service::{Back, Need, Service, Wants};
use touchdown::failure::{Failure, Kind};
use touchdown::health::Baseline;
use touchdown::target::{Arrival, Before, Captured, Prepared, Step, TaskHandle};
use touchdown::values::{ServiceName, Share};

fn captured() -> Event {
    let captured = Captured {
        before: Before::Running(json!("web:41")),
        revision: Some("web:41".into()),
        image: None,
        address: None,
        mark: None,
        runs_on: None,
        reads_zstd: false,
        in_flight: None,
        notes: Vec::new(),
    };
    Event::Captured { captured, baseline: Baseline::Unknown }
}

fn prepared(changes: &[&str]) -> Event {
    let changes = changes.iter().map(|change| (*change).to_owned()).collect();
    Event::Prepared { prepared: Prepared { release: json!("web:42"), revision: "web:42".into(), changes } }
}

fn settled() -> Event {
    Event::Settled { arrival: Arrival::default() }
}

fn verified() -> Event {
    Event::Verified { proof: vec!["3 healthy answers".into()], asked: Asked::Health }
}

fn failed() -> Event {
    Event::Failed { failure: Failure::new(Kind::Unhealthy, "web answers 500") }
}

/// A call that certainly changed nothing.
fn refused() -> Event {
    Event::Failed { failure: Failure::new(Kind::Denied, "not allowed").unchanged() }
}

/// A call of which nobody knows whether it arrived.
fn lost() -> Event {
    Event::Failed { failure: Failure::new(Kind::Transient, "no answer") }
}

fn kept() -> Event {
    Event::Kept { why: String::new(), by_hand: Vec::new() }
}

fn begun() -> Event {
    Event::UndoBegun { release: json!("web:41") }
}

fn rolled_back() -> Event {
    Event::RolledBack { proof: Vec::new(), asked: Asked::Health }
}

fn live() -> Vec<Event> {
    vec![captured(), prepared(&["image"]), Event::ApplyStarted, Event::Applied, settled(), verified()]
}

fn after(events: &[Event]) -> Service {
    let mut service = Service::default();
    events.iter().zip(1..).for_each(|(event, at)| service.fold(event, Timestamp(at)));
    service
}

fn started(rollback: JobRollback) -> Vec<Event> {
    vec![captured(), prepared(&["image"]), Event::JobStarted { job: Job::Migrate, rollback }]
}

fn migrating(rollback: JobRollback) -> Vec<Event> {
    [started(rollback), vec![Event::JobRunning { job: Job::Migrate, handle: TaskHandle("t".into()) }]].concat()
}

#[test]
fn each_phase_leads_to_the_next_step_forward() {
    let plain = Wants::default();
    let jobs = Wants { before: true, migrate: true, steps: Vec::new() };
    let half = Step { share: Share(50) };
    let stepped = Wants { steps: vec![half], ..Wants::default() };
    let to = |count: usize| live()[..count].to_vec();
    let follow = |job| Need::FollowJob(job, TaskHandle("t".into()));
    let ended = |job| Event::JobEnded { job, tail: Vec::new() };
    let table = [
        (to(0), &plain, Need::Capture),
        (to(1), &plain, Need::Prepare),
        (to(2), &plain, Need::Apply),
        (to(3), &plain, Need::Apply),
        (to(4), &plain, Need::Settle),
        (to(5), &plain, Need::Verify),
        (to(6), &plain, Need::Watch),
        (to(1), &jobs, Need::StartJob(Job::Before)),
        (
            [to(1), vec![Event::JobStarted { job: Job::Before, rollback: JobRollback::Safe }, ended(Job::Before)]].concat(),
            &jobs,
            Need::Prepare,
        ),
        (to(2), &jobs, Need::StartJob(Job::Migrate)),
        (migrating(JobRollback::Safe), &jobs, follow(Job::Migrate)),
        ([migrating(JobRollback::Safe), vec![ended(Job::Migrate)]].concat(), &jobs, Need::Apply),
        (vec![captured(), prepared(&[])], &jobs, Need::Settle),
        (to(6), &stepped, Need::Advance(half)),
        ([to(6), vec![Event::Advancing { step: half }, Event::Advanced { step: half }]].concat(), &stepped, Need::Settle),
        ([to(4), vec![failed()]].concat(), &plain, Need::Nothing),
        (vec![Event::RepairStarted { lost: touchdown::values::RunId { id: "1".into(), attempt: 1 } }], &plain, Need::Capture),
    ];
    for (events, wants, need) in table {
        assert_eq!(after(&events).forward(wants), need, "{events:?}");
    }
}

#[test]
fn each_phase_leads_to_the_right_step_back() {
    let to = |count: usize| live()[..count].to_vec();
    let and = |count: usize, more: Vec<Event>| [to(count), more].concat();
    let table = [
        (to(0), Back::Nothing, Outcome::Untouched),
        (to(2), Back::Nothing, Outcome::Untouched),
        (to(3), Back::Undo, Outcome::Failed),
        (to(6), Back::Undo, Outcome::Failed),
        (and(4, vec![failed()]), Back::Undo, Outcome::Failed),
        (and(4, vec![Event::UndoStarted]), Back::Undo, Outcome::RollingBack),
        (and(4, vec![Event::UndoStarted, begun()]), Back::Follow(Some(json!("web:41"))), Outcome::RollingBack),
        (and(4, vec![Event::UndoStarted, Event::UndoneAlready]), Back::Follow(None), Outcome::RollingBack),
        (and(4, vec![Event::UndoStarted, begun(), rolled_back()]), Back::Nothing, Outcome::RolledBack),
        (and(4, vec![Event::Superseded { by: "web:43".into() }]), Back::Nothing, Outcome::Superseded),
        (migrating(JobRollback::Safe), Back::FollowJob(Job::Migrate, TaskHandle("t".into())), Outcome::Untouched),
        (started(JobRollback::Safe), Back::FindJob(Job::Migrate), Outcome::Underway),
        ([started(JobRollback::Unsafe), vec![lost()]].concat(), Back::FindJob(Job::Migrate), Outcome::Underway),
        ([started(JobRollback::Unsafe), vec![refused()]].concat(), Back::Nothing, Outcome::Untouched),
        ([started(JobRollback::Unsafe), vec![Event::JobNotBegun { job: Job::Migrate }]].concat(), Back::Nothing, Outcome::Untouched),
        ([started(JobRollback::Safe), vec![lost(), kept()]].concat(), Back::Nothing, Outcome::Failed),
        ([migrating(JobRollback::Safe), vec![lost(), kept()]].concat(), Back::Nothing, Outcome::Failed),
        (and(3, vec![refused()]), Back::Nothing, Outcome::Untouched),
        (and(3, vec![lost()]), Back::Undo, Outcome::Failed),
        (and(4, vec![refused()]), Back::Undo, Outcome::Failed),
        ([migrating(JobRollback::Safe), vec![failed()]].concat(), Back::Nothing, Outcome::Untouched),
        ([migrating(JobRollback::Unsafe), vec![failed()]].concat(), Back::Keep, Outcome::Failed),
        ([migrating(JobRollback::Unsafe), vec![failed(), kept()]].concat(), Back::Nothing, Outcome::Failed),
    ];
    for (events, back, outcome) in table {
        let service = after(&events);
        assert_eq!(service.backward(), back, "{events:?}");
        assert_eq!(service.outcome(false), outcome, "{events:?}");
    }
    assert_eq!(after(&live()).outcome(true), Outcome::Live);
    assert_eq!(after(&[captured(), prepared(&[]), settled(), verified()]).outcome(true), Outcome::Unchanged);
}

#[test]
fn the_first_failure_is_the_one_that_is_told() {
    let service = after(&[captured(), failed(), Event::Failed { failure: Failure::bug("later") }]);
    assert_eq!(service.failure.unwrap().what, "web answers 500");
}

fn group(members: &[(&str, &[&str])], on_failure: OnTrouble, on_cancel: OnTrouble) -> GroupPlan {
    let name = |text: &str| ServiceName(text.to_owned());
    let members = members
        .iter()
        .map(|(service, after)| MemberPlan { service: name(service), after: after.iter().map(|text| name(text)).collect() })
        .collect();
    GroupPlan { members, on_failure, on_cancel }
}

fn services(states: &[(&str, Vec<Event>)]) -> Services {
    states.iter().map(|(name, events)| (ServiceName((*name).to_owned()), after(events))).collect()
}

const QUIET: Circumstances = Circumstances { committed: false, interrupted: false };
const SIGNALLED: Circumstances = Circumstances { committed: false, interrupted: true };
const STANDS: Circumstances = Circumstances { committed: true, interrupted: true };

#[test]
fn a_group_commits_only_when_every_member_is_proven_and_unwinds_when_one_fails() {
    use OnTrouble::{Leave, Rollback};
    let pair: &[(&str, &[&str])] = &[("web", &[]), ("api", &["web"])];
    let applied = live()[..4].to_vec();
    let broken = [applied.clone(), vec![failed()]].concat();
    let superseded = [applied.clone(), vec![Event::Superseded { by: "x".into() }]].concat();
    let undone = [broken.clone(), vec![Event::UndoStarted]].concat();
    let table = [
        (Rollback, Rollback, vec![], vec![], QUIET, Verdict::Forward),
        (Rollback, Rollback, live(), applied.clone(), QUIET, Verdict::Forward),
        (Rollback, Rollback, live(), live(), QUIET, Verdict::Commit),
        (Rollback, Rollback, live(), broken.clone(), QUIET, Verdict::Unwind),
        (Leave, Rollback, live(), broken.clone(), QUIET, Verdict::Leave),
        (Rollback, Rollback, live(), superseded, QUIET, Verdict::Unwind),
        (Rollback, Leave, live(), applied.clone(), SIGNALLED, Verdict::Leave),
        (Rollback, Rollback, live(), live(), SIGNALLED, Verdict::Unwind),
        (Leave, Leave, live(), undone, SIGNALLED, Verdict::Unwind),
        (Rollback, Rollback, live(), live(), STANDS, Verdict::Committed),
    ];
    for (on_failure, on_cancel, web, api, circumstances, expected) in table {
        let plan = group(pair, on_failure, on_cancel);
        let services = services(&[("web", web.clone()), ("api", api.clone())]);
        assert_eq!(verdict(&plan, &services, &Wanted::new(), circumstances), expected, "{web:?} {api:?} {circumstances:?}");
    }
}

#[test]
fn after_means_proven_inside_a_group_and_committed_across_groups() {
    let rollback = OnTrouble::Rollback;
    let plans = [group(&[("web", &[]), ("api", &["web"])], rollback, rollback), group(&[("worker", &["api"])], rollback, rollback)];
    let (api, worker) = (ServiceName("api".into()), ServiceName("worker".into()));
    let states = |web: Vec<Event>| services(&[("web", web), ("api", Vec::new()), ("worker", Vec::new())]);
    let (none, first) = (BTreeSet::new(), BTreeSet::from([0]));
    let wanted = Wanted::new();
    assert!(!may_begin(&api, &plans, &states(live()[..5].to_vec()), &wanted, &none));
    assert!(may_begin(&api, &plans, &states(live()), &wanted, &none));
    assert!(!may_begin(&worker, &plans, &states(live()), &wanted, &none));
    assert!(may_begin(&worker, &plans, &states(live()), &wanted, &first));
    assert_eq!(never_begins(&worker, &plans, &first, &none), Some(api));
    assert_eq!(never_begins(&worker, &plans, &first, &first), None);
}

#[test]
fn dependents_are_put_back_first_and_a_mixture_is_named() {
    let rollback = OnTrouble::Rollback;
    let plan = group(&[("web", &[]), ("api", &["web"])], rollback, rollback);
    let (web, api) = (ServiceName("web".into()), ServiceName("api".into()));
    let undone = [live(), vec![Event::UndoStarted, Event::UndoneAlready, rolled_back()]].concat();
    let both = services(&[("web", live()), ("api", live())]);
    assert!(may_unwind(&api, &plan, &both) && !may_unwind(&web, &plan, &both));
    let half = services(&[("web", live()), ("api", undone.clone())]);
    assert!(may_unwind(&web, &plan, &half));
    assert!(mixed(&plan, &half) && !mixed(&plan, &both));
    assert!(!ended(&plan, &half, Verdict::Unwind));
    assert!(ended(&plan, &services(&[("web", undone.clone()), ("api", undone)]), Verdict::Unwind));
}
