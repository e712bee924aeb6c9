//! Sources that are not what they should be: each ends in a failure that says what is wrong, before the last manifest has come.

use serde_json::{Value, json};

use touchdown::failure::Failure;
use touchdown::image::source::{Compression, Wanted, archive, layout};

use super::archives::{open, packing};
use super::build::{self, Layout, OCI_INDEX, OCI_MANIFEST};
use super::reading::read;

/// What reading an archive of these bytes ends with.
async fn of_archive(bytes: &[u8]) -> Failure {
    match open(bytes, &Wanted::default(), Compression::Gzip).await {
        Err(failure) => failure,
        Ok((_folder, opened)) => read(opened.content()).await.expect_err("it is broken"),
    }
}

fn layers() -> Vec<Vec<u8>> {
    vec![build::layer("app", b"app"), build::layer("big", &build::noise(1, 2_000_000))]
}

fn good() -> Layout {
    let mut made = Layout::default();
    let image = made.image("linux/amd64", &layers());
    made.name(image, None);
    made
}

/// A saved image with one of its files changed.
fn saved_with(change: impl Fn(&mut Vec<(String, Vec<u8>)>)) -> Vec<u8> {
    let mut files = build::saved("linux/amd64", &layers());
    change(&mut files);
    build::archive(&files)
}

fn listed(files: &[(String, Vec<u8>)]) -> usize {
    files.iter().position(|(name, _)| name == "manifest.json").unwrap()
}

/// A tar with one entry made by hand.
fn entry(name: &str, sort: tar::EntryType, link: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(sort);
    header.set_size(0);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(build::archive(&build::saved("linux/amd64", &layers())));
    bytes
}

#[tokio::test]
async fn archives_with_tricks_in_their_names_are_refused_whatever_else_is_in_them() {
    use tar::EntryType::{Link, Regular, Symlink};
    for (name, sort, link) in [
        ("../evil", Regular, ""),
        ("a/../../evil", Regular, ""),
        ("a/../b", Regular, ""),
        ("/etc/passwd", Regular, ""),
        ("a", Symlink, "/etc/passwd"),
        ("a", Symlink, "../x"),
        ("a/b", Symlink, "../../x"),
        ("a", Link, "../x"),
        ("a", Link, "/x"),
    ] {
        let failure = of_archive(&entry(name, sort, link)).await;
        assert!(failure.to_string().contains("leads out of the archive"), "{name} {link}: {failure}");
    }
    // A link that stays inside and that nobody needs harms nobody.
    let (_folder, _) = open(&entry("a/b", Symlink, "../nowhere"), &Wanted::default(), Compression::Gzip).await.unwrap();
}

#[tokio::test]
async fn links_in_a_ring_end() {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, target) in [("manifest.json", "b"), ("b", "manifest.json")] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, name, target).unwrap();
    }
    let failure = of_archive(&builder.into_inner().unwrap()).await;
    assert!(failure.to_string().contains("has no end"), "{failure}");
}

#[tokio::test]
async fn an_archive_cut_short_anywhere_is_noticed() {
    let saved = build::archive(&build::saved("linux/amd64", &layers()));
    let oci = good().tar();
    for plain in [saved, oci] {
        let (gzip, zstd) = (build::gzip(&plain), build::zstd(&plain));
        for (whole, step) in [(&plain, 150_003), (&gzip, 90_011), (&zstd, 90_011)] {
            let mut cut = 0;
            while cut < whole.len() {
                let failure = of_archive(&whole[..cut]).await;
                let words = ["cut short", "broken", "holds no image", "not whole"];
                assert!(words.iter().any(|word| failure.to_string().contains(word)), "{cut} of {}: {failure}", whole.len());
                cut += step;
            }
        }
        // The padding at the end and the empty blocks are nobody's content.
        let end = plain.len() - 1024;
        assert!(open(&plain[..end], &Wanted::default(), Compression::Gzip).await.is_ok());
    }
}

#[tokio::test]
async fn files_that_are_no_archives_say_what_they_are() {
    for (bytes, word) in [
        (Vec::new(), "holds no image"),
        (b"hello".to_vec(), "cut short"),
        (build::noise(1, 5000), "is no entry"),
        (build::archive(&[("hello".to_owned(), b"x".to_vec())]), "holds no image"),
        (build::gzip(b"hello"), "cut short"),
        ([&[0xfd][..], b"7zXZ\0", &[0; 600]].concat(), "compressed with xz"),
        (b"BZh91AY&SY".to_vec(), "compressed with bzip2"),
        (b"PK\x03\x04xxxxxx".to_vec(), "compressed with zip"),
        ([build::gzip(&good().tar()), b"something that trails".to_vec()].concat(), "broken"),
    ] {
        let failure = of_archive(&bytes).await;
        assert!(failure.to_string().contains(word), "{word}: {failure}");
        assert!(!failure.fix.is_empty() && failure.why.last().unwrap().contains("in the archive "), "{failure}");
    }
}

