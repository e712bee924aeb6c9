//! One blob on its way into a repository: one PUT of known length; where that is not taken one PATCH; at last pieces, where the registry bears them.
//! A commit whose answer was lost is looked up before anything is sent again. What is read is counted and hashed before its last byte goes out.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Method, header};
use tokio::sync::Mutex;
use url::Url;

use crate::failure::{Failure, Kind, Result};
use crate::http::lane::{Cargo, Undelivered};
use crate::http::{Answer, NoAnswer};
use crate::image::content::{Body, Descriptor};
use crate::image::hashing::Hasher;

use super::Repository;
use super::blobs::{Begun, Session, is_forgotten};
use super::calls::{Parcel, RENEWALS, wants_another_pass, worth_another_try};
use super::patience::Patience;
use super::refusal::Refusal;
use super::rules::Chunks;
use super::tokens::Pass;

/// So many transfers of a large blob may break off before it is sent in another way.
const BREAKS: u32 = 3;
/// A blob up to this size is not cut.
const SMALL: u64 = 1024 * 1024;

/// A blob to be sent.
pub struct Upload<'a> {
    /// Which.
    pub blob: &'a Descriptor,
    /// Reads it from its beginning; again for each try.
    pub open: &'a (dyn Fn() -> BoxFuture<'a, Result<Body>> + Send + Sync),
    /// Is told how many bytes went out, and that all of them are to be sent again.
    pub tell: Arc<dyn Fn(Told) + Send + Sync>,
}

/// What an upload tells while it is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// So many bytes went out.
    Sent(u64),
    /// It begins anew, for this reason.
    Again(String),
}

/// In how many requests the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    Put,
    Patch,
    Pieces(u64),
}

/// How one try ended.
enum Ended {
    Arrived,
    Answered(Answer, Pass),
    Lost(NoAnswer),
    Unread(Failure),
}

/// What to do next.
enum Next {
    Done,
    SameAgain(String),
    Otherwise(Rung),
    GiveUp(Failure),
}

struct Climb {
    rung: Rung,
    patience: Patience,
    breaks: u32,
    renewals: u32,
}

impl Repository {
    /// Sends the blob into `session`, however often it takes, until it is there.
    pub async fn upload(&self, session: Session, upload: &Upload<'_>) -> Result<()> {
        if let Some(largest) = self.rules().largest_blob.filter(|largest| upload.blob.size > *largest) {
            let what = format!("the blob {} is too large for {}", upload.blob.digest.short(), self.rules().called);
            return Err(Failure::config(what).why(format!("it has {} bytes, and the most is {largest}", upload.blob.size)));
        }
        let mut climb = Climb { rung: Rung::Put, patience: self.patience(), breaks: 0, renewals: 0 };
        let mut session = Some(session);
        loop {
            let at = match session.take() {
                Some(session) => session,
                None => match self.begin().await? {
                    Begun::There => return Ok(()),
                    Begun::Session(session) => session,
                },
            };
            let ended = self.tried(climb.rung, at, upload).await?;
            match self.next(&mut climb, upload, ended).await? {
                Next::Done => return Ok(()),
                Next::SameAgain(why) => (upload.tell)(Told::Again(why)),
                Next::Otherwise(rung) => {
                    climb.rung = rung;
                    (upload.tell)(Told::Again(format!("{} did not take it in one piece", self.rules().called)));
                }
                Next::GiveUp(failure) => return Err(failure),
            }
        }
    }

    async fn next(&self, climb: &mut Climb, upload: &Upload<'_>, ended: Ended) -> Result<Next> {
        let blob = upload.blob;
        let what = || format!("the blob {} did not arrive in {}", blob.digest.short(), self.name);
        let (why, asked, failure) = match ended {
            Ended::Arrived => return Ok(Next::Done),
            Ended::Unread(failure) if failure.kind != Kind::Transient => return Ok(Next::GiveUp(failure)),
            Ended::Unread(failure) => (failure.what.clone(), None, failure),
            Ended::Lost(NoAnswer::Fenced) => return Ok(Next::GiveUp(NoAnswer::Fenced.into_failure(what()))),
            Ended::Lost(cause) => {
                climb.breaks += 1;
                (cause.to_string(), None, cause.into_failure(what()))
            }
            Ended::Answered(answer, pass) if wants_another_pass(&answer) && climb.renewals < RENEWALS => {
                climb.renewals += 1;
                self.renew(&pass, &answer).await?;
                return Ok(Next::SameAgain("the registry wanted a new token".to_owned()));
            }
            Ended::Answered(answer, _) => {
                let told = Refusal::of(&answer);
                let again = worth_another_try(answer.status) || is_forgotten(&answer) || told.is("DIGEST_INVALID");
                if !again {
                    let other = if is_about_the_way(answer.status) { self.below(climb.rung, answer.status, blob) } else { None };
                    return Ok(other.map_or_else(|| Next::GiveUp(self.refused(what(), &answer)), Next::Otherwise));
                }
                (format!("it answered {} {}", told.status, told.code), answer.retry_after(), self.refused(what(), &answer))
            }
        };
        if self.has_blob(&blob.digest).await? {
            return Ok(Next::Done);
        }
        if !climb.patience.again(asked).await {
            return Ok(Next::GiveUp(failure));
        }
        match self.below(climb.rung, 0, blob).filter(|_| climb.breaks >= BREAKS) {
            Some(rung) => {
                climb.breaks = 0;
                Ok(Next::Otherwise(rung))
            }
            None => Ok(Next::SameAgain(why)),
        }
    }

