//! The runner's signals, caught from the very start: as PID 1 a process without handlers is never told of a cancellation.
//! It says that somebody wants us to stop, and how urgently; what follows from it is the engine's.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The installed handlers.
#[derive(Debug, Clone)]
pub struct Signals {
    stop: Stop,
}

/// Whether the run is to stop. Cheap to clone; clones agree.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<Asked>>);

#[derive(Debug, Clone, Default)]
struct Asked {
    by: String,
    times: u32,
}

impl Signals {
    /// Catches SIGINT and SIGTERM from now on; within a runtime, first thing of all.
    pub fn install() -> std::io::Result<Self> {
        let stop = Stop::manual();
        for (kind, name) in [(SignalKind::interrupt(), "SIGINT"), (SignalKind::terminate(), "SIGTERM")] {
            let (mut caught, stop) = (signal(kind)?, stop.clone());
            tokio::spawn(async move {
                while caught.recv().await.is_some() {
                    stop.request(name);
                }
            });
        }
        Ok(Self { stop })
    }

    /// What the handlers tell.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }
}

impl Stop {
    /// One that only [`Stop::request`] asks: for tests and for the post step's own deadline.
    pub fn manual() -> Self {
        Self(Arc::new(watch::Sender::new(Asked::default())))
    }

    /// Asks to stop; `by` is `SIGINT`, `SIGTERM`, or who wants it.
    pub fn request(&self, by: &str) {
        self.0.send_modify(|asked| {
            if asked.times == 0 {
                by.clone_into(&mut asked.by);
            }
            asked.times = asked.times.saturating_add(1);
        });
    }

    /// Whether anybody asked.
    pub fn is_requested(&self) -> bool {
        self.times() > 0
    }

    /// How often: the runner sends SIGINT, 7.5 s later SIGTERM, and 2.5 s later it is gone.
    pub fn times(&self) -> u32 {
        self.0.borrow().times
    }

    /// Who asked first; empty while nobody did.
    pub fn by(&self) -> String {
        self.0.borrow().by.clone()
    }

    /// Waits until somebody asks.
    pub async fn requested(&self) {
        self.asked_times(1).await;
    }

    /// Waits until it was asked this often: 2 means that the runner is about to give up.
    pub async fn asked_times(&self, times: u32) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|asked| asked.times >= times).await;
    }
}
