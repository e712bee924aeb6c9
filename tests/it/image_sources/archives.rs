//! Images in one file: OCI layouts and what `docker save` writes, plain and compressed.

use std::collections::HashMap;
use std::path::Path;

use serde_json::json;

use touchdown::failure::{Failure, Kind};
use touchdown::image::content::{Descriptor, Platform};
use touchdown::image::source::archive::{self, Archived};
use touchdown::image::source::{Compression, Packing, Wanted};

use super::build::{self, Layout, OCI_LAYER};
use super::reading::{Read, read};

/// How layers are packed in these tests; the spool is `folder`.
pub fn packing(folder: &Path, compression: Compression) -> Packing {
    Packing { compression, spool: folder.to_owned(), known: HashMap::new() }
}

/// Opens an archive of these bytes.
pub async fn open(bytes: &[u8], wanted: &Wanted, compression: Compression) -> Result<(tempfile::TempDir, Archived), Failure> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("image.tar");
    std::fs::write(&file, bytes).unwrap();
    let opened = archive::open(&file, wanted, &packing(folder.path(), compression)).await?;
    Ok((folder, opened))
}

async fn read_all(bytes: &[u8], compression: Compression) -> Result<Read, Failure> {
    let (_folder, opened) = open(bytes, &Wanted::default(), compression).await?;
    read(opened.content()).await
}

fn layers() -> Vec<Vec<u8>> {
    vec![build::layer("app", b"app"), build::layer("big", &build::noise(1, 3_000_000)), build::layer("etc/app.conf", b"x=1")]
}

#[tokio::test]
async fn an_oci_archive_is_the_layout_that_is_in_it_however_it_is_wrapped() {
    let mut made = Layout::default();
    let image = made.image("linux/amd64", &layers());
    made.name(image, Some("ci"));
    let dotted: Vec<(String, Vec<u8>)> = made.files().into_iter().map(|(name, bytes)| (format!("./{name}"), bytes)).collect();
    let plain = made.tar();
    for bytes in [plain.clone(), build::gzip(&plain), build::zstd(&plain), build::archive(&dotted)] {
        assert_eq!(read_all(&bytes, Compression::Gzip).await.unwrap().contents, made.blobs);
    }
}

#[tokio::test]
async fn what_docker_saved_gets_a_manifest_whose_layers_are_the_saved_ones() {
    let layers = layers();
    let plain = build::archive(&build::saved("linux/amd64", &layers));
    for (compression, manifest_type, layer_type) in [
        (Compression::Gzip, "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.image.rootfs.diff.tar.gzip"),
        (Compression::Zstd, build::OCI_MANIFEST, "application/vnd.oci.image.layer.v1.tar+zstd"),
    ] {
        let read = read_all(&plain, compression).await.unwrap();
        assert_eq!((read.media_type.as_str(), &read.manifest()["mediaType"]), (manifest_type, &json!(manifest_type)));
        let config = &read.contents[read.manifest()["config"]["digest"].as_str().unwrap()];
        assert_eq!(*config, build::configuration("linux/amd64", &layers).to_string().into_bytes());
        for (layer, plain) in read.manifest()["layers"].as_array().unwrap().iter().zip(&layers) {
            assert_eq!(layer["mediaType"], layer_type);
            assert!(expanded(&read.contents[layer["digest"].as_str().unwrap()]) == *plain);
        }
        for wrapped in [build::gzip(&plain), build::zstd(&plain), plain.clone()] {
            assert_eq!(read_all(&wrapped, compression).await.unwrap(), read);
        }
    }
}

fn expanded(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut plain = Vec::new();
    match bytes[0] {
        0x1f => flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap(),
        _ => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut plain).unwrap(),
    };
    plain
}

#[tokio::test]
async fn the_order_of_the_files_and_a_layer_that_comes_twice_change_nothing() {
    let once = layers();
    let twice = vec![once[0].clone(), once[1].clone(), once[0].clone()];
    let mut files = build::saved("linux/amd64", &twice);
    let expected = read_all(&build::archive(&files), Compression::Gzip).await.unwrap();
    assert_eq!((expected.blobs.len(), expected.manifest()["layers"].as_array().unwrap().len()), (3, 3));
    files.reverse();
    assert_eq!(read_all(&build::archive(&files), Compression::Gzip).await.unwrap().root, expected.root);

    // As the engine writes it: the second is a link to the first.
    let mut builder = tar::Builder::new(Vec::new());
    let (first, last) = (build::saved("linux/amd64", &twice)[0].0.clone(), build::saved("linux/amd64", &twice)[2].0.clone());
    for (name, content) in build::saved("linux/amd64", &twice) {
        if name == last {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, &name, format!("../{first}")).unwrap();
        } else {
            build::append(&mut builder, &name, &content);
        }
    }
    assert_eq!(read_all(&builder.into_inner().unwrap(), Compression::Gzip).await.unwrap().root, expected.root);
}

