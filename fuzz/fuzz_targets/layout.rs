//! Layouts whose index, manifest and configuration have any content: reading ends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use touchdown::image::content::Platform;
use touchdown::image::hashing::digest_of;
use touchdown::image::source::{Wanted, layout};

fuzz_target!(|input: (&str, Vec<u8>, Vec<u8>, bool)| {
    let (index, manifest, configuration, chosen) = input;
    let folder = std::env::temp_dir().join(format!("touchdown-fuzz-layout-{}", std::process::id()));
    let blobs = folder.join("blobs/sha256");
    let named = |bytes: &[u8]| digest_of(bytes).map(|digest| digest.as_str().to_owned()).unwrap_or_default();
    // The words MANIFEST and CONFIG stand for digests, which no fuzzer guesses.
    let manifest = String::from_utf8_lossy(&manifest).replace("CONFIG", &named(&configuration)).into_bytes();
    let index = index.replace("MANIFEST", &named(&manifest));
    let _ = std::fs::remove_dir_all(&folder);
    let written = std::fs::create_dir_all(&blobs)
        .and_then(|()| std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#))
        .and_then(|()| std::fs::write(folder.join("index.json"), index))
        .and_then(|()| std::fs::write(blobs.join(named(&manifest).trim_start_matches("sha256:")), &manifest))
        .and_then(|()| std::fs::write(blobs.join(named(&configuration).trim_start_matches("sha256:")), &configuration));
    if written.is_err() {
        return;
    }
    let wanted = Wanted { tag: None, platform: chosen.then(|| Platform::parse("linux/amd64").unwrap()), ..Wanted::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _ = runtime.block_on(layout::open(&folder, &wanted)).map(|image| image.root().clone());
});
