//! The simulator as a client meets it: real HTTP, signed as AWS wants it.

#![allow(clippy::print_stdout)]

pub mod client;
mod faults;
mod image;
mod interference;
mod registry;
mod registry_wire;
mod sign_in;
mod strategies;

use std::path::PathBuf;
use std::time::Duration;

use touchdown::clock::Clock;
use touchdown::simulator::Simulator;
use touchdown::simulator::seed::ServiceSeed;

const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_drives_the_simulator() {
    let Some(python) = python_with_boto3() else { return };
    let simulator = Simulator::start(Clock::scaled(30.0)).await.unwrap();
    let world = simulator.world();
    world.add_service(&ServiceSeed::new("web")).unwrap();
    world.add_image("eu-west-1", "web", "v1");
    world.add_role(ROLE, &["repo:acme/shop:*"]);
    let endpoints = simulator.endpoints();
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/boto3_judge.py");
    let arguments = [&endpoints.aws, &endpoints.token_request_url, &endpoints.token_request_bearer];
    let mut command = tokio::process::Command::new(python);
    command.arg(judge).args(arguments).args([ROLE, "eu-west-1"]).kill_on_drop(true);
    let ran = tokio::time::timeout(Duration::from_secs(180), command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), 18, "{said}");
}

/// Python with boto3: of the virtual environment `TOUCHDOWN_VENV`, else of `target/venv`.
fn python_with_boto3() -> Option<PathBuf> {
    let given = std::env::var_os("TOUCHDOWN_VENV").map(PathBuf::from);
    let venv = given.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/venv")));
    let python = venv.join("bin/python");
    let has = std::process::Command::new(&python).args(["-c", "import boto3"]).output();
    if has.is_ok_and(|ran| ran.status.success()) {
        return Some(python);
    }
    println!("skipped: no boto3 in {} (make test sets it up, or set TOUCHDOWN_VENV)", venv.display());
    None
}
