//! The verdict: pure functions from samples to healthy, unhealthy or not yet. No samples is never healthy.

use std::time::Duration;

use crate::failure::{Failure, Kind};

use super::{Baseline, HealthSettings, Sample, Verdict};

/// Pause between the confirming answers after the first healthy one.
const CONFIRM: Duration = Duration::from_secs(1);

/// What `samples`, oldest first, say about a release.
///
/// Until the first healthy answer `retries` attempts are granted. Then `successes` consecutive ones are wanted; a wrong answer
/// starts the count anew, and wrong answers are counted against `retries` all the same, so a flapping service fails.
/// Once healthy, the hold time of `stabilize` allows no wrong answer at all.
pub fn judge(samples: &[Sample], settings: &HealthSettings) -> Verdict {
    let Some(last) = samples.last() else { return Verdict::Undecided { after: Duration::ZERO } };
    if let Some(broken) = broken_while_stable(samples, settings) {
        return Verdict::Unhealthy(failure(samples, settings).why(broken));
    }
    let wrong = samples.iter().filter(|sample| sample.wrong.is_some()).count();
    if last.wrong.is_some() {
        return if wrong >= count(settings.retries) {
            Verdict::Unhealthy(failure(samples, settings))
        } else {
            Verdict::Undecided { after: settings.interval }
        };
    }
    let healthy = healthy_tail(samples);
    let confirm = CONFIRM.min(settings.interval);
    if healthy.len() < count(settings.successes) {
        return Verdict::Undecided { after: confirm };
    }
    let held = last.at.since(healthy[count(settings.successes) - 1].at);
    if held < settings.stabilize {
        return Verdict::Undecided { after: confirm.max(Duration::from_secs(1)).min(settings.stabilize - held) };
    }
    match (settings.max_latency, percentile(healthy, 95)) {
        (Some(limit), slowest) if slowest > limit => Verdict::Unhealthy(too_slow(slowest, limit)),
        (_, slowest) => Verdict::Healthy { proof: proof(healthy, slowest, settings) },
    }
}

/// What the samples say about a rollback: it is proven when the answers are no worse than they were before the deploy.
pub fn judge_rollback(baseline: &Baseline, samples: &[Sample], settings: &HealthSettings) -> Verdict {
    let relaxed = HealthSettings { stabilize: Duration::ZERO, max_latency: None, version: None, ..settings.clone() };
    match baseline {
        Baseline::Unhealthy { how } => match samples.last() {
            None => Verdict::Undecided { after: Duration::ZERO },
            Some(_) => Verdict::Healthy { proof: vec![format!("no worse than before the deploy, when it was not healthy either: {how}")] },
        },
        Baseline::Healthy { version: Some(was) } => {
            let compared: Vec<Sample> = samples.iter().map(|sample| compared(sample, was)).collect();
            with_line(judge(&compared, &relaxed), format!("version {was}, as before the deploy"))
        }
        Baseline::Healthy { version: None } => with_line(judge(samples, &relaxed), "healthy, as before the deploy".to_owned()),
        Baseline::Unknown => judge(samples, &relaxed),
    }
}

/// What answered before the deploy.
pub fn baseline(sample: Option<&Sample>) -> Baseline {
    match sample {
        None => Baseline::Unknown,
        Some(Sample { wrong: None, version, .. }) => Baseline::Healthy { version: version.clone() },
        Some(Sample { wrong: Some(how), .. }) => Baseline::Unhealthy { how: how.clone() },
    }
}

