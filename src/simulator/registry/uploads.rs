//! Uploads: opening one, mounting instead, sending, committing; and what ECR makes of a blob that comes in pieces.

use bytes::Bytes;

use crate::simulator::wire::{Outcome, Refusal, Reply};
use crate::simulator::world::State;

use super::Ask;

/// An upload under way.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    region: String,
    name: String,
    /// The first piece and its digest.
    first: Option<(Bytes, String)>,
}

impl Upload {
    /// Bytes that are kept.
    pub(super) fn size(&self) -> usize {
        self.first.as_ref().map_or(0, |(bytes, _)| bytes.len())
    }
}

/// POST. A mount that does not come about is an upload like any other.
pub(super) fn begin(state: &mut State, ask: &Ask<'_>, name: &str) -> Outcome<Reply> {
    ask.repository(state, name)?;
    let asked = |parameter: &str| ask.call.query.get(parameter).cloned();
    if let (Some(digest), Some(from)) = (asked("mount"), asked("from"))
        && can_be_mounted(state, ask, &digest, &from)
    {
        ask.repository(state, name)?.layers.insert(digest.clone());
        return Ok(arrived(ask, name, &digest));
    }
    let id = state.platform.uuid();
    state.registry.uploads.insert(id.clone(), Upload { region: ask.region.clone(), name: name.to_owned(), first: None });
    Ok(session(ask, 202, name, &id, 0))
}

/// Only where the registry is set so, and only what an image of the other repository names.
/// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html>, containers-roadmap#2860 (2026-11)
fn can_be_mounted(state: &mut State, ask: &Ask<'_>, digest: &str, from: &str) -> bool {
    state.registry.mounting.contains(&ask.region)
        && ask.repository(state, from).is_ok_and(|source| source.images.values().any(|image| image.blobs.iter().any(|one| one == digest)))
}

fn upload<'s>(state: &'s mut State, ask: &Ask<'_>, (name, id): (&str, &str)) -> Outcome<&'s mut Upload> {
    ask.repository(state, name)?;
    let found = state.registry.uploads.get_mut(id).filter(|upload| upload.region == ask.region && upload.name == name);
    found.ok_or_else(|| Refusal::new("BLOB_UPLOAD_UNKNOWN", format!("The upload '{id}' does not exist")).status(404))
}

/// GET.
pub(super) fn look(state: &mut State, ask: &Ask<'_>, name: &str, id: &str) -> Outcome<Reply> {
    let size = upload(state, ask, (name, id))?.size();
    Ok(session(ask, 204, name, id, size))
}

/// PATCH. What comes after the first piece is taken with thanks and forgotten, and the range told stays that of the first; the answer is 201, not 202.
/// (containers-roadmap#2831, tart#273, 2026-11. In a later comment there only the range is wrong and the bytes are kept: no client can tell before the end.)
pub(super) fn patch(state: &mut State, ask: &Ask<'_>, place: (&str, &str), sent: &str) -> Outcome<Reply> {
    let begun = upload(state, ask, place)?.first.is_some();
    if !begun {
        let begins =
            ask.call.header("content-range").trim_start_matches("bytes").trim_start_matches([' ', '=']).split('-').next().unwrap_or("");
        if !matches!(begins, "" | "0") {
            return Err(Refusal::new("BLOB_UPLOAD_INVALID", format!("The upload begins at 0, not at {begins}")).status(416));
        }
        room(state, &ask.call.body)?;
        upload(state, ask, place)?.first = Some((ask.call.body.clone(), sent.to_owned()));
    }
    let size = upload(state, ask, place)?.size();
    Ok(session(ask, 201, place.0, place.1, size))
}

/// PUT: the whole blob, or the end of one that came before.
pub(super) fn commit(state: &mut State, ask: &Ask<'_>, place: (&str, &str), sent: &str) -> Outcome<Reply> {
    let before = upload(state, ask, place)?.first.clone();
    let told = ask.call.query.get("digest").ok_or_else(|| Refusal::new("DIGEST_INVALID", "The parameter 'digest' is missing"))?;
    // A piece after the first is lost, this one too.
    let (bytes, digest) = before.clone().unwrap_or_else(|| (ask.call.body.clone(), sent.to_owned()));
    if digest != *told {
        state.registry.uploads.remove(place.1);
        let message =
            "The layer digest calculation performed by Amazon ECR upon receipt of the image layer does not match the digest specified.";
        return Err(Refusal::new("DIGEST_INVALID", message));
    }
    if before.is_none() {
        room(state, &bytes)?;
    }
    state.registry.uploads.remove(place.1);
    state.registry.blobs.entry(digest.clone()).or_insert(bytes);
    ask.repository(state, place.0)?.layers.insert(digest.clone());
    Ok(arrived(ask, place.0, &digest))
}

fn room(state: &State, more: &Bytes) -> Outcome<()> {
    if state.registry.has_room_for(more.len()) {
        return Ok(());
    }
    Err(super::full(&state.registry))
}

fn session(ask: &Ask<'_>, status: u16, name: &str, id: &str, size: usize) -> Reply {
    let location = ask.link(&format!("/v2/{name}/blobs/uploads/{id}"));
    let range = format!("0-{}", size.saturating_sub(1));
    Reply::new(status, "text/plain; charset=utf-8", "").with("location", location).with("range", range).with("docker-upload-uuid", id)
}

fn arrived(ask: &Ask<'_>, name: &str, digest: &str) -> Reply {
    let location = ask.link(&format!("/v2/{name}/blobs/{digest}"));
    Reply::new(201, "text/plain; charset=utf-8", "").with("location", location).with("docker-content-digest", digest)
}
