//! `touchdown.yml` of any content, and every setting's value in it: never a panic, and no mistake grows with the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use touchdown::config::Config;
use touchdown::config::flags::Flags;
use touchdown::runner::env::Env;

fuzz_target!(|text: String| {
    let folder = std::env::temp_dir().join(format!("touchdown-fuzz-file-{}", std::process::id()));
    let path = folder.join(".github");
    let _ = std::fs::create_dir_all(&path);
    let _ = std::fs::write(path.join("touchdown.yml"), text);
    let env: Env = [("GITHUB_WORKSPACE", folder.to_string_lossy().as_ref()), ("GITHUB_SHA", "sha"), ("TAG", "v1")].into_iter().collect();
    for mistake in Config::read(&env, &Flags::default()).plan(None).err().unwrap_or_default() {
        assert!(mistake.what.len() < 2000, "{mistake}");
    }
});
