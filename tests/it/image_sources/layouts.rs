//! OCI layouts in folders: the maker's bytes, one image of many, one platform of many.

use serde_json::{Value, json};

use touchdown::failure::{Failure, Kind};
use touchdown::image::content::{Content, Platform};
use touchdown::image::source::{Image, Wanted, layout};

use super::build::{self, Layout, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use super::reading::read;

/// Opens `made` as the folder it would be.
async fn open(made: &Layout, wanted: &Wanted) -> Result<(tempfile::TempDir, Image), Failure> {
    let folder = tempfile::tempdir().unwrap();
    made.write(folder.path());
    let image = layout::open(folder.path(), wanted).await?;
    Ok((folder, image))
}

fn for_platform(text: &str) -> Wanted {
    Wanted { tag: None, platform: Some(Platform::parse(text).unwrap()), ..Wanted::default() }
}

fn tagged(tag: &str) -> Wanted {
    Wanted { tag: Some(tag.to_owned()), platform: None, ..Wanted::default() }
}

/// An image for two platforms, each with its attestation, as BuildKit makes it.
fn attested() -> (Layout, Value) {
    let mut made = Layout::default();
    let amd = made.image("linux/amd64", &[build::layer("app", b"amd64"), build::layer("shared", &build::noise(1, 5000))]);
    let arm = made.image("linux/arm64/v8", &[build::layer("app", b"arm64"), build::layer("shared", &build::noise(1, 5000))]);
    let statement = made.blob("application/vnd.in-toto+json", b"{\"predicate\":{}}".to_vec());
    let config = made.blob(
        OCI_CONFIG,
        json!({ "os": "unknown", "architecture": "unknown", "rootfs": { "type": "layers", "diff_ids": [] } }).to_string().into_bytes(),
    );
    let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [statement] });
    let attestation = made.blob(OCI_MANIFEST, manifest.to_string().into_bytes());
    let index = made.index(&[("linux/amd64", amd), ("linux/arm64/v8", arm), ("unknown/unknown", attestation)]);
    made.name(index.clone(), Some("ci"));
    (made, index)
}

#[tokio::test]
async fn an_image_comes_in_its_maker_s_bytes_and_tells_its_platform_and_origin() {
    let mut made = Layout::default();
    let image = made.image("linux/amd64", &[build::layer("app", b"app"), build::layer("big", &build::noise(2, 3_000_000))]);
    made.name(image.clone(), None);
    let (_folder, opened) = open(&made, &Wanted::default()).await.unwrap();
    assert_eq!(opened.root().descriptor.digest.as_str(), image["digest"].as_str().unwrap());
    assert_eq!(opened.platforms().iter().map(ToString::to_string).collect::<Vec<_>>(), ["linux/amd64"]);
    // An annotation is of this image; the label may be that of the image it was built upon.
    assert_eq!((opened.origin().version.as_deref(), opened.origin().revision.as_deref()), (Some("v1.4"), Some("abc123")));
    assert_eq!(opened.lies_at(), None);
    let read = read(&opened).await.unwrap();
    assert_eq!(read.contents, made.blobs);
    assert_eq!(read.media_type, OCI_MANIFEST);
}

#[tokio::test]
async fn an_index_stays_an_index_with_its_attestations() {
    let (made, index) = attested();
    let (_folder, opened) = open(&made, &Wanted::default()).await.unwrap();
    assert_eq!(opened.platforms().iter().map(ToString::to_string).collect::<Vec<_>>(), ["linux/amd64", "linux/arm64/v8"]);
    let read = read(&opened).await.unwrap();
    assert_eq!((read.root.as_str(), read.media_type.as_str()), (index["digest"].as_str().unwrap(), OCI_INDEX));
    assert_eq!(read.contents, made.blobs);
}

