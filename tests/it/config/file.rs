//! `touchdown.yml`: what lies over what, groups, variables, and which of the ways to write settings wins.

use touchdown::config::plan::{ImageSource, Plan, TargetPlan};
use touchdown::engine::record::OnTrouble;
use touchdown::target::EnvChange;
use touchdown::target::ecs::EcsSettings;

use super::{IMAGE, Step, WEB};

fn ecs(plan: &Plan, index: usize) -> &EcsSettings {
    let TargetPlan::Ecs(settings) = &plan.services[index].target;
    settings
}

const LAYERS: &str = r#"
version: 1
auth: { aws: { region: eu-west-1, role: arn:aws:iam::123456789012:role/deploy } }
defaults:
  target: ecs
  cluster: shared
  timeout: 5m
  env: { A: defaults, B: defaults, C: defaults, D: defaults }
  health: { path: /up, retries: 3, interval: 4s }
services:
  web:
    image: acme/web@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    env: { B: service, C: service, D: !unset }
    health: { retries: 4 }
  api: { service: api-v1, image: "acme/api@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" }
environments:
  staging:
    auth: { aws: { role: "arn:aws:iam::123456789012:role/staging" } }
    defaults: { cluster: staging, health: { interval: 1s }, env: { A: overlay } }
    services:
      web: { env: { C: overlay-service } }
      api: { service: api-staging }
  production: {}
"#;

fn env_of(plan: &Plan) -> Vec<String> {
    plan.services[0]
        .env
        .iter()
        .map(|(name, change)| match change {
            EnvChange::Set(value) => format!("{name}={value}"),
            EnvChange::Unset => format!("{name} away"),
        })
        .collect()
}

#[test]
fn a_service_lies_over_the_defaults_and_an_environment_over_both() {
    let step = Step::with_file(LAYERS);
    let plain = step.plan_in("production");
    assert_eq!(env_of(&plain), ["A=defaults", "B=service", "C=service", "D away"]);
    assert_eq!((ecs(&plain, 0).cluster.as_str(), ecs(&plain, 0).region.as_str()), ("shared", "eu-west-1"));
    assert_eq!((plain.services[0].health.retries, plain.services[0].health.interval.as_secs()), (4, 4));
    assert_eq!(plain.services[1].service, "api-v1");
    assert!(step.mistakes()[0].contains("environment is not named"), "{:?}", step.mistakes());

    let staging = step.plan_in("staging");
    assert_eq!(env_of(&staging), ["A=overlay", "B=service", "C=overlay-service", "D away"]);
    assert_eq!(ecs(&staging, 0).cluster, "staging");
    assert_eq!((staging.services[0].health.retries, staging.services[0].health.interval.as_secs()), (4, 1));
    assert_eq!(staging.services[1].service, "api-staging");
    assert_eq!(staging.services[1].name.0, "api", "the name in the report stays");
    assert_eq!(staging.auth.aws.role.as_deref(), Some("arn:aws:iam::123456789012:role/staging"));
    assert_eq!(staging.notes, Vec::<String>::new());
}

#[test]
fn the_jobs_environment_is_asked_for_only_where_the_file_differs_and_nobody_named_one() {
    assert!(Step::with_file(LAYERS).asks());
    assert!(!Step::with_file(LAYERS).input("environment", "staging").asks());
    assert!(!Step::with_file(LAYERS).input("mode", "rehearse").asks());
    assert!(!Step::with_file(WEB).asks());
    let named = Step::with_file(LAYERS).input("environment", "staging").plan_in("production");
    assert_eq!(named.environment.as_deref(), Some("staging"), "what was written wins over what the job has");
    let flag = Step::with_file(LAYERS).input("environment", "production").flags(&["plan", "--environment", "staging"]).plan();
    assert_eq!(flag.environment.as_deref(), Some("staging"));
}

#[test]
fn sign_in_by_input_goes_over_the_file() {
    let plan = Step::with_file(LAYERS).input("aws-role", "arn:aws:iam::123456789012:role/input").plan_in("production");
    assert_eq!(plan.auth.aws.role.as_deref(), Some("arn:aws:iam::123456789012:role/input"));
}

