//! The JSON report against its committed schema: of every ending, and of runs on the simulator (of every fault: `faults.rs`).

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;
use touchdown::report::json::{document, schema};
use touchdown::report::{FORMAT, Report};
use touchdown::simulator::request::{Hook, Moment};

use super::picture;
use super::samples::endings::all;
use crate::docs::hold;
use crate::rig::{Ran, Rig};

/// The schema, in which no object may have a key that is not described.
fn strict() -> jsonschema::Validator {
    fn close(schema: &mut Value) {
        match schema {
            Value::Object(keys) => {
                if keys.contains_key("properties") {
                    keys.insert("additionalProperties".to_owned(), json!(false));
                }
                keys.values_mut().for_each(close);
            }
            Value::Array(items) => items.iter_mut().for_each(close),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut schema = schema().to_value();
    close(&mut schema);
    jsonschema::validator_for(&schema).unwrap()
}

fn wrong(document: &Value) -> Vec<String> {
    strict().iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_schema_of_the_report_is_its_types() {
    hold("schema/report.schema.json", &format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap()));
}

#[test]
fn every_part_of_the_report_is_described() {
    fn undescribed(schema: &Value, at: &str) -> Vec<String> {
        let Value::Object(keys) = schema else { return Vec::new() };
        let properties = keys.get("properties").and_then(Value::as_object).into_iter().flatten();
        let bare = properties.filter(|(_, property)| property.get("description").is_none() && property.get("const").is_none());
        let bare: Vec<String> = bare.map(|(name, _)| format!("{at}/{name}")).collect();
        keys.iter().flat_map(|(key, value)| undescribed(value, &format!("{at}/{key}"))).chain(bare).collect()
    }
    assert_eq!(undescribed(&schema().to_value(), ""), Vec::<String>::new());
}

#[test]
fn the_report_of_every_ending_is_of_the_schema() {
    for (name, entries, early) in all() {
        let document: Value = serde_json::from_str(&document(&Report::of(&entries, early.as_ref())).unwrap()).unwrap();
        assert_eq!(wrong(&document), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn what_is_no_report_the_schema_refuses() {
    let (_, entries, early) = all().pop().unwrap();
    let good = serde_json::to_value(Report::of(&entries, early.as_ref())).unwrap();
    let broken = |change: fn(&mut Value)| {
        let mut document = good.clone();
        change(&mut document);
        wrong(&document)
    };
    assert_eq!(broken(|_| ()), Vec::<String>::new());
    let changes: [fn(&mut Value); 6] = [
        |report| report["format"] = json!(FORMAT + 1),
        |report| report["outcome"] = json!("green"),
        |report| report["mode"] = json!("undeploy"),
        |report| report["services"][0]["before"]["was"] = json!("fine"),
        |report| report["sentense"] = json!("x"),
        |report| drop(report.as_object_mut().unwrap().remove("sentence")),
    ];
    assert!(changes.into_iter().all(|change| !broken(change).is_empty()));
}

/// The run's own report, held against the schema and against what else it told; its summary becomes a picture.
pub fn held(ran: &Ran, name: &str) -> Value {
    picture(name, &ran.summary);
    let report = ran.report();
    assert_eq!(wrong(&report), Vec::<String>::new(), "{}", ran.stdout);
    assert_eq!(report["outcome"], ran.output("outcome"), "{}", ran.stdout);
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_of_every_mode_is_of_the_schema() {
    let rig = Rig::new().await;
    held(&rig.main().await, "mode-deploy");
    for mode in ["plan", "verify", "history", "rehearse", "rollback"] {
        let report = held(&rig.main_in(mode).await, &format!("mode-{mode}"));
        assert_eq!(report["mode"], mode);
        assert_eq!(report["services"].as_array().unwrap().len(), 1, "{mode}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_of_mistakes_is_of_the_schema() {
    let file = "version: 1\nauth: { aws: { rolle: x } }\nservices:\n  web:\n    target: esc\n    region: EU West\n    image: acme/web@sha256:abc\n    \
        health:\n      retires: 3\n      interval: 30\n      status: 2xx\n    helth: {}\n    timeout: 0s\n    after: [nobody]\n    on-failure: undo\n  \
        api: {}\ngroups: [[web, apo]]\n";
    let rig = Rig::empty(100.0).await.file(".github/touchdown.yml", file).input("skip-push", "yes");
    let ran = rig.main().await;
    let report = held(&ran, "mistakes");
    assert_eq!((report["failure"]["kind"].as_str(), report["services"].as_array().unwrap().len()), (Some("config"), 0));
    assert!(report["failure"]["why"].as_array().unwrap().len() >= 12, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_of_a_cancelled_run_is_of_the_schema() {
    let rig = Rig::new().await;
    let under_way = rig.start();
    let stop = under_way.stop.clone();
    rig.simulator.world().on_request(Box::new(move |request, moment| {
        if request.operation == "ecs:UpdateService" && moment == Moment::After {
            stop.request("SIGINT");
        }
        Hook::Go
    }));
    let report = held(&under_way.ended().await, "mode-cancelled");
    assert_eq!((report["interrupted"].as_str(), report["taken-over"].as_bool()), (Some("SIGINT"), Some(false)), "{report}");
    assert_eq!(report["outcome"], "rolling-back", "an undo that a signal cut short is the post step's, and not stuck: {report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_of_a_post_step_is_of_the_schema() {
    let rig = Rig::new().await;
    let updated = Arc::new(Notify::new());
    let tell = updated.clone();
    rig.simulator.world().on_request(Box::new(move |request, moment| {
        if request.operation == "ecs:UpdateService" && moment == Moment::After {
            tell.notify_one();
            return Hook::HoldForever;
        }
        Hook::Go
    }));
    let main = rig.start();
    updated.notified().await;
    let ran = main.killed().await;
    rig.simulator.world().on_request_no_more();
    let post = held(&rig.post(&ran.state).await, "mode-post");
    assert_eq!((post["outcome"].as_str(), post["taken-over"].as_bool()), (Some("rolled-back"), Some(true)), "{post}");
}
