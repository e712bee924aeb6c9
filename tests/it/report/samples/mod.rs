//! Journals as the engine writes them, for every way a run can end. Pictures of all of them are made by `make pictures`.

pub mod endings;
mod failures;
pub mod several;

use serde_json::{Value, json};
use touchdown::clock::Timestamp;
use touchdown::engine::record::{Asked, Entry, Event, FORMAT, GroupPlan, MemberPlan, OnTrouble, Opening, Origin, Record};
use touchdown::failure::{Evidence, Failure};
use touchdown::health::Baseline;
use touchdown::target::{Arrival, Before, Captured, Mark, Prepared};
use touchdown::values::{Address, Digest, NamedBy, PinnedImage, RunId, ServiceName};

/// A journal in the making.
#[derive(Clone)]
pub struct Sample {
    pub entries: Vec<Entry>,
    now: u64,
}

/// 2026-11-21T17:03:09Z
const BEGAN: u64 = 1_795_280_589_000;
const OLD: &str = "9c1e4f7092a3b4c5d6e7f8091a2b3c4d5e6f708125f2b7a9c4e1d8036f7a2b5c";
const NEW: &str = "5f2b7a9c4e1d8036f7a2b5c8d1e4f7092a3b4c5d6e7f8091a2b3c4d5e6f70812";

pub fn group(members: &[(&str, &[&str])]) -> GroupPlan {
    let name = |name: &&str| ServiceName((*name).to_owned());
    let member = |(service, after): &(&str, &[&str])| MemberPlan { service: name(service), after: after.iter().map(name).collect() };
    GroupPlan { members: members.iter().map(member).collect(), on_failure: OnTrouble::Rollback, on_cancel: OnTrouble::Rollback }
}

impl Sample {
    /// One service `web`.
    pub fn web() -> Self {
        Self::opened("deploy", vec![group(&[("web", &[])])], &[])
    }

    pub fn opened(mode: &str, groups: Vec<GroupPlan>, skipped: &[&str]) -> Self {
        let names: Vec<String> = groups.iter().flat_map(|group| &group.members).map(|member| member.service.0.clone()).collect();
        let origin = Origin {
            repository: "acme/shop".into(),
            commit: "3f2a9c1d5e7b8091a2b3c4d5e6f708125f2b7a9c".into(),
            reference: "refs/heads/main".into(),
            environment: Some("production".into()),
            run_url: Some("https://github.com/acme/shop/actions/runs/1234567/attempts/1".into()),
            actor: Some("octocat".into()),
        };
        let opening = Opening {
            format: FORMAT,
            run: RunId { id: "1234567".into(), attempt: 1 },
            mode: mode.into(),
            origin,
            groups,
            skipped: skipped.iter().map(|stage| (*stage).to_owned()).collect(),
            auth: Value::Null,
            step: String::new(),
            container: None,
        };
        let mut sample = Self { entries: Vec::new(), now: BEGAN }.record(Record::Opened(opening));
        for name in names {
            let service = ServiceName(name.clone());
            sample = sample.record(Record::Planned {
                service: service.clone(),
                target: "ecs".into(),
                settings: settings(&json!({ "path": "/health" })),
            });
            if matches!(mode, "deploy" | "plan" | "rehearse") {
                sample = sample.record(Record::Pinned { service, image: image(&name) });
            }
        }
        sample
    }

    pub fn record(mut self, record: Record) -> Self {
        let seq = u32::try_from(self.entries.len()).unwrap();
        self.entries.push(Entry { seq, at: Timestamp(self.now), record });
        self
    }

    /// `seconds` pass.
    pub fn after(mut self, seconds: f64) -> Self {
        self.now += (seconds * 1000.0) as u64;
        self
    }

    pub fn event(self, name: &str, event: Event) -> Self {
        self.record(Record::Service { name: ServiceName(name.into()), event })
    }

    pub fn noted(self, service: Option<&str>, note: &str) -> Self {
        self.record(Record::Noted { service: service.map(|name| ServiceName(name.into())), note: note.into() })
    }

    pub fn captured(self, name: &str, revision: &str) -> Self {
        self.after(0.6).event(
            name,
            Event::Captured { captured: captured(name, revision), baseline: Baseline::Healthy { version: Some("8d1e4f7".into()) } },
        )
    }