#[tokio::test]
async fn saved_images_that_contradict_themselves_are_refused() {
    let other = build::layer("app", b"another");
    let deep = serde_json::to_vec(&json!([{ "Config": "../x", "Layers": [] }])).unwrap();
    for (bytes, word) in [
        (saved_with(|files| files[0].1.clone_from(&other)), "where its configuration names"),
        (saved_with(|files| files[1].1 = build::gzip(&build::noise(9, 100))), "where its configuration names"),
        (saved_with(|files| files[1].1 = build::gzip(&layers()[1])[..9000].to_vec()), "cut short"),
        (saved_with(|files| drop(files.remove(0))), "is named and not in it"),
        (saved_with(|files| drop(files.remove(2))), "is named and not in it"),
        (saved_with(|files| files[2].1.push(b' ')), "its configuration is called"),
        (saved_with(|files| files.push(("manifest.json".to_owned(), b"[]".to_vec()))), "is in it twice"),
        (
            saved_with(|files| {
                let at = listed(files);
                files[at].1 = b"[]".to_vec()
            }),
            "does not hold exactly one image",
        ),
        (
            saved_with(|files| {
                let at = listed(files);
                files[at].1 = b"{".to_vec()
            }),
            "manifest.json cannot be read",
        ),
        (
            saved_with(|files| {
                let at = listed(files);
                files[at].1.clone_from(&deep)
            }),
            "is named and not in it",
        ),
        (
            saved_with(|files| {
                let at = listed(files);
                files[at].1 = vec![b' '; 5 << 20]
            }),
            "where at most",
        ),
    ] {
        let failure = of_archive(&bytes).await;
        assert!(failure.to_string().contains(word), "{word}: {failure}");
    }
    let mut two = build::saved("linux/amd64", &layers());
    let at = listed(&two);
    let mut entries: Value = serde_json::from_slice(&two[at].1).unwrap();
    let mut second = entries[0].clone();
    second["Config"] = json!("other.json");
    second["RepoTags"] = json!(["api:ci"]);
    entries.as_array_mut().unwrap().push(second);
    two[at].1 = entries.to_string().into_bytes();
    let failure = of_archive(&build::archive(&two)).await;
    assert!(failure.to_string().contains("it holds web:ci, api:ci"), "{failure}");
}

#[tokio::test]
async fn layouts_that_contradict_themselves_are_refused() {
    let with = |change: &dyn Fn(&mut Layout)| {
        let mut made = good();
        change(&mut made);
        made.tar()
    };
    let top = |value: Value| with(&|made: &mut Layout| made.top = vec![value.clone()]);
    let manifest = good().top[0].clone();
    let resized = |by: i64| {
        let mut changed = manifest.clone();
        changed["size"] = json!(changed["size"].as_i64().unwrap() + by);
        changed
    };
    let largest = |made: &Layout| made.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
    for (bytes, word) in [
        (with(&|made| drop(made.blobs.remove(&largest(made)))), "is named and not there"),
        (with(&|made| made.blobs.get_mut(&largest(made)).unwrap().truncate(1000)), "has 1000 bytes where"),
        (with(&|made| made.blobs.get_mut(&largest(made)).unwrap()[500] ^= 1), "is not what its digest says"),
        (with(&|made| made.blobs.get_mut(made.top[0]["digest"].as_str().unwrap()).unwrap()[0] = b' '), "is not what its digest says"),
        (top(resized(1)), "bytes where"),
        (top(json!({ "mediaType": OCI_INDEX, "digest": manifest["digest"], "size": manifest["size"] })), "delivered as"),
        (top(json!({ "mediaType": OCI_MANIFEST, "digest": "sha256:../../x", "size": 1 })), "index.json cannot be read"),
        (with(&|made| made.top.clear()), "it holds no image"),
        (
            with(&|made| made.top.push(json!({ "mediaType": OCI_MANIFEST, "digest": format!("sha256:{}", "0".repeat(64)), "size": 1 }))),
            "2 images without names",
        ),
    ] {
        let failure = of_archive(&bytes).await;
        assert!(failure.to_string().contains(word), "{word}: {failure}");
    }
    let mut files = good().files();
    files[0].1 = b"{\"imageLayoutVersion\":\"2.0.0\"}".to_vec();
    assert!(of_archive(&build::archive(&files)).await.to_string().contains("only 1 is known"));
}

#[tokio::test]
async fn an_index_whose_platforms_are_not_all_there_says_how_to_take_one() {
    let mut made = Layout::default();
    let amd = made.image("linux/amd64", &[build::layer("app", b"amd64")]);
    let arm = json!({ "mediaType": OCI_MANIFEST, "digest": format!("sha256:{}", "0".repeat(64)), "size": 500 });
    let index = made.index(&[("linux/amd64", amd), ("linux/arm64", arm)]);
    made.name(index, None);
    let failure = of_archive(&made.tar()).await;
    assert!(failure.to_string().contains("this is linux/arm64") && failure.to_string().contains("choose one with platform"), "{failure}");
    let wanted =
        Wanted { tag: None, platform: Some(touchdown::image::content::Platform::parse("linux/amd64").unwrap()), ..Wanted::default() };
    assert!(open(&made.tar(), &wanted, Compression::Gzip).await.is_ok());
}

