//! The figures we promise, measured on the release binary: a table, `target/bench.json`, and a failure where one is beyond its limit.
//! The binary is what `tests/setup/static_binary.sh release` built; how each figure is taken stands in `measure`.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a bench that cannot go on says so by failing")]

#[path = "../tests/it/action_harness/mod.rs"]
#[allow(dead_code, reason = "tests use the rest of it")]
mod action_harness;
#[path = "../tests/it/image_sources/build.rs"]
#[allow(dead_code, reason = "tests use the rest of it")]
mod build;
#[path = "../tests/it/simulator/client.rs"]
#[allow(dead_code, reason = "tests use the rest of it")]
mod client;
mod measure;
#[path = "../tests/it/rig.rs"]
#[allow(dead_code, reason = "tests use the rest of it")]
mod rig;
#[path = "../tests/it/runner_grammar.rs"]
#[allow(dead_code, reason = "tests use the rest of it")]
mod runner_grammar;

/// Where the rig looks for the client.
mod simulator {
    pub(crate) use crate::client;
}
#[path = "../tests/it/image/debian.rs"]
#[allow(dead_code, reason = "tests use the rest of it")]
mod debian;
mod push;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

/// What is measured, and how far it may go.
struct Promise {
    work: &'static str,
    unit: &'static str,
    /// The figure may be this at most.
    limit: f64,
    measure: fn(&Path) -> Result<f64, String>,
}

const PROMISES: &[Promise] = &[
    Promise { work: "whole deploy on the simulator, median of 15", unit: "s", limit: 0.25, measure: measure::deploy::wall },
    Promise { work: "whole deploy on the simulator, peak memory", unit: "MB", limit: 25.0, measure: measure::deploy::memory },
    Promise { work: "end of a rollout to our notice, 95 % of 60", unit: "s", limit: 2.5, measure: measure::notice::completed },
    Promise { work: "a failed rollout to our notice, slowest of 24", unit: "s", limit: 5.0, measure: measure::notice::failed },
    Promise { work: "AccessDenied explained, slowest of 5", unit: "s", limit: 10.0, measure: measure::deploy::denied },
    Promise { work: "20 services against one, medians of 3", unit: "x", limit: 1.3, measure: measure::deploy::twenty_against_one },
    Promise { work: "start to first request, median of 30", unit: "ms", limit: 20.0, measure: measure::binary::start_to_first_request },
    Promise { work: "static binary, stripped", unit: "MB", limit: 9.0, measure: measure::binary::size },
    Promise {
        work: "static binary, compressed as in a registry (gzip)",
        unit: "MB",
        limit: 3.5,
        measure: measure::binary::compressed_size,
    },
];

/// One line of `target/bench.json`. A figure that could not be taken is null and not ok.
#[derive(Serialize)]
struct Row {
    work: String,
    figure: Option<f64>,
    unit: &'static str,
    limit: f64,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Row {
    fn of(promise: &Promise, binary: &Path) -> Self {
        let &Promise { work, unit, limit, measure } = promise;
        Self::taken(push::Figure { work: work.to_owned(), unit, limit, figure: measure(binary) })
    }

    fn taken(figure: push::Figure) -> Self {
        let push::Figure { work, unit, limit, figure } = figure;
        match figure {
            Ok(figure) => Self { work, figure: Some((figure * 1000.0).round() / 1000.0), unit, limit, ok: figure <= limit, why: None },
            Err(why) => Self { work, figure: None, unit, limit, ok: false, why: Some(why) },
        }
    }

    fn line(&self) -> String {
        let figure = self.figure.map_or_else(|| "not taken".to_owned(), |figure| format!("{figure:.3}"));
        let verdict = if self.ok { "ok" } else { "BEYOND" };
        let why = self.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        format!("{:<68} {figure:>10} {:<3} of {:>7} {:<3} {verdict}{why}", self.work, self.unit, self.limit, self.unit)
    }
}

fn main() -> ExitCode {
    if push::contender::is_child() {
        return ExitCode::SUCCESS;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("tmp lies in target").to_owned();
    let binary: PathBuf = target.join("bench/root/touchdown");
    assert!(binary.is_file(), "{} is missing: `make bench` builds it", binary.display());
    // A word as argument: only the figures whose names hold it, and no file.
    let word = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |work: &str| word.as_ref().is_none_or(|word| work.contains(word.as_str()));
    let own = PROMISES.iter().filter(|promise| wanted(promise.work)).map(|promise| Row::of(promise, &binary));
    let pushes = push::WORKS.iter().filter(|(work, _)| wanted(work)).flat_map(|(_, figures)| figures(&binary)).map(Row::taken);
    let rows: Vec<Row> = own.chain(pushes).inspect(|row| println!("{}", row.line())).collect();
    if word.is_none() {
        let json = serde_json::to_string_pretty(&rows).expect("rows are plain data");
        std::fs::write(target.join("bench.json"), json + "\n").expect("target can be written");
    }
    if rows.iter().all(|row| row.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