#[tokio::test]
async fn of_an_index_one_platform_is_taken_when_it_is_asked_for_and_nothing_else() {
    let (made, _) = attested();
    for (asked, word) in [("linux/amd64", "amd64"), ("linux/arm64", "arm64"), ("linux/arm64/v8", "arm64")] {
        let (_folder, opened) = open(&made, &for_platform(asked)).await.unwrap();
        let read = read(&opened).await.unwrap();
        assert_eq!((read.media_type.as_str(), read.contents.len()), (OCI_MANIFEST, 4), "{asked}");
        assert_eq!(opened.platforms()[0].architecture, word);
        assert_eq!(opened.origin().version.as_deref(), Some("v1.4"));
    }
    let failure = open(&made, &for_platform("linux/s390x")).await.err().unwrap();
    assert_eq!(failure.kind, Kind::Missing);
    assert!(failure.to_string().contains("it is built for linux/amd64, linux/arm64/v8"), "{failure}");
}

#[tokio::test]
async fn the_platform_of_a_single_image_is_held_against_what_is_asked_for() {
    let mut made = Layout::default();
    let image = made.image("linux/arm64", &[build::layer("app", b"x")]);
    made.name(image, None);
    assert!(open(&made, &for_platform("linux/arm64/v8")).await.is_ok());
    let failure = open(&made, &for_platform("linux/amd64")).await.err().unwrap();
    assert!(failure.to_string().contains("not built for linux/amd64") && failure.fix[0].contains("--platform linux/amd64"), "{failure}");
}

#[tokio::test]
async fn an_index_within_an_index_and_one_that_names_no_platforms_are_understood() {
    let mut made = Layout::default();
    let amd = made.image("linux/amd64", &[build::layer("app", b"amd64")]);
    let arm = made.image("linux/arm64", &[build::layer("app", b"arm64")]);
    let bare = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [amd, arm] });
    let inner = made.blob(OCI_INDEX, bare.to_string().into_bytes());
    let outer = made.blob(OCI_INDEX, json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [inner] }).to_string().into_bytes());
    made.name(outer.clone(), None);
    let (_folder, opened) = open(&made, &Wanted::default()).await.unwrap();
    assert_eq!(read(&opened).await.unwrap().contents, made.blobs);
    let (_folder, opened) = open(&made, &for_platform("linux/arm64")).await.unwrap();
    assert_eq!(opened.root().descriptor.digest.as_str(), arm["digest"].as_str().unwrap());
}

#[tokio::test]
async fn of_several_images_the_one_with_the_tag_is_meant() {
    let mut made = Layout::default();
    let [one, two] = [b"1", b"2"].map(|content| made.image("linux/amd64", &[build::layer("app", content)]));
    made.name(one.clone(), Some("v1")).name(two.clone(), Some("v2")).name(two.clone(), Some("docker.io/library/web:latest"));
    let mut whole = two.clone();
    whole["annotations"] = json!({ "io.containerd.image.name": "docker.io/library/web:ci" });
    made.top.push(whole);
    for (tag, image) in [("v1", &one), ("v2", &two), ("latest", &two), ("ci", &two)] {
        let (_folder, opened) = open(&made, &tagged(tag)).await.unwrap();
        assert_eq!(opened.root().descriptor.digest.as_str(), image["digest"].as_str().unwrap(), "{tag}");
    }
    for wanted in [Wanted::default(), tagged("v3"), tagged("i")] {
        let failure = open(&made, &wanted).await.err().unwrap();
        assert!(failure.to_string().contains("it holds v1, v2, docker.io/library/web:latest"), "{failure}");
        assert!(failure.to_string().contains("oci:FOLDER:TAG"), "{failure}");
    }
    // One image under two names is one image.
    let mut made = Layout::default();
    let image = made.image("linux/amd64", &[build::layer("app", b"1")]);
    made.name(image.clone(), Some("a")).name(image, Some("b"));
    assert!(open(&made, &Wanted::default()).await.is_ok());
}

#[tokio::test]
async fn a_blob_is_read_again_from_its_beginning_as_often_as_it_is_asked_for() {
    let mut made = Layout::default();
    let image = made.image("linux/amd64", &[build::layer("big", &build::noise(3, 2_000_000))]);
    made.name(image, None);
    let (_folder, opened) = open(&made, &Wanted::default()).await.unwrap();
    let first = read(&opened).await.unwrap();
    assert_eq!(read(&opened).await.unwrap(), first);
}
