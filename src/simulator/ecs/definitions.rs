//! Task definitions: raw JSON in, raw JSON out, with what ECS adds. Keys nobody here has heard of are kept.

use serde_json::{Map, Value, json};

use crate::simulator::ecs::model::Definition;
use crate::simulator::wire::{Outcome, Refusal, seconds, text, texts};
use crate::simulator::world::{State, arn};

/// What only a registered definition has, and RegisterTaskDefinition does not take.
const READ_ONLY: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// RegisterTaskDefinition.
pub(crate) fn register(state: &mut State, region: &str, body: &Value) -> Outcome {
    check(body)?;
    let at = state.platform.now;
    let principal = state.identities.principal.clone();
    let family = text(body, "family").to_owned();
    let revisions = state.platform.definitions.entry((region.to_owned(), family.clone())).or_default();
    let revision = revisions.len() + 1;
    let arn = arn("ecs", region, &format!("task-definition/{family}:{revision}"));
    let mut kept = with_defaults(body);
    let added = json!({
        "taskDefinitionArn": arn,
        "revision": revision,
        "status": "ACTIVE",
        "requiresAttributes": [{ "name": "com.amazonaws.ecs.capability.docker-remote-api.1.18" }],
        "compatibilities": ["EC2", "FARGATE"],
        "registeredAt": seconds(at),
        "registeredBy": principal,
    });
    kept.extend(added.as_object().cloned().unwrap_or_default());
    let tags = body.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    revisions.push(Definition { arn, body: kept.clone(), tags: tags.clone(), active: true, told: None });
    Ok(with_tags(&kept, &tags))
}

fn check(body: &Value) -> Outcome<()> {
    if let Some(key) = READ_ONLY.iter().find(|key| body.get(**key).is_some()) {
        return Err(Refusal::parameter(format!("Unknown parameter in input: \"{key}\"")));
    }
    if body.get("tags").is_some_and(|tags| tags.as_array().is_none_or(Vec::is_empty)) {
        return Err(Refusal::parameter("Tags can not be empty."));
    }
    let reserved = |tag: &Value| text(tag, "key").to_ascii_lowercase().starts_with("aws:");
    if body.get("tags").and_then(Value::as_array).into_iter().flatten().any(reserved) {
        return Err(Refusal::parameter("Tag keys starting with 'aws:' are reserved for system use"));
    }
    if text(body, "family").is_empty() {
        return Err(Refusal::client("Family should not be null or empty."));
    }
    let containers = body.get("containerDefinitions").and_then(Value::as_array);
    if containers.is_none_or(Vec::is_empty) {
        return Err(Refusal::client("Container list cannot be empty."));
    }
    if let Some(name) = containers.into_iter().flatten().find(|container| text(container, "image").is_empty()).map(|one| text(one, "name"))
    {
        return Err(Refusal::client(format!("Container.image should not be null or empty. (container {name})")));
    }
    check_nulls(body, "")
}

/// A null inside is a serialisation error for ECS.
fn check_nulls(value: &Value, path: &str) -> Outcome<()> {
    match value {
        Value::Null => Err(Refusal::new("SerializationException", format!("null at {path}"))),
        Value::Array(items) => items.iter().try_for_each(|item| check_nulls(item, path)),
        Value::Object(fields) => fields.iter().try_for_each(|(key, item)| check_nulls(item, &format!("{path}/{key}"))),
        _ => Ok(()),
    }
}

fn with_defaults(body: &Value) -> Map<String, Value> {
    let mut kept = body.as_object().cloned().unwrap_or_default();
    kept.remove("tags");
    for key in ["volumes", "placementConstraints"] {
        kept.entry(key).or_insert_with(|| json!([]));
    }
    let containers = kept.get_mut("containerDefinitions").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
        container.entry("cpu").or_insert(json!(0));
        container.entry("essential").or_insert(json!(true));
        for key in ["environment", "mountPoints", "portMappings", "systemControls", "volumesFrom"] {
            container.entry(key).or_insert_with(|| json!([]));
        }
        for mapping in
            container.get_mut("portMappings").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
        {
            let port = mapping.get("containerPort").cloned().unwrap_or_default();
            mapping.entry("hostPort").or_insert(port);
            mapping.entry("protocol").or_insert(json!("tcp"));
        }
    }
    kept
}

fn with_tags(kept: &Map<String, Value>, tags: &[Value]) -> Value {
    let mut answer = json!({ "taskDefinition": kept });
    if let (Some(fields), false) = (answer.as_object_mut(), tags.is_empty()) {
        fields.insert("tags".to_owned(), json!(tags));
    }
    answer
}

/// DescribeTaskDefinition.
pub(crate) fn describe(state: &mut State, region: &str, body: &Value) -> Outcome {
    let found = state.platform.definition(region, text(body, "taskDefinition"));
    let definition = found.ok_or_else(|| Refusal::client("Unable to describe task definition."))?;
    let wanted = texts(body, "include").iter().any(|include| include == "TAGS");
    let mut answer = json!({ "taskDefinition": definition.body });
    if let (Some(fields), true) = (answer.as_object_mut(), wanted) {
        fields.insert("tags".to_owned(), json!(definition.tags));
    }
    Ok(answer)
}

/// DeregisterTaskDefinition.
pub(crate) fn deregister(state: &mut State, region: &str, body: &Value) -> Outcome {
    let found = state.platform.definition(region, text(body, "taskDefinition")).map(|definition| definition.arn.clone());
    let name = found.ok_or_else(|| Refusal::client("The specified task definition does not exist."))?;
    let at = state.platform.now;
    let definition = state.platform.definitions.values_mut().flatten().find(|definition| definition.arn == name);
    let definition = definition.ok_or_else(|| Refusal::client("The specified task definition does not exist."))?;
    definition.active = false;
    definition.body.insert("status".to_owned(), json!("INACTIVE"));
    definition.body.insert("deregisteredAt".to_owned(), seconds(at));
    Ok(json!({ "taskDefinition": definition.body }))
}

/// ListTaskDefinitions.
pub(crate) fn list(state: &mut State, region: &str, body: &Value) -> Outcome {
    let (prefix, inactive) = (text(body, "familyPrefix"), text(body, "status") == "INACTIVE");
    let families =
        state.platform.definitions.iter().filter(|((place, family), _)| place == region && (prefix.is_empty() || family == prefix));
    let arns = families.flat_map(|(_, revisions)| revisions).filter(|one| one.active != inactive).map(|one| one.arn.clone());
    Ok(json!({ "taskDefinitionArns": arns.collect::<Vec<_>>() }))
}
