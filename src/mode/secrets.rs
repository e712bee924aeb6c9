//! Secrets that settings bring along: masked before anything is sent.

use crate::config::plan::Plan;
use crate::runner::log::Log;
use crate::values::Secret;

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

/// Masks what the smoke tests send in their headers, and the external id.
pub(crate) fn mask(log: &Log, plan: &Plan) {
    let tests = plan.services.iter().flat_map(|service| &service.health.smoke);
    for (name, value) in tests.flat_map(|test| &test.headers) {
        if PLAIN.iter().any(|plain| name.eq_ignore_ascii_case(plain)) {
            continue;
        }
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
