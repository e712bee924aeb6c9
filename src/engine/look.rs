//! Looking without touching: what `mode: plan` and `mode: verify` ask of a service. The same snapshot, the same proof as in a deploy.

use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::health::Baseline;
use crate::http::Http;
use crate::target::Prepared;

use super::forward::{self, Tools};
use super::member::{Goal, Member};
use super::pace::Pace;
use super::record::Event;

/// How long a look is tried again after transient failures.
const INSIST: Duration = Duration::from_secs(60);

/// What a look has to work with.
pub struct Looking {
    /// The client.
    pub http: Http,
    /// The clock.
    pub clock: Clock,
}

impl Looking {
    fn tools(&self) -> Tools {
        let (never, calm) = (watch::Sender::new(false), watch::Sender::new(false));
        Tools { http: self.http.clone(), pace: Pace::new(self.clock.clone(), never.subscribe(), calm.subscribe()) }
    }

    /// What a deploy would change, key by key: `Captured`, then `Prepared` with no release made, or `Failed`.
    pub async fn plan(&self, member: &Member) -> Vec<Event> {
        let tools = self.tools();
        let captured = match tools.pace.insist(INSIST, || member.target.clone().snapshot()).await {
            Ok(captured) => captured,
            Err(failure) => return vec![Event::Failed { failure }],
        };
        let before = captured.before.clone();
        let found = Event::Captured { captured, baseline: Baseline::Unknown };
        let changes = match &member.goal {
            Goal::Image(image) => tools.pace.insist(INSIST, || member.target.clone().plan(image.clone(), before.clone())).await,
            Goal::Release(_) | Goal::WhatStoodBefore => Err(Failure::config(format!("{}: a plan needs an image", member.name))),
        };
        vec![found, changes.map_or_else(|failure| Event::Failed { failure }, planned)]
    }

    /// Whether what runs now is healthy: `Captured`, then `Verified` or `Failed`.
    pub async fn verify(&self, member: &Member) -> Vec<Event> {
        let tools = self.tools();
        let captured = match tools.pace.insist(INSIST, || member.target.clone().snapshot()).await {
            Ok(captured) => captured,
            Err(failure) => return vec![Event::Failed { failure }],
        };
        let address = captured.address.clone();
        let found = Event::Captured { captured, baseline: Baseline::Unknown };
        let until = tools.pace.now().plus(member.timeout);
        let event = match forward::prove(member, &tools, &member.health, address.as_ref(), until).await {
            Ok(Ok((proof, asked))) => Event::Verified { proof, asked },
            Ok(Err(failure)) => Event::Failed { failure },
            Err(super::pace::Halted) => Event::Failed { failure: Failure::bug("a look was halted") },
        };
        vec![found, event]
    }
}

fn planned(changes: Vec<String>) -> Event {
    Event::Prepared { prepared: Prepared { release: serde_json::Value::Null, revision: String::new(), changes } }
}
