//! The world all APIs share: one account's resources, and the passing of its time.
//! It knows no wire format; what tests and rehearsals may do to it is in `handle`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::simulator::ecr::Repository;
use crate::simulator::ecs::model::{Definition, Service, Task};
use crate::simulator::ecs::rollout;
use crate::simulator::elb::{LoadBalancer, TargetGroup};
use crate::simulator::oidc::Issuer;
use crate::simulator::registry::Registry;
use crate::simulator::request::Requests;
use crate::simulator::sts::Identities;

/// The account everything lives in unless an ARN says otherwise.
pub(crate) const ACCOUNT: &str = "123456789012";

/// Everything.
pub(crate) struct State {
    pub services: Vec<Service>,
    pub jobs: Vec<(String, Task)>,
    pub platform: Platform,
    pub identities: Identities,
    pub issuer: Issuer,
    pub requests: Requests,
    pub registry: Registry,
}

/// What services stand on.
pub(crate) struct Platform {
    pub clock: Clock,
    pub now: Timestamp,
    pub pace: Pace,
    /// How long after completion `unhealthy-after-bake` breaks.
    pub break_after: Duration,
    pub definitions: BTreeMap<(String, String), Vec<Definition>>,
    pub clusters: Vec<Cluster>,
    pub balancers: Vec<LoadBalancer>,
    pub target_groups: Vec<TargetGroup>,
    pub logs: BTreeMap<(String, String, String), Vec<(Timestamp, String)>>,
    pub repositories: Vec<Repository>,
    /// Images of seeded services: they were pulled before the world began, wherever they lie.
    pub old_images: BTreeSet<String>,
    pub job_tokens: BTreeMap<String, (String, Vec<String>)>,
    serial: u64,
}

/// A cluster.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub region: String,
    pub name: String,
    pub arn: String,
}

/// How long things take, all from the length of one rollout.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub start: Duration,
    pub register: Duration,
    pub drain: Duration,
    pub lag: Duration,
    pub stale: Duration,
    pub job: Duration,
    pub stage: Duration,
}

impl Pace {
    /// A rollout of `whole`: 2 parts starting, 3 parts until healthy, 5 parts draining.
    pub(crate) fn of(whole: Duration) -> Self {
        Self {
            start: whole / 5,
            register: whole * 3 / 10,
            drain: whole / 2,
            lag: Duration::from_secs(3).min(whole / 15),
            stale: Duration::from_secs(1).min(whole / 45),
            job: whole / 5,
            stage: whole / 15,
        }
    }
}

impl State {
    pub(crate) fn new(clock: Clock) -> Self {
        let now = clock.now();
        let platform = Platform {
            clock: clock.clone(),
            now,
            pace: Pace::of(Duration::from_secs(45)),
            break_after: Duration::from_secs(20),
            definitions: BTreeMap::new(),
            clusters: Vec::new(),
            balancers: Vec::new(),
            target_groups: Vec::new(),
            logs: BTreeMap::new(),
            repositories: Vec::new(),
            old_images: BTreeSet::new(),
            job_tokens: BTreeMap::new(),
            serial: 0,
        };
        Self {
            services: Vec::new(),
            jobs: Vec::new(),
            platform,
            identities: Identities::default(),
            issuer: Issuer::default(),
            requests: Requests::default(),
            registry: Registry::default(),
        }
    }

    /// Lets time pass until now, each change at its own moment.
    pub(crate) fn advance(&mut self) {
        let now = self.platform.clock.now();
        for service in &mut self.services {
            // Bounded: a mistake in the model must not hang whoever asks.
            for _ in 0..100_000 {
                let Some(due) = service.next_due().filter(|due| *due <= now) else { break };
                self.platform.now = due.max(service.created_at);
                rollout::step(service, &mut self.platform, due);
            }
        }
        self.platform.now = now;
        for (_, job) in &mut self.jobs {
            while let Some(due) = job.next_due().filter(|due| *due <= now) {
                crate::simulator::ecs::life::advance_job(job, &mut self.platform, due);
            }
        }
    }

    /// Finds a service by its name, or by `cluster/name`.
    pub(crate) fn service_named(&mut self, name: &str) -> Option<&mut Service> {
        let matches = |service: &&mut Service| service.name == name || format!("{}/{}", service.cluster, service.name) == name;
        self.services.iter_mut().find(matches)
    }
}

impl Platform {
    /// A number never given before.
    pub(crate) fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Hexadecimal digits that look random and are the same in every run.
    pub(crate) fn hex(&mut self, length: usize) -> String {
        let serial = self.serial();
        hex_of(&format!("touchdown-{serial}"), length)
    }

    /// The number of a deployment: nineteen digits.
    pub(crate) fn number(&mut self) -> String {
        let serial = self.serial();
        let spread = serial.wrapping_mul(6_364_136_223_846_793_005) % 1_000_000_000_000_000_000;
        (1_000_000_000_000_000_000 + spread).to_string()
    }

    /// A UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let hex = self.hex(32);
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
    }

    /// The definition of this ARN, `family:revision` or `family`, in `region`.
    pub(crate) fn definition(&self, region: &str, name: &str) -> Option<&Definition> {
        let short = name.rsplit_once("task-definition/").map_or(name, |(_, short)| short);
        let (family, revision) = short.rsplit_once(':').map_or((short, None), |(family, revision)| (family, Some(revision)));
        let revisions = self.definitions.get(&(region.to_owned(), family.to_owned()))?;
        match revision {
            None => revisions.iter().rev().find(|definition| definition.active),
            Some(revision) => revisions.iter().find(|definition| definition.arn.ends_with(&format!(":{revision}"))),
        }
    }

    /// Writes a line to a log stream.
    pub(crate) fn log(&mut self, stream: Option<&(String, String, String)>, at: Timestamp, line: &str) {
        if let Some((group, stream, region)) = stream {
            let lines = self.logs.entry((region.clone(), group.clone(), stream.clone())).or_default();
            lines.push((at, line.to_owned()));
        }
    }
}

/// The partition a region is in.
pub(crate) fn partition(region: &str) -> &'static str {
    match region {
        china if china.starts_with("cn-") => "aws-cn",
        government if government.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// An ARN of the world's account.
pub(crate) fn arn(service: &str, region: &str, rest: &str) -> String {
    format!("arn:{}:{service}:{region}:{ACCOUNT}:{rest}", partition(region))
}

/// The first `length` hexadecimal digits of the SHA-256 of `text`.
pub(crate) fn hex_of(text: &str, length: usize) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    hex[..length.min(hex.len())].to_owned()
}
