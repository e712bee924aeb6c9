//! Every way a run of one service can end, and the list of all samples.

use serde_json::json;
use touchdown::engine::record::{Asked, Entry, Event, Job, JobRollback, OnTrouble, Record};
use touchdown::failure::{Evidence, Failure, Kind};
use touchdown::health::Baseline;
use touchdown::target::{Arrival, Before, Captured, TaskHandle};
use touchdown::values::RunId;

use super::failures::{crash, denied};
use super::{Sample, address, captured, group, settings, several};

/// Every way a run can end: the name of its picture, the journal, the early failure.
pub fn all() -> Vec<(&'static str, Vec<Entry>, Option<Failure>)> {
    let mistake =
        Failure::config("there is a mistake in the settings").why("region is missing: write the cluster's region, e.g. eu-west-1");
    let mut samples = vec![("mistake", Vec::new(), Some(mistake)), ("denied", opened_only(), Some(denied()))];
    let of_one = [
        ("live", live()),
        ("first-deploy", first_deploy()),
        ("unchanged", unchanged()),
        ("skip-verify", unproven()),
        ("waived", waived()),
        ("rolled-back", rolled_back()),
        ("first-deploy-taken-back", first_deploy_taken_back()),
        ("rolling-back", rolling_back()),
        ("cancelled", cancelled()),
        ("cancelled-early", cancelled_early()),
        ("superseded", superseded()),
        ("left-as-asked", left_as_asked()),
        ("unsafe-migration", unsafe_migration()),
        ("migration-failed", migration_failed(JobRollback::Safe)),
        ("unsafe-migration-failed", unsafe_migration_failed()),
        ("cancelled-in-migration", cancelled_in_migration()),
        ("verify-waived", verify_waived()),
        ("job-unseen", job_unseen()),
        ("stuck", stuck()),
        ("untouched", untouched()),
        ("post-took-over", post_took_over()),
        ("repaired", repaired()),
        ("rehearsal", rehearsal()),
        ("verify-healthy", verify_healthy()),
        ("rollback", rollback()),
        ("history", history()),
    ];
    samples.extend(of_one.into_iter().chain(several::all()).map(|(name, sample)| (name, sample.entries, None)));
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
    sample.after(0.1).event("web", Event::Verified { proof: vec!["2 of 2 tasks run web:42".into()], asked: Asked::Nothing }).committed(0)
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

pub fn verify_healthy() -> Sample {
    Sample::opened("verify", vec![group(&[("web", &[])])], &[]).captured("web", "web:41").verified("web", "web:41")
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

fn first_deploy_taken_back() -> Sample {
    let never = Captured { before: Before::Absent, revision: None, image: None, mark: None, ..captured("web", "web:1") };
    let sample = Sample::web().after(0.5).event("web", Event::Captured { captured: never, baseline: Baseline::Unknown });
    let sample = sample.prepared("web", "web:1", &["image: nothing → web"]).event("web", Event::ApplyStarted).after(61.0);
    let (failure, evidence) = crash();
    let sample = sample.failed("web", failure, &evidence).event("web", Event::UndoStarted).after(12.0);
    sample.event("web", Event::RolledBack { proof: vec!["no service, as before the run".into()], asked: Asked::Health })
}

fn waived() -> Sample {
    let mut sample = Sample::web().captured("web", "web:41").prepared("web", "web:42", &["image: v1.2.9 → v1.3.0"]);
    if let Record::Planned { settings: present, .. } = &mut sample.entries[1].record {
        *present = settings(&json!({ "waived": "a queue worker: it listens to nobody" }));
    }
    let sample = sample.rolled_out("web", "web:42", 74.0).after(0.4);
    let proof = vec!["2 of 2 tasks run web:42".into(), "2 running with sha256:5f2b7a9c4e1d".into()];
    let asked = Asked::Waived { reason: "a queue worker: it listens to nobody".into() };
    sample.event("web", Event::Verified { proof, asked }).committed(0)
}

fn rehearsal() -> Sample {
    let sample = Sample::opened("rehearse", vec![group(&[("web", &[])])], &["push"]);
    let sample = sample.noted(Some("web"), "`health-max-latency` was not rehearsed: the simulator knows nothing of your latencies");
    let sample = sample.captured("web", "web:41").prepared("web", "web:42", &["env LOG_LEVEL: debug → info"]);
    let (failure, evidence) = crash();
    sample.event("web", Event::ApplyStarted).after(38.9).failed("web", failure, &evidence).rolled_back("web", "web:41")
}

fn cancelled() -> Sample {
    begun().record(Record::Interrupted { by: "SIGINT".into() }).rolled_back("web", "web:41")
}

fn cancelled_early() -> Sample {
    Sample::web().captured("web", "web:41").record(Record::Interrupted { by: "SIGTERM".into() })
}

fn migrating(rollback: JobRollback) -> Sample {
    let sample = Sample::web().captured("web", "web:41").prepared("web", "web:42", &["image: v1.2.9 → v1.3.0"]);
    let sample = sample.event("web", Event::JobStarted { job: Job::Migrate, rollback }).after(0.8);
    let handle = TaskHandle("arn:aws:ecs:eu-west-1:123456789012:task/production/0f3c9a1b2d4e".into());
    sample.event("web", Event::JobRunning { job: Job::Migrate, handle }).after(12.4)
}

pub fn migration_failed(rollback: JobRollback) -> Sample {
    let failure = Failure::new(Kind::Unhealthy, "web: the migrate job failed")
        .why("task 0f3c9a1b: essential container app exited with exit code 1 (an error of the application)")
        .fix("correct the job and run again: nothing of the new release serves");
    let lines = ["ALTER TABLE orders ADD COLUMN total numeric", "ERROR: column \"total\" contains null values"].map(str::to_owned);
    let evidence = Evidence { title: "last lines of the migrate job".into(), lines: lines.into() };
    migrating(rollback).failed("web", failure, &[evidence])
}

fn unsafe_migration_failed() -> Sample {
    let why = "an unsafe migration has begun: the old release may not run on the new schema".to_owned();
    migration_failed(JobRollback::Unsafe).event("web", Event::Kept { why, by_hand: by_hand() })
}

fn cancelled_in_migration() -> Sample {
    migrating(JobRollback::Safe).record(Record::Interrupted { by: "SIGINT".into() })
}

pub fn job_unseen() -> Sample {
    let sample = Sample::web().captured("web", "web:41").prepared("web", "web:42", &["image: v1.2.9 → v1.3.0"]);
    let sample = sample.event("web", Event::JobStarted { job: Job::Migrate, rollback: JobRollback::Safe }).after(61.0);
    let lost = Failure::new(Kind::Transient, "web: ECS did not answer RunTask").why("the connection was reset");
    let why = "whether its migrate job runs cannot be told: ECS does not answer".to_owned();
    let by_hand = vec!["aws ecs list-tasks --region eu-west-1 --cluster production --started-by td-0f3c9a1b".to_owned()];
    sample.failed("web", lost, &[]).event("web", Event::Kept { why, by_hand })
}

fn verify_waived() -> Sample {
    let sample = Sample::opened("verify", vec![group(&[("web", &[])])], &[]).captured("web", "web:41");
    let asked = Asked::Waived { reason: "a queue worker: it listens to nobody".into() };
    sample.event("web", Event::Verified { proof: Vec::new(), asked })
}

pub fn unsafe_migration() -> Sample {
    let sample = Sample::web().captured("web", "web:41").prepared("web", "web:42", &["image: v1.2.9 → v1.3.0"]);
    let sample = sample.event("web", Event::JobStarted { job: Job::Migrate, rollback: JobRollback::Unsafe }).after(9.0);
    let sample = sample.event("web", Event::JobEnded { job: Job::Migrate, tail: vec!["1 migration applied".into()] });
    let (failure, evidence) = crash();
    let sample = sample.event("web", Event::ApplyStarted).after(38.9).failed("web", failure, &evidence);
    let why = "the migration is unsafe: web:41 cannot run on the new schema".to_owned();
    sample.event("web", Event::Kept { why, by_hand: by_hand() })
}
