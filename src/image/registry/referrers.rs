//! What refers to an image: signatures, SBOMs, attestations, by the registry's own list or by the tag that stands for one.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers> (2026-11)

use http::{Method, header};
use serde_json::json;

use crate::failure::{Failure, Kind, Result};
use crate::image::content::{Descriptor, Manifest, cosign_tags_of, tag_of};
use crate::image::manifest::{INDEXES, Reading, read};
use crate::values::Digest;

use super::Repository;
use super::calls::Call;

/// So many pages of a list are read.
const PAGES: usize = 20;

impl Repository {
    /// The manifests that are about `subject`.
    pub async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>> {
        let mut url = self.url(&format!("referrers/{subject}"));
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let call = Call::new(Method::GET, url.clone()).header(header::ACCEPT, INDEXES[0]);
            let answer = self.answered(&call).await?;
            match answer.status {
                200 => {}
                // Who keeps no list leaves it to its clients.
                400 | 404 | 405 => return Ok(self.referrers_by_tag(subject).await?.map(|list| list.children).unwrap_or_default()),
                _ => return Err(self.refused(format!("the referrers of {} could not be listed", subject.short()), &answer)),
            }
            let next = answer.headers.get(header::LINK).and_then(|link| link.to_str().ok()).and_then(next_page).map(str::to_owned);
            found.extend(read(answer.body, None)?.children);
            match next {
                Some(next) => url = self.led_to(&url, &header_of(&next)?)?,
                None => break,
            }
        }
        Ok(found)
    }

    /// The list that clients keep under a tag.
    pub async fn referrers_by_tag(&self, subject: &Digest) -> Result<Option<Reading>> {
        self.manifest(&tag_of(subject)).await
    }

    /// Adds `referrer` to the list that clients keep under a tag.
    pub async fn list_referrer(&self, subject: &Digest, referrer: &Reading) -> Result<()> {
        let mut listed = self.referrers_by_tag(subject).await?.map(|list| list.children).unwrap_or_default();
        let descriptor = &referrer.manifest.descriptor;
        if listed.iter().any(|one| one.digest == descriptor.digest) {
            return Ok(());
        }
        listed.push(Descriptor { annotations: referrer.annotations.clone(), ..descriptor.clone() });
        let list = json!({ "schemaVersion": 2, "mediaType": INDEXES[0], "manifests": listed });
        let list: Manifest = read(list.to_string().into(), None)?.manifest;
        self.put_manifest(&list, &tag_of(subject)).await.map(|_| ())
    }

    /// The tags under which cosign keeps what is about `subject`, as far as they are there.
    pub async fn cosign_tags(&self, subject: &Digest) -> Result<Vec<(String, Digest)>> {
        let mut found = Vec::new();
        for tag in cosign_tags_of(subject) {
            found.extend(self.resolve(&tag).await?.map(|digest| (tag, digest)));
        }
        Ok(found)
    }
}

/// The address in `<…>; rel="next"`.
fn next_page(link: &str) -> Option<&str> {
    let part = link.split(',').find(|part| part.contains("rel=\"next\"") || part.contains("rel=next"))?;
    part.split_once('<')?.1.split_once('>').map(|(address, _)| address)
}

fn header_of(text: &str) -> Result<http::HeaderValue> {
    http::HeaderValue::from_str(text).map_err(|_| Failure::new(Kind::Transient, "the next page has no address"))
}
