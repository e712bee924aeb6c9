//! What in a layout refers to its image: manifests that say so, those on the list that stands under the image's tag scheme, and cosign's tags.

use crate::failure::Result;
use crate::image::content::{Descriptor, Part, cosign_tags_of, tag_of};
use crate::image::source::{About, Image};
use crate::values::Digest;

use super::{Tree, is_called};

/// Signatures can be signed: so deep.
const DEPTH: usize = 3;

/// What of `entries` is about `image`.
pub(super) fn of(tree: &Tree<'_>, entries: &[Descriptor], image: &Image) -> Result<Vec<About>> {
    let own = image.parts.iter().filter_map(|part| match part {
        Part::Manifest(manifest) => Some(manifest.descriptor.digest.clone()),
        Part::Blob(_) => None,
    });
    let (mut found, mut subjects): (Vec<About>, Vec<Digest>) = (Vec::new(), own.collect());
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for subject in &subjects {
            for descriptor in referrers(tree, entries, subject)? {
                if found.iter().all(|known| known.image.root.descriptor.digest != descriptor.digest) {
                    next.push(descriptor.digest.clone());
                    found.push(About { subject: subject.clone(), tag: None, image: tree.image(tree.load(&descriptor)?)? });
                }
            }
            for tag in cosign_tags_of(subject) {
                if let Some(descriptor) = entries.iter().find(|entry| is_called(entry, &tag)) {
                    found.push(About { subject: subject.clone(), tag: Some(tag), image: tree.image(tree.load(descriptor)?)? });
                }
            }
        }
        subjects = next;
    }
    Ok(found)
}

/// The manifests that say that they are about `subject`, at the top or on its list.
fn referrers(tree: &Tree<'_>, entries: &[Descriptor], subject: &Digest) -> Result<Vec<Descriptor>> {
    let (list, mut found) = (tag_of(subject), Vec::new());
    for entry in entries {
        let reading = tree.load(entry)?;
        if is_called(entry, &list) {
            found.extend(reading.children);
        } else if reading.subject.is_some_and(|about| about.digest == *subject) {
            found.push(entry.clone());
        }
    }
    Ok(found)
}
