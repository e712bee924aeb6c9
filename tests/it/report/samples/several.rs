//! Several services: groups, mixtures, many of them, names nobody would choose.

use touchdown::engine::record::{Event, Job, JobRollback, Record};
use touchdown::failure::{Evidence, Failure, Kind};
use touchdown::target::TaskHandle;

use super::failures::{crash, wrong_version};
use super::{NEW, OLD, Sample, group};

/// All of them: the name of the picture and the journal.
pub fn all() -> Vec<(&'static str, Sample)> {
    vec![
        ("plan", plan()),
        ("plan-of-many", plan_of_many()),
        ("verify-unhealthy", verify_unhealthy()),
        ("group-live", group_live()),
        ("group-rolled-back", group_rolled_back()),
        ("group-mixed", group_mixed()),
        ("group-stuck", group_stuck()),
        ("group-cancelled", group_cancelled()),
        ("one-live-one-back", one_live_one_back()),
        ("twenty", twenty()),
        ("hundred", hundred()),
        ("long-names", long_names()),
        ("hostile-names", hostile_names()),
    ]
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

pub fn verify_unhealthy() -> Sample {
    let sample = Sample::opened("verify", vec![group(&[("api", &[])]), group(&[("web", &[])])], &[]);
    sample.captured("api", "api:7").after(92.0).failed("api", wrong_version(), &[]).captured("web", "web:41").verified("web", "web:41")
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

fn four() -> Sample {
    let members: &[(&str, &[&str])] = &[("web", &["api"]), ("api", &["db-proxy"]), ("db-proxy", &[]), ("worker", &["api"])];
    Sample::opened("deploy", vec![group(members)], &[])
}

fn group_live() -> Sample {
    let sample = four().went_well("db-proxy", "db-proxy:3", "db-proxy:4").went_well("api", "api:7", "api:8");
    sample.went_well("worker", "worker:11", "worker:12").went_well("web", "web:41", "web:42").committed(0)
}

fn group_stuck() -> Sample {
    let sample = four().went_well("db-proxy", "db-proxy:3", "db-proxy:4").captured("api", "api:7");
    let (failure, evidence) = crash();
    let sample = sample.prepared("api", "api:8", &["image: a → b"]).event("api", Event::ApplyStarted).after(40.0);
    let sample = sample.captured("worker", "worker:11").failed("api", failure, &evidence).event("api", Event::UndoStarted).after(600.0);
    let back = Failure::new(Kind::TimedOut, "api:7 does not come back")
        .why("1 of 2 tasks run api:7 after 10 min 0 s")
        .why("capacity is unavailable at this time: no Fargate capacity in eu-west-1a")
        .fix("give the service another availability zone, or wait for capacity, then look again");
    let by_hand = vec!["aws ecs update-service --region eu-west-1 --cluster production --service api --task-definition api:7".into()];
    let sample = sample.event("api", Event::RollbackFailed { failure: back, by_hand });
    sample.rolled_back("db-proxy", "db-proxy:3")
}

fn group_cancelled() -> Sample {
    let sample = four().went_well("db-proxy", "db-proxy:3", "db-proxy:4").captured("api", "api:7");
    let sample = sample.prepared("api", "api:8", &["image: a → b"]).event("api", Event::ApplyStarted).after(4.0);
    sample.record(Record::Interrupted { by: "SIGINT".into() }).undoing("api", "api:7").undoing("db-proxy", "db-proxy:3")
}

pub fn one_live_one_back() -> Sample {
    let sample = Sample::opened("deploy", vec![group(&[("web", &[])]), group(&[("api", &[])])], &[]);
    let sample = sample.went_well("api", "api:7", "api:8").committed(1).captured("web", "web:41");
    let (failure, evidence) = crash();
    let sample = sample.prepared("web", "web:42", &["image: v1.2.9 → v1.3.0"]).event("web", Event::ApplyStarted).after(38.0);
    sample.failed("web", failure, &evidence).rolled_back("web", "web:41")
}

fn twenty() -> Sample {
    let shops = ["cart", "search", "billing", "catalog", "images"];
    let names: Vec<String> = ["eu", "us", "ap", "sa"].iter().flat_map(|region| shops.map(|shop| format!("{shop}-{region}"))).collect();
    let mut sample = Sample::opened("deploy", names.iter().map(|name| group(&[(name.as_str(), &[])])).collect(), &[]);
    for (index, name) in (0u16..).zip(&names) {
        let (from, to) = (format!("{name}:{}", index + 30), format!("{name}:{}", index + 31));
        let begun = |sample: Sample| sample.captured(name, &from).prepared(name, &to, &["image: v1.2.9 → v1.3.0"]);
        sample = match index {
            2 | 7 => {
                let (failure, evidence) = crash();
                let begun = begun(sample).event(name, Event::ApplyStarted).after(20.0);
                begun.failed(name, failure, &evidence).rolled_back(name, &from)
            }
            11 => begun(sample).rolled_out(name, &to, 60.0).failed(name, wrong_version(), &[]).rolled_back(name, &from),
            13 => begun(sample)
                .event(name, Event::ApplyStarted)
                .event(name, Event::Superseded { by: format!("{name}:99 (deployment ecs-svc/9)") }),
            _ => sample.went_well(name, &from, &to).committed(index),
        };
    }
    sample
}

fn plan_of_many() -> Sample {
    let names: Vec<String> = (1..=20).map(|number| format!("service-{number:02}")).collect();
    let sample = Sample::opened("plan", names.iter().map(|name| group(&[(name.as_str(), &[])])).collect(), &[]);
    names.iter().enumerate().fold(sample, |sample, (index, name)| {
        let changes: &[&str] = if index % 9 == 3 { &["image: v1.2.9 → v1.3.0", "desired count: 2 → 4"] } else { &[] };
        sample.captured(name, &format!("{name}:{index}")).prepared(name, "", changes)
    })
}

fn long_names() -> Sample {
    let long = "thoth-mcp-ingestion-worker-for-the-european-knowledge-graph-production-blue";
    let unbroken = "a".repeat(120);
    let sample = Sample::opened("deploy", vec![group(&[(long, &[])]), group(&[(unbroken.as_str(), &[])])], &[]);
    let sample = sample.went_well(long, &format!("{long}:1041"), &format!("{long}:1042")).committed(0);
    let sample = sample.captured(&unbroken, &format!("{unbroken}:1")).prepared(&unbroken, &format!("{unbroken}:2"), &["env KEY: a → b"]);
    let failure = Failure::new(Kind::Unhealthy, "the new release is not healthy")
        .why(format!("https://{}.example.com/{}: expected 200-299, got 500: {}", "b".repeat(60), "path/".repeat(30), "x".repeat(200)))
        .fix("look at the release");
    let evidence = Evidence { title: "last log lines of app".into(), lines: vec!["y".repeat(1500), "short".into()] };
    sample
        .event(&unbroken, Event::ApplyStarted)
        .after(30.0)
        .failed(&unbroken, failure, &[evidence])
        .rolled_back(&unbroken, &format!("{unbroken}:1"))
}

/// What Markdown, HTML and GitHub would make something of.
pub const HOSTILE: &str = "</td></table></details><h1>pwned</h1><img src=x onerror=alert(1)> [click](http://evil.example) ![x](http://evil.example/p.png) @octocat #1 GH-2 :tada: `code` ```\n# heading | pipe || **bold** ~~gone~~ <!-- $x^2$ ::error::x\u{202e}";

fn hostile_names() -> Sample {
    let names = ["<b>web</b>|`x`", "@octocat #1 :tada:", "[x](javascript:alert(1))"];
    let sample = Sample::opened("deploy", names.map(|name| group(&[(name, &[])])).into(), &[HOSTILE]);
    let sample = sample.noted(None, HOSTILE).noted(Some(names[0]), HOSTILE).went_well(names[0], "a|b:1", "`a`:2").committed(0);
    let sample = sample.captured(names[1], HOSTILE).prepared(names[1], HOSTILE, &[HOSTILE, &format!("{HOSTILE}: {HOSTILE} → {HOSTILE}")]);
    let failure = Failure::new(Kind::Unhealthy, HOSTILE).why(HOSTILE).why(format!("two lines\n{HOSTILE}")).fix(HOSTILE);
    let evidence = Evidence { title: HOSTILE.into(), lines: vec![HOSTILE.into(), "````".into(), "</details>".into()] };
    let sample = sample.event(names[1], Event::ApplyStarted).after(9.0).failed(names[1], failure, &[evidence]);
    let back = Failure::new(Kind::Denied, HOSTILE).fix(HOSTILE);
    let sample =
        sample.event(names[1], Event::UndoStarted).event(names[1], Event::RollbackFailed { failure: back, by_hand: vec![HOSTILE.into()] });
    let sample = sample.captured(names[2], "x:1").prepared(names[2], "x:2", &[]).event(names[2], Event::ApplyStarted);
    sample.event(names[2], Event::Superseded { by: HOSTILE.into() })
}
