//! Docker's own configuration of any content: an error holds none of it, and whatever is looked for in it ends. Helpers are not asked: none is on PATH.
#![no_main]

use libfuzzer_sys::fuzz_target;
use touchdown::clock::Clock;
use touchdown::runner::docker_config::DockerConfig;

fuzz_target!(|input: (&[u8], &str)| {
    let (bytes, host) = input;
    match DockerConfig::read(bytes) {
        Ok(config) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _ = runtime.block_on(config.login(host, &Clock::real()));
        }
        Err(why) => assert!(why.len() < 100, "{why}"),
    }
});