#[test]
fn groups_are_as_written_and_a_service_in_none_stands_alone() {
    let service = |name: &str, more: &str| format!("  {name}: {{ target: ecs, region: eu-west-1, image: \"{IMAGE}\"{more} }}\n");
    let services =
        [("a", ""), ("b", ", after: [a]"), ("c", ", after: a, on-failure: leave")].map(|(name, more)| service(name, more)).concat();
    let plan = Step::with_file(&format!("version: 1\nservices:\n{services}groups: [[a, b]]\n")).plan();
    let groups: Vec<(Vec<String>, OnTrouble)> = plan
        .groups
        .iter()
        .map(|group| {
            let members = group
                .members
                .iter()
                .map(|member| format!("{} after {:?}", member.service, member.after.iter().map(|name| &name.0).collect::<Vec<_>>()));
            (members.collect(), group.on_failure)
        })
        .collect();
    assert_eq!(
        groups,
        [
            (vec!["a after []".to_owned(), "b after [\"a\"]".to_owned()], OnTrouble::Rollback),
            (vec!["c after [\"a\"]".to_owned()], OnTrouble::Leave),
        ]
    );
}

#[test]
fn variables_are_put_in_where_they_are_used_and_never_become_structure() {
    let text = WEB.replace("acme/web", "acme/${NAME}")
        + "    cluster: \"${CLUSTER}\"\n    env: { PLAIN: \"$${HOME}\", TREE: \"${TREE}\" }\nenvironments:\n  other:\n    defaults: { cluster: \"${NOT_SET}\" }\n  this: {}\n";
    let plan = Step::with_file(&text).env("NAME", "api").env("CLUSTER", "blue").env("TREE", "{ a: [1] }\nb: 2").plan_in("this");
    assert!(matches!(&plan.services[0].image, Some(ImageSource::Pinned(image)) if image.repository == "acme/api"));
    assert_eq!(ecs(&plan, 0).cluster, "blue");
    assert_eq!(env_of(&plan), ["PLAIN=${HOME}", "TREE={ a: [1] }\nb: 2"]);
}

#[test]
fn the_default_file_is_read_only_where_no_service_is_written_as_inputs() {
    let step = || Step::with_file(WEB);
    let single = step().input("target", "ecs").input("service", "other").input("region", "eu-west-1").input("image", IMAGE).plan();
    assert_eq!(single.services[0].service, "other");
    assert_eq!(step().plan().services[0].service, "web");
    let named = step().file("deploy/other.yml", &WEB.replace("web:", "api:")).input("config", "deploy/other.yml").plan();
    assert_eq!(named.services[0].name.0, "api");
}

#[test]
fn json_is_yaml_too() {
    let text = format!(
        r#"{{"version": 1, "services": {{"web": {{"target": "ecs", "region": "eu-west-1", "image": "{IMAGE}", "health": {{"json": {{"/ok": true, "/n": 1, "/t": "1"}}}}}}}}}}"#
    );
    let plan = Step::with_file(&text).plan();
    let expected = [("/ok", serde_json::json!(true)), ("/n", serde_json::json!(1)), ("/t", serde_json::json!("1"))];
    assert_eq!(plan.services[0].health.json, expected.map(|(pointer, value)| (pointer.to_owned(), value)));
}

proptest::proptest! {
    #[test]
    fn arbitrary_files_never_panic(text in "(version: 1\n)?(services|groups|auth|defaults|environments|[a-z]{1,8}):[ \n]{1,3}[ -~\n]{0,300}") {
        let step = Step::with_file(&text);
        let _ = step.try_plan();
    }

    #[test]
    fn arbitrary_values_of_known_settings_never_panic(index in 0..touchdown::config::settings::SETTINGS.len(), value in "[ -~]{0,60}", form in 0..2_u8) {
        let setting = &touchdown::config::settings::SETTINGS[index];
        let key = setting.key().unwrap_or_else(|| setting.name.to_owned()).replace("auth.aws.", "").replace('.', ": { ");
        let close = if key.contains('{') { " }" } else { "" };
        let step = match form {
            0 => Step::with_file(&format!("{WEB}    {key}: {value}{close}\n")),
            _ => Step::new().input(setting.name, &value),
        };
        let _ = step.try_plan();
    }
}