#[tokio::test]
async fn indexes_without_end_are_refused() {
    let mut made = Layout::default();
    let mut inner = made.image("linux/amd64", &[build::layer("app", b"x")]);
    for _ in 0..6 {
        inner = made.index(&[("linux/amd64", inner)]);
    }
    made.name(inner, None);
    assert!(of_archive(&made.tar()).await.to_string().contains("nested too deeply"));
}

#[tokio::test]
async fn bombs_go_off_nowhere() {
    // Half a gigabyte of nothing, in some kilobytes of zstd.
    let much = zstd::stream::encode_all(std::io::Read::take(std::io::repeat(0), 512 << 20), 1).unwrap();
    assert!(much.len() < 1 << 20);
    let failure = of_archive(&much).await;
    // It is no archive either; but one whose first entry is that long is not expanded to its end.
    assert!(failure.to_string().contains("more than 200 times"), "{failure}");
    let files = saved_with(|files| files[0].1.clone_from(&much));
    let failure = of_archive(&files).await;
    assert!(failure.to_string().contains("more than 200 times"), "{failure}");
    // A window that needs more memory than all of us have.
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.set_parameter(zstd::zstd_safe::CParameter::WindowLog(27)).unwrap();
    std::io::copy(&mut &build::archive(&build::saved("linux/amd64", &layers()))[..], &mut encoder).unwrap();
    let failure = of_archive(&encoder.finish().unwrap()).await;
    assert!(failure.to_string().contains("too much memory"), "{failure}");
    // An extension as long as the file, and an entry longer than anything.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::XHeader);
    header.set_size(1 << 20);
    header.set_cksum();
    let extension = [&header.as_bytes()[..], &vec![b'0'; 1 << 20]].concat();
    assert!(of_archive(&extension).await.to_string().contains("an extension of 1048576 bytes"));
    let mut header = tar::Header::new_gnu();
    header.set_size(u64::MAX);
    header.set_cksum();
    assert!(of_archive(header.as_bytes()).await.to_string().contains("claims"));
}

#[tokio::test]
async fn sources_that_are_not_there_or_something_else_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let packing = packing(folder.path(), Compression::Gzip);
    let (absent, file) = (folder.path().join("absent"), folder.path().join("file"));
    std::fs::write(&file, "x").unwrap();
    let archive = |path: std::path::PathBuf| {
        let packing = packing.clone();
        async move { archive::open(&path, &Wanted::default(), &packing).await.err().unwrap().to_string() }
    };
    let layout = |path: std::path::PathBuf| async move { layout::open(&path, &Wanted::default()).await.err().unwrap().to_string() };
    assert!(archive(absent.clone()).await.contains("there is no file"));
    assert!(archive(folder.path().to_owned()).await.contains("write oci:"));
    assert!(archive("/dev/zero".into()).await.contains("no regular file"));
    assert!(layout(absent).await.contains("there is no folder"));
    assert!(layout(file).await.contains("write archive:"));
    assert!(layout(folder.path().to_owned()).await.contains("holds no OCI layout"));
}

#[tokio::test]
async fn a_layout_whose_links_lead_out_of_it_is_refused() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let made = good();
    made.write(folder.path());
    let digest = made.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.replace(':', "/");
    let blob = folder.path().join("blobs").join(&digest);
    let moved = elsewhere.path().join("blob");
    std::fs::rename(&blob, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &blob).unwrap();
    let failure = layout::open(folder.path(), &Wanted::default()).await.err().unwrap();
    assert!(failure.to_string().contains("leads out of the folder"), "{failure}");
    // Links within it are the folder's own business.
    std::fs::remove_file(&blob).unwrap();
    std::fs::rename(&moved, folder.path().join("kept")).unwrap();
    std::os::unix::fs::symlink("../../kept", &blob).unwrap();
    assert!(layout::open(folder.path(), &Wanted::default()).await.is_ok());
}

#[tokio::test]
async fn an_image_that_shrinks_while_it_is_read_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let made = good();
    made.write(folder.path());
    let opened = layout::open(folder.path(), &Wanted::default()).await.unwrap();
    let digest = made.blobs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap().0.replace(':', "/");
    std::fs::write(folder.path().join("blobs").join(digest), "x").unwrap();
    let failure = read(&opened).await.unwrap_err();
    assert!(failure.to_string().contains("became shorter while it was read"), "{failure}");
}

#[tokio::test]
async fn what_is_no_image_tells_no_platform() {
    let mut made = Layout::default();
    let config = made.blob("application/vnd.cncf.helm.config.v1+json", b"{\"name\":\"chart\"}".to_vec());
    let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [] });
    let chart = made.blob(OCI_MANIFEST, manifest.to_string().into_bytes());
    made.name(chart, None);
    let (_folder, opened) = open(&made.tar(), &Wanted::default(), Compression::Gzip).await.unwrap();
    assert!(opened.platforms().is_empty());
}
