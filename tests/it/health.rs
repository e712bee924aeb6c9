//! Health: the verdict as tables and properties, what a probe makes of an answer, smoke tests.

mod answers;

use std::time::Duration;

use proptest::prelude::*;
use touchdown::clock::Timestamp;
use touchdown::failure::{Failure, Kind};
use touchdown::health::verdict::{baseline, judge, judge_rollback, percentile};
use touchdown::health::{
    Baseline, HealthAt, HealthSettings, Sample, Sign, StatusSet, Verdict, VersionAt, VersionIs, VersionRule, VersionTold, Wrong,
};

pub fn settings() -> HealthSettings {
    HealthSettings {
        at: HealthAt::Path("/health".to_owned()),
        retries: 4,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        initial_delay: Duration::ZERO,
        successes: 3,
        status: StatusSet(vec![(200, 299)]),
        body: None,
        json: Vec::new(),
        header: Vec::new(),
        version: None,
        max_latency: None,
        stabilize: Duration::ZERO,
        smoke: Vec::new(),
    }
}

fn wrong(sign: Sign, told: &str) -> Option<Wrong> {
    Some(Wrong { sign, told: told.to_owned() })
}

fn sample(second: u64, wrong: Option<Wrong>) -> Sample {
    Sample { at: Timestamp(1_795_000_000_000 + second * 1000), latency: Duration::from_millis(20), version: VersionTold::Nothing, wrong }
}

/// One sample a second: `+` is healthy, `-` is not.
fn course(signs: &str) -> Vec<Sample> {
    let bad = |sign| (sign == '-').then(|| Wrong { sign: Sign::Status(503), told: "expected status 200-299, got 503".to_owned() });
    (0..).zip(signs.chars()).map(|(second, sign)| sample(second, bad(sign))).collect()
}

fn shortly(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Healthy { .. } => "healthy".to_owned(),
        Verdict::Unhealthy(_) => "unhealthy".to_owned(),
        Verdict::Undecided { after } => humantime::format_duration(*after).to_string(),
    }
}

fn failure(verdict: Verdict) -> Failure {
    match verdict {
        Verdict::Unhealthy(failure) => failure,
        other => panic!("{other:?}"),
    }
}

fn proof(verdict: Verdict) -> Vec<String> {
    match verdict {
        Verdict::Healthy { proof } => proof,
        other => panic!("{other:?}"),
    }
}

#[test]
fn attempts_until_the_first_healthy_answer_then_consecutive_ones_a_second_apart() {
    for (signs, verdict) in [
        ("", "0s"),
        ("-", "10s"),
        ("---", "10s"),
        ("----", "unhealthy"),
        ("+", "1s"),
        ("++", "1s"),
        ("+++", "healthy"),
        ("---+", "1s"),
        ("---+++", "healthy"),
        ("++-", "10s"),
        ("++-++", "1s"),
        ("++-+++", "healthy"),
        ("-+-+-+-", "unhealthy"),
    ] {
        assert_eq!(shortly(&judge(&course(signs), &settings())), verdict, "{signs:?}");
    }
}

#[test]
fn a_short_interval_is_the_pace_of_the_further_answers_too() {
    let settings = HealthSettings { interval: Duration::from_millis(10), ..settings() };
    assert_eq!(judge(&course("+"), &settings), Verdict::Undecided { after: Duration::from_millis(10) });
}

#[test]
fn no_retries_and_no_successes_still_mean_one_of_each() {
    let settings = HealthSettings { retries: 0, successes: 0, ..settings() };
    for (signs, verdict) in [("", "0s"), ("-", "unhealthy"), ("+", "healthy")] {
        assert_eq!(shortly(&judge(&course(signs), &settings)), verdict, "{signs:?}");
    }
}

#[test]
fn in_the_hold_time_one_wrong_answer_fails() {
    let settings = HealthSettings { stabilize: Duration::from_secs(4), ..settings() };
    for (signs, verdict) in [
        ("+++", "1s"),
        ("++++++", "1s"),
        ("+++++++", "healthy"),
        ("++-", "10s"),
        ("+++-", "unhealthy"),
        ("++++++-", "unhealthy"),
        ("++-+++++++", "healthy"),
    ] {
        assert_eq!(shortly(&judge(&course(signs), &settings)), verdict, "{signs:?}");
    }
    let failure = failure(judge(&course("++++-"), &settings));
    assert!(failure.why.contains(&"it was healthy and broke 2.0 s into the hold time of 4.0 s".to_owned()), "{failure}");
}

