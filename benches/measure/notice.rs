//! How soon the end of a rollout is noticed: rollouts of minutes on a scaled clock, in this process, with the library the binary is made of.

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use touchdown::engine::journal::read;
use touchdown::engine::record::{Event, Record};
use touchdown::simulator::fault::Fault;
use touchdown::simulator::seed::ServiceSeed;

use crate::rig::{Ran, Rig};

use super::slowest;

/// How many times as fast as the wall the clock runs.
const PACE: f64 = 20.0;
/// Rollouts under way at once.
const SIDE_BY_SIDE: usize = 12;

/// Rollouts of 20 s to 600 s: 95 % of their ends are noticed within this many seconds.
pub fn completed(_: &Path) -> Result<f64, String> {
    let seconds = (0..60_u32).map(|index| 20.0 + f64::from(index * 37 % 60) * 580.0 / 59.0);
    let mut lags = all(seconds.map(|seconds| async move {
        let rig = Rig::with(&[ServiceSeed::new("web")], PACE).await.input("health-interval", "1s");
        rig.simulator.world().set_rollout_time(Duration::from_secs_f64(seconds));
        let ran = rig.main().await;
        lag(&rig, &ran, |event| matches!(event, Event::Settled { .. }))
    }))?;
    lags.sort_by(f64::total_cmp);
    Ok(lags[lags.len() * 95 / 100])
}

/// Rollouts that the platform gives up: the slowest notice, in seconds. One noticed before its end counts as 0.
pub fn failed(_: &Path) -> Result<f64, String> {
    let faults = [Fault::CircuitBreakerNoRollback, Fault::CircuitBreakerRollback, Fault::Alarm];
    let lags = all((0..24_usize).map(|index| async move {
        let seed = ServiceSeed { alarms: vec!["errors".to_owned()], ..ServiceSeed::new("web") };
        let rig = Rig::with(&[seed], PACE).await.input("on-failure", "leave").input("timeout", "60m");
        rig.simulator.world().set_fault("web", faults[index % faults.len()]);
        let ran = rig.main().await;
        lag(&rig, &ran, |event| matches!(event, Event::Failed { .. }))
    }))?;
    Ok(slowest(&lags))
}

/// Runs them side by side.
fn all(cases: impl Iterator<Item = impl Future<Output = Result<f64, String>>>) -> Result<Vec<f64>, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|error| error.to_string())?;
    let figures: Vec<_> = runtime.block_on(futures_util::stream::iter(cases).buffer_unordered(SIDE_BY_SIDE).collect());
    figures.into_iter().collect()
}

/// Seconds from the end of the rollout, as the simulator knows it, to the first such line of the journal.
fn lag(rig: &Rig, ran: &Ran, noticed: impl Fn(&Event) -> bool) -> Result<f64, String> {
    let ended = rig.simulator.world().rollout_ended_at("web").ok_or_else(|| format!("the rollout never ended: {}", ran.stdout))?;
    let lines: Vec<(String, String)> = ran.state.iter().map(|(key, line)| (key.clone(), line.clone())).collect();
    let journal = read(&lines).into_iter().next().ok_or("there is no journal")?;
    let at = journal.entries.iter().find_map(|entry| match &entry.record {
        Record::Service { event, .. } if noticed(event) => Some(entry.at),
        _ => None,
    });
    let at = at.ok_or_else(|| format!("it was never noticed: {}", ran.stdout))?;
    Ok(Duration::from_millis(at.0.saturating_sub(ended.0)).as_secs_f64())
}
