//! A real Docker engine with the legacy store: what it exports and saves is read, and comes out as the image it is.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use touchdown::http::docker::Engine;
use touchdown::image::content::{Content, Descriptor, Part};
use touchdown::image::source::daemon::{self, Held};
use touchdown::image::source::{Compression, Packing, Wanted, archive};

use super::build;
use super::daemon::kept;
use super::reading::{Read, read};
use super::stand_in;
use crate::setup::{component, skip};

/// An image in the engine, which goes with its test.
struct Kept {
    docker: PathBuf,
    name: String,
    folder: tempfile::TempDir,
    layers: Vec<Vec<u8>>,
}

impl Kept {
    /// Loads an image of three layers, one of them twice, under a name of its own.
    fn load(docker: PathBuf, test: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let big = build::layer("big", &build::noise(7, 3_000_000));
        let layers = vec![build::layer("app", test.as_bytes()), big.clone(), build::layer("etc/app.conf", b"x=1"), big];
        let mut files = build::saved("linux/amd64", &layers);
        let name = format!("touchdown-sources-{test}:ci");
        for (file, content) in &mut files {
            if file == "manifest.json" {
                *content = String::from_utf8(content.clone()).unwrap().replace("web:ci", &name).into_bytes();
            }
        }
        std::fs::write(folder.path().join("made.tar"), build::archive(&files)).unwrap();
        let kept = Self { docker, name, folder, layers };
        kept.docker(&["load", "--quiet", "--input", kept.path("made.tar").to_str().unwrap()]);
        kept
    }

    fn docker(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(&self.docker).args(arguments).output().unwrap();
        assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn packing(&self, compression: Compression) -> Packing {
        Packing { compression, spool: self.folder.path().to_owned(), known: HashMap::new() }
    }

    async fn open(&self, packing: &Packing) -> Option<Held> {
        let socket = daemon::socket(std::env::var("DOCKER_HOST").ok().as_deref()).unwrap();
        let engine = Engine::at(stand_in::http(Default::default()), &socket);
        let held = daemon::open(&engine, &kept(&format!("docker://{}", self.name)), &Wanted::default(), packing).await.unwrap();
        if matches!(held, Held::Containerd(_)) {
            skip("the legacy store", "the engine at hand has the containerd store");
            return None;
        }
        Some(held)
    }

    async fn archived(&self, file: &Path, compression: Compression) -> Read {
        read(archive::open(file, &Wanted::default(), &self.packing(compression)).await.unwrap().content()).await.unwrap()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = Command::new(&self.docker).args(["rmi", "--force", &self.name]).output();
    }
}

/// As a registry would be asked later: what the manifest names, by the plain layers.
fn known(kept: &Kept, read: &Read) -> HashMap<touchdown::values::Digest, Descriptor> {
    let named: Vec<Descriptor> = serde_json::from_value(read.manifest()["layers"].clone()).unwrap();
    kept.layers.iter().map(|plain| build::digest(plain)).zip(named).collect()
}

#[tokio::test]
async fn an_engine_s_export_is_the_image_it_keeps_and_comes_out_the_same_every_time() {
    let Some(docker) = component("engine") else { return };
    let kept = Kept::load(docker, "exported");
    for compression in [Compression::Gzip, Compression::Zstd] {
        let Some(Held::Legacy(export)) = kept.open(&kept.packing(compression)).await else { return };
        let exported = read(&export).await.unwrap();
        assert_eq!(exported, read(&export).await.unwrap());
        let id = exported.manifest()["config"]["digest"].as_str().unwrap().to_owned();
        let told = kept.docker(&["image", "inspect", "--format", "{{.Id}}", &kept.name]);
        assert_eq!(id, String::from_utf8(told).unwrap().trim());
        // The archive that was loaded holds the same layers, so the image is the same to the last byte.
        assert_eq!(exported.root, kept.archived(&kept.path("made.tar"), compression).await.root);
    }
}

#[tokio::test]
async fn layers_that_are_known_are_recognised_in_an_export_before_they_have_come() {
    let Some(docker) = component("engine") else { return };
    let kept = Kept::load(docker, "recognised");
    let Some(Held::Legacy(export)) = kept.open(&kept.packing(Compression::Zstd)).await else { return };
    let exported = read(&export).await.unwrap();
    let mut packing = kept.packing(Compression::Zstd);
    packing.known = known(&kept, &exported);
    // Whatever were packed would have to lie here.
    packing.spool = kept.path("absent");
    let Some(Held::Legacy(export)) = kept.open(&packing).await else { return };
    let parts: Vec<_> = futures_util::StreamExt::collect(export.parts()).await;
    let Some(Ok(Part::Manifest(manifest))) = parts.last() else { panic!("{parts:?}") };
    assert_eq!(manifest.descriptor.digest, exported.root);
    packing.known.remove(&build::digest(&kept.layers[2]));
    let Some(Held::Legacy(export)) = kept.open(&packing).await else { return };
    let parts: Vec<_> = futures_util::StreamExt::collect(export.parts()).await;
    assert!(parts.iter().any(|part| matches!(part, Err(failure) if failure.what.contains("nothing can be written into"))), "{parts:?}");
}

#[tokio::test]
async fn what_the_engine_saves_is_read_plain_and_compressed() {
    let Some(docker) = component("engine") else { return };
    let kept = Kept::load(docker, "saved");
    let Some(Held::Legacy(export)) = kept.open(&kept.packing(Compression::Gzip)).await else { return };
    let exported = read(&export).await.unwrap();
    let saved = kept.docker(&["save", &kept.name]);
    for (name, bytes) in [("saved.tar", saved.clone()), ("saved.tar.gz", build::gzip(&saved)), ("saved.tar.zst", build::zstd(&saved))] {
        std::fs::write(kept.path(name), bytes).unwrap();
        assert_eq!(kept.archived(&kept.path(name), Compression::Gzip).await.root, exported.root, "{name}");
    }
}