#[tokio::test]
async fn layers_that_are_compressed_already_stay_as_they_are_unless_the_platform_cannot_read_them() {
    let layers = layers();
    let mut files = build::saved("linux/amd64", &layers);
    files[0].1 = build::gzip(&layers[0]);
    files[1].1 = build::zstd(&layers[1]);
    let zstd = read_all(&build::archive(&files), Compression::Zstd).await.unwrap();
    let sorts: Vec<String> =
        zstd.manifest()["layers"].as_array().unwrap().iter().map(|layer| layer["mediaType"].as_str().unwrap().to_owned()).collect();
    assert_eq!(sorts, [format!("{OCI_LAYER}+gzip"), format!("{OCI_LAYER}+zstd"), format!("{OCI_LAYER}+zstd")]);
    assert_eq!(zstd.contents[zstd.manifest()["layers"][1]["digest"].as_str().unwrap()], files[1].1);
    let gzip = read_all(&build::archive(&files), Compression::Gzip).await.unwrap();
    assert_eq!(gzip.contents[gzip.manifest()["layers"][0]["digest"].as_str().unwrap()], files[0].1);
    for (layer, plain) in gzip.manifest()["layers"].as_array().unwrap().iter().zip(&layers) {
        assert_eq!(layer["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.gzip");
        assert!(expanded(&gzip.contents[layer["digest"].as_str().unwrap()]) == *plain);
    }
}

#[tokio::test]
async fn layers_that_are_there_already_are_named_and_not_packed_again() {
    let layers = layers();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("image.tar");
    std::fs::write(&file, build::archive(&build::saved("linux/amd64", &layers))).unwrap();
    let mut packing = packing(folder.path(), Compression::Gzip);
    let before = read(archive::open(&file, &Wanted::default(), &packing).await.unwrap().content()).await.unwrap();
    let packed: Vec<Descriptor> = serde_json::from_value(before.manifest()["layers"].clone()).unwrap();
    // Told by another registry as OCI's type; one more in zstd, which is of no use here.
    for (plain, mut known) in layers.iter().zip(packed).take(2) {
        known.media_type = format!("{OCI_LAYER}+gzip");
        packing.known.insert(build::digest(plain), known);
    }
    let of_no_use = Descriptor { media_type: format!("{OCI_LAYER}+zstd"), ..packing.known[&build::digest(&layers[0])].clone() };
    packing.known.insert(build::digest(&layers[2]), of_no_use);
    let opened = archive::open(&file, &Wanted::default(), &packing).await.unwrap();
    let failure = read(opened.content()).await.unwrap_err();
    assert!(failure.what.contains("no longer where it was said to be"), "{failure}");
    let parts: Vec<_> = futures_util::StreamExt::collect(opened.content().parts()).await;
    let Some(Ok(touchdown::image::content::Part::Manifest(manifest))) = parts.last() else { panic!("{parts:?}") };
    assert_eq!(manifest.descriptor.digest, before.root);

    // With all of them known everything is known at once.
    packing.known.insert(build::digest(&layers[2]), serde_json::from_value(before.manifest()["layers"][2].clone()).unwrap());
    let opened = archive::open(&file, &Wanted::default(), &packing).await.unwrap();
    let mut parts = opened.content().parts();
    let mut at_once = 0;
    while let Some(Some(part)) = futures_util::FutureExt::now_or_never(futures_util::StreamExt::next(&mut parts)) {
        part.unwrap();
        at_once += 1;
    }
    assert_eq!(at_once, 5);
}

#[tokio::test]
async fn an_engine_s_own_layout_around_plain_layers_is_packed_and_one_around_compressed_ones_is_kept() {
    let layers = layers();
    let mut made = Layout::default();
    let config = made.blob(build::OCI_CONFIG, build::configuration("linux/amd64", &layers).to_string().into_bytes());
    let named: Vec<_> = layers.iter().map(|layer| made.blob(OCI_LAYER, layer.clone())).collect();
    let manifest = json!({ "schemaVersion": 2, "mediaType": build::OCI_MANIFEST, "config": config, "layers": named });
    let image = made.blob(build::OCI_MANIFEST, manifest.to_string().into_bytes());
    made.name(image.clone(), Some("ci"));
    // Without a manifest.json it is what its maker wanted.
    assert_eq!(read_all(&made.tar(), Compression::Gzip).await.unwrap().root.as_str(), image["digest"].as_str().unwrap());
    let within = |descriptor: &serde_json::Value| format!("blobs/{}", descriptor["digest"].as_str().unwrap().replace(':', "/"));
    let listed = json!([{ "Config": within(&config), "RepoTags": ["web:ci"], "Layers": named.iter().map(within).collect::<Vec<_>>() }]);
    let mut files = made.files();
    files.push(("manifest.json".to_owned(), listed.to_string().into_bytes()));
    let packed = read_all(&build::archive(&files), Compression::Gzip).await.unwrap();
    let saved = read_all(&build::archive(&build::saved("linux/amd64", &layers)), Compression::Gzip).await.unwrap();
    assert_eq!(packed.root, saved.root);

    let mut made = Layout::default();
    let image = made.image("linux/amd64", &layers);
    made.name(image, None);
    let mut files = made.files();
    files.push(("manifest.json".to_owned(), b"[]".to_vec()));
    assert_eq!(read_all(&build::archive(&files), Compression::Gzip).await.unwrap().contents, made.blobs);
}

#[tokio::test]
async fn a_saved_image_tells_its_platform_and_origin_before_anything_is_packed() {
    let bytes = build::archive(&build::saved("linux/arm64/v8", &layers()));
    let wanted = |text: &str| Wanted { tag: None, platform: Some(Platform::parse(text).unwrap()), ..Wanted::default() };
    let (folder, opened) = open(&bytes, &wanted("linux/arm64"), Compression::Gzip).await.unwrap();
    assert_eq!((opened.platforms()[0].to_string().as_str(), opened.origin().revision.as_deref()), ("linux/arm64/v8", Some("abc123")));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let failure = open(&bytes, &wanted("linux/amd64"), Compression::Gzip).await.err().unwrap();
    assert_eq!(failure.kind, Kind::Missing);
    assert!(failure.to_string().contains("it is built for linux/arm64/v8"), "{failure}");
}

#[tokio::test]
async fn nothing_is_left_in_the_spool() {
    let bytes = build::gzip(&build::archive(&build::saved("linux/amd64", &layers())));
    let (folder, opened) = open(&bytes, &Wanted::default(), Compression::Zstd).await.unwrap();
    read(opened.content()).await.unwrap();
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["image.tar"]);
}
