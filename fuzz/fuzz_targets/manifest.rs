//! Manifests, indexes and configurations of any bytes: what is read names itself rightly, and keeps its bytes.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use touchdown::image::configuration::Configuration;
use touchdown::image::hashing::digest_of;
use touchdown::image::manifest::read;

fuzz_target!(|input: (Vec<u8>, Option<&str>)| {
    let (bytes, told) = input;
    let _ = Configuration::read(&bytes);
    if let Ok(reading) = read(Bytes::from(bytes.clone()), told) {
        assert_eq!(reading.manifest.bytes, bytes);
        assert_eq!(reading.manifest.descriptor.digest, digest_of(&bytes).unwrap());
        assert!(reading.children.is_empty() || reading.blobs.is_empty());
    }
});
