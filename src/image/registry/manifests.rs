//! Manifests of a repository: what a tag means, the bytes behind a digest, and writing them. A commit whose answer was lost is looked up.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, header};

use crate::failure::{Failure, Kind, Result};
use crate::http::Answer;
use crate::image::content::Manifest;
use crate::image::manifest::{INDEXES, MANIFESTS, Reading, read};
use crate::image::reference::checked_tag;
use crate::values::Digest;

use super::Repository;
use super::calls::{AfterLoss, Call, Called};
use super::refusal::Refusal;

/// So long after a manifest was sent it may be there.
const GLANCE: Duration = Duration::from_millis(15);
/// The digest of what a registry answers with.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// What a registry said of a manifest it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Placed {
    /// It knows itself which manifests are about which: nobody else need keep a list of referrers.
    pub keeps_referrers: bool,
}

impl Repository {
    /// The digest `tag` means now; `None`: there is no such tag, or no such repository.
    pub async fn resolve(&self, tag: &str) -> Result<Option<Digest>> {
        let answer = self.answered(&self.asking(Method::HEAD, tag)?).await?;
        match answer.status {
            200 => match told_digest(&answer)? {
                Some(digest) => Ok(Some(digest)),
                None => Ok(self.manifest(tag).await?.map(|reading| reading.manifest.descriptor.digest)),
            },
            404 => Ok(None),
            // Some know no HEAD here; and whoever refuses can give no reason in the answer to one.
            _ => Ok(self.manifest(tag).await?.map(|reading| reading.manifest.descriptor.digest)),
        }
    }

    /// Whether the manifest `digest` can be read here.
    pub async fn has_manifest(&self, digest: &Digest) -> Result<bool> {
        Ok(self.resolve(digest.as_str()).await?.is_some_and(|found| found == *digest))
    }

    /// Waits until the manifest `digest`, which was just written, can be read here.
    pub async fn confirm(&self, digest: &Digest) -> Result<()> {
        let mut patience = self.patience();
        while !self.has_manifest(digest).await? {
            if !patience.again(None).await {
                return Err(Failure::new(Kind::Conflict, format!("the manifest {} cannot be read back", digest.short()))
                    .why(format!("{} took it and does not have it", self.name)));
            }
        }
        Ok(())
    }

    /// The manifest behind a tag or a digest, its bytes checked against every digest that was told.
    pub async fn manifest(&self, reference: &str) -> Result<Option<Reading>> {
        let answer = self.answered(&self.asking(Method::GET, reference)?).await?;
        let what = || format!("the manifest of {} at {reference}", self.name);
        match answer.status {
            200 => {}
            404 => return Ok(None),
            _ => return Err(self.refused(format!("{} could not be read", what()), &answer)),
        }
        let media_type = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let told = told_digest(&answer)?;
        let reading = read(answer.body, media_type.as_deref())?;
        let digest = &reading.manifest.descriptor.digest;
        let asked = Digest::parse(reference).ok();
        match [told, asked].into_iter().flatten().find(|expected| expected != digest) {
            None => Ok(Some(reading)),
            Some(expected) => Err(Failure::new(Kind::Conflict, format!("{} is not what it should be", what()))
                .why(format!("the bytes are {digest}, expected were {expected}"))),
        }
    }

    /// Writes `manifest` under a tag or its digest, and reads it back by its digest. The reading does not wait for the answer to the writing:
    /// on a long way it finds the manifest there just the same, and else it is read again.
    pub async fn place(&self, manifest: &Manifest, reference: &str) -> Result<Placed> {
        let digest = &manifest.descriptor.digest;
        let mut writing = std::pin::pin!(self.put_manifest(manifest, reference));
        let (placed, seen) = match self.registry.http.clock().within(GLANCE, &mut writing).await {
            Some(placed) => (placed?, false),
            None => {
                let (placed, seen) = tokio::join!(writing, self.has_manifest(digest));
                (placed?, matches!(seen, Ok(true)))
            }
        };
        if !seen {
            self.confirm(digest).await?;
        }
        Ok(placed)
    }

