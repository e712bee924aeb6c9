//! The clouds as a program on loopback: real HTTP, the vendors' own answers, timing and failures, one in-memory world.
//! Imports floor 0 only; nothing below `mode` knows it exists.
//!
//! One port serves GitHub's token endpoint, STS, ECS, ECR's control calls, ELBv2, CloudWatch Logs, and, by `Host`, ECR's registries and the
//! applications behind the load balancers. Time is the [`Clock`] handed in: a rollout of 45 s passes in 45 s of it.
//!
//! # What it does not model
//!
//! - Capacity, instances, capacity providers' scaling, task placement beyond "there is none"; Service Connect, service discovery.
//! - IAM policies (only denials a test or a fault names), quotas, resource policies, PassRole.
//! - TLS: listeners say HTTPS, the port speaks plain HTTP, as an endpoint override to loopback does.
//! - Lambda lifecycle hooks (pause hooks are modelled), task sets, CodeDeploy, Express Mode, daemons API, task protection.
//! - ECS's slowing down of restarts, spot interruptions, host maintenance, replacement of tasks that break after the rollout.
//! - `earlySuccessCriteria`, alarms' own state, test listeners; Auto Scaling; ECR's scans, lifecycles, replication and
//!   pull-through caches; deleting images; the pulling itself, its time and an image's platform (a task only asks whether its image is there).
//! - StopServiceDeployment's undocumented ABORT (it does what ROLLBACK does), DRAINING services, placement by zone.
//! - Pagination: lists are given whole, up to the vendors' limits.
//! - Clock skew: the date of a signature is not checked, the signature itself is.

mod app;
mod ecr;
mod ecs;
mod elb;
pub mod fault;
pub mod handle;
mod logs;
mod oidc;
mod registry;
pub mod request;
pub mod seed;
mod seeding;
mod server;
mod signature;
mod sts;
mod wire;
mod world;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::simulator::handle::World;

/// A running simulator; it ends when dropped.
pub struct Simulator {
    address: SocketAddr,
    world: World,
    server: JoinHandle<std::convert::Infallible>,
}

/// What a client must be given to meet the simulator instead of the clouds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// `AWS_ENDPOINT_URL`: one address for all AWS APIs.
    pub aws: String,
    /// `ACTIONS_ID_TOKEN_REQUEST_URL`.
    pub token_request_url: String,
    /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
    pub token_request_bearer: String,
    /// Hosts of load balancers, applications and registries; each is reached at [`Endpoints::aws`] with its own `Host` header.
    pub hosts: Vec<String>,
}

impl Simulator {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(clock: Clock) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Mutex::new(world::State::new(clock.clone())));
        let server = tokio::spawn(server::serve(listener, shared.clone(), clock));
        Ok(Self { address, world: World { shared }, server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its world.
    pub fn world(&self) -> World {
        self.world.clone()
    }

    /// What a client must be given.
    pub fn endpoints(&self) -> Endpoints {
        let aws = format!("http://{}", self.address);
        Endpoints {
            token_request_url: format!("{aws}/_oidc/token?api-version=2.0"),
            aws,
            token_request_bearer: self.world.token_request_bearer(),
            hosts: self.world.hosts(),
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("address", &self.address).finish_non_exhaustive()
    }
}
