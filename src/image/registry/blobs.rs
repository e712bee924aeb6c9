//! Blobs of a repository: whether one is there, mounting it from next door, opening an upload, reading.

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, header};

use crate::failure::{Failure, Kind, Result};
use crate::http::Answer;
use crate::image::content::{Body, Descriptor};
use crate::values::Digest;

use super::calls::Call;
use super::login::Made;
use super::refusal::Refusal;
use super::{Absent, Repository};
use crate::image::reference::RepositoryName;

/// What came of asking for an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// None is needed: the blob is there.
    There,
    /// Its bytes go here.
    Session(Session),
}

/// Where the bytes of an upload go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session(pub(super) String);

impl Repository {
    /// Whether `blob` is there, whole.
    pub async fn has_blob(&self, blob: &Digest) -> Result<bool> {
        let answer = self.answered(&Call::new(Method::HEAD, self.url(&format!("blobs/{blob}")))).await?;
        match answer.status {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(self.refused(format!("{} did not say whether it has the blob {}", self.name, blob.short()), &answer)),
        }
    }

    /// Asks for `blob` to be mounted from `source` of the same registry, which may be this repository itself; else for an upload.
    pub async fn mount(&self, blob: &Digest, source: &RepositoryName) -> Result<Begun> {
        let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let query = format!("mount={}&from={}", encoded(blob.as_str()), encoded(source.path()));
        let call = Call::new(Method::POST, self.url(&format!("blobs/uploads/?{query}")));
        let answer = self.answered(&call).await?;
        match answer.status {
            201 => Ok(Begun::There),
            // Who may not read the source, or knows no mounts, may still take an upload.
            400..=499 => self.begin().await,
            _ => self.begun(&call, &answer),
        }
    }

    /// Asks for an upload.
    pub async fn begin(&self) -> Result<Begun> {
        let call = Call::new(Method::POST, self.url("blobs/uploads/"));
        let mut patience = self.patience();
        loop {
            let answer = self.answered(&call).await?;
            let unknown = answer.status == 404;
            // A repository that was just made is not seen everywhere at once.
            if !unknown || !self.make().await? || !patience.again(None).await {
                return self.begun(&call, &answer);
            }
        }
    }

    /// Lets go of an upload that is not needed after all. Whether that is heard does not matter: registries forget uploads.
    pub async fn abandon(&self, session: &Session) {
        let _ = self.answered(&Call::new(Method::DELETE, session.0.clone())).await;
    }

    /// The bytes of `blob`, unchecked: whoever reads them counts and hashes.
    pub async fn read_blob(&self, blob: &Descriptor) -> Result<Body> {
        let what = format!("the blob {} of {} could not be read", blob.digest.short(), self.name);
        let call = Call::new(Method::GET, self.url(&format!("blobs/{}", blob.digest)));
        match self.streamed(&call).await? {
            Ok(arriving) => Ok(arriving.stream().map(move |piece| piece.map_err(|cause| cause.into_failure(what.clone()))).boxed()),
            Err(answer) => Err(self.refused(what, &answer)),
        }
    }

    /// The bytes of a small `blob`, such as a configuration, whole and checked.
    pub async fn small_blob(&self, blob: &Descriptor) -> Result<Bytes> {
        let what = || format!("the blob {} of {}", blob.digest.short(), self.name);
        let answer = self.answered(&Call::new(Method::GET, self.url(&format!("blobs/{}", blob.digest)))).await?;
        if answer.status != 200 {
            return Err(self.refused(format!("{} could not be read", what()), &answer));
        }
        if crate::image::hashing::digest_of(&answer.body)? != blob.digest {
            return Err(Failure::new(Kind::Conflict, format!("{} does not match its digest", what())));
        }
        Ok(answer.body)
    }

    fn begun(&self, call: &Call, answer: &Answer) -> Result<Begun> {
        let what = || format!("{} takes no upload", self.name);
        match (answer.status, answer.headers.get(header::LOCATION)) {
            (200..=299, Some(location)) => Ok(Begun::Session(Session(self.led_to(&call.url, location)?))),
            (200..=299, None) => Err(Failure::new(Kind::Transient, what()).why("it does not say where the bytes go")),
            _ => Err(self.refused(what(), answer)),
        }
    }

    /// Makes the repository where that is asked for and was not done yet; whether it was made.
    pub async fn make(&self) -> Result<bool> {
        if self.absent == Absent::Refuse {
            return Ok(false);
        }
        let mut made = self.registry.made.lock().await;
        if !made.contains(&self.name) {
            if self.registry.tokens.supplier.make(&self.name).await? == Made::Not {
                return Ok(false);
            }
            made.push(self.name.clone());
        }
        Ok(true)
    }
}

/// Whether an upload is no longer known: its commit may have been lost, or it took too long.
pub(super) fn is_forgotten(answer: &Answer) -> bool {
    let told = Refusal::of(answer);
    matches!(answer.status, 404 | 416) || told.is("BLOB_UPLOAD_UNKNOWN") || told.is("BLOB_UPLOAD_INVALID")
}
