//! Journals as the engine writes them, for every way a run can end. Pictures of all of them are made by `make pictures`.

use serde_json::{Value, json};
use touchdown::clock::Timestamp;
use touchdown::engine::record::{Entry, Event, FORMAT, GroupPlan, Job, JobRollback, MemberPlan, OnTrouble, Opening, Origin, Record};
use touchdown::failure::{Evidence, Failure, Kind};
use touchdown::health::Baseline;
use touchdown::target::{Arrival, Before, Captured, Mark, Prepared, TaskHandle};
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
            step: String::new(),
            origin,
            groups,
            skipped: skipped.iter().map(|stage| (*stage).to_owned()).collect(),
            auth: Value::Null,
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
        self.after(2.6).event(name, Event::Verified { proof })
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
        self.undoing(name, revision).after(41.0).event(name, Event::RolledBack { proof })
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
        mark: Some(Mark::Proven { revision: revision.into() }),
        in_flight: None,
        notes: Vec::new(),
    }
}

fn address(name: &str) -> Address {
    Address { url: format!("https://{name}.shop.example.com"), via: None, named_by: NamedBy::Platform }
}

/// A release whose tasks crash.
pub fn crash() -> (Failure, Vec<Evidence>) {
    let failure = Failure::new(Kind::Unhealthy, "the new tasks do not stay up")
        .why("4 tasks ended the same way: container app exited with 1: the application reported an error")
        .why("the circuit breaker counted 4 failed tasks of 4")
        .fix("look at the last log lines below");
    let log = [
        "2026-11-21T17:03:41Z INFO  starting shop 1.3.0 (3f2a9c1)",
        "2026-11-21T17:03:41Z INFO  reading settings from the environment",
        "2026-11-21T17:03:42Z ERROR cannot connect to postgres://shop@db.internal:5432/shop",
        "thread 'main' panicked at src/main.rs:41:10:",
        "called `Result::unwrap()` on an `Err` value: password authentication failed for user \"shop\"",
        "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
    ];
    let tasks = [
        "task 0f3c9a1b2d4e: EssentialContainerExited Essential container in task exited",
        "  container app exited with 1: the application reported an error",
    ];
    let events = ["(service web) has started 2 tasks", "(service web) (deployment …) deployment failed: tasks failed to start."];
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let evidence = vec![
        Evidence { title: "last log lines of app".into(), lines: lines(&log) },
        Evidence { title: "stopped tasks".into(), lines: lines(&tasks) },
        Evidence { title: "events of the service".into(), lines: lines(&events) },
    ];
    (failure, evidence)
}

/// A release that answers wrongly.
pub fn wrong_version() -> Failure {
    Failure::new(Kind::Unhealthy, "the new release is not healthy")
        .why("https://api.shop.example.com/health: expected /version to be 3f2a9c1, got \"8d1e4f7\"")
        .why("10 of 10 checks over 1 min 30 s were wrong (latency: half within 21 ms, 95 % within 48 ms)")
        .fix("the old build still answers, or the release tells another version: compare `health.version` with what the image was built from")
}

/// A refused sign-in.
pub fn denied() -> Failure {
    Failure::new(Kind::Denied, "AWS did not let this run assume arn:aws:iam::123456789012:role/deploy")
        .why("AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity")
        .why("the token's subject is repo:acme/shop:ref:refs/heads/main")
        .why("its audience is sts.amazonaws.com")
        .why("the job has no environment")
        .fix(
            "a statement in the trust policy of arn:aws:iam::123456789012:role/deploy that admits exactly this run:\n{\n  \"Effect\": \"Allow\",\n  \"Principal\": {\n    \"Federated\": \"arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com\"\n  },\n  \"Action\": \"sts:AssumeRoleWithWebIdentity\",\n  \"Condition\": {\n    \"StringEquals\": {\n      \"token.actions.githubusercontent.com:aud\": \"sts.amazonaws.com\",\n      \"token.actions.githubusercontent.com:sub\": \"repo:acme/shop:ref:refs/heads/main\"\n    }\n  }\n}",
        )
        .fix("if the policy names an environment, give the job `environment: NAME`: without it the subject names the branch")
}

/// Mistakes in the settings.
pub fn mistakes() -> Failure {
    Failure::config("3 mistakes in the settings")
        .why(".github/touchdown.yml:14: services.web.helth: no such key; did you mean `health`?")
        .why(".github/touchdown.yml:19: services.web.timeout: 900 has no unit; write `900s` or `15m`")
        .why("input target: `esc` is no platform; did you mean `ecs`?")
}

