//! Tags on services.

use serde_json::{Value, json};

use crate::simulator::ecs::model::Service;
use crate::simulator::wire::{Outcome, Refusal, text, texts};
use crate::simulator::world::State;

fn tagged<'a>(state: &'a mut State, body: &Value) -> Outcome<&'a mut Service> {
    let arn = text(body, "resourceArn");
    let found = state.services.iter_mut().find(|service| service.arn == arn);
    found.ok_or_else(|| Refusal::parameter("The specified resource does not exist or its tags are not modelled."))
}

/// TagResource; the characters and lengths are those of the API reference (2026-11).
pub(crate) fn tag(state: &mut State, body: &Value) -> Outcome {
    let new = body.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    let allowed = |word: &str| word.chars().all(|c| c.is_alphanumeric() || c == ' ' || "+-=._:/@".contains(c));
    for tag in &new {
        let (key, value) = (text(tag, "key"), text(tag, "value"));
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 || !allowed(key) || !allowed(value) {
            return Err(Refusal::parameter(format!("Tag {key:?} has a key or a value that is not allowed.")));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Refusal::parameter("Tag keys starting with 'aws:' are reserved for system use"));
        }
    }
    let service = tagged(state, body)?;
    service.tags.retain(|old| !new.iter().any(|tag| text(tag, "key") == text(old, "key")));
    service.tags.extend(new);
    if service.tags.len() > 50 {
        return Err(Refusal::parameter("A resource can have at most 50 tags."));
    }
    Ok(json!({}))
}

/// UntagResource.
pub(crate) fn untag(state: &mut State, body: &Value) -> Outcome {
    let keys = texts(body, "tagKeys");
    tagged(state, body)?.tags.retain(|tag| !keys.iter().any(|key| key == text(tag, "key")));
    Ok(json!({}))
}

/// ListTagsForResource.
pub(crate) fn list(state: &mut State, body: &Value) -> Outcome {
    Ok(json!({ "tags": tagged(state, body)?.tags }))
}