/// The `percent`-th percentile of the latencies, by the nearest rank; zero without samples.
pub fn percentile(samples: &[Sample], percent: usize) -> Duration {
    let mut latencies: Vec<Duration> = samples.iter().map(|sample| sample.latency).collect();
    latencies.sort_unstable();
    let rank = (latencies.len() * percent).div_ceil(100);
    latencies.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn compared(sample: &Sample, was: &str) -> Sample {
    let wrong = match (&sample.wrong, &sample.version) {
        (Some(wrong), _) => Some(wrong.clone()),
        (None, Some(version)) if version == was => None,
        (None, other) => Some(format!("expected version {was}, as before the deploy, got {}", other.as_deref().unwrap_or("none"))),
    };
    Sample { wrong, ..sample.clone() }
}

fn with_line(verdict: Verdict, line: String) -> Verdict {
    match verdict {
        Verdict::Healthy { mut proof } => {
            proof.push(line);
            Verdict::Healthy { proof }
        }
        other => other,
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX).max(1)
}

fn healthy_tail(samples: &[Sample]) -> &[Sample] {
    let from = samples.iter().rposition(|sample| sample.wrong.is_some()).map_or(0, |at| at + 1);
    &samples[from..]
}

/// A wrong last answer after the service had been healthy, in the hold time.
fn broken_while_stable(samples: &[Sample], settings: &HealthSettings) -> Option<String> {
    let (last, before) = samples.split_last()?;
    let held = healthy_tail(before);
    let confirmed = held.len() >= count(settings.successes);
    (settings.stabilize > Duration::ZERO && last.wrong.is_some() && confirmed).then(|| {
        let after = last.at.since(held[count(settings.successes) - 1].at);
        format!("it was healthy and broke {} into the hold time of {}", seconds(after), seconds(settings.stabilize))
    })
}

fn failure(samples: &[Sample], settings: &HealthSettings) -> Failure {
    let wrong: Vec<&Sample> = samples.iter().filter(|sample| sample.wrong.is_some()).collect();
    let told = wrong.last().and_then(|sample| sample.wrong.clone()).unwrap_or_default();
    let first = samples.first().map(|sample| sample.at).unwrap_or_default();
    let since = samples.last().map(|sample| sample.at.since(first)).unwrap_or_default();
    let counted = format!(
        "{} of {} checks over {} were wrong (latency: half within {}, 95 % within {})",
        wrong.len(),
        samples.len(),
        seconds(since),
        seconds(percentile(samples, 50)),
        seconds(percentile(samples, 95)),
    );
    Failure::new(Kind::Unhealthy, "the new release is not healthy").why(told.clone()).why(counted).fix(remedy(&told, settings))
}

fn remedy(told: &str, settings: &HealthSettings) -> String {
    let remedies = [
        (
            "version",
            "the old build still answers, or the release tells another version: compare `health.version` with what the image was built from",
        ),
        ("404", "check `health.path`: the service answers, but not there"),
        ("resolve", "check the address: the name is not in DNS"),
        ("certificate", "check the certificate of the address, or set SSL_CERT_FILE for a company's own root"),
        ("refused", "check the container's port and the security groups"),
        ("no answer", "check the container's port, the security groups, and whether the service needs longer to start (`health.retries`)"),
    ];
    let found = remedies.iter().find(|(sign, _)| told.contains(sign)).map(|(_, remedy)| *remedy);
    found.map_or_else(
        || format!("look at the service's log; if it only needs longer to start, raise `health.retries` (now {})", settings.retries),
        str::to_owned,
    )
}

fn too_slow(slowest: Duration, limit: Duration) -> Failure {
    Failure::new(Kind::Unhealthy, "the new release is too slow")
        .why(format!("95 % of the answers took up to {}, the limit is {}", seconds(slowest), seconds(limit)))
        .fix("find what makes it slow, or raise `health.max-latency`")
}

fn proof(healthy: &[Sample], slowest: Duration, settings: &HealthSettings) -> Vec<String> {
    let over = healthy[healthy.len() - 1].at.since(healthy[0].at);
    let answers = if healthy.len() == 1 { "1 healthy answer".to_owned() } else { format!("{} consecutive healthy answers", healthy.len()) };
    let mut proof = vec![format!("{answers} over {} (95 % within {})", seconds(over), seconds(slowest))];
    if let Some(version) = healthy[healthy.len() - 1].version.as_ref().filter(|_| settings.version.is_some()) {
        proof.push(format!("it tells version {version}, as shipped"));
    }
    proof
}

fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) { format!("{} ms", duration.as_millis()) } else { format!("{:.1} s", duration.as_secs_f64()) }
}
