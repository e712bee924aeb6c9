//! The new revision: the serving task definition (or the user's file) as raw JSON, with the image and what the settings change.
//! Pure. Keys nobody has heard of survive, and so do empty strings.

use serde_json::{Map, Value, json};

use crate::failure::{Failure, Result};
use crate::target::{EnvChange, ServiceOrder};

use super::settings::EcsSettings;

/// Keys that DescribeTaskDefinition shows and RegisterTaskDefinition refuses: exactly these.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskDefinition.html> (2026-11)
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

/// What a revision is rendered with.
pub(super) struct Wanted<'a> {
    pub(super) order: &'a ServiceOrder,
    pub(super) settings: &'a EcsSettings,
    /// Repository and digest.
    pub(super) image: &'a str,
    /// The container the load balancer leads to.
    pub(super) balanced: Option<&'a str>,
}

/// What RegisterTaskDefinition is sent, from `base` and its `tags`.
pub(super) fn render(base: &Value, tags: &Value, wanted: &Wanted<'_>) -> Result<Value> {
    let mut revision = registrable(base, tags);
    let index = container(&revision, wanted.order, wanted.balanced)?;
    let container = &mut revision["containerDefinitions"][index];
    container["image"] = json!(wanted.image);
    environment(container, wanted.order);
    secrets(container, wanted.order);
    for (key, value) in [("cpu", &wanted.settings.cpu), ("memory", &wanted.settings.memory)] {
        if let Some(value) = value {
            revision[key] = json!(value);
        }
    }
    Ok(revision)
}

/// `base` in the form RegisterTaskDefinition takes: without the read-only keys, nulls, AWS's own tags, and an empty list of tags.
pub(super) fn registrable(base: &Value, tags: &Value) -> Value {
    let mut revision = without_nulls(base.clone());
    if let Some(fields) = revision.as_object_mut() {
        READ_ONLY.iter().for_each(|key| {
            fields.shift_remove(*key);
        });
        let given = fields.shift_remove("tags").unwrap_or(Value::Null);
        let all = if given.as_array().is_some_and(|tags| !tags.is_empty()) { given } else { tags.clone() };
        let own = |tag: &Value| !tag["key"].as_str().unwrap_or_default().to_lowercase().starts_with("aws:");
        let kept: Vec<Value> = all.as_array().into_iter().flatten().filter(|tag| own(tag)).cloned().collect();
        if !kept.is_empty() {
            fields.insert("tags".to_owned(), Value::Array(kept));
        }
    }
    revision
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Which container takes the image: the one named, the only one, else the one with the load balancer's port, else the only one with a port.
pub(super) fn container(revision: &Value, order: &ServiceOrder, balanced: Option<&str>) -> Result<usize> {
    let containers: Vec<&Value> = revision["containerDefinitions"].as_array().into_iter().flatten().collect();
    let names: Vec<&str> = containers.iter().map(|container| container["name"].as_str().unwrap_or_default()).collect();
    let named = |wanted: &str| names.iter().position(|name| *name == wanted);
    if let Some(wanted) = &order.container {
        return named(wanted).ok_or_else(|| {
            Failure::config(format!("{}: the task definition has no container {wanted:?}", order.name))
                .why(format!("it has {}", names.join(", ")))
                .fix(format!("set container to one of: {}", names.join(", ")))
        });
    }
    let with_port: Vec<usize> = (0..containers.len())
        .filter(|index| containers[*index]["portMappings"].as_array().is_some_and(|ports| !ports.is_empty()))
        .collect();
    match (containers.len(), balanced.and_then(named), with_port.as_slice()) {
        (1, _, _) => Ok(0),
        (_, Some(index), _) => Ok(index),
        (_, None, [index]) => Ok(*index),
        _ => Err(Failure::config(format!("{}: it is not clear which container takes the image", order.name))
            .why(format!("the task definition has {}", names.join(", ")))
            .fix(format!("set container to one of: {}", names.join(", ")))),
    }
}

fn environment(container: &mut Value, order: &ServiceOrder) {
    if order.env.is_empty() {
        return;
    }
    let mut variables = entries(container, "environment");
    for (name, change) in &order.env {
        variables.retain(|variable| variable["name"] != *name);
        if let EnvChange::Set(value) = change {
            variables.push(json!({ "name": name, "value": value }));
        }
    }
    container["environment"] = Value::Array(variables);
    let removed: Vec<&String> = order.env.keys().collect();
    let mut references = entries(container, "secrets");
    let before = references.len();
    references.retain(|secret| !removed.iter().any(|name| secret["name"] == ***name));
    if references.len() != before {
        container["secrets"] = Value::Array(references);
    }
}

fn secrets(container: &mut Value, order: &ServiceOrder) {
    if order.secrets.is_empty() {
        return;
    }
    let mut references = entries(container, "secrets");
    let mut variables = entries(container, "environment");
    for (name, reference) in &order.secrets {
        references.retain(|secret| secret["name"] != *name);
        variables.retain(|variable| variable["name"] != *name);
        references.push(json!({ "name": name, "valueFrom": reference }));
    }
    container["secrets"] = Value::Array(references);
    container["environment"] = Value::Array(variables);
}

fn entries(container: &Value, key: &str) -> Vec<Value> {
    container[key].as_array().cloned().unwrap_or_default()
}

/// A revision as it is compared: what ECS fills in by itself and the order of variables make no difference.
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html> (2026-11)
pub(super) fn comparable(revision: &Value) -> Value {
    let mut compared = revision.clone();
    let own_network = matches!(revision["networkMode"].as_str(), Some("awsvpc" | "host"));
    for container in compared["containerDefinitions"].as_array_mut().into_iter().flatten() {
        let Some(fields) = container.as_object_mut() else { continue };
        fields.entry("essential").or_insert(json!(true));
        if fields.get("cpu") == Some(&json!(0)) {
            fields.shift_remove("cpu");
        }
        for key in ["environment", "secrets"] {
            if let Some(variables) = fields.get_mut(key).and_then(Value::as_array_mut) {
                variables.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
            }
        }
        for mapping in fields.get_mut("portMappings").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
            let port = mapping.get("containerPort").filter(|_| own_network).cloned().unwrap_or(json!(0));
            mapping.entry("hostPort").or_insert(port);
            mapping.entry("protocol").or_insert(json!("tcp"));
        }
        if let Some(check) = fields.get_mut("healthCheck").and_then(Value::as_object_mut) {
            for (key, value) in [("interval", 30), ("timeout", 5), ("retries", 3)] {
                check.entry(key).or_insert(json!(value));
            }
        }
    }
    without_empty_lists(compared)
}

