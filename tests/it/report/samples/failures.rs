//! Failures as the targets and the probe tell them.

use touchdown::failure::{Evidence, Failure, Kind};

/// A release whose tasks crash.
pub fn crash() -> (Failure, Vec<Evidence>) {
    let failure = Failure::new(Kind::Unhealthy, "the new tasks do not stay up")
        .why("4 tasks ended the same way: container app exited with 1: the application reported an error")
        .why("the circuit breaker counted 4 failed tasks of 4")
        .fix("look at the last log lines below");
    let log = [
        "2026-11-21T17:03:41Z INFO  starting shop 1.3.0 (3f2a9c1)",
        "2026-11-21T17:03:41Z INFO  reading settings from the environment",
        "2026-11-21T17:03:42Z ERROR cannot connect to postgres://shop@db.internal:5432/shop",
        "thread 'main' panicked at src/main.rs:41:10:",
        "called `Result::unwrap()` on an `Err` value: password authentication failed for user \"shop\"",
        "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
    ];
    let tasks = [
        "task 0f3c9a1b2d4e: EssentialContainerExited Essential container in task exited",
        "  container app exited with 1: the application reported an error",
    ];
    let events = ["(service web) has started 2 tasks", "(service web) (deployment …) deployment failed: tasks failed to start."];
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    let evidence = vec![
        Evidence { title: "last log lines of app".into(), lines: lines(&log) },
        Evidence { title: "stopped tasks".into(), lines: lines(&tasks) },
        Evidence { title: "events of the service".into(), lines: lines(&events) },
    ];
    (failure, evidence)
}

/// A release that answers wrongly.
pub fn wrong_version() -> Failure {
    Failure::new(Kind::Unhealthy, "the new release is not healthy")
        .why("https://api.shop.example.com/health: expected /version to be 3f2a9c1, got \"8d1e4f7\"")
        .why("10 of 10 checks over 1 min 30 s were wrong (latency: half within 21 ms, 95 % within 48 ms)")
        .fix("the old build still answers, or the release tells another version: compare `health.version` with what the image was built from")
}

/// A refused sign-in.
pub fn denied() -> Failure {
    Failure::new(Kind::Denied, "AWS did not let this run assume arn:aws:iam::123456789012:role/deploy")
        .why("AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity")
        .why("the token's subject is repo:acme/shop:ref:refs/heads/main")
        .why("its audience is sts.amazonaws.com")
        .why("the job has no environment")
        .fix(
            "a statement in the trust policy of arn:aws:iam::123456789012:role/deploy that admits exactly this run:\n{\n  \"Effect\": \"Allow\",\n  \"Principal\": {\n    \"Federated\": \"arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com\"\n  },\n  \"Action\": \"sts:AssumeRoleWithWebIdentity\",\n  \"Condition\": {\n    \"StringEquals\": {\n      \"token.actions.githubusercontent.com:aud\": \"sts.amazonaws.com\",\n      \"token.actions.githubusercontent.com:sub\": \"repo:acme/shop:ref:refs/heads/main\"\n    }\n  }\n}",
        )
        .fix("if the policy names an environment, give the job `environment: NAME`: without it the subject names the branch")
}
