//! The loop against a platform on paper, one that can do what no single cloud can: steps, swaps, panics, lost answers.
//! What the clouds really do is tested against the simulator.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use touchdown::clock::Clock;
use touchdown::engine::journal::{Journal, Keeper, Saved, read};
use touchdown::engine::member::{Checks, Goal, JobOnCancel, JobPlan, Member};
use touchdown::engine::record::{Entry, FORMAT, GroupPlan, JobRollback, MemberPlan, OnTrouble, Opening, Origin, Outcome, Record};
use touchdown::engine::run::{Driver, Given, drive};
use touchdown::engine::state;
use touchdown::failure::{Failure, Kind, Result};
use touchdown::health::probe::Shipped;
use touchdown::health::{HealthAt, HealthSettings, StatusSet};
use touchdown::http::{Endpoints, Fence, Http, Options};
use touchdown::runner::signals::Stop;
use touchdown::target::{
    Arrival, Before, Captured, InFlight, Observation, Prepared, RunsTask, Step, Target, TaskHandle, TaskLook, TaskOrder, TaskState,
    TaskWhat, Undo, UndoCost,
};
use touchdown::values::{Digest, PinnedImage, RunId, ServiceName, Share};

/// What the paper platform holds of one service, and how it misbehaves.
#[derive(Debug, Clone)]
struct Paper {
    serves: String,
    share: u8,
    calls: Vec<String>,
    mischief: Mischief,
    looks: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mischief {
    None,
    NeverArrives,
    PanicsInApply,
    LosesTheAnswer,
    SomebodyElse,
    UndoFails,
    JobFails,
    JobRunsOn,
}

type World = Arc<Mutex<BTreeMap<String, Paper>>>;

#[derive(Clone)]
struct OnPaper {
    name: String,
    world: World,
    steps: Vec<u8>,
    undo: UndoCost,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Revision(String);

impl OnPaper {
    fn with<T>(&self, call: &str, act: impl FnOnce(&mut Paper) -> T) -> T {
        let mut world = self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let paper = world.get_mut(&self.name).unwrap();
        if !call.is_empty() {
            paper.calls.push(call.to_owned());
        }
        act(paper)
    }
}

impl Target for OnPaper {
    type Snapshot = Revision;
    type Release = Revision;

    async fn snapshot(&self) -> Result<Captured<Revision>> {
        let serves = self.with("snapshot", |paper| paper.serves.clone());
        let revision = Some(serves.clone());
        Ok(Captured {
            before: Before::Running(Revision(serves)),
            revision,
            image: None,
            address: None,
            mark: None,
            in_flight: None,
            notes: vec![],
        })
    }

    async fn plan(&self, _: &PinnedImage, _: &Before<Revision>) -> Result<Vec<String>> {
        Ok(vec!["image".into()])
    }

    async fn prepare(&self, _: &PinnedImage, _: &Before<Revision>) -> Result<Prepared<Revision>> {
        self.with("prepare", |_| ());
        Ok(Prepared { release: Revision("new".into()), revision: "new".into(), changes: vec!["image".into()] })
    }

    async fn apply(&self, release: &Revision, _: &Before<Revision>) -> Result<()> {
        let mischief = self.with("apply", |paper| {
            let first = paper.serves != release.0;
            paper.serves.clone_from(&release.0);
            paper.share = if self.steps.is_empty() { 100 } else { 0 };
            if first { paper.mischief } else { Mischief::None }
        });
        match mischief {
            Mischief::PanicsInApply => panic!("a defect"),
            Mischief::LosesTheAnswer => Err(Failure::new(Kind::Transient, "connection reset")),
            _ => Ok(()),
        }
    }

    async fn observe(&self, release: &Revision) -> Result<Observation> {
        Ok(self.with("", |paper| {
            paper.looks += 1;
            match paper.mischief {
                Mischief::SomebodyElse if release.0 == "new" => Observation::Broken(Failure::new(Kind::Superseded, "theirs")),
                Mischief::NeverArrives | Mischief::UndoFails if release.0 == "new" && paper.looks > 2 => {
                    Observation::Broken(Failure::new(Kind::Unhealthy, "exit 1"))
                }
                Mischief::UndoFails if release.0 == "old" => Observation::Broken(Failure::new(Kind::Unhealthy, "old exits 1 too")),
                _ if paper.looks < 2 => Observation::Progressing { note: "starting".into() },
                _ if paper.serves == release.0 => {
                    Observation::Ready(Arrival { facts: vec![format!("{} runs", release.0)], ..Arrival::default() })
                }
                _ => Observation::Progressing { note: "not yet".into() },
            }
        }))
    }