fn without_empty_lists(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| value.as_array().is_none_or(|items| !items.is_empty()));
            Value::Object(kept.map(|(key, value)| (key, without_empty_lists(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_empty_lists).collect()),
        other => other,
    }
}

/// What differs between two revisions, in a user's words. Values of variables are not shown: they may be secrets.
pub(super) fn changes(before: &Value, after: &Value) -> Vec<String> {
    let (before, after) = (&comparable(before), &comparable(after));
    let mut changes = Vec::new();
    let of = |revision: &Value| revision["containerDefinitions"].as_array().cloned().unwrap_or_default();
    for container in of(after) {
        let name = container["name"].as_str().unwrap_or_default().to_owned();
        match of(before).into_iter().find(|other| other["name"] == container["name"]) {
            None => changes.push(format!("container {name} is new")),
            Some(old) => container_changes(&name, &old, &container, &mut changes),
        }
    }
    for gone in of(before).iter().filter(|old| !of(after).iter().any(|new| new["name"] == old["name"])) {
        changes.push(format!("container {} is removed", gone["name"].as_str().unwrap_or_default()));
    }
    for key in keys(before, after).into_iter().filter(|key| key != "containerDefinitions" && before[key.as_str()] != after[key.as_str()]) {
        let (old, new) = (&before[key.as_str()], &after[key.as_str()]);
        // Lists and objects (volumes with their drivers' options, tags, proxies) may hold secrets too.
        let plain = !old.is_object() && !old.is_array() && !new.is_object() && !new.is_array();
        changes.push(if plain { format!("{key}: {} → {}", brief(old), brief(new)) } else { format!("{key} changes") });
    }
    changes
}

fn container_changes(name: &str, old: &Value, new: &Value, changes: &mut Vec<String>) {
    for key in keys(old, new).into_iter().filter(|key| old[key.as_str()] != new[key.as_str()]) {
        match key.as_str() {
            "image" => changes.push(format!("image: {} → {}", brief(&old["image"]), brief(&new["image"]))),
            "environment" | "secrets" => named_changes(name, &key, old, new, changes),
            _ => changes.push(format!("{name}.{key} changes")),
        }
    }
}

fn named_changes(container: &str, key: &str, old: &Value, new: &Value, changes: &mut Vec<String>) {
    let (old, new) = (entries(old, key), entries(new, key));
    let find = |list: &[Value], name: &Value| list.iter().find(|entry| entry["name"] == *name).cloned();
    let label = |entry: &Value| format!("{container}.{key}.{}", entry["name"].as_str().unwrap_or_default());
    for entry in &new {
        match find(&old, &entry["name"]) {
            None => changes.push(format!("{} is added", label(entry))),
            Some(other) if other != *entry => changes.push(format!("{} changes", label(entry))),
            Some(_) => {}
        }
    }
    old.iter().filter(|entry| find(&new, &entry["name"]).is_none()).for_each(|entry| changes.push(format!("{} is removed", label(entry))));
}

fn keys(before: &Value, after: &Value) -> Vec<String> {
    let of = |value: &Value| value.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let mut keys = of(before);
    keys.extend(of(after).into_iter().filter(|key| before.get(key).is_none()));
    keys
}

fn brief(value: &Value) -> String {
    let mut text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    crate::failure::cut(&mut text, 120);
    text
}
