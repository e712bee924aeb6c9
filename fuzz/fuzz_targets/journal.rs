//! Journal lines of any content, from state and home: never a panic, and without the key of the checksum never an entry.
#![no_main]

use libfuzzer_sys::fuzz_target;
use touchdown::engine::journal::{PREFIX, read};

fuzz_target!(|lines: Vec<(String, u8, String)>| {
    let lines: Vec<(String, String)> = lines.into_iter().map(|(nonce, seq, line)| (format!("{PREFIX}{nonce}_{seq}"), line)).collect();
    assert!(read(&lines).is_empty());
});
