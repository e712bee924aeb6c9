//! Every test of the boundary, in one binary: it links once and runs side by side.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by failing")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test that is skipped says so, loudly")]

mod action;
mod action_harness;
mod action_harness_proof;
mod aws;
mod config;
mod container;
mod crash;
mod docs;
mod ecs;
mod engine;
mod engine_run;
mod examples;
mod faults;
mod floors;
mod foreign;
mod health;
mod http;
mod image;
mod image_sources;
mod jobs;
mod journal;
mod keeping;
mod late;
mod modes;
mod moto;
mod origin;
mod post;
mod process;
mod pushes;
mod repair;
mod report;
mod rig;
mod runner;
mod runner_grammar;
mod secrets;
mod setup;
mod several;
mod simulator;
mod terminal;
mod walk;
