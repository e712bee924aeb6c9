//! Archives of any content: reading ends, and every blob that is handed on is what its digest says.
#![no_main]

use std::collections::HashMap;

use futures_util::StreamExt;
use libfuzzer_sys::fuzz_target;
use touchdown::image::content::{Content, Part};
use touchdown::image::hashing::Hasher;
use touchdown::image::source::{Compression, Packing, Wanted, archive};

fuzz_target!(|bytes: &[u8]| {
    let spool = std::env::temp_dir();
    let path = spool.join(format!("touchdown-fuzz-archive-{}", std::process::id()));
    if std::fs::write(&path, bytes).is_err() {
        return;
    }
    let packing = Packing { compression: Compression::Gzip, spool, known: HashMap::new() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if let Ok(opened) = archive::open(&path, &Wanted::default(), &packing).await {
            read(opened.content()).await;
        }
    });
});

/// A layout's blobs are hashed by whoever reads them; what was packed here must be right already.
async fn read(content: &dyn Content) {
    let mut parts = content.parts();
    while let Some(Ok(part)) = parts.next().await {
        let Part::Blob(blob) = part else { continue };
        let Ok(mut body) = content.open(&blob).await else { continue };
        let (mut hasher, mut size) = (Hasher::new(), 0);
        while let Some(Ok(piece)) = body.next().await {
            hasher.update(&piece);
            size += piece.len() as u64;
        }
        assert!(size == blob.size && hasher.finish().is_ok());
    }
}
