//! A run on paper: services, their group, a journal in memory, main and post.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use touchdown::clock::Clock;
use touchdown::engine::journal::Journal;
use touchdown::engine::member::{Checks, Fate, Goal, JobOnCancel, JobPlan, Member};
use touchdown::engine::record::{Entry, FORMAT, GroupPlan, JobRollback, MemberPlan, OnTrouble, Opening, Origin, Outcome, Record};
use touchdown::engine::run::{Driver, Given, drive};
use touchdown::engine::state;
use touchdown::health::probe::Shipped;
use touchdown::health::{HealthAt, HealthSettings};
use touchdown::http::{Endpoints, Fence, Http, Options};
use touchdown::runner::signals::Stop;
use touchdown::target::{InFlight, TaskWhat, UndoCost};
use touchdown::values::{Digest, PinnedImage, RunId, ServiceName, Share};

use crate::journal::Memory;

use super::paper::{Mischief, OnPaper, Paper, World};

/// A run: services on paper, one group, and how it is driven.
#[derive(Clone)]
pub struct Rig {
    pub targets: Vec<OnPaper>,
    pub plan: GroupPlan,
    pub world: World,
    pub migrate: Option<JobPlan>,
    pub memory: Memory,
    pub stop: Stop,
    pub clock: Clock,
}

pub fn rig(services: &[(&str, &[&str], Mischief)]) -> Rig {
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

pub fn health() -> HealthSettings {
    let at = HealthAt::Waived("on paper".into());
    let second = Duration::from_secs(1);
    HealthSettings { at, retries: 3, interval: second, timeout: second, successes: 1, ..crate::health::settings() }
}

impl Rig {
    pub fn member(&self, target: &OnPaper) -> Member {
        let digest = Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap();
        Member {
            name: ServiceName(target.name.clone()),
            nonce: "nonce".to_owned(),
            fate: Arc::new(|_| Fate::Unknown),
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
            epilogue: None,
            timeout: Duration::from_secs(300),
            rollback_timeout: Duration::from_secs(300),
        }
    }

    pub fn given(&self, driver: Driver) -> Given {
        let options =
            Options { clock: self.clock.clone(), endpoints: Endpoints::default(), fence: Fence(None), environment: BTreeMap::new() };
        let stop = if driver == Driver::Main { self.stop.clone() } else { Stop::manual() };
        let members = self.targets.iter().map(|target| self.member(target)).collect();
        Given { driver, members, http: Http::new(options).unwrap(), clock: self.clock.clone(), stop }
    }

    pub fn journal(&self) -> Journal {
        Journal::new("n".into(), vec![Box::new(self.memory.clone())], self.clock.clone())
    }

    pub fn opening(&self) -> Record {
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

    pub async fn main(&self) -> Vec<Entry> {
        let mut journal = self.journal();
        journal.append(self.opening()).unwrap();
        let (journal, ended) = drive(self.given(Driver::Main), journal).await;
        ended.unwrap();
        journal.entries().to_vec()
    }

    pub async fn post(&self) -> Vec<Entry> {
        let mut journal = Journal::resumed(self.memory.saved(), vec![Box::new(self.memory.clone())], self.clock.clone());
        journal.append(Record::TakenOver).unwrap();
        let (journal, ended) = drive(self.given(Driver::Post), journal).await;
        ended.unwrap();
        journal.entries().to_vec()
    }

    pub fn serves(&self) -> Vec<String> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner).values().map(|paper| paper.serves.clone()).collect()
    }

    pub fn calls(&self, name: &str) -> Vec<String> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[name].calls.clone()
    }
}

pub fn outcomes(entries: &[Entry]) -> Vec<Outcome> {
    let state = state::fold(entries);
    state.services.values().map(|service| service.outcome(state.committed.contains(&0))).collect()
}

pub fn migration(rollback: JobRollback, on_cancel: JobOnCancel) -> Option<JobPlan> {
    let what = TaskWhat::Command(vec!["migrate".into()]);
    Some(JobPlan { what, timeout: Duration::from_secs(300), on_cancel, rollback })
}
