//! Manifests, the tags that mean them, and what is about them. ECR looks that everything a manifest names is there, and keeps tags that may not move.

use serde_json::{Value, json};

use crate::simulator::ecr::Repository;
use crate::simulator::wire::{Outcome, Refusal, Reply};
use crate::simulator::world::{ACCOUNT, State};

use super::Ask;
use super::image::{self, Contents, INDEX, Image};

/// GET and HEAD.
pub(super) fn read(state: &mut State, ask: &Ask<'_>, name: &str, reference: &str) -> Outcome<Reply> {
    let repository = ask.repository(state, name)?;
    let digest = if reference.contains(':') { Some(reference.to_owned()) } else { repository.tags.get(checked_tag(reference)?).cloned() };
    let found = digest.and_then(|digest| repository.images.get(&digest).map(|image| (digest, image)));
    // Where only a test's word has put a digest, it can be looked up and not be read.
    let found = found.filter(|(_, image)| !image.bytes.is_empty() || ask.call.method == "HEAD");
    let (digest, image) = found.ok_or_else(|| Refusal::new("MANIFEST_UNKNOWN", "Requested image not found").status(404))?;
    Ok(Reply::new(200, &image.media_type, image.bytes.clone()).with("docker-content-digest", digest))
}

/// PUT.
pub(super) fn write(state: &mut State, ask: &Ask<'_>, (name, reference): (&str, &str), digest: &str) -> Outcome<Reply> {
    let (now, body) = (state.platform.now, ask.call.body.clone());
    let repository = ask.repository(state, name)?;
    let media_type = ask.call.header("content-type").split(';').next().unwrap_or_default().trim().to_owned();
    let contents = image::contents(&media_type, &body).map_err(|why| {
        Refusal::new("UNSUPPORTED", format!("Invalid parameter at 'ImageManifest' failed to satisfy constraint: {why}")).status(405)
    })?;
    let tag = if reference.contains(':') { None } else { Some(checked_tag(reference)?) };
    if tag.is_none() && reference != digest {
        let message = format!(
            "The image with digest '{reference}' in repository '{name}' and registry ID '{ACCOUNT}' does not match the image digest that Amazon ECR has calculated."
        );
        return Err(Refusal::new("MANIFEST_INVALID", message));
    }
    whole(repository, &contents)?;
    if let Some(tag) = tag {
        // Even where it means this very image: containers-roadmap#2380, buildkit#3776 (2026-11).
        if repository.tags.contains_key(tag) && repository.is_immutable(tag) {
            let message = format!(
                "The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the repository is immutable."
            );
            return Err(Refusal::new("TAG_INVALID", message));
        }
        repository.tags.insert(tag.to_owned(), digest.to_owned());
    }
    let subject = contents.subject.clone();
    keep(repository, digest, |repository| {
        made(repository, contents, Image { media_type, bytes: body, pushed_at: now, ..Image::default() })
    });
    let location = ask.link(&format!("/v2/{name}/manifests/{digest}"));
    let reply = Reply::new(201, "text/plain; charset=utf-8", "").with("location", location).with("docker-content-digest", digest);
    Ok(match subject {
        Some(subject) => reply.with("oci-subject", subject),
        None => reply,
    })
}

fn keep(repository: &mut Repository, digest: &str, image: impl FnOnce(&Repository) -> Image) {
    repository.complete = true;
    if repository.images.get(digest).is_none_or(|known| known.bytes.is_empty()) {
        let image = image(repository);
        repository.images.insert(digest.to_owned(), image);
    }
}

/// The image; a list is as large as the largest of those in it.
fn made(repository: &Repository, contents: Contents, image: Image) -> Image {
    let largest = contents.children.iter().filter_map(|child| repository.images.get(child)).map(|image| image.size).max();
    let Contents { artifact_type, blobs, subject, size, .. } = contents;
    Image { artifact_type, blobs, subject, size: largest.unwrap_or(size), ..image }
}

/// Everything named must be there. The codes are ECR's: oras-py#54, docker-manifest-create-action#63 (2026-11).
fn whole(repository: &Repository, contents: &Contents) -> Outcome<()> {
    let missing = |what: &str, missing: Vec<&str>| {
        format!(
            "{what} with digests '[{}]' required for pushing image into repository with name '{}' in the registry with id '{ACCOUNT}' do not exist",
            missing.join(", "),
            repository.name
        )
    };
    let blobs: Vec<&str> = contents.blobs.iter().map(String::as_str).filter(|blob| !repository.layers.contains(*blob)).collect();
    if !blobs.is_empty() {
        return Err(Refusal::new("BLOB_UPLOAD_UNKNOWN", missing("Layers", blobs)).status(404));
    }
    let children: Vec<&str> =
        contents.children.iter().map(String::as_str).filter(|child| !repository.images.contains_key(*child)).collect();
    if !children.is_empty() {
        return Err(Refusal::new("MANIFEST_BLOB_UNKNOWN", missing("Images", children)));
    }
    Ok(())
}

fn checked_tag(tag: &str) -> Outcome<&str> {
    let first = tag.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let sound = tag.len() <= 128 && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let message = || format!("Invalid parameter at 'imageTag' failed to satisfy constraint: '{tag}' is no tag");
    if first && sound { Ok(tag) } else { Err(Refusal::new("TAG_INVALID", message())) }
}

/// GET of the list of tags, in pages where `n` asks for them.
pub(super) fn tags(state: &mut State, ask: &Ask<'_>, name: &str) -> Outcome<Reply> {
    let repository = ask.repository(state, name)?;
    let last = ask.call.query.get("last").cloned().unwrap_or_default();
    let most = ask.call.query.get("n").and_then(|most| most.parse().ok()).unwrap_or(usize::MAX);
    let after: Vec<&String> = repository.tags.keys().filter(|tag| **tag > last).collect();
    let page: Vec<&String> = after.iter().copied().take(most).collect();
    let reply = Reply::new(200, "application/json; charset=utf-8", json!({ "name": name, "tags": page }).to_string());
    Ok(match page.last() {
        Some(end) if page.len() < after.len() => {
            let next = ask.link(&format!("/v2/{name}/tags/list?n={most}&last={end}"));
            reply.with("link", format!("<{next}>; rel=\"next\""))
        }
        _ => reply,
    })
}

/// GET of what is about an image. <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers> (2026-11)
pub(super) fn referrers(state: &mut State, ask: &Ask<'_>, name: &str, digest: &str) -> Outcome<Reply> {
    let wanted = ask.call.query.get("artifactType");
    let repository = ask.repository(state, name)?;
    let about = repository.images.iter().filter(|(_, image)| image.subject.as_deref() == Some(digest));
    let about = about.filter(|(_, image)| wanted.is_none() || image.artifact_type.as_ref() == wanted);
    let listed: Vec<Value> = about.map(|(digest, image)| listed(digest, image)).collect();
    let body = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": listed });
    let reply = Reply::new(200, INDEX, body.to_string());
    Ok(if wanted.is_some() { reply.with("oci-filters-applied", "artifactType") } else { reply })
}

fn listed(digest: &str, image: &Image) -> Value {
    let body: Value = serde_json::from_slice(&image.bytes).unwrap_or_default();
    let mut listed = json!({ "mediaType": image.media_type, "digest": digest, "size": image.bytes.len() });
    let more = [("artifactType", image.artifact_type.clone().map(Value::from)), ("annotations", body.get("annotations").cloned())];
    for (key, value) in more {
        if let Some(value) = value {
            listed[key] = value;
        }
    }
    listed
}
