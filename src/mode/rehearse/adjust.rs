//! What of the settings a rehearsal cannot keep, each told in the summary: nothing is left out in silence.

use std::time::Duration;

use crate::config::plan::{Plan, ServicePlan};

/// The simulator answers at once by the wall, and its clock runs many times as fast: so much is forgiven a limit of latencies.
const FORGIVEN: Duration = Duration::from_millis(1500);

/// Adjusts the plan and notes what was adjusted.
pub(super) fn to_a_rehearsal(plan: &mut Plan) {
    let mut notes: Vec<String> = plan.services.iter_mut().flat_map(service).collect();
    if let Some(account) = plan.auth.aws.expected_account.take() {
        notes.push(format!("a rehearsal has an account of its own: aws-expected-account {account} was not rehearsed"));
    }
    plan.notes.extend(notes);
}

fn service(service: &mut ServicePlan) -> Vec<String> {
    let (health, mut notes) = (&mut service.health, Vec::new());
    // The application of a rehearsal has no text that would match a pattern.
    for body in std::iter::once(&mut health.body).chain(health.smoke.iter_mut().map(|test| &mut test.body)) {
        if body.as_deref().and_then(crate::health::pattern).is_some() {
            notes.extend(body.take().map(|pattern| format!("no body here matches {pattern}: that was not rehearsed")));
        }
    }
    for limit in std::iter::once(&mut health.max_latency).chain(health.smoke.iter_mut().map(|test| &mut test.max_latency)) {
        *limit = limit.map(|limit| limit + FORGIVEN);
    }
    if health.max_latency.is_some() {
        notes.push(format!("its clock is fast: limits of latencies are {} longer", humantime::format_duration(FORGIVEN)));
    }
    notes.into_iter().map(|note| format!("{}: {note}", service.name)).collect()
}
