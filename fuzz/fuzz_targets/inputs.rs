//! Inputs of any content: no reader panics, and no mistake grows with the value it is about.
#![no_main]

use libfuzzer_sys::fuzz_target;
use touchdown::config::Config;
use touchdown::config::flags::Flags;
use touchdown::runner::env::Env;
use touchdown::runner::inputs::Inputs;

/// Inputs that lead deepest into the readers.
const NAMES: [&str; 8] =
    ["INPUT_X", "INPUT_MODE", "INPUT_TARGET", "INPUT_SERVICE", "INPUT_IMAGE", "INPUT_ENV", "INPUT_HEALTH-INTERVAL", "INPUT_TIMEOUT"];

fuzz_target!(|values: Vec<String>| {
    let env: Env = NAMES.into_iter().zip(values).collect();
    let inputs = Inputs::of(&env);
    let read = [inputs.boolean("x").err(), inputs.duration("x").err(), inputs.integer("x", 1..=100).err()];
    let pairs = inputs.pairs("x").err().unwrap_or_default();
    for mistake in read.into_iter().flatten().chain(pairs).chain(inputs.unknown(&["x"])) {
        assert!(mistake.to_string().len() < 1000);
    }
    assert!(inputs.list("x").iter().all(|entry| !entry.is_empty()));
    let _ = Config::read(&env, &Flags::default()).plan(None);
});