    /// The next way down the ladder. What is too large at once is too large in one PATCH.
    fn below(&self, rung: Rung, status: u16, blob: &Descriptor) -> Option<Rung> {
        let pieces = match self.rules().chunks {
            Chunks::UpTo(size) if blob.size > SMALL => Some(Rung::Pieces(size)),
            _ => None,
        };
        match rung {
            Rung::Put if status == 413 => pieces.or(Some(Rung::Patch)),
            Rung::Put => Some(Rung::Patch),
            Rung::Patch => pieces,
            Rung::Pieces(size) if status == 413 && size > SMALL => Some(Rung::Pieces(size / 4)),
            Rung::Pieces(_) => None,
        }
    }

    async fn tried(&self, rung: Rung, session: Session, upload: &Upload<'_>) -> Result<Ended> {
        let pass = self.pass().await?;
        let body = match (upload.open)().await {
            Ok(body) => checked(upload, body),
            Err(failure) => return Ok(Ended::Unread(failure)),
        };
        let size = upload.blob.size;
        let all = |body| Cargo::Streamed { length: size, stream: body };
        let brought = match rung {
            Rung::Put => return self.sent(Way::committing(&session.0, upload.blob)?, &pass, all(body)).await,
            Rung::Patch => self.patched(Way::patching(&session.0, None), &pass, all(body)).await?,
            Rung::Pieces(most) => self.in_pieces(session, Source { body, rest: Bytes::new(), size }, most, &pass).await?,
        };
        match brought {
            Ok(location) => self.sent(Way::committing(&location, upload.blob)?, &pass, Cargo::Whole(Bytes::new())).await,
            Err(ended) => Ok(ended),
        }
    }

    /// The body in pieces of `most` bytes, one after the other; where the next request goes.
    async fn in_pieces(&self, session: Session, source: Source, most: u64, pass: &Pass) -> Result<Result<String, Ended>> {
        let (size, source) = (source.size, Arc::new(Mutex::new(source)));
        let (mut location, mut from) = (session.0, 0);
        while from < size {
            let length = most.max(1).min(size - from);
            let cargo = Cargo::Streamed { length, stream: Source::piece(source.clone(), length) };
            match self.patched(Way::patching(&location, Some((from, from + length - 1))), pass, cargo).await? {
                Ok(next) => location = next,
                Err(ended) => return Ok(Err(ended)),
            }
            from += length;
        }
        // The reader's last word: whether the whole was what it should be.
        match source.lock().await.body.next().await {
            None => Ok(Ok(location)),
            Some(Ok(_)) => Ok(Err(Ended::Unread(Failure::new(Kind::Conflict, "more bytes came than were announced")))),
            Some(Err(failure)) => Ok(Err(Ended::Unread(failure))),
        }
    }

    /// One PATCH; where the next request goes.
    async fn patched(&self, way: Way, pass: &Pass, cargo: Cargo) -> Result<Result<String, Ended>> {
        let (url, last) = (way.url.clone(), way.range.map(|(_, last)| last));
        let answer = match self.sent(way, pass, cargo).await? {
            Ended::Answered(answer, _) if (200..300).contains(&answer.status) => answer,
            ended => return Ok(Err(ended)),
        };
        // `0-41`: who keeps less than was sent would make a blob of what is left.
        let kept = answer.headers.get(header::RANGE).and_then(|value| value.to_str().ok()?.rsplit('-').next()?.parse::<u64>().ok());
        if let (Some(last), Some(kept)) = (last, kept)
            && kept != last
        {
            let lost = Failure::new(Kind::Conflict, format!("{} keeps not every piece of a blob", self.name));
            return Ok(Err(Ended::Unread(lost.why(format!("it has the bytes up to {kept}, and those up to {last} were sent")))));
        }
        match answer.headers.get(header::LOCATION) {
            Some(location) => Ok(Ok(self.led_to(&url, location)?)),
            None => Ok(Ok(url)),
        }
    }

