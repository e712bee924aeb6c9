//! Readers of foreign bytes: whatever is changed in an archive or a layout, they end, and what they hand on is what its digest says.

use proptest::prelude::*;
use proptest::sample::Index;

use touchdown::failure::Failure;
use touchdown::image::content::Platform;
use touchdown::image::source::{Compression, Wanted, layout};

use super::archives;
use super::build::{self, Layout, OCI_INDEX};
use super::reading::{Read, read};

/// A change of some bytes.
#[derive(Debug, Clone)]
enum Change {
    Flip(Index, u8),
    Cut(Index),
    Remove(Index, usize),
    Repeat(Index, usize),
    Put(Index, Vec<u8>),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Flip(at, with) => {
                let at = at.index(bytes.len());
                bytes[at] ^= with;
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Remove(at, many) => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + many).min(bytes.len()));
            }
            Self::Repeat(at, many) => {
                let at = at.index(bytes.len());
                let piece = bytes[at..(at + many).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            Self::Put(at, piece) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = any::<Index>;
    let change = prop_oneof![
        4 => (at(), 1u8..).prop_map(|(at, with)| Change::Flip(at, with)),
        1 => at().prop_map(Change::Cut),
        1 => (at(), 1usize..1500).prop_map(|(at, many)| Change::Remove(at, many)),
        1 => (at(), 1usize..1500).prop_map(|(at, many)| Change::Repeat(at, many)),
        2 => (at(), prop_oneof!["[0-9]{1,3}", "\\{\\}", "\\[\\]", "null", "\"", "\\.\\./", "sha256:", "-1", "99999999999999999999"]).prop_map(|(at, text)| Change::Put(at, text.into_bytes())),
    ];
    proptest::collection::vec(change, 1..4)
}

fn layers() -> Vec<Vec<u8>> {
    vec![build::layer("app", b"app"), build::layer("etc/app.conf", &build::noise(1, 2000))]
}

/// A layout of two platforms, an archive of `docker save`, and one with every sort of entry.
fn archives() -> Vec<Vec<u8>> {
    let mut made = Layout::default();
    let images = [("linux/amd64", made.image("linux/amd64", &layers())), ("linux/arm64", made.image("linux/arm64", &layers()))];
    let index = made.index(&images);
    made.name(index, Some("ci"));
    let saved = build::saved("linux/amd64", &layers());
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions([("comment", b"c".as_slice()), ("mtime", b"1.5")]).unwrap();
    for (index, (name, content)) in saved.iter().enumerate() {
        let long = format!("{}/{name}", "d".repeat(120));
        let kept = if index == 0 { &long } else { name };
        build::append(&mut builder, kept, content);
        if index == 0 {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, name, format!("../{long}")).unwrap();
        }
    }
    vec![made.tar(), build::archive(&saved), builder.into_inner().unwrap()]
}

async fn of_archive(bytes: &[u8], compression: Compression) -> Result<Read, Failure> {
    let (_folder, opened) = archives::open(bytes, &Wanted::default(), compression).await?;
    read(opened.content()).await
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[tokio::test]
async fn the_archives_to_be_changed_are_sound() {
    for bytes in archives() {
        of_archive(&bytes, Compression::Gzip).await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_changed_archive_ends_in_a_failure_or_in_an_image_that_is_what_it_says(which in 0usize..3, changes in changes(), wrapped in any::<bool>()) {
        let mut bytes = archives().swap_remove(which);
        changes.iter().for_each(|change| change.apply(&mut bytes));
        let bytes = if wrapped { build::zstd(&bytes) } else { bytes };
        if let Err(failure) = runtime().block_on(of_archive(&bytes, Compression::Zstd)) {
            prop_assert!(failure.to_string().len() < 3000, "{}", failure);
        }
    }

    #[test]
    fn a_changed_wrapping_ends_too(which in 0usize..3, changes in changes(), gzip in any::<bool>()) {
        let plain = archives().swap_remove(which);
        let mut bytes = if gzip { build::gzip(&plain) } else { build::zstd(&plain) };
        changes.iter().for_each(|change| change.apply(&mut bytes));
        let _ = runtime().block_on(of_archive(&bytes, Compression::Gzip));
    }

    /// The changed manifest gets its right digest, so that its content is what is read.
    #[test]
    fn a_changed_index_manifest_or_configuration_ends_too(which in 0usize..4, changes in changes(), asked in prop_oneof![Just(None), Just(Some("linux/amd64")), Just(Some("linux/arm64"))]) {
        let mut made = Layout::default();
        let image = made.image("linux/amd64", &layers());
        let mut bytes = made.blobs[image["digest"].as_str().unwrap()].clone();
        let top = match which {
            0 => {
                changes.iter().for_each(|change| change.apply(&mut bytes));
                made.blob(build::OCI_MANIFEST, bytes)
            }
            1 => {
                let index = made.index(&[("linux/amd64", image)]);
                let mut bytes = made.blobs[index["digest"].as_str().unwrap()].clone();
                changes.iter().for_each(|change| change.apply(&mut bytes));
                made.blob(OCI_INDEX, bytes)
            }
            2 => {
                let mut config = build::configuration("linux/amd64", &layers()).to_string().into_bytes();
                changes.iter().for_each(|change| change.apply(&mut config));
                let config = made.blob(build::OCI_CONFIG, config);
                let manifest = serde_json::json!({ "schemaVersion": 2, "config": config, "layers": [] });
                made.blob(build::OCI_MANIFEST, manifest.to_string().into_bytes())
            }
            _ => image,
        };
        made.name(top, None);
        let folder = tempfile::tempdir().unwrap();
        made.write(folder.path());
        if which == 3 {
            let file = folder.path().join("index.json");
            let mut bytes = std::fs::read(&file).unwrap();
            changes.iter().for_each(|change| change.apply(&mut bytes));
            std::fs::write(file, bytes).unwrap();
        }
        let wanted = Wanted { tag: None, platform: asked.map(|text| Platform::parse(text).unwrap()), ..Wanted::default() };
        let ended = runtime().block_on(async { read(&layout::open(folder.path(), &wanted).await?).await });
        if let Err(failure) = ended {
            prop_assert!(failure.to_string().len() < 3000, "{}", failure);
        }
    }

    #[test]
    fn any_bytes_are_no_archive(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(runtime().block_on(of_archive(&bytes, Compression::Gzip)).is_err());
    }
}
