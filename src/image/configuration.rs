//! What an image says of itself: its configuration (platform, layers, labels), and the few labels and annotations that tell its origin.
//! <https://github.com/opencontainers/image-spec/blob/main/config.md>, <https://github.com/opencontainers/image-spec/blob/main/annotations.md> (2026-11)

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::failure::{Failure, Result, cut};
use crate::values::Digest;

use super::content::Platform;

/// The largest configuration that is read.
pub const LARGEST: usize = 8 * 1024 * 1024;
/// The longest text of a label that is kept, in bytes.
const LONGEST: usize = 500;

/// The configuration of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// What it runs on.
    pub platform: Platform,
    /// The digests of its layers, uncompressed, from the lowest up.
    pub layers: Vec<Digest>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Where an image comes from, as its maker says: foreign text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The commit.
    pub revision: Option<String>,
    /// The repository's address.
    pub source: Option<String>,
    /// When it was built.
    pub created: Option<String>,
    /// Its version.
    pub version: Option<String>,
}

impl Configuration {
    /// Reads a configuration as Docker and OCI write it.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let wrong = |mut why: String| {
            cut(&mut why, 300);
            Failure::config("the image's configuration cannot be read").why(why)
        };
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        let platform =
            Platform { os: wire.os, architecture: wire.architecture, variant: wire.variant.filter(|variant| !variant.is_empty()) };
        let layers = wire.rootfs.unwrap_or_default().diff_ids.unwrap_or_default();
        let labels = wire.config.unwrap_or_default().labels.unwrap_or_default();
        Ok(Self { platform, layers, labels })
    }
}

impl Origin {
    /// What `sayings` tell, the earlier before the later: annotations belong to this very image, labels may be those of the image it was built upon.
    pub fn of(sayings: &[&BTreeMap<String, String>]) -> Self {
        let said = |name: &str| {
            let key = format!("org.opencontainers.image.{name}");
            let mut text = sayings.iter().find_map(|saying| saying.get(&key).filter(|text| !text.is_empty()))?.clone();
            cut(&mut text, LONGEST);
            Some(text)
        };
        Self { revision: said("revision"), source: said("source"), created: said("created"), version: said("version") }
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
    rootfs: Option<RootFs>,
    config: Option<Run>,
}

#[derive(Default, Deserialize)]
struct RootFs {
    diff_ids: Option<Vec<Digest>>,
}

#[derive(Default, Deserialize)]
struct Run {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_tells_platform_layers_and_labels_and_may_lack_any() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let whole = serde_json::json!({
            "architecture": "arm64", "os": "linux", "variant": "v8", "rootfs": { "type": "layers", "diff_ids": [digest] },
            "config": { "Labels": { "a": "b" } },
        });
        let read = Configuration::read(whole.to_string().as_bytes()).unwrap();
        assert_eq!((read.platform.to_string().as_str(), read.layers.len()), ("linux/arm64/v8", 1));
        assert_eq!(read.labels["a"], "b");
        for bare in ["{}", r#"{"config":null,"rootfs":null}"#, r#"{"config":{"Labels":null},"rootfs":{"diff_ids":null},"variant":""}"#] {
            let read = Configuration::read(bare.as_bytes()).unwrap();
            assert!(!read.platform.is_known() && read.platform.variant.is_none() && read.layers.is_empty(), "{bare}");
        }
        for broken in ["", "[]", r#"{"rootfs":{"diff_ids":["md5:1"]}}"#, r#"{"config":{"Labels":{"a":1}}}"#] {
            assert!(Configuration::read(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn an_annotation_is_believed_before_a_label_and_neither_may_be_long() {
        let saying = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, text)| (format!("org.opencontainers.image.{name}"), (*text).to_owned())).collect()
        };
        let long = "x".repeat(2000);
        let annotations = saying(&[("revision", "abc"), ("source", "")]);
        let labels = saying(&[("revision", "of the base image"), ("source", "https://example.com"), ("version", &long)]);
        let origin = Origin::of(&[&annotations, &labels]);
        assert_eq!(origin.revision.as_deref(), Some("abc"));
        assert_eq!(origin.source.as_deref(), Some("https://example.com"));
        assert_eq!(origin.created, None);
        assert_eq!(origin.version.unwrap().len(), LONGEST);
    }
}
