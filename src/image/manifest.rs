//! Reads manifests and indexes: which blobs and which further manifests they name. The bytes stay as their maker made them.
//! <https://github.com/opencontainers/image-spec/blob/main/manifest.md> (2026-11)

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use crate::failure::{Failure, Kind, Result, cut};
use crate::values::Digest;

use super::content::{Descriptor, Manifest};
use super::hashing::digest_of;

/// The largest manifest; registries take no larger ones.
pub const LARGEST: usize = 4 * 1024 * 1024;
/// The most things one manifest may name.
const MOST: usize = 1000;

/// An index of manifests, as OCI and as Docker name it.
pub const INDEXES: [&str; 2] = ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
/// A manifest of one image.
pub const MANIFESTS: [&str; 2] = ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];

/// What a manifest or an index says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// As it is pushed.
    pub manifest: Manifest,
    /// The blobs it names, each once, its configuration first; layers that may not be distributed are left out, as everybody does.
    pub blobs: Vec<Descriptor>,
    /// The manifests it names, each once.
    pub children: Vec<Descriptor>,
    /// The manifest it is about: of a signature or an SBOM.
    pub subject: Option<Descriptor>,
    /// What its maker says of it.
    pub annotations: BTreeMap<String, String>,
}

/// Reads `bytes`; `told` is the media type that whoever delivered them told.
pub fn read(bytes: Bytes, told: Option<&str>) -> Result<Reading> {
    if bytes.len() > LARGEST {
        return Err(unreadable(format!("it has {} bytes, more than any registry takes", bytes.len())));
    }
    let wire: Wire = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    let media_type = wire.media_type(told)?;
    let children = each_once(wire.manifests.unwrap_or_default())?;
    let layers = wire.layers.unwrap_or_default().into_iter().filter(|layer| may_be_distributed(&layer.media_type));
    let blobs = each_once(wire.config.into_iter().chain(layers).collect())?;
    let digests = |of: &[Descriptor]| of.iter().map(|one| one.digest.clone()).collect::<Vec<Digest>>();
    let descriptor =
        Descriptor { media_type, digest: digest_of(&bytes)?, size: bytes.len() as u64, platform: None, annotations: BTreeMap::new() };
    let manifest = Manifest { descriptor, bytes, children: digests(&children), blobs: digests(&blobs) };
    Ok(Reading { manifest, blobs, children, subject: wire.subject, annotations: wire.annotations.unwrap_or_default() })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    schema_version: u32,
    media_type: Option<String>,
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Wire {
    /// The one type on which everybody agrees: what was told, what stands in it, and what it looks like.
    /// One that could be read as two kinds is refused: <https://github.com/advisories/GHSA-77vh-xpmg-72qh> (2026-11)
    fn media_type(&self, told: Option<&str>) -> Result<String> {
        if self.schema_version != 2 {
            return Err(unreadable(format!("its schema version is {}, and only 2 is known", self.schema_version)));
        }
        let told = told.map(|told| told.split(';').next().unwrap_or_default().trim()).filter(|told| !told.is_empty() && !is_vague(told));
        let own = self.media_type.as_deref();
        if let (Some(told), Some(own)) = (told, own)
            && told != own
        {
            return Err(unreadable(format!("it was delivered as {told:?} and calls itself {own:?}")));
        }
        let (index, image) = (self.manifests.is_some(), self.config.is_some() || self.layers.is_some());
        let [known, looks] = match (index, image) {
            (true, false) => [INDEXES, INDEXES],
            (false, true) => [MANIFESTS, MANIFESTS],
            _ => return Err(unreadable("it is neither an image nor an index, or both".to_owned())),
        };
        let named = own.or(told).unwrap_or(looks[0]);
        if known.contains(&named) {
            Ok(named.to_owned())
        } else {
            Err(unreadable(format!("its type {named:?} does not fit what it holds")))
        }
    }
}

/// Types that servers give to everything.
fn is_vague(told: &str) -> bool {
    matches!(told, "application/json" | "application/octet-stream" | "text/plain")
}

fn may_be_distributed(media_type: &str) -> bool {
    !media_type.contains(".nondistributable.") && !media_type.contains(".rootfs.foreign.")
}

fn each_once(named: Vec<Descriptor>) -> Result<Vec<Descriptor>> {
    if named.len() > MOST {
        return Err(unreadable(format!("it names {} things", named.len())));
    }
    let mut once: Vec<Descriptor> = Vec::with_capacity(named.len());
    for descriptor in named {
        match once.iter().find(|known| known.digest == descriptor.digest) {
            Some(known) if known.size != descriptor.size => {
                return Err(unreadable(format!("it gives {} two sizes", descriptor.digest)));
            }
            Some(_) => {}
            None => once.push(descriptor),
        }
    }
    Ok(once)
}

fn unreadable(mut why: String) -> Failure {
    cut(&mut why, 300);
    Failure::new(Kind::Config, "the manifest cannot be read").why(why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn of(value: &Value, told: Option<&str>) -> Result<Reading> {
        read(Bytes::from(value.to_string()), told)
    }

    fn blob(digit: char, size: u64) -> Value {
        json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": format!("sha256:{}", digit.to_string().repeat(64)), "size": size })
    }

    #[test]
    fn a_manifest_names_its_blobs_once_and_keeps_its_bytes() {
        let mut foreign = blob('f', 5);
        foreign["mediaType"] = json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
        let value = json!({ "schemaVersion": 2, "config": blob('a', 1), "layers": [blob('b', 2), blob('b', 2), foreign, blob('c', 3)] });
        let reading = of(&value, None).unwrap();
        assert_eq!(reading.blobs.iter().map(|blob| blob.size).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(reading.manifest.bytes, value.to_string());
        assert_eq!(reading.manifest.descriptor.media_type, MANIFESTS[0]);
        assert_eq!(reading.manifest.descriptor.digest, digest_of(value.to_string().as_bytes()).unwrap());
    }

    #[test]
    fn an_index_names_manifests_and_docker_s_own_types_are_kept() {
        let value = json!({ "schemaVersion": 2, "mediaType": INDEXES[1], "manifests": [blob('a', 1), blob('b', 2)] });
        let reading = of(&value, Some(&format!("{}; charset=utf-8", INDEXES[1]))).unwrap();
        assert_eq!((reading.children.len(), reading.blobs.len()), (2, 0));
        assert_eq!(reading.manifest.descriptor.media_type, INDEXES[1]);
        assert_eq!(of(&value, Some("application/json")).unwrap(), reading);
    }

    #[test]
    fn what_can_be_read_in_two_ways_or_in_none_is_refused() {
        let image = json!({ "schemaVersion": 2, "config": blob('a', 1), "layers": [] });
        let with = |key: &str, value: Value| {
            let mut changed = image.clone();
            changed[key] = value;
            changed
        };
        for (value, told) in [
            (with("manifests", json!([blob('b', 1)])), None),
            (with("schemaVersion", json!(1)), None),
            (with("mediaType", json!(INDEXES[0])), None),
            (image.clone(), Some(INDEXES[0])),
            (with("mediaType", json!(MANIFESTS[0])), Some(MANIFESTS[1])),
            (with("layers", json!([blob('a', 2)])), None),
            (with("layers", json!([{ "mediaType": "x", "digest": "sha512:00", "size": 1 }])), None),
            (with("layers", json!([{ "mediaType": "x", "digest": format!("sha256:{}", "0".repeat(64)), "size": -1 }])), None),
            (json!({ "schemaVersion": 2 }), None),
            (json!([]), None),
        ] {
            assert_eq!(of(&value, told).unwrap_err().kind, Kind::Config, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..300), told in ".{0,40}") {
            let _ = read(Bytes::from(bytes), Some(&told));
        }

        #[test]
        fn whatever_is_read_names_itself_rightly(sizes in proptest::collection::vec(0u64..u64::MAX, 0..8), digit in "[0-9a-f]") {
            let layers: Vec<Value> = sizes.iter().map(|size| blob(digit.chars().next().unwrap(), *size)).collect();
            let value = json!({ "schemaVersion": 2, "config": blob('a', 1), "layers": layers });
            if let Ok(reading) = of(&value, None) {
                prop_assert_eq!(reading.manifest.descriptor.digest, digest_of(&reading.manifest.bytes).unwrap());
                prop_assert!(reading.blobs.len() <= 2);
            }
        }
    }
}