/// Every way a run can end: the name of its picture, the journal, the early failure.
pub fn all() -> Vec<(&'static str, Vec<Entry>, Option<Failure>)> {
    let of = |sample: Sample| sample.entries;
    let mut samples = vec![("mistakes", Vec::new(), Some(mistakes())), ("denied", opened_only(), Some(denied()))];
    samples.extend(
        [
            ("live", live()),
            ("first-deploy", first_deploy()),
            ("unchanged", unchanged()),
            ("unproven", unproven()),
            ("rolled-back", rolled_back()),
            ("rolling-back", rolling_back()),
            ("superseded", superseded()),
            ("left-as-asked", left_as_asked()),
            ("stuck", stuck()),
            ("untouched", untouched()),
            ("post-took-over", post_took_over()),
            ("repaired", repaired()),
            ("plan", plan()),
            ("verify-healthy", verify_healthy()),
            ("verify-unhealthy", verify_unhealthy()),
            ("rollback", rollback()),
            ("history", history()),
            ("group-rolled-back", group_rolled_back()),
            ("group-mixed", group_mixed()),
            ("hundred", hundred()),
        ]
        .map(|(name, sample)| (name, of(sample), None)),
    );
    samples
}

fn opened_only() -> Vec<Entry> {
    Sample::web().entries[..2].to_vec()
}

pub fn live() -> Sample {
    Sample::web().went_well("web", "web:41", "web:42").committed(0)
}

pub fn first_deploy() -> Sample {
    let never =
        Captured { before: Before::NeverServed(json!("web:1")), revision: None, image: None, mark: None, ..captured("web", "web:1") };
    let sample = Sample::web().after(0.5).event("web", Event::Captured { captured: never, baseline: Baseline::Unknown });
    sample.prepared("web", "web:2", &["image: nothing → web"]).rolled_out("web", "web:2", 51.0).verified("web", "web:2").committed(0)
}

pub fn unchanged() -> Sample {
    let arrival = Arrival { main: Some(address("web")), facts: vec!["2 of 2 tasks run web:42".into()], ..Arrival::default() };
    let sample = Sample::web().captured("web", "web:42").prepared("web", "web:42", &[]).after(0.3);
    sample.event("web", Event::Settled { arrival }).verified("web", "web:42").committed(0)
}

pub fn unproven() -> Sample {
    let sample = Sample::opened("deploy", vec![group(&[("web", &[])])], &["push", "verify"]);
    let sample = sample.captured("web", "web:41").prepared("web", "web:42", &["image: a → b"]).rolled_out("web", "web:42", 74.0);
    sample
        .after(0.1)
        .event("web", Event::Verified { proof: vec!["not verified: skip-verify".into(), "2 of 2 tasks run web:42".into()] })
        .committed(0)
}

pub fn begun() -> Sample {
    let sample = Sample::web().captured("web", "web:41").prepared("web", "web:42", &["env LOG_LEVEL: debug → info"]);
    sample.event("web", Event::ApplyStarted).after(0.9).event("web", Event::Applied).after(38.0)
}

pub fn rolled_back() -> Sample {
    let (failure, evidence) = crash();
    begun().failed("web", failure, &evidence).rolled_back("web", "web:41")
}

pub fn rolling_back() -> Sample {
    begun().record(Record::Interrupted { by: "SIGINT".into() }).undoing("web", "web:41")
}

pub fn superseded() -> Sample {
    begun().event("web", Event::Superseded { by: "web:43 (deployment ecs-svc/4411902837465)".into() })
}

pub fn left_as_asked() -> Sample {
    let mut leave = group(&[("web", &[])]);
    leave.on_failure = OnTrouble::Leave;
    let mut sample = begun();
    if let Record::Opened(opening) = &mut sample.entries[0].record {
        opening.groups = vec![leave];
    }
    let (failure, evidence) = crash();
    sample.failed("web", failure, &evidence).event("web", Event::Kept { why: "on-failure: leave".into(), by_hand: by_hand() })
}

fn by_hand() -> Vec<String> {
    vec![
        "aws ecs update-service --region eu-west-1 --cluster production --service web --task-definition web:41".into(),
        "aws ecs wait services-stable --region eu-west-1 --cluster production --services web".into(),
    ]
}

pub fn stuck() -> Sample {
    let (failure, evidence) = crash();
    let back = Failure::new(Kind::Denied, "web: ECS refused to update the service")
        .why("AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/deploy/run-1234567 is not authorized to perform: ecs:UpdateService")
        .fix("the role's session ended or its policy changed during the run: put the service back by hand, with the commands above");
    let sample = begun().failed("web", failure, &evidence).event("web", Event::UndoStarted).after(91.0);
    sample.event("web", Event::RollbackFailed { failure: back, by_hand: by_hand() })
}

pub fn untouched() -> Sample {
    let failure = Failure::new(Kind::Conflict, "web is being deployed by somebody else")
        .why("run 1234566 attempt 1 has it until 2026-11-21T17:21:00Z")
        .fix("deploy one after the other: give the job `concurrency: { group: deploy-…, cancel-in-progress: false }`")
        .fix("or set in-flight: supersede to replace the other deployment");
    Sample::web().captured("web", "web:41").after(900.0).failed("web", failure, &[])
}

pub fn post_took_over() -> Sample {
    begun()
        .record(Record::Interrupted { by: "SIGINT".into() })
        .after(14.0)
        .record(Record::TakenOver)
        .after(1.2)
        .rolled_back("web", "web:41")
}

