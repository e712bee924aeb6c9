//! Environment values that are secrets by their name or their form: an application that prints them must not have them printed
//! once more by us, in a summary that more people can read than its own log.

use serde_json::Value;

use crate::config::plan::{Plan, ServicePlan};
use crate::runner::log::Log;
use crate::target::EnvChange;
use crate::values::Secret;

/// Parts of names whose values are secrets.
const TELLING: [&str; 11] =
    ["SECRET", "TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "PRIVATE", "API_KEY", "APIKEY", "ACCESS_KEY", "ENCRYPTION_KEY"];
/// A shorter value is a size, a mode or a name rather than a secret.
const SHORTEST: usize = 8;

/// Headers whose values are nobody's secret; masking an address or a type would make the runner drop outputs that hold it.
const PLAIN: [&str; 14] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-type",
    "host",
    "origin",
    "range",
    "referer",
    "user-agent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// Hides what the plan's environments hold of secrets, what its smoke tests send in their headers, and the external id.
pub(crate) fn hide(log: &Log, plan: &Plan) {
    plan.services.iter().flat_map(of_service).for_each(|secret| log.mask(&secret));
    let tests = plan.services.iter().flat_map(|service| &service.health.smoke);
    let headers = tests.flat_map(|test| &test.headers);
    for (_, value) in headers.filter(|(name, _)| !PLAIN.iter().any(|plain| name.eq_ignore_ascii_case(plain))) {
        log.mask(&Secret::new(value.as_str()));
        // `Bearer TOKEN`: an answer may repeat the token alone.
        if let Some((_, token)) = value.trim().split_once(' ') {
            log.mask(&Secret::new(token));
        }
    }
    if let Some(id) = &plan.auth.aws.external_id {
        log.mask(id);
    }
}

fn of_service(service: &ServicePlan) -> Vec<Secret> {
    let set = service.env.iter().filter_map(|(name, change)| match change {
        EnvChange::Set(value) => Some((name.as_str(), value.as_str())),
        EnvChange::Unset => None,
    });
    let containers = service.definition.iter().flat_map(|definition| members(definition, "containerDefinitions"));
    let written = containers.flat_map(|container| members(container, "environment"));
    let written = written.filter_map(|variable| Some((variable["name"].as_str()?, variable["value"].as_str()?)));
    set.chain(written).filter_map(|(name, value)| secret(name, value)).collect()
}

fn members<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    value[key].as_array().into_iter().flatten()
}

/// What of a variable is a secret: its value, or the password in its address.
fn secret(name: &str, value: &str) -> Option<Secret> {
    let name = name.to_uppercase();
    let telling = TELLING.iter().any(|part| name.contains(part));
    if telling && value.len() >= SHORTEST {
        return Some(Secret::new(value));
    }
    let address = url::Url::parse(value).ok().filter(|url| url.has_host())?;
    address.password().filter(|password| password.len() >= SHORTEST).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::secret;

    #[test]
    fn names_and_addresses_tell_what_is_a_secret() {
        let hidden = |name: &str, value: &str| secret(name, value).map(|secret| secret.expose().to_owned());
        assert_eq!(hidden("DB_PASSWORD", "correct horse").as_deref(), Some("correct horse"));
        assert_eq!(hidden("stripe_api_key", "sk_live_1234").as_deref(), Some("sk_live_1234"));
        assert_eq!(hidden("DATABASE_URL", "postgres://app:battery-staple@db:5432/shop").as_deref(), Some("battery-staple"));
        for (name, value) in
            [("VERSION", "v2.0.0-rc.1"), ("TOKEN_LIMIT", "1000"), ("LOG_LEVEL", "information"), ("URL", "https://a.example/x")]
        {
            assert_eq!(hidden(name, value), None, "{name}");
        }
    }
}
