//! One try of a request whose body or answer may be of any size: streamed, with its length told beforehand, over the client's HTTP/1.1 connections,
//! which carry one request at a time each and are kept for the next. What bounds it is progress, not its whole duration.
//! It retries nothing and knows nobody's errors: whoever ships decides what to do after a failure.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::request::Parts;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::timeout;

use crate::failure::{Failure, Kind, Result};

use super::{Answer, Http, Intent, LARGEST_ANSWER, NoAnswer, no_answer, words};

/// How long neither side may move a byte.
const STALL: Duration = Duration::from_secs(30);
/// How long a server may think about a body it has got, and how many bytes of it give it another second.
const THINKING: Duration = Duration::from_secs(60);
const BYTES_A_SECOND: u64 = 16 * 1024 * 1024;

/// What a request carries.
pub enum Cargo {
    /// All of it at hand; may be empty.
    Whole(Bytes),
    /// Exactly `length` bytes, as they come.
    Streamed {
        /// How many bytes will come. Fewer or more are an error, and then the last piece is not sent.
        length: u64,
        /// The bytes.
        stream: BoxStream<'static, Result<Bytes>>,
    },
}

/// An answer whose body is still on its way.
pub struct Arriving {
    /// Status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: http::HeaderMap,
    response: reqwest::Response,
    http: Http,
    host: String,
}

/// Why there is no answer to what was shipped.
#[derive(Debug, Clone)]
pub enum Undelivered {
    /// The wire or the other side; also the fence.
    NoAnswer(NoAnswer),
    /// The cargo could not be read, or is not as long as was told.
    Cargo(Failure),
}

impl Http {
    /// Sends `request` once. A change passes the fence first.
    pub async fn ship(&self, request: http::Request<Cargo>, intent: Intent) -> Result<Arriving, Undelivered> {
        if intent == Intent::Change && self.shared.options.fence.stands() {
            return Err(Undelivered::NoAnswer(NoAnswer::Fenced));
        }
        let began = Instant::now();
        let (head, cargo) = request.into_parts();
        let shipped = self.shipped(&head, cargo).await;
        let (method, host, path) = (&head.method, head.uri.host().unwrap_or_default(), head.uri.path());
        let milliseconds = began.elapsed().as_millis();
        match &shipped {
            Ok(arriving) => tracing::debug!(%method, host, path, status = arriving.status, milliseconds, "request"),
            Err(cause) => tracing::debug!(%method, host, path, %cause, milliseconds, "request"),
        }
        shipped
    }

    async fn shipped(&self, head: &Parts, cargo: Cargo) -> Result<Arriving, Undelivered> {
        let host = head.uri.host().unwrap_or_default().to_owned();
        let (body, watch) = loaded(cargo);
        let mut outgoing = self.outgoing(head);
        if watch.length == 0 && !matches!(head.method, http::Method::GET | http::Method::HEAD) {
            // Nobody else says that nothing comes, and some servers insist.
            outgoing = outgoing.header(http::header::CONTENT_LENGTH, 0);
        }
        let mut sending = std::pin::pin!(outgoing.body(body).send());
        loop {
            let left = watch.left();
            let patience = if left == 0 { THINKING + Duration::from_secs(watch.length / BYTES_A_SECOND) } else { STALL };
            match timeout(self.clock().patience(patience), &mut sending).await {
                Ok(Ok(response)) => {
                    let (status, headers) = (response.status().as_u16(), response.headers().clone());
                    return Ok(Arriving { status, headers, response, http: self.clone(), host });
                }
                Ok(Err(error)) => return Err(undelivered(error, &self.path_to(&head.uri))),
                Err(_) if watch.left() != left => {}
                Err(_) if left > 0 => return Err(lost(format!("{host} took no more of what was sent"))),
                Err(_) => return Err(lost(format!("{host} did not answer in time"))),
            }
        }
    }
}

