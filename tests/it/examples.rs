//! The examples, as GitHub would read them: every step of ours is rehearsed with its own settings, good and bad.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use touchdown::simulator::fault::Fault;
use touchdown::simulator::seed::ServiceSeed;

use crate::rig::{Rig, side_by_side};

/// YAML by a reader that is not ours.
pub fn yaml(text: &str) -> Value {
    serde_yaml_ng::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

/// Our step of an example: its name and what stands below `with`, expressions replaced as a run would.
pub struct Example {
    pub name: String,
    pub with: BTreeMap<String, String>,
}

/// What the expressions in the examples come to.
const EXPRESSIONS: [(&str, &str); 10] = [
    ("inputs.to", ""),
    ("github.sha", "3f2a9c1d5e7b8a604c2d1e0f9b8a7c6d5e4f3a2b"),
    ("inputs.tag", "v1"),
    ("inputs.skip_migrate", "false"),
    ("inputs.skip_verify", "false"),
    ("inputs.service", "shop"),
    ("inputs.image", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:sha-3f2a9c1d5e7b8a604c2d1e0f9b8a7c6d5e4f3a2b"),
    ("inputs.environment", "production"),
    ("inputs.role", "arn:aws:iam::123456789012:role/deploy-shop"),
    ("inputs.verify", "true"),
];

fn expanded(text: &str) -> String {
    let mut whole = text.to_owned();
    for (expression, value) in EXPRESSIONS {
        whole = whole.replace(&format!("${{{{ {expression} }}}}"), value);
    }
    assert!(!whole.contains("${{"), "an expression nobody has a value for: {whole}");
    whole
}

/// Every step of ours in every example workflow.
pub fn examples() -> Vec<Example> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "yml")) {
        let workflow = yaml(&std::fs::read_to_string(file).unwrap());
        let Some(jobs) = workflow["jobs"].as_object() else { continue };
        for (job, steps) in jobs.iter().filter_map(|(job, body)| Some((job, body["steps"].as_array()?))) {
            for step in steps.iter().filter(|step| step["uses"].as_str().is_some_and(|uses| uses.starts_with("OWNER/touchdown@"))) {
                let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let with = step["with"].as_object().unwrap().iter().map(|(name, value)| (name.clone(), expanded(&text(value))));
                let name = format!("{} {job}", file.file_name().unwrap().to_string_lossy());
                found.push(Example { name, with: with.collect() });
            }
        }
    }
    found
}

/// The example's step as a rehearsal of `fault`.
async fn rehearsed(example: &Example, fault: Fault) -> crate::rig::Ran {
    let rig = Rig::empty(60.0).await.file(".github/touchdown.yml", include_str!("../../examples/touchdown.yml"));
    let rig = example.with.iter().fold(rig, |rig, (name, value)| rig.input(name, value));
    rig.input("mode", "rehearse").input("fault", fault.name()).main().await
}

#[test]
fn there_is_a_step_a_step_by_hand_a_reusable_workflow_and_one_of_several_services() {
    let names: Vec<String> = examples().iter().map(|example| example.name.clone()).collect();
    for expected in [
        "ecs.yml deploy",
        "ecs-dispatch.yml deploy",
        "ecs-reusable.yml deploy",
        "ecs-several.yml staging",
        "ecs-several.yml production",
        "ecs-rollback.yml rollback",
    ] {
        assert!(names.iter().any(|name| name == expected), "{expected} is not among {names:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_goes_live_in_a_rehearsal_and_a_crashing_release_is_put_back() {
    let examples = examples();
    let deploys = examples.iter().filter(|example| !example.with.contains_key("mode"));
    let cases = deploys.flat_map(|example| [(example, Fault::None, "live"), (example, Fault::CrashOnStart, "rolled-back")]);
    side_by_side(cases.map(|(example, fault, outcome)| async move {
        let ran = rehearsed(example, fault).await;
        assert_eq!(ran.output("outcome"), outcome, "{} with {}: {}", example.name, fault.name(), ran.stdout);
        assert_eq!(ran.code == 0, outcome == "live", "{}", example.name);
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_of_a_rollback_goes_back_to_the_last_release_that_was_good() {
    let web = ServiceSeed { cluster: "production".to_owned(), ..ServiceSeed::new("web") };
    let rig = Rig::with(&[web], 50.0).await.input("cluster", "production").input("env", "VERSION=v2");
    assert_eq!(rig.main().await.output("outcome"), "live");
    let example = examples().into_iter().find(|example| example.name == "ecs-rollback.yml rollback").unwrap();
    rig.simulator.world().add_role(&example.with["aws-role"], &["*"]);
    let rig = ["image", "env", "skip-push"].into_iter().fold(rig, |rig, name| rig.input(name, ""));
    let rig = example.with.iter().fold(rig, |rig, (name, value)| rig.input(name, value));
    let ran = rig.main().await;
    assert_eq!((ran.code, ran.output("outcome").as_str()), (0, "live"), "{}", ran.stdout);
    assert_eq!(rig.simulator.world().serving("web"), "v1");
}
