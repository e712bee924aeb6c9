//! The JSON schema of `touchdown.yml`, for editors, made from the table of settings. What it cannot say (names that must exist,
//! circles of `after`) the reader says.

use serde_json::{Map, Value, json};

use super::settings::{Form, Part, SECTIONS, SETTINGS, Setting};
use super::smoke;

/// The schema (<https://json-schema.org/draft/2020-12/schema>).
pub fn schema() -> Value {
    let mut top = shared();
    top.insert("version".to_owned(), json!({ "const": 1, "description": "The version of the file's form" }));
    top.insert("groups".to_owned(), groups());
    top.insert("environments".to_owned(), environments(&shared()));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "touchdown.yml",
        "description": "Several services that Touchdown deploys together",
        "type": "object",
        "required": ["version", "services"],
        "additionalProperties": false,
        "properties": top,
        "$defs": { "service": service() },
    })
}

/// What stands at the top and in an environment alike.
fn shared() -> Map<String, Value> {
    let aws = SETTINGS.iter().filter(|setting| setting.part == Part::SignIn);
    let aws = aws.filter_map(|setting| Some((setting.name.strip_prefix("aws-")?.to_owned(), described(setting)))).collect();
    let cloud = object(aws, "Amazon Web Services");
    let named = json!({
        "description": "Each service under its name",
        "type": "object",
        "minProperties": 1,
        "propertyNames": { "pattern": "^[A-Za-z0-9_-]{1,64}$" },
        "additionalProperties": { "$ref": "#/$defs/service" },
    });
    Map::from_iter([
        ("auth".to_owned(), object(Map::from_iter([("aws".to_owned(), cloud)]), "How to sign in")),
        (
            "defaults".to_owned(),
            json!({ "description": "What holds for every service that does not say otherwise", "$ref": "#/$defs/service" }),
        ),
        ("services".to_owned(), named),
    ])
}

fn groups() -> Value {
    json!({
        "description": "Services that stand or fall together; a service in no group stands alone",
        "type": "array",
        "items": { "type": "array", "items": { "type": "string" }, "minItems": 1, "uniqueItems": true },
    })
}

fn environments(overlay: &Map<String, Value>) -> Value {
    json!({
        "description": "What differs by environment; the environment is the input `environment`, else the job's own",
        "type": "object",
        "additionalProperties": { "type": "object", "additionalProperties": false, "properties": overlay },
    })
}

fn service() -> Value {
    let mut properties = Map::new();
    for setting in SETTINGS.iter().filter(|setting| setting.is_of_service() && setting.section().is_none()) {
        properties.insert(setting.name.to_owned(), described(setting));
    }
    for name in SECTIONS {
        let inner = SETTINGS.iter().filter_map(|setting| match setting.section() {
            Some((of, inner)) if of == name => Some((inner.to_owned(), described(setting))),
            _ => None,
        });
        let section = object(inner.collect(), name);
        properties.insert(name.to_owned(), if name == "image" { json!({ "anyOf": [{ "type": "string" }, section] }) } else { section });
    }
    object(properties, "A service")
}

fn object(properties: Map<String, Value>, description: &str) -> Value {
    json!({ "description": description, "type": "object", "additionalProperties": false, "properties": properties })
}

/// The form of a setting with its meaning.
fn described(setting: &Setting) -> Value {
    let mut schema = form(setting.form);
    schema["description"] = json!(super::help::described(setting));
    schema
}

/// A text, in which YAML may have seen a number or a boolean.
fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

/// What this form allows, or a text with a `${VARIABLE}` in it.
fn or_variable(form: Value) -> Value {
    json!({ "anyOf": [form, { "type": "string", "pattern": "\\$\\{[A-Za-z0-9_]+\\}" }] })
}

fn form(form: Form) -> Value {
    match form {
        Form::Text => text(),
        Form::Flag => or_variable(json!({ "type": "boolean" })),
        Form::Duration => or_variable(json!({ "type": "string", "pattern": "^[0-9]+ *[A-Za-zµ]", "examples": ["30s", "5m"] })),
        Form::Number(least, most) => or_variable(json!({ "type": "integer", "minimum": least, "maximum": most })),
        Form::Choice(choices) => or_variable(json!({ "enum": choices })),
        Form::List | Form::Shares => json!({ "anyOf": [{ "type": "array", "items": text() }, text()] }),
        Form::Pairs => json!({ "type": "object", "additionalProperties": text() }),
        Form::JsonPairs => json!({ "type": "object", "propertyNames": { "pattern": "^/" } }),
        Form::Requests => json!({ "anyOf": [request(), { "type": "array", "items": request() }] }),
        Form::Command => json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": text() }] }),
        Form::Image => json!({ "type": "string" }),
    }
}

/// `GET /cart 200`, or the same as a map.
fn request() -> Value {
    let map = |key: &str| match key {
        "headers" => form(Form::Pairs),
        "json" => form(Form::JsonPairs),
        "max-latency" => form(Form::Duration),
        "send" => json!({}),
        _ => text(),
    };
    let properties = smoke::KEYS.iter().map(|key| ((*key).to_owned(), map(key))).collect();
    let mut whole = object(properties, "A request with what it expects");
    whole["required"] = json!(["path"]);
    json!({ "anyOf": [{ "type": "string" }, whole] })
}
