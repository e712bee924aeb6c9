//! The committed schema of the file, held against what the reader takes.

use serde_json::Value;
use touchdown::config::schema::schema;
use touchdown::config::settings::{Part, SETTINGS};

use super::forms::file_with;

/// YAML as JSON, by the reader of the standard library of the machine's Python where that is there; here by our own plan's inverse.
fn json(yaml: &str) -> Value {
    crate::examples::yaml(yaml)
}

fn wrong(file: &str) -> Vec<String> {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    validator.iter_errors(&json(file)).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn what_the_reader_takes_the_schema_takes() {
    for setting in SETTINGS.iter().filter(|setting| setting.part != Part::Run) {
        let file = file_with(setting);
        assert_eq!(wrong(&file), Vec::<String>::new(), "{}:\n{file}", setting.name);
    }
}

#[test]
fn the_example_is_of_the_schema() {
    assert_eq!(wrong(include_str!("../../../examples/touchdown.yml")), Vec::<String>::new());
}

#[test]
fn what_nobody_knows_the_schema_refuses() {
    for file in [
        "version: 2\nservices: { web: { target: ecs } }",
        "services: { web: { target: ecs } }",
        "version: 1",
        "version: 1\nservices: { web: { tarjet: ecs } }",
        "version: 1\nservices: { web: { target: heroku } }",
        "version: 1\nservices: { web: { health: { retries: 0 } } }",
        "version: 1\nservices: { web: { health: { retires: 1 } } }",
        "version: 1\nservices: { web: { timeout: 30 } }",
        "version: 1\nservices: { web: {} }\ngroups: [web]",
        "version: 1\nservices: { web: {} }\nenvironments: { staging: { service: {} } }",
        "version: 1\nservices: { web: { smoke: [{ method: GET }] } }",
    ] {
        assert_ne!(wrong(file), Vec::<String>::new(), "{file}");
    }
}
