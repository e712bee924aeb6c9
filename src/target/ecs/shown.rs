//! Reads members of what ECS shows. Nothing that is missing is an error here: what it means is for the caller to say.

use serde_json::Value;

use crate::clock::Timestamp;

/// A text member; empty when there is none.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// A number; zero when there is none.
pub(super) fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_default()
}

/// A list; empty when there is none.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[key].as_array().into_iter().flatten()
}

/// A moment, which AWS tells in seconds; the epoch when there is none.
pub(super) fn moment(value: &Value, key: &str) -> Timestamp {
    let seconds = value[key].as_f64().unwrap_or_default().max(0.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and far below u64::MAX")]
    Timestamp((seconds * 1000.0).round() as u64)
}

/// Seconds since the epoch, as AWS's JSON has them.
pub(super) fn seconds(at: Timestamp) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
    let milliseconds = at.0 as f64;
    milliseconds / 1000.0
}

/// `web:42` of a task definition's ARN; the last part of any other.
pub(super) fn short(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or_default().to_owned()
}

/// The PRIMARY deployment of a service.
pub(super) fn primary(service: &Value) -> Option<&Value> {
    list(service, "deployments").find(|deployment| deployment["status"] == "PRIMARY")
}
