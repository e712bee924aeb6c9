//! The verdict: pure functions from samples to healthy, unhealthy or not yet. No samples is never healthy.

use std::time::Duration;

use crate::failure::{Failure, Kind};

use super::{Baseline, HealthSettings, Sample, Sign, Verdict, VersionTold, Wrong};

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
        (Some(limit), slowest) if slowest > limit => Verdict::Unhealthy(too_slow(healthy, slowest, limit)),
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
            restored(judge(&compared, &relaxed), Some(format!("version {was}, as before the deploy")))
        }
        Baseline::Healthy { version: None } => restored(judge(samples, &relaxed), Some("healthy, as before the deploy".to_owned())),
        Baseline::Unknown => restored(judge(samples, &relaxed), None),
    }
}

/// What answered before the deploy.
pub fn baseline(sample: Option<&Sample>) -> Baseline {
    match sample {
        None => Baseline::Unknown,
        Some(Sample { wrong: None, version, .. }) => Baseline::Healthy { version: version.version().map(str::to_owned) },
        Some(Sample { wrong: Some(how), .. }) => Baseline::Unhealthy { how: how.told.clone() },
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
    let wrong = match (&sample.wrong, sample.version.version()) {
        (Some(wrong), _) => Some(wrong.clone()),
        (None, Some(version)) if version == was => None,
        (None, other) => {
            let told = format!("expected version {was}, as before the deploy, got {}", other.unwrap_or("none"));
            Some(Wrong { sign: Sign::Version, told })
        }
    };
    Sample { wrong, ..sample.clone() }
}

/// The verdict over a release, said of one that was put back.
fn restored(verdict: Verdict, line: Option<String>) -> Verdict {
    match verdict {
        Verdict::Healthy { mut proof } => {
            proof.extend(line);
            Verdict::Healthy { proof }
        }
        Verdict::Unhealthy(failure) => {
            let what = "what served before the deploy is not healthy again".to_owned();
            Verdict::Unhealthy(Failure { what, ..failure })
        }
        Verdict::Undecided { after } => Verdict::Undecided { after },
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
    let wrong: Vec<(&Sample, &Wrong)> = samples.iter().filter_map(|sample| Some((sample, sample.wrong.as_ref()?))).collect();
    let failure = Failure::new(Kind::Unhealthy, "the new release is not healthy");
    let (Some((first, _)), Some((last, told))) = (wrong.first(), wrong.last()) else { return failure };
    let counted = format!(
        "{} of {} checks were wrong since {} (over {}); {}",
        wrong.len(),
        samples.len(),
        first.at.rfc3339(),
        seconds(last.at.since(first.at)),
        latencies(samples),
    );
    let others = sorts(&wrong).into_iter().filter(|(_, other)| other.sign != told.sign);
    let earlier = others.map(|(count, other)| format!("{count} times before: {}", other.told));
    let failure = failure.why(told.told.clone()).why(counted);
    earlier.fold(failure, Failure::why).fix(remedy(told, settings))
}

/// How often each sort of wrong came, with its last text; at most four.
fn sorts<'a>(wrong: &[(&'a Sample, &'a Wrong)]) -> Vec<(usize, &'a Wrong)> {
    let mut sorts: Vec<(usize, &Wrong)> = Vec::new();
    for (_, wrong) in wrong {
        match sorts.iter_mut().find(|(_, known)| known.sign == wrong.sign) {
            Some(known) => *known = (known.0 + 1, wrong),
            None => sorts.push((1, wrong)),
        }
    }
    sorts.truncate(4);
    sorts
}

fn latencies(samples: &[Sample]) -> String {
    let answered = |sign: Sign| matches!(sign, Sign::Status(_) | Sign::Content | Sign::Version);
    let answers: Vec<Sample> =
        samples.iter().filter(|sample| sample.wrong.as_ref().is_none_or(|wrong| answered(wrong.sign))).cloned().collect();
    if answers.is_empty() {
        return "none was answered".to_owned();
    }
    format!("half were answered within {}, 95 % within {}", seconds(percentile(&answers, 50)), seconds(percentile(&answers, 95)))
}

fn remedy(wrong: &Wrong, settings: &HealthSettings) -> String {
    let retries = settings.retries;
    match wrong.sign {
        Sign::Name => "check the address: its name is not in DNS, or not yet".to_owned(),
        Sign::Refused => "name the address itself in `health.url`: redirects are followed on the same scheme, host and port, and metadata addresses are never asked".to_owned(),
        Sign::Certificate => "renew or correct the certificate of the address, or set SSL_CERT_FILE for a company's own root".to_owned(),
        Sign::Connection => "check that the container listens on the port it names, and on 0.0.0.0, and that the security groups let this machine in".to_owned(),
        Sign::Silence => {
            format!("check the port and the security groups; if the service only needs longer, raise `health.timeout` or `health.retries` (now {retries})")
        }
        Sign::Version => "the old build still answers, or the release tells another version: compare `health.version` with what the image was built from".to_owned(),
        Sign::Status(404) => "check `health.path`: something answers, but not there".to_owned(),
        Sign::Status(401 | 403) => "name a `health.path` that asks for no credentials".to_owned(),
        Sign::Content => "compare what it answers with `health.body`, `health.json` and `health.header`".to_owned(),
        Sign::Status(_) | Sign::Broken => {
            format!("look at the service's log; if it only needs longer to start, raise `health.retries` (now {retries})")
        }
    }
}

fn too_slow(healthy: &[Sample], slowest: Duration, limit: Duration) -> Failure {
    Failure::new(Kind::Unhealthy, "the new release is too slow")
        .why(format!("95 % of its {} answers took up to {}, the limit is {}", healthy.len(), seconds(slowest), seconds(limit)))
        .fix("find what makes it slow, raise `health.max-latency`, or set `stabilize` so that one slow answer among many counts less")
}

fn proof(healthy: &[Sample], slowest: Duration, settings: &HealthSettings) -> Vec<String> {
    let over = healthy[healthy.len() - 1].at.since(healthy[0].at);
    let answers = if healthy.len() == 1 { "1 healthy answer".to_owned() } else { format!("{} consecutive healthy answers", healthy.len()) };
    let mut proof = vec![format!("{answers} over {} (95 % within {})", seconds(over), seconds(slowest))];
    match &healthy[healthy.len() - 1].version {
        _ if settings.version.is_none() => {}
        VersionTold::Nothing => {}
        VersionTold::Version(version) => proof.push(format!("it tells version {version}")),
        VersionTold::Compared(version) => proof.push(format!("it tells version {version}, as shipped")),
    }
    proof
}

fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) { format!("{} ms", duration.as_millis()) } else { format!("{:.1} s", duration.as_secs_f64()) }
}