impl Arriving {
    /// The whole answer, of at most 8 MiB. Reading it to its end keeps the connection for the next request.
    pub async fn whole(self) -> Result<Answer, NoAnswer> {
        let (status, headers) = (self.status, self.headers.clone());
        let mut body = BytesMut::new();
        let mut stream = self.stream();
        while let Some(piece) = stream.next().await {
            let piece = piece?;
            if body.len() + piece.len() > LARGEST_ANSWER {
                return Err(NoAnswer::Lost(format!("the answer is larger than {} MiB", LARGEST_ANSWER >> 20)));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }

    /// The body as it comes; an error is the last item.
    pub fn stream(self) -> BoxStream<'static, Result<Bytes, NoAnswer>> {
        stream::unfold(Some(self), |arriving| async {
            let mut arriving = arriving?;
            match arriving.piece().await {
                Ok(piece) => Some((Ok(piece?), Some(arriving))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, NoAnswer> {
        let host = &self.host;
        match timeout(self.http.clock().patience(STALL), self.response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(NoAnswer::Lost(format!("{host}: {}", words::plain(&error.without_url())))),
            Err(_) => Err(NoAnswer::Lost(format!("{host} sent no more of its answer"))),
        }
    }
}

impl std::fmt::Display for Undelivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoAnswer(cause) => cause.fmt(f),
            Self::Cargo(failure) => f.write_str(&failure.what),
        }
    }
}

impl From<NoAnswer> for Undelivered {
    fn from(cause: NoAnswer) -> Self {
        Self::NoAnswer(cause)
    }
}

fn lost(why: String) -> Undelivered {
    Undelivered::NoAnswer(NoAnswer::Lost(why))
}

/// Ours, where the cargo is what failed; else the wire's.
fn undelivered(error: reqwest::Error, host: &str) -> Undelivered {
    let ours = std::iter::successors(Some(&error as &(dyn std::error::Error + 'static)), |error| error.source())
        .find_map(|cause| cause.downcast_ref::<Failure>().cloned());
    match ours {
        Some(failure) => Undelivered::Cargo(failure),
        None => Undelivered::NoAnswer(no_answer(error, host)),
    }
}

/// How far a cargo has come: tells a slow transfer from a dead one.
struct Watch {
    length: u64,
    left: Arc<AtomicU64>,
}

impl Watch {
    fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }
}

fn loaded(cargo: Cargo) -> (reqwest::Body, Watch) {
    match cargo {
        Cargo::Whole(bytes) => {
            let length = bytes.len() as u64;
            (reqwest::Body::from(bytes), Watch { length, left: Arc::default() })
        }
        Cargo::Streamed { length, stream } => {
            let left = Arc::new(AtomicU64::new(length));
            let freight = Freight { left: left.clone(), last: None, stream: Mutex::new(stream) };
            (reqwest::Body::wrap(freight), Watch { length, left })
        }
    }
}

/// A body of known length. Its last piece is held back until the stream has ended well: a reader that finds at its end that the bytes are not
/// what they should be can still keep the whole from being complete.
struct Freight {
    left: Arc<AtomicU64>,
    last: Option<Bytes>,
    /// Never locked: it only makes the stream one that threads may share.
    stream: Mutex<BoxStream<'static, Result<Bytes>>>,
}

impl Freight {
    fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    fn hand_over(&self, piece: Bytes) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        self.left.fetch_sub(piece.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl Body for Freight {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        loop {
            let stream = self.stream.get_mut().unwrap_or_else(PoisonError::into_inner);
            let next = ready!(stream.poll_next_unpin(context)).transpose();
            let piece = match next {
                Ok(piece) => piece,
                Err(failure) => return Poll::Ready(Some(Err(failure))),
            };
            let left = self.left();
            match (piece, self.last.take()) {
                (Some(piece), last) if piece.is_empty() => self.last = last,
                (Some(_), Some(_)) => return Poll::Ready(Some(Err(mislaid("more")))),
                (Some(piece), None) if piece.len() as u64 > left => return Poll::Ready(Some(Err(mislaid("more")))),
                (Some(piece), None) if piece.len() as u64 == left => self.last = Some(piece),
                (Some(piece), None) => return self.hand_over(piece),
                (None, Some(last)) => return self.hand_over(last),
                (None, None) if left > 0 => return Poll::Ready(Some(Err(mislaid("fewer")))),
                (None, None) => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

fn mislaid(how_many: &str) -> Failure {
    Failure::new(Kind::Conflict, format!("{how_many} bytes came than were announced"))
}