pub fn repaired() -> Sample {
    let lost = RunId { id: "1234511".into(), attempt: 1 };
    let sample = Sample::web().after(0.7).event("web", Event::RepairStarted { lost }).after(33.0);
    sample.event("web", Event::Repaired { revision: "web:41".into() }).went_well("web", "web:41", "web:43").committed(0)
}

pub fn plan() -> Sample {
    let change = format!(
        "image: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/web@sha256:{OLD} → 123456789012.dkr.ecr.eu-west-1.amazonaws.com/web@sha256:{NEW}"
    );
    let changes = [change.as_str(), "env LOG_LEVEL: debug → info", "env OLD_FLAG: true → removed", "memory: 512 → 1024"];
    Sample::opened("plan", vec![group(&[("web", &[])]), group(&[("api", &[])])], &[])
        .captured("web", "web:41")
        .prepared("web", "", &changes)
        .noted(Some("web"), "undoing it is one UpdateService back to web:41")
        .captured("api", "api:7")
        .prepared("api", "", &[])
}

pub fn verify_healthy() -> Sample {
    Sample::opened("verify", vec![group(&[("web", &[])])], &[]).captured("web", "web:41").verified("web", "web:41")
}

pub fn verify_unhealthy() -> Sample {
    let sample = Sample::opened("verify", vec![group(&[("api", &[])]), group(&[("web", &[])])], &[]);
    sample.captured("api", "api:7").after(92.0).failed("api", wrong_version(), &[]).captured("web", "web:41").verified("web", "web:41")
}

pub fn rollback() -> Sample {
    Sample::opened("rollback", vec![group(&[("web", &[])])], &[]).went_well("web", "web:42", "web:41").committed(0)
}

pub fn history() -> Sample {
    let sample = Sample::opened("history", vec![group(&[("web", &[])])], &[]);
    let releases = [
        "web:42  2026-11-21T17:03:09Z  failed  shop:v1.3.0",
        "web:41  2026-11-20T09:12:44Z  serves, proven  shop:v1.2.9",
        "web:40  2026-11-18T15:40:01Z  proven  shop:v1.2.8",
    ];
    releases.iter().fold(sample, |sample, release| sample.noted(Some("web"), release))
}

fn migrated(sample: Sample, name: &str) -> Sample {
    let handle = TaskHandle("arn:aws:ecs:eu-west-1:123456789012:task/production/0f3c9a1b2d4e".into());
    sample
        .event(name, Event::JobStarted { job: Job::Migrate, rollback: JobRollback::Safe })
        .after(0.8)
        .event(name, Event::JobRunning { job: Job::Migrate, handle })
        .after(12.4)
        .event(name, Event::JobEnded { job: Job::Migrate, tail: vec!["3 migrations applied".into()] })
}

pub fn group_rolled_back() -> Sample {
    let sample = Sample::opened("deploy", vec![group(&[("web", &["api"]), ("api", &[])]), group(&[("worker", &[])])], &["push"]);
    let sample = sample.went_well("worker", "worker:11", "worker:12").committed(1);
    let sample = sample.captured("api", "api:7").prepared("api", "api:8", &["image: v1.2.9 → v1.3.0"]);
    let sample =
        migrated(sample, "api").rolled_out("api", "api:8", 63.0).verified("api", "api:8").went_well("web", "web:41", "web:42").after(5.0);
    let failure = Failure::new(Kind::Unhealthy, "api stopped being healthy before its group was complete")
        .why("https://api.shop.example.com/health: expected 200-299, got 503 Service Unavailable: {\"db\":\"pool exhausted\"}")
        .fix("look at the evidence below: the release answered well at first");
    let evidence = Evidence { title: "last log lines of app".into(), lines: vec!["WARN pool exhausted (20 of 20 in use)".into(); 5] };
    sample.failed("api", failure, &[evidence]).rolled_back("web", "web:41").rolled_back("api", "api:7")
}

pub fn group_mixed() -> Sample {
    let sample = Sample::opened("deploy", vec![group(&[("web", &[]), ("api", &[])])], &[]);
    let sample = sample.went_well("web", "web:41", "web:42").captured("api", "api:7").prepared("api", "api:8", &["image: a → b"]);
    let sample =
        sample.event("api", Event::ApplyStarted).after(31.0).event("api", Event::Superseded { by: "api:9 (deployment ecs-svc/77)".into() });
    sample.rolled_back("web", "web:41")
}

pub fn hundred() -> Sample {
    let names: Vec<String> = (0..100).map(|number| format!("service-{number:02}")).collect();
    let groups = names.iter().map(|name| group(&[(name.as_str(), &[])])).collect();
    let mut sample = Sample::opened("deploy", groups, &[]);
    for (index, name) in (0u16..).zip(&names) {
        let (from, to) = (format!("{name}:{}", index + 3), format!("{name}:{}", index + 4));
        sample = if index % 33 == 7 {
            let (failure, evidence) = crash();
            let begun = sample.captured(name, &from).prepared(name, &to, &["image: a → b"]).event(name, Event::ApplyStarted).after(20.0);
            begun.failed(name, failure, &evidence).rolled_back(name, &from)
        } else {
            sample.went_well(name, &from, &to).committed(index)
        };
    }
    sample
}
