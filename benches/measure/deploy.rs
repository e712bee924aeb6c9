//! Whole deploys by the release binary against the simulator on the wall's clock.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use touchdown::clock::Clock;
use touchdown::http::Endpoints;
use touchdown::simulator::Simulator;
use touchdown::simulator::fault::Fault;
use touchdown::simulator::seed::ServiceSeed;

use crate::action_harness::{Ran, Runner};
use crate::rig::{DIGEST, REPOSITORY, ROLE};

use super::{median, slowest};

/// The clouds of one figure, with these services at rest.
struct Clouds {
    runtime: tokio::runtime::Runtime,
    simulator: Simulator,
    names: Vec<String>,
}

impl Clouds {
    fn new(services: usize, rollout: Duration, latency: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let simulator = runtime.block_on(Simulator::start(Clock::real())).unwrap();
        let names: Vec<String> = (0..services).map(|index| format!("s{index:02}")).collect();
        let world = simulator.world();
        world.add_role(ROLE, &["*"]);
        names.iter().for_each(|name| world.add_service(&ServiceSeed::new(name)).unwrap());
        world.set_rollout_time(rollout);
        world.set_request_latency(latency);
        world.set_consistency_lag(Duration::ZERO, Duration::ZERO);
        Self { runtime, simulator, names }
    }

    /// The step that deploys `version` of all of them as one group.
    fn step(&self, binary: &Path, version: usize) -> Runner {
        let mut file = format!(
            "version: 1\nauth: {{ aws: {{ role: \"{ROLE}\", region: eu-west-1 }} }}\ndefaults: {{ target: ecs, env: {{ VERSION: \"v{version}\" }}, \
             health: {{ version: \"/version=v{version}\", interval: 10ms }} }}\ngroups: [[{}]]\nservices:\n",
            self.names.join(", ")
        );
        for name in &self.names {
            let _ = writeln!(file, "  {name}: {{ image: \"{REPOSITORY}/{name}@{DIGEST}\" }}");
        }
        let endpoints = self.simulator.endpoints();
        let runner = Runner::of(binary)
            .file(".github/touchdown.yml", &file)
            .input("skip-push", "true")
            .env("AWS_ENDPOINT_URL", &endpoints.aws)
            .id_token(&endpoints.token_request_url, &endpoints.token_request_bearer);
        let hosts = endpoints.hosts.iter();
        hosts.fold(runner, |runner, host| runner.env(&format!("TOUCHDOWN_ENDPOINT_{}", Endpoints::key(host)), &endpoints.aws))
    }

    /// Deploys once and wants it live.
    fn live(&self, binary: &Path, version: usize) -> Result<Ran, String> {
        let _inside = self.runtime.enter();
        let ran = self.step(binary, version).main();
        let live = ran.code == Some(0) && ran.outputs.get("outcome").is_some_and(|outcome| outcome == "live");
        if live { Ok(ran) } else { Err(format!("it did not go live: {}{}", ran.stdout, ran.stderr)) }
    }
}

fn whole_deploys(binary: &Path) -> Result<Vec<Ran>, String> {
    let clouds = Clouds::new(1, Duration::ZERO, Duration::ZERO);
    (2..17).map(|version| clouds.live(binary, version)).collect()
}

/// Rollout complete at the first poll, health every 10 ms: seconds from start to exit.
pub fn wall(binary: &Path) -> Result<f64, String> {
    Ok(median(whole_deploys(binary)?.iter().map(|ran| ran.took.as_secs_f64()).collect()))
}

/// The same: the most memory one of them held, in megabytes.
#[allow(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
pub fn memory(binary: &Path) -> Result<f64, String> {
    let peaks: Vec<f64> = whole_deploys(binary)?.iter().map(|ran| ran.peak_memory as f64 / 1_000_000.0).collect();
    if peaks.contains(&0.0) { Err("/proc does not tell it".to_owned()) } else { Ok(slowest(&peaks)) }
}

/// A role that does not trust the run: seconds until the step has ended with the statement that would admit it.
pub fn denied(binary: &Path) -> Result<f64, String> {
    let clouds = Clouds::new(1, Duration::ZERO, Duration::ZERO);
    clouds.simulator.world().set_fault("s00", Fault::DeniedSignIn);
    let mut times = Vec::new();
    for version in 2..7 {
        let ran = clouds.step(binary, version).main();
        if ran.code == Some(0) || !ran.stdout.contains("sts:AssumeRoleWithWebIdentity") {
            return Err(format!("it was not explained: {}{}", ran.stdout, ran.stderr));
        }
        times.push(ran.took.as_secs_f64());
    }
    Ok(slowest(&times))
}

/// Rollouts of 10 s and 50 ms a request: the wall of twenty services as a multiple of that of one.
pub fn twenty_against_one(binary: &Path) -> Result<f64, String> {
    let of = |services: usize| {
        let clouds = Clouds::new(services, Duration::from_secs(10), Duration::from_millis(50));
        let times: Result<Vec<f64>, String> = (2..5).map(|version| Ok(clouds.live(binary, version)?.took.as_secs_f64())).collect();
        times.map(median)
    };
    let (one, twenty) = (of(1)?, of(20)?);
    println!("    one service {one:.2} s, twenty {twenty:.2} s");
    Ok(twenty / one)
}