    pub fn prepared(self, name: &str, revision: &str, changes: &[&str]) -> Self {
        let changes = changes.iter().map(|change| (*change).to_owned()).collect();
        self.after(0.4).event(name, Event::Prepared { prepared: Prepared { release: json!(revision), revision: revision.into(), changes } })
    }

    pub fn rolled_out(self, name: &str, revision: &str, seconds: f64) -> Self {
        let arrival = Arrival {
            main: Some(address(name)),
            candidate: None,
            facts: vec![format!("2 of 2 tasks run {revision}"), "2 running with sha256:5f2b7a9c4e1d".into()],
            notes: Vec::new(),
        };
        self.event(name, Event::ApplyStarted).after(0.9).event(name, Event::Applied).after(seconds).event(name, Event::Settled { arrival })
    }

    pub fn verified(self, name: &str, revision: &str) -> Self {
        let proof = vec![
            "3 consecutive healthy answers over 2.1 s (95 % within 41 ms)".into(),
            "it tells version 3f2a9c1, as shipped".into(),
            format!("2 of 2 tasks run {revision}"),
            "2 running with sha256:5f2b7a9c4e1d".into(),
        ];
        self.after(2.6).event(name, Event::Verified { proof, asked: Asked::Health })
    }

    pub fn committed(self, group: u16) -> Self {
        self.after(0.2).record(Record::Committed { group }).after(0.3).record(Record::Finished { group })
    }

    /// From nothing to proven.
    pub fn went_well(self, name: &str, from: &str, to: &str) -> Self {
        let change = format!(
            "image: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/{name}@sha256:{OLD} → 123456789012.dkr.ecr.eu-west-1.amazonaws.com/{name}@sha256:{NEW}"
        );
        self.captured(name, from)
            .prepared(name, to, &[&change, "env LOG_LEVEL: debug → info"])
            .rolled_out(name, to, 74.0)
            .verified(name, to)
    }

    pub fn failed(self, name: &str, failure: Failure, evidence: &[Evidence]) -> Self {
        let failed = self.event(name, Event::Failed { failure });
        evidence.iter().fold(failed, |sample, evidence| sample.event(name, Event::Evidence { evidence: evidence.clone() }))
    }

    pub fn rolled_back(self, name: &str, revision: &str) -> Self {
        let proof = vec![
            format!("2 of 2 tasks run {revision}"),
            "3 consecutive healthy answers over 2.3 s (95 % within 38 ms)".into(),
            "version 8d1e4f7, as before the deploy".into(),
        ];
        self.undoing(name, revision).after(41.0).event(name, Event::RolledBack { proof, asked: Asked::Health })
    }

    pub fn undoing(self, name: &str, revision: &str) -> Self {
        self.event(name, Event::UndoStarted).after(0.7).event(name, Event::UndoBegun { release: json!(revision) })
    }
}

pub fn settings(at: &Value) -> Value {
    let zero = json!({ "secs": 0, "nanos": 0 });
    let ten = json!({ "secs": 10, "nanos": 0 });
    json!({ "health": {
        "at": at, "retries": 10, "interval": ten, "timeout": ten, "initial_delay": zero, "successes": 3, "status": [[200, 299]],
        "body": null, "json": [], "header": [], "version": null, "max_latency": null, "stabilize": zero, "smoke": [],
    } })
}

pub fn image(name: &str) -> PinnedImage {
    PinnedImage {
        repository: format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/{name}"),
        tag: Some("v1.3.0".into()),
        digest: Digest::parse(&format!("sha256:{NEW}")).unwrap(),
    }
}

pub fn captured(name: &str, revision: &str) -> Captured<Value> {
    Captured {
        before: Before::Running(json!(revision)),
        revision: Some(revision.into()),
        image: Some(format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/{name}@sha256:{OLD}")),
        address: Some(address(name)),
        mark: Some(Box::new(Mark::Proven { revision: revision.into() })),
        runs_on: None,
        reads_zstd: false,
        in_flight: None,
        notes: Vec::new(),
    }
}

fn address(name: &str) -> Address {
    Address { url: format!("https://{name}.shop.example.com"), via: None, named_by: NamedBy::Platform }
}