    /// Writes `manifest` under a tag or its digest, and is content to find it there.
    pub async fn put_manifest(&self, manifest: &Manifest, reference: &str) -> Result<Placed> {
        let mut call = Call::new(Method::PUT, self.at(reference)?);
        call = call.header(header::CONTENT_TYPE, &manifest.descriptor.media_type);
        call.body = Bytes::clone(&manifest.bytes);
        let digest = &manifest.descriptor.digest;
        let mut patience = self.patience();
        loop {
            let cause = match self.call(&call, AfterLoss::Tell).await? {
                Called::Answered(answer) if (200..300).contains(&answer.status) => return self.placed(digest, &answer),
                Called::Answered(answer) if !arrives_late(&answer) || !patience.again(None).await => {
                    return self.found_instead(digest, reference, &answer).await;
                }
                Called::Answered(_) => continue,
                Called::Lost(cause) => cause,
            };
            if self.resolve(reference).await?.as_ref() == Some(digest) {
                return Ok(Placed { keeps_referrers: false });
            }
            if !patience.again(None).await {
                return Err(self.unreachable(cause));
            }
        }
    }

    fn placed(&self, digest: &Digest, answer: &Answer) -> Result<Placed> {
        match told_digest(answer)? {
            Some(told) if told != *digest => {
                Err(Failure::new(Kind::Conflict, format!("{} keeps another manifest than was sent", self.name))
                    .why(format!("sent was {digest}, it calls it {told}")))
            }
            _ => Ok(Placed { keeps_referrers: answer.headers.contains_key("oci-subject") }),
        }
    }

    /// A refused manifest may be there already: a tag that cannot move is refused even where it would not have to.
    async fn found_instead(&self, digest: &Digest, reference: &str, answer: &Answer) -> Result<Placed> {
        let is_tag = Digest::parse(reference).is_err();
        let found = match answer.status {
            401 | 403 if !is_tag => None,
            _ => self.resolve(reference).await.unwrap_or_default(),
        };
        match found {
            Some(found) if found == *digest => Ok(Placed { keeps_referrers: false }),
            Some(found) if is_tag && Refusal::of(answer).kind() != Kind::Transient => {
                let told = Refusal::of(answer);
                Err(Failure::new(Kind::Conflict, format!("the tag {reference} of {} stays with another image", self.name))
                    .why(format!("it means {found}, not {digest}, and the registry does not let it move"))
                    .why(format!("{} answered {} {}: {}", self.rules().called, told.status, told.code, told.message))
                    .fix("push under a tag of its own (type=sha makes one for each commit), or let tags of this repository be moved"))
            }
            _ => Err(self.refused(format!("the manifest {} was not taken by {}", digest.short(), self.name), answer)),
        }
    }

    fn asking(&self, method: Method, reference: &str) -> Result<Call> {
        let accept = [INDEXES, MANIFESTS].concat().join(", ");
        Ok(Call::new(method, self.at(reference)?).header(header::ACCEPT, &accept))
    }

    /// The address of a manifest; no text comes into it that is neither a digest nor a tag.
    fn at(&self, reference: &str) -> Result<String> {
        let digest = Digest::parse(reference).map(String::from);
        let reference = digest.or_else(|_| checked_tag(reference))?;
        Ok(self.url(&format!("manifests/{reference}")))
    }
}

fn told_digest(answer: &Answer) -> Result<Option<Digest>> {
    let told = answer.headers.get(CONTENT_DIGEST).and_then(|value| value.to_str().ok());
    told.map(Digest::parse).transpose().map_err(|failure| Failure::new(Kind::Transient, "the registry names no digest").why(failure.what))
}

/// Some need a moment until they see a blob or a manifest that they have just taken; and what was spoilt on its way is sent again.
fn arrives_late(answer: &Answer) -> bool {
    let told = Refusal::of(answer);
    matches!(answer.status, 400 | 404)
        && ["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "DIGEST_INVALID"].iter().any(|code| told.is(code))
}
