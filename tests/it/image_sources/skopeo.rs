//! skopeo as a writer of archives and layouts that we read, and as a reader of what we make of them.

use std::path::Path;
use std::process::Command;

use touchdown::image::source::{Compression, Wanted, archive, layout};

use super::archives::packing;
use super::build::{self, Layout};
use super::reading::{Read, read};
use crate::setup::component;

fn skopeo(program: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).arg("--insecure-policy").args(arguments).output().unwrap();
    assert!(output.status.success(), "skopeo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn layers() -> Vec<Vec<u8>> {
    vec![build::layer("app", b"app"), build::layer("big", &build::noise(5, 2_000_000)), build::layer("etc/app.conf", b"x=1")]
}

/// A layout with one image `web:ci`, as it lies in `folder`.
fn made(folder: &Path) -> (Layout, String) {
    let mut made = Layout::default();
    let image = made.image("linux/amd64", &layers());
    made.name(image.clone(), Some("ci"));
    made.write(&folder.join("made"));
    (made, image["digest"].as_str().unwrap().to_owned())
}

async fn of_archive(file: &Path, compression: Compression) -> Read {
    let folder = file.parent().unwrap();
    read(archive::open(file, &Wanted::default(), &packing(folder, compression)).await.unwrap().content()).await.unwrap()
}

#[tokio::test]
async fn layouts_and_archives_that_skopeo_writes_are_read() {
    let Some(program) = component("skopeo") else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (made, digest) = made(folder.path());
    let from = format!("oci:{}:ci", at("made"));
    skopeo(&program, &["copy", "--preserve-digests", &from, &format!("oci:{}:v1", at("layout"))]);
    let wanted = Wanted { tag: Some("v1".to_owned()), platform: None, ..Wanted::default() };
    let image = layout::open(&folder.path().join("layout"), &wanted).await.unwrap();
    assert_eq!(read(&image).await.unwrap().contents, made.blobs);

    skopeo(&program, &["copy", "--preserve-digests", &from, &format!("oci-archive:{}:v1", at("oci.tar"))]);
    assert_eq!(of_archive(&folder.path().join("oci.tar"), Compression::Gzip).await.root.as_str(), digest);

    skopeo(&program, &["copy", &from, &format!("docker-archive:{}:web:ci", at("docker.tar"))]);
    let saved = of_archive(&folder.path().join("docker.tar"), Compression::Gzip).await;
    let config = &saved.contents[saved.manifest()["config"]["digest"].as_str().unwrap()];
    let config: serde_json::Value = serde_json::from_slice(config).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"], build::configuration("linux/amd64", &layers())["rootfs"]["diff_ids"]);
}

#[tokio::test]
async fn what_is_made_of_a_saved_image_is_an_image_to_skopeo() {
    let Some(program) = component("skopeo") else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let file = folder.path().join("saved.tar");
    std::fs::write(&file, build::archive(&build::saved("linux/amd64", &layers()))).unwrap();
    for (compression, name) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        let read = of_archive(&file, compression).await;
        read.write(&folder.path().join(name));
        let inspected = skopeo(&program, &["inspect", "--raw", &format!("dir:{}", at(name))]);
        assert_eq!(inspected, read.contents[read.root.as_str()]);
        // It expands the layers, and then they are the plain ones.
        let plain = format!("{name}-plain");
        skopeo(&program, &["copy", "--dest-decompress", &format!("dir:{}", at(name)), &format!("dir:{}", at(&plain))]);
        for layer in layers() {
            let file = folder.path().join(&plain).join(&build::digest(&layer).as_str()["sha256:".len()..]);
            assert!(std::fs::read(file).unwrap() == layer);
        }
    }
}
