//! The action's outputs. Every one is always there, also empty. With several services those that can name only one are empty, and `services` has them all.

use serde_json::{Map, Value, json};

use super::{Report, Service};

/// Name and value of every output; `path` is where the JSON report lies, empty when it could not be written.
///
/// `image`, `digest` and `revision` are this run's release, whether or not it serves now; `outcome` tells that.
pub fn outputs(report: &Report, path: &str) -> Vec<(&'static str, String)> {
    let only = match report.services.as_slice() {
        [service] => Some(service),
        _ => None,
    };
    // An image that is deployed nowhere has no service to tell of it.
    let pushed = match (report.services.as_slice(), report.images.as_slice()) {
        ([], [image]) => Some(image),
        _ => None,
    };
    let of_only = |field: fn(&Service) -> Option<&str>| only.and_then(field).unwrap_or_default().to_owned();
    vec![
        ("outcome", report.outcome.word().to_owned()),
        ("url", of_only(|service| service.url.as_deref())),
        ("image", pushed.map_or_else(|| of_only(|service| service.image.as_deref()), |pushed| pushed.image.clone())),
        ("digest", pushed.map_or_else(|| of_only(|service| service.digest.as_deref()), |pushed| pushed.digest.clone())),
        ("revision", of_only(|service| service.revision.as_deref())),
        ("previous-revision", of_only(|service| service.before.revision())),
        ("services", services(report).to_string()),
        ("report", path.to_owned()),
        ("duration-seconds", whole(report.duration_seconds)),
    ]
}

/// By the service's name, so that a workflow can write `fromJSON(steps.deploy.outputs.services).web.url`.
fn services(report: &Report) -> Value {
    let entry = |service: &Service| {
        let value = json!({
            "outcome": service.outcome.word(),
            "url": service.url.as_deref().unwrap_or_default(),
            "image": service.image.as_deref().unwrap_or_default(),
            "digest": service.digest.as_deref().unwrap_or_default(),
            "revision": service.revision.as_deref().unwrap_or_default(),
            "previous-revision": service.before.revision().unwrap_or_default(),
            "duration-seconds": whole(service.duration_seconds),
        });
        (service.name.clone(), value)
    };
    Value::Object(report.services.iter().map(entry).collect::<Map<_, _>>())
}

fn whole(seconds: f64) -> String {
    format!("{:.0}", seconds.ceil())
}