    fn steps(&self, _: &[Share]) -> Vec<Step> {
        self.steps.iter().map(|share| Step { share: Share(*share) }).collect()
    }

    async fn advance(&self, _: &Revision, _: &Before<Revision>, step: &Step) -> Result<()> {
        self.with(&format!("advance {}", step.share.0), |paper| paper.share = step.share.0);
        Ok(())
    }

    async fn rollback(&self, before: &Before<Revision>, release: &Revision) -> Result<Undo<Revision>> {
        let Before::Running(before) = before else { return Ok(Undo::NothingToUndo) };
        Ok(self.with("rollback", |paper| {
            if paper.serves == before.0 {
                return Undo::NothingToUndo;
            }
            if paper.serves != release.0 {
                return Undo::Superseded { by: paper.serves.clone() };
            }
            paper.serves.clone_from(&before.0);
            paper.share = 100;
            Undo::Begun(before.clone())
        }))
    }

    async fn finish(&self, _: &Revision, _: &Before<Revision>) -> Result<()> {
        self.with("finish", |_| ());
        Ok(())
    }

    fn undo_cost(&self) -> UndoCost {
        self.undo
    }

    fn by_hand(&self, _: &Before<Revision>) -> Vec<String> {
        vec![format!("paper point {} old", self.name)]
    }

    fn runs_task(self: Arc<Self>) -> Option<Arc<dyn RunsTask>> {
        Some(self)
    }
}

impl RunsTask for OnPaper {
    fn start(&self, order: TaskOrder) -> futures_util::future::BoxFuture<'static, Result<TaskHandle>> {
        self.with("job", |_| ());
        Box::pin(async move { Ok(TaskHandle(order.token)) })
    }

    fn look(&self, _: TaskHandle, seen: usize) -> futures_util::future::BoxFuture<'static, Result<TaskLook>> {
        let (mischief, looks) = self.with("", |paper| {
            paper.looks += 1;
            (paper.mischief, paper.looks)
        });
        let state = match mischief {
            Mischief::JobFails => TaskState::Failed(Failure::new(Kind::Unhealthy, "migration exit 3")),
            Mischief::JobRunsOn if looks < 50 => TaskState::Running,
            _ => TaskState::Succeeded,
        };
        let lines = if seen == 0 { vec!["migrating".to_owned()] } else { Vec::new() };
        Box::pin(async move { Ok(TaskLook { lines, state }) })
    }

    fn stop(&self, _: TaskHandle, _: String) -> futures_util::future::BoxFuture<'static, Result<()>> {
        self.with("stop job", |_| ());
        Box::pin(async { Ok(()) })
    }
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<(String, String)>>>);

impl Keeper for Memory {
    fn keep(&mut self, key: &str, value: &str) -> std::io::Result<()> {
        self.0.lock().unwrap().push((key.to_owned(), value.to_owned()));
        Ok(())
    }
    fn name(&self) -> &'static str {
        "memory"
    }
}

impl Memory {
    fn saved(&self) -> Saved {
        read(&self.0.lock().unwrap()).remove(0)
    }
}

/// A run: services on paper, one group, and how it is driven.
#[derive(Clone)]
struct Rig {
    targets: Vec<OnPaper>,
    plan: GroupPlan,
    world: World,
    migrate: Option<JobPlan>,
    memory: Memory,
    stop: Stop,
    clock: Clock,
}