#[test]
fn the_last_look_of_a_hold_time_comes_when_it_ends() {
    let settings = HealthSettings { stabilize: Duration::from_millis(500), ..settings() };
    assert_eq!(shortly(&judge(&course("+++"), &settings)), "500ms");
}

#[test]
fn latency_counts_over_the_healthy_window_only() {
    let settings = HealthSettings { max_latency: Some(Duration::from_millis(100)), ..settings() };
    let mut samples = course("-+++");
    samples[0].latency = Duration::from_secs(5);
    assert_eq!(shortly(&judge(&samples, &settings)), "healthy");
    samples[2].latency = Duration::from_millis(150);
    let failure = failure(judge(&samples, &settings));
    assert_eq!((failure.kind, failure.what.as_str()), (Kind::Unhealthy, "the new release is too slow"));
    assert_eq!(failure.why, ["95 % of its 3 answers took up to 150 ms, the limit is 100 ms"]);
}

#[test]
fn a_failed_check_tells_expected_and_got_how_often_since_when_how_fast_and_what_to_do() {
    let mut samples: Vec<Sample> = (0..4).map(|second| sample(second, wrong(Sign::Connection, "no connection to 10.0.0.7:80"))).collect();
    samples.push(sample(4, None));
    samples.push(sample(5, wrong(Sign::Status(503), "expected status 200-299, got 503: warming up")));
    let failure = failure(judge(&samples, &HealthSettings { retries: 5, ..settings() }));
    insta::assert_snapshot!(failure.to_string(), @r"
    the new release is not healthy
      why  expected status 200-299, got 503: warming up
           5 of 6 checks were wrong since 2026-11-18T11:06:40Z (over 5.0 s); half were answered within 20 ms, 95 % within 20 ms
           4 times before: no connection to 10.0.0.7:80
      fix  look at the service's log; if it only needs longer to start, raise `health.retries` (now 5)
    ");
}

#[test]
fn the_fix_follows_from_the_sort_of_wrong_and_never_from_what_the_answer_says() {
    for (sign, fix) in [
        (Sign::Name, "DNS"),
        (Sign::Refused, "health.url"),
        (Sign::Connection, "port"),
        (Sign::Certificate, "SSL_CERT_FILE"),
        (Sign::Silence, "health.timeout"),
        (Sign::Broken, "log"),
        (Sign::Status(404), "health.path"),
        (Sign::Status(401), "no credentials"),
        (Sign::Status(403), "no credentials"),
        (Sign::Status(500), "log"),
        (Sign::Content, "health.body"),
        (Sign::Version, "health.version"),
    ] {
        let told = "version 404 certificate resolve refused no answer";
        let samples: Vec<Sample> = (0..4).map(|second| sample(second, wrong(sign, told))).collect();
        let failure = failure(judge(&samples, &settings()));
        assert!(failure.fix.len() == 1 && failure.fix[0].contains(fix), "{sign:?}: {failure}");
    }
}

#[test]
fn who_never_answered_has_no_latencies() {
    let samples: Vec<Sample> = (0..4).map(|second| sample(second, wrong(Sign::Silence, "no answer within 5s"))).collect();
    let failure = failure(judge(&samples, &settings()));
    assert_eq!(failure.why, ["no answer within 5s", "4 of 4 checks were wrong since 2026-11-18T11:06:40Z (over 3.0 s); none was answered"]);
}

#[test]
fn the_proof_counts_the_answers_and_names_the_version() {
    let rule = VersionRule { at: VersionAt::Pointer("/version".to_owned()), expected: VersionIs::Text("v2".to_owned()) };
    let mut samples = course("-+++");
    samples.iter_mut().for_each(|sample| sample.version = VersionTold::Compared("v2".to_owned()));
    let proof = proof(judge(&samples, &HealthSettings { version: Some(rule), ..settings() }));
    assert_eq!(proof, ["3 consecutive healthy answers over 2.0 s (95 % within 20 ms)", "it tells version v2, as shipped"]);
}

#[test]
fn a_rollback_is_held_to_what_answered_before_the_deploy() {
    let healthy = |version: Option<&str>| Baseline::Healthy { version: version.map(str::to_owned) };
    let unhealthy = Baseline::Unhealthy { how: "expected status 200-299, got 500".to_owned() };
    let telling = |signs: &str, version: Option<&str>| {
        let mut samples = course(signs);
        samples.iter_mut().for_each(|sample| {
            sample.version = version.map_or(VersionTold::Nothing, |version: &str| VersionTold::Version(version.to_owned()))
        });
        samples
    };
    for (baseline, samples, verdict) in [
        (healthy(None), telling("+++", None), "healthy"),
        (healthy(None), telling("----", None), "unhealthy"),
        (healthy(Some("v1")), telling("+++", Some("v1")), "healthy"),
        (healthy(Some("v1")), telling("++++", Some("v2")), "unhealthy"),
        (healthy(Some("v1")), telling("++++", None), "unhealthy"),
        (healthy(Some("v1")), telling("+++", Some("v2")), "10s"),
        (unhealthy.clone(), telling("", None), "0s"),
        (unhealthy.clone(), telling("-", None), "healthy"),
        (unhealthy, telling("+", None), "healthy"),
        (Baseline::Unknown, telling("", None), "0s"),
        (Baseline::Unknown, telling("+++", Some("v9")), "healthy"),
        (Baseline::Unknown, telling("----", None), "unhealthy"),
    ] {
        assert_eq!(shortly(&judge_rollback(&baseline, &samples, &settings())), verdict, "{baseline:?} {samples:?}");
    }
}

#[test]
fn a_rollback_needs_neither_the_hold_time_nor_the_speed_nor_the_version_of_the_release() {
    let rule = VersionRule { at: VersionAt::Header("x-version".to_owned()), expected: VersionIs::Text("v2".to_owned()) };
    let strict = HealthSettings {
        stabilize: Duration::from_secs(60),
        max_latency: Some(Duration::from_millis(1)),
        version: Some(rule),
        ..settings()
    };
    let mut samples = course("+++");
    samples.iter_mut().for_each(|sample| sample.version = VersionTold::Version("v1".to_owned()));
    let proof = proof(judge_rollback(&Baseline::Healthy { version: Some("v1".to_owned()) }, &samples, &strict));
    assert_eq!(proof, ["3 consecutive healthy answers over 2.0 s (95 % within 20 ms)", "version v1, as before the deploy"]);
}

#[test]
fn a_failed_rollback_is_told_as_one() {
    let failure = failure(judge_rollback(&Baseline::Unknown, &course("----"), &settings()));
    assert_eq!(failure.what, "what served before the deploy is not healthy again");
    let before = Baseline::Unhealthy { how: "no connection".to_owned() };
    let proof = proof(judge_rollback(&before, &course("-"), &settings()));
    assert_eq!(proof, ["no worse than before the deploy, when it was not healthy either: no connection"]);
}

#[test]
fn the_baseline_is_what_one_look_told() {
    assert_eq!(baseline(None), Baseline::Unknown);
    let told = Sample { version: VersionTold::Version("v1".to_owned()), ..sample(0, None) };
    assert_eq!(baseline(Some(&told)), Baseline::Healthy { version: Some("v1".to_owned()) });
    let bad = sample(0, wrong(Sign::Name, "no such name"));
    assert_eq!(baseline(Some(&bad)), Baseline::Unhealthy { how: "no such name".to_owned() });
}

#[test]
fn a_percentile_is_an_answer_that_was_really_measured() {
    let samples = |milliseconds: &[u64]| -> Vec<Sample> {
        milliseconds.iter().map(|latency| Sample { latency: Duration::from_millis(*latency), ..sample(0, None) }).collect()
    };
    let hundred: Vec<u64> = (1..=100).rev().collect();
    for (latencies, percent, expected) in [
        (&[][..], 95, 0),
        (&[7][..], 95, 7),
        (&[3, 1, 2][..], 50, 2),
        (&[3, 1, 2][..], 95, 3),
        (&hundred[..], 95, 95),
        (&hundred[..], 100, 100),
    ] {
        assert_eq!(percentile(&samples(latencies), percent), Duration::from_millis(expected), "{latencies:?} {percent}");
    }
}

fn any_course() -> impl Strategy<Value = Vec<Sample>> {
    let one = (any::<bool>(), 0u64..3000, 0u64..400, prop_oneof![Just(None), Just(Some("v1".to_owned())), Just(Some("v2".to_owned()))]);
    proptest::collection::vec(one, 0..40).prop_map(|course| {
        let mut at = 1_795_000_000_000;
        let sampled = course.into_iter().map(|(healthy, pause, latency, version)| {
            at += pause;
            let wrong = (!healthy).then(|| Wrong { sign: Sign::Status(500), told: "got 500".to_owned() });
            Sample {
                at: Timestamp(at),
                latency: Duration::from_millis(latency),
                version: version.map_or(VersionTold::Nothing, VersionTold::Compared),
                wrong,
            }
        });
        sampled.collect()
    })
}

fn any_settings() -> impl Strategy<Value = HealthSettings> {
    (0u32..8, 0u32..6, 0u64..5000, 0u64..20, proptest::option::of(1u64..400)).prop_map(|(retries, successes, interval, hold, slowest)| {
        HealthSettings {
            retries,
            successes,
            interval: Duration::from_millis(interval),
            stabilize: Duration::from_secs(hold),
            max_latency: slowest.map(Duration::from_millis),
            ..settings()
        }
    })
}

proptest! {
    #[test]
    fn healthy_means_enough_consecutive_healthy_answers_at_the_end_and_the_hold_time_over(samples in any_course(), settings in any_settings()) {
        if let Verdict::Healthy { proof } = judge(&samples, &settings) {
            let wanted = usize::try_from(settings.successes.max(1)).unwrap();
            let tail: Vec<_> = samples.iter().rev().take_while(|sample| sample.wrong.is_none()).collect();
            prop_assert!(tail.len() >= wanted);
            prop_assert!(tail[0].at.since(tail[tail.len() - wanted].at) >= settings.stabilize);
            prop_assert!(!proof.is_empty());
        }
    }

    #[test]
    fn every_course_of_answers_comes_to_an_end(samples in any_course(), settings in any_settings()) {
        let bad = samples.iter().filter(|sample| sample.wrong.is_some()).count();
        let verdict = judge(&samples, &settings);
        if samples.last().is_some_and(|last| last.wrong.is_some()) && bad >= usize::try_from(settings.retries.max(1)).unwrap() {
            prop_assert!(matches!(verdict, Verdict::Unhealthy(_)));
        }
        if samples.is_empty() {
            prop_assert_eq!(verdict, Verdict::Undecided { after: Duration::ZERO });
        }
    }

    #[test]
    fn a_wrong_answer_more_never_makes_a_release_healthy(samples in any_course(), settings in any_settings(), second in 0u64..5) {
        let mut worse = samples.clone();
        let at = worse.last().map_or(Timestamp(1_795_000_000_000), |last| last.at.plus(Duration::from_secs(second)));
        worse.push(Sample { at, ..sample(0, wrong(Sign::Content, "other")) });
        let healthy = |verdict: Verdict| matches!(verdict, Verdict::Healthy { .. });
        prop_assert!(!healthy(judge(&worse, &settings)));
        prop_assert!(!healthy(judge_rollback(&Baseline::Unknown, &worse, &settings)));
        let before = Baseline::Healthy { version: Some("v1".to_owned()) };
        prop_assert!(!healthy(judge_rollback(&before, &worse, &settings)));
    }

    #[test]
    fn a_rollback_to_a_version_is_never_proven_by_another(samples in any_course(), settings in any_settings()) {
        let before = Baseline::Healthy { version: Some("v1".to_owned()) };
        if matches!(judge_rollback(&before, &samples, &settings), Verdict::Healthy { .. }) {
            prop_assert_eq!(samples.last().unwrap().version.version(), Some("v1"));
        }
    }
}
