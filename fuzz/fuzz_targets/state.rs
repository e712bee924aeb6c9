//! State lines: what is taken is one line that can be read back, whatever the key and the value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use touchdown::runner::env::Env;
use touchdown::runner::state::{StateFile, saved};

fuzz_target!(|line: (String, String)| {
    let (key, value) = line;
    let path = std::env::temp_dir().join(format!("touchdown-fuzz-state-{}", std::process::id()));
    if std::fs::write(&path, "").is_err() {
        return;
    }
    let file = StateFile::open(&[("GITHUB_STATE", path.display().to_string())].into_iter().collect());
    let taken = file.is_ok_and(|mut file| file.append(&key, &value).is_ok());
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, if taken { format!("{key}={value}\n") } else { String::new() });
    assert!(!taken || (text.lines().count() == 1 && text.split_once('=') == Some((&key, &format!("{value}\n")))));
    let post: Env = [(format!("STATE_{key}"), value.clone())].into_iter().collect();
    assert_eq!(saved(&post), [(key, value)]);
});