fn rig(services: &[(&str, &[&str], Mischief)]) -> Rig {
    let world = World::default();
    let targets = services
        .iter()
        .map(|(name, _, mischief)| {
            let paper = Paper { serves: "old".into(), share: 100, calls: Vec::new(), mischief: *mischief, looks: 0 };
            world.lock().unwrap().insert((*name).to_owned(), paper);
            OnPaper { name: (*name).to_owned(), world: world.clone(), steps: Vec::new(), undo: UndoCost::OneCall }
        })
        .collect();
    let members = services
        .iter()
        .map(|(name, after, _)| MemberPlan {
            service: ServiceName((*name).to_owned()),
            after: after.iter().map(|name| ServiceName((*name).to_owned())).collect(),
        })
        .collect();
    Rig {
        targets,
        plan: GroupPlan { members, on_failure: OnTrouble::Rollback, on_cancel: OnTrouble::Rollback },
        world,
        migrate: None,
        memory: Memory::default(),
        stop: Stop::manual(),
        clock: Clock::scaled(400.0),
    }
}

fn health() -> HealthSettings {
    HealthSettings {
        at: HealthAt::Waived("on paper".into()),
        retries: 3,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        initial_delay: Duration::ZERO,
        successes: 1,
        status: StatusSet(vec![(200, 299)]),
        body: None,
        json: Vec::new(),
        header: Vec::new(),
        version: None,
        max_latency: None,
        stabilize: Duration::ZERO,
        smoke: Vec::new(),
    }
}

impl Rig {
    fn member(&self, target: &OnPaper) -> Member {
        let digest = Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap();
        Member {
            name: ServiceName(target.name.clone()),
            nonce: "nonce".to_owned(),
            run: RunId { id: "1".into(), attempt: 1 },
            target: Arc::new(target.clone()),
            goal: Goal::Image(PinnedImage { repository: "r/web".into(), tag: None, digest }),
            shipped: Shipped::AnyBuild,
            health: health(),
            checks: Checks::Asked,
            shares: vec![Share::FULL],
            hold: Duration::ZERO,
            in_flight: InFlight::Wait,
            before: None,
            migrate: self.migrate.clone(),
            timeout: Duration::from_secs(300),
            rollback_timeout: Duration::from_secs(300),
        }
    }

    fn given(&self, driver: Driver) -> Given {
        let options =
            Options { clock: self.clock.clone(), endpoints: Endpoints::default(), fence: Fence(None), environment: BTreeMap::new() };
        let stop = if driver == Driver::Main { self.stop.clone() } else { Stop::manual() };
        let members = self.targets.iter().map(|target| self.member(target)).collect();
        Given { driver, members, http: Http::new(options).unwrap(), clock: self.clock.clone(), stop }
    }

    fn journal(&self) -> Journal {
        Journal::new("n".into(), vec![Box::new(self.memory.clone())], self.clock.clone())
    }

    fn opening(&self) -> Record {
        Record::Opened(Opening {
            format: FORMAT,
            run: RunId { id: "1".into(), attempt: 1 },
            mode: "deploy".into(),
            step: String::new(),
            origin: Origin::default(),
            groups: vec![self.plan.clone()],
            skipped: Vec::new(),
            auth: serde_json::Value::Null,
            container: None,
        })
    }

    async fn main(&self) -> Vec<Entry> {
        let mut journal = self.journal();
        journal.append(self.opening()).unwrap();
        let (journal, ended) = drive(self.given(Driver::Main), journal).await;
        ended.unwrap();
        journal.entries().to_vec()
    }

    async fn post(&self) -> Vec<Entry> {
        let mut journal = Journal::resumed(self.memory.saved(), vec![Box::new(self.memory.clone())], self.clock.clone());
        journal.append(Record::TakenOver).unwrap();
        let (journal, ended) = drive(self.given(Driver::Post), journal).await;
        ended.unwrap();
        journal.entries().to_vec()
    }

    fn serves(&self) -> Vec<String> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner).values().map(|paper| paper.serves.clone()).collect()
    }

    fn calls(&self, name: &str) -> Vec<String> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[name].calls.clone()
    }
}

fn outcomes(entries: &[Entry]) -> Vec<Outcome> {
    let state = state::fold(entries);
    state.services.values().map(|service| service.outcome(state.committed.contains(&0))).collect()
}

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

fn migration(rollback: JobRollback, on_cancel: JobOnCancel) -> Option<JobPlan> {
    let what = TaskWhat::Command(vec!["migrate".into()]);
    Some(JobPlan { what, timeout: Duration::from_secs(300), on_cancel, rollback })
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