    async fn sent(&self, way: Way, pass: &Pass, cargo: Cargo) -> Result<Ended> {
        let mut headers: Vec<(HeaderName, HeaderValue)> =
            vec![(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))];
        let range = way.range.and_then(|(first, last)| HeaderValue::from_str(&format!("{first}-{last}")).ok());
        headers.extend(range.map(|range| (header::CONTENT_RANGE, range)));
        let commits = way.method == Method::PUT;
        let answer = match self.shipped(Parcel { method: &way.method, url: &way.url, headers: &headers }, pass, cargo).await {
            Ok(arriving) => arriving.whole().await,
            Err(Undelivered::NoAnswer(cause)) => Err(cause),
            Err(Undelivered::Cargo(failure)) => return Ok(Ended::Unread(failure)),
        };
        Ok(match answer {
            Ok(answer) if commits && (200..300).contains(&answer.status) => Ended::Arrived,
            Ok(answer) => Ended::Answered(answer, pass.clone()),
            Err(cause) => Ended::Lost(cause),
        })
    }
}

/// Where bytes go, and which of them.
struct Way {
    method: Method,
    url: String,
    range: Option<(u64, u64)>,
}

impl Way {
    fn patching(url: &str, range: Option<(u64, u64)>) -> Self {
        Self { method: Method::PATCH, url: url.to_owned(), range }
    }

    /// The request that ends an upload.
    fn committing(session: &str, blob: &Descriptor) -> Result<Self> {
        let mut url = Url::parse(session).map_err(|error| Failure::bug("an upload leads nowhere").why(error.to_string()))?;
        url.query_pairs_mut().append_pair("digest", blob.digest.as_str());
        Ok(Self { method: Method::PUT, url: url.into(), range: None })
    }
}

/// Whether a refusal is about how the bytes came, not about what they are or who sends them.
fn is_about_the_way(status: u16) -> bool {
    matches!(status, 400 | 405 | 411 | 413 | 415 | 417 | 501 | 505)
}

/// The bytes as they come, counted and hashed; where they are not what they should be, an error comes in the place of the end.
fn checked(upload: &Upload<'_>, body: Body) -> Body {
    let (blob, tell) = (upload.blob.clone(), upload.tell.clone());
    stream::unfold(Some((body, Hasher::new(), 0)), move |state| {
        let (blob, tell) = (blob.clone(), tell.clone());
        async move {
            let (mut body, mut hasher, mut size) = state?;
            match body.next().await {
                Some(Ok(piece)) => {
                    size += piece.len() as u64;
                    hasher.update(&piece);
                    tell(Told::Sent(piece.len() as u64));
                    Some((Ok(piece), Some((body, hasher, size))))
                }
                Some(Err(failure)) => Some((Err(failure), None)),
                None => judged(&blob, hasher, size).err().map(|failure| (Err(failure), None)),
            }
        }
    })
    .boxed()
}

fn judged(blob: &Descriptor, hasher: Hasher, size: u64) -> Result<()> {
    let found = hasher.finish()?;
    if found == blob.digest && size == blob.size {
        return Ok(());
    }
    Err(Failure::new(Kind::Conflict, format!("the blob {} is not what its image says", blob.digest.short()))
        .why(format!("it should be {} with {} bytes; read were {found} with {size} bytes", blob.digest, blob.size))
        .fix("build or save the image again: its files are damaged or were changed"))
}

/// A body that several requests take their pieces from.
struct Source {
    body: Body,
    rest: Bytes,
    /// So many bytes in all.
    size: u64,
}

impl Source {
    /// The next `length` bytes.
    fn piece(source: Arc<Mutex<Self>>, length: u64) -> Body {
        stream::unfold(length, move |left| {
            let source = source.clone();
            async move {
                if left == 0 {
                    return None;
                }
                let next = source.lock().await.up_to(left).await?;
                Some(match next {
                    Ok(piece) => {
                        let left = left - piece.len() as u64;
                        (Ok(piece), left)
                    }
                    Err(failure) => (Err(failure), 0),
                })
            }
        })
        .boxed()
    }

    async fn up_to(&mut self, most: u64) -> Option<Result<Bytes>> {
        while self.rest.is_empty() {
            match self.body.next().await? {
                Ok(piece) => self.rest = piece,
                Err(failure) => return Some(Err(failure)),
            }
        }
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.rest.len());
        Some(Ok(self.rest.split_to(most)))
    }
}
