//! A proxy that makes the way longer: every byte arrives 25 ms later, each way, at any rate. It breaks connections where it is told to.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const ONE_WAY: Duration = Duration::from_millis(25);
/// Pieces that may be on their way in one direction of one connection.
const ON_THE_WAY: usize = 256;

/// The proxy; it ends with its runtime.
pub struct Delay {
    pub port: u16,
}

/// When connections are to break: whoever carries the bytes that make it so many in all.
struct Breaks {
    carried: AtomicU64,
    at: Mutex<Vec<u64>>,
}

impl Breaks {
    /// Whether the connection that carries `bytes` more breaks.
    fn now(&self, bytes: usize) -> bool {
        let carried = self.carried.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        let mut at = self.at.lock().unwrap();
        let due = at.first().is_some_and(|first| *first <= carried);
        if due {
            at.remove(0);
        }
        due
    }
}

impl Delay {
    /// Before `port`; a connection breaks whenever one of these numbers of bytes has gone there in all.
    pub async fn before(port: u16, breaks: &[u64]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let delay = Self { port: listener.local_addr().unwrap().port() };
        let breaks = Arc::new(Breaks { carried: AtomicU64::new(0), at: Mutex::new(breaks.to_vec()) });
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let breaks = breaks.clone();
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    near.set_nodelay(true).unwrap();
                    far.set_nodelay(true).unwrap();
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    // One side's end ends the other: a connection that breaks breaks in both directions.
                    tokio::select! {
                        () = carried(near_in, far_out, Some(breaks)) => {}
                        () = carried(far_in, near_out, None) => {}
                    }
                });
            }
        });
        delay
    }
}

async fn carried(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, breaks: Option<Arc<Breaks>>) {
    let (queue, mut arriving) = mpsc::channel::<(Instant, Bytes)>(ON_THE_WAY);
    let reading = async move {
        let mut buffer = BytesMut::with_capacity(256 * 1024);
        loop {
            buffer.reserve(64 * 1024);
            let read = match from.read_buf(&mut buffer).await {
                Ok(read) if read > 0 => read,
                _ => return false,
            };
            if breaks.as_ref().is_some_and(|breaks| breaks.now(read)) {
                return true;
            }
            if queue.send((Instant::now() + ONE_WAY, buffer.split().freeze())).await.is_err() {
                return false;
            }
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = arriving.recv().await {
            tokio::time::sleep_until(due.into()).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::pin!(reading, writing);
    tokio::select! {
        broken = &mut reading => if !broken { writing.await },
        () = &mut writing => {}
    }
}
