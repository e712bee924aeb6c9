//! What tests and rehearsals may do to the world: fill it, set faults, look into it, interfere with requests.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::failure::{Failure, Result};
use crate::simulator::ecr;
use crate::simulator::ecs::model::{Phase, Service};
use crate::simulator::ecs::{ensure_cluster, releases, views};
use crate::simulator::fault::Fault;
use crate::simulator::registry::address::{bucket_host, registry_host};
use crate::simulator::registry::image::{self, Image};
use crate::simulator::request::{Injection, OnRequest, Request, When};
use crate::simulator::seed::{Answers, ServiceSeed};
use crate::simulator::seeding;
use crate::simulator::server::{Shared, lock};
use crate::simulator::sts::Role;
use crate::simulator::world::{Pace, State};

/// The world of a running simulator. Cheap to clone; clones are the same world.
#[derive(Clone)]
pub struct World {
    pub(crate) shared: Shared,
}

impl World {
    /// Makes a cluster.
    pub fn add_cluster(&self, region: &str, name: &str) {
        ensure_cluster(&mut lock(&self.shared), region, name);
    }

    /// Makes a service with its task definition and load balancer; it is at rest.
    /// Fails when the seed's own task definition or settings are not ones ECS would take.
    pub fn add_service(&self, seed: &ServiceSeed) -> Result<()> {
        let mut state = lock(&self.shared);
        state.advance();
        seeding::add(&mut state, seed).map_err(|refusal| {
            Failure::config(format!("{}: the simulator cannot be seeded with this service", seed.name))
                .why(format!("{}: {}", refusal.code, refusal.message))
        })
    }

    /// Makes a role that trusts GitHub tokens whose `sub` is like one of `subjects` (`*` and `?` allowed).
    pub fn add_role(&self, role: &str, subjects: &[&str]) {
        let subjects = subjects.iter().map(|subject| (*subject).to_owned()).collect();
        lock(&self.shared).identities.roles.push(Role { arn: role.to_owned(), subjects, external_id: None });
    }

    /// Makes a role that is assumed from another one, with an external id where one is given.
    pub fn add_chained_role(&self, role: &str, external_id: Option<&str>) {
        let external_id = external_id.map(str::to_owned);
        lock(&self.shared).identities.roles.push(Role { arn: role.to_owned(), subjects: Vec::new(), external_id });
    }

    /// Makes an ECR repository, whose tags may move or not. What is not pushed to it cannot be pulled from it.
    pub fn add_repository(&self, region: &str, name: &str, immutable: bool) {
        let mut state = lock(&self.shared);
        state.advance();
        let repository = ecr::ensure(&mut state.platform, region, name);
        repository.complete = true;
        repository.mutability = if immutable { "IMMUTABLE" } else { "MUTABLE" }.to_owned();
    }

    /// Puts a small image for `linux/amd64` under this tag of an ECR repository, which is made where there is none; gives the digest.
    pub fn add_image(&self, region: &str, repository: &str, tag: &str) -> String {
        self.add_image_for("linux/amd64", region, repository, tag)
    }

    /// The same for another platform, such as `linux/arm64`.
    pub fn add_image_for(&self, platform: &str, region: &str, repository: &str, tag: &str) -> String {
        let mut state = lock(&self.shared);
        state.advance();
        let (digest, image, blobs) = image::small(&format!("{repository}:{tag}"), platform, state.platform.now);
        let State { platform, registry, .. } = &mut *state;
        let repository = ecr::ensure(platform, region, repository);
        repository.layers.extend(image.blobs.iter().cloned());
        repository.tags.insert(tag.to_owned(), digest.clone());
        repository.images.insert(digest.clone(), image);
        registry.blobs.extend(blobs);
        digest
    }

    /// Lets a tag of an ECR repository mean this digest, whether there is an image of it or not.
    pub fn set_tag(&self, region: &str, repository: &str, tag: &str, digest: &str) {
        let mut state = lock(&self.shared);
        state.advance();
        let repository = ecr::ensure(&mut state.platform, region, repository);
        let unread = Image { media_type: image::MANIFEST.to_owned(), pushed_at: repository.created_at, ..Image::default() };
        repository.images.entry(digest.to_owned()).or_insert(unread);
        repository.tags.insert(tag.to_owned(), digest.to_owned());
    }

    /// The digest a tag of an ECR repository means.
    pub fn tag(&self, region: &str, repository: &str, tag: &str) -> Option<String> {
        let state = lock(&self.shared);
        let mut all = state.platform.repositories.iter();
        all.find(|one| one.region == region && one.name == repository)?.tags.get(tag).cloned()
    }

    /// Ends every token of ECR's registries given out so far.
    pub fn expire_registry_tokens(&self) {
        let mut state = lock(&self.shared);
        let now = state.platform.now;
        state.registry.tokens.iter_mut().for_each(|token| token.until = now);
    }

    /// Whether a region's registry shares layers between its repositories, as PutAccountSetting sets it; at first it does not.
    pub fn set_blob_mounting(&self, region: &str, enabled: bool) {
        let mounting = &mut lock(&self.shared).registry.mounting;
        if enabled {
            mounting.insert(region.to_owned())
        } else {
            mounting.remove(region)
        };
    }

    /// How many bytes of blobs the registries keep together.
    pub fn set_registry_room(&self, bytes: usize) {
        lock(&self.shared).registry.room = bytes;
    }

    /// Sets what goes wrong with the next release of every service of this name, whatever its cluster.
    pub fn set_fault(&self, service: &str, fault: Fault) {
        let mut state = lock(&self.shared);
        state.advance();
        state.services.iter_mut().filter(|one| one.name == service).for_each(|one| one.fault = fault);
    }

    /// Puts this text into events, stopped reasons, log lines, rollout reasons and health bodies of a service.
    pub fn set_hostile_text(&self, service: &str, text: &str) {
        self.change(service, |service| service.hostile = Some(text.to_owned()));
    }

    /// Sets what the application of a service says.
    pub fn set_answers(&self, service: &str, answers: Answers) {
        self.change(service, |service| service.answers = answers);
    }

    /// Puts this text into the message of every error of every API.
    pub fn set_hostile_errors(&self, text: &str) {
        lock(&self.shared).requests.hostile = Some(text.to_owned());
    }

    /// How long a rollout takes, from UpdateService to COMPLETED, when one batch does it. Zero: everything happens at once.
    pub fn set_rollout_time(&self, whole: Duration) {
        lock(&self.shared).platform.pace = Pace::of(whole);
    }

    /// How long ListServiceDeployments does not know a new deployment, and how long DescribeServices may show the old state.
    pub fn set_consistency_lag(&self, list: Duration, describe: Duration) {
        let pace = &mut lock(&self.shared).platform.pace;
        (pace.lag, pace.stale) = (list, describe);
    }

    /// How long a task run by hand runs, from its start to its end.
    pub fn set_job_time(&self, whole: Duration) {
        lock(&self.shared).platform.pace.job = whole;
    }

    /// How long after its completion the fault `unhealthy-after-bake` breaks a release.
    pub fn set_break_after(&self, delay: Duration) {
        lock(&self.shared).platform.break_after = delay;
    }

    /// Added to every answer, on the clock.
    pub fn set_request_latency(&self, latency: Duration) {
        lock(&self.shared).requests.latency = latency;
    }

    /// Plans something for one request.
    pub fn inject(&self, when: When, injection: Injection) {
        lock(&self.shared).requests.injections.push((when, injection));
    }

    /// Denies an operation by name or pattern: `elasticloadbalancing:*`, `ecs:TagResource`.
    pub fn deny(&self, operation: &str) {
        lock(&self.shared).requests.denied.insert((operation.to_owned(), None));
    }

    /// Denies an operation of ECS for one service; a call that names others besides is denied as a whole, as IAM does.
    pub fn deny_for(&self, operation: &str, service: &str) {
        lock(&self.shared).requests.denied.insert((operation.to_owned(), Some(service.to_owned())));
    }

    /// Has every request looked at before and after its effect.
    pub fn on_request(&self, hook: OnRequest) {
        lock(&self.shared).requests.hook = Some(std::sync::Arc::new(hook));
    }

    /// Has requests looked at no more.
    pub fn on_request_no_more(&self) {
        lock(&self.shared).requests.hook = None;
    }

    /// Sets claims of the next GitHub tokens, e.g. `{"sub": "repo:…"}`; others stay.
    pub fn set_claims(&self, claims: &Value) {
        let mut state = lock(&self.shared);
        if let (Some(fields), Some(new)) = (state.issuer.claims.as_object_mut(), claims.as_object()) {
            fields.extend(new.clone());
        }
    }

    /// Answers the next requests for GitHub tokens with these statuses.
    pub fn fail_token_requests(&self, statuses: &[u16]) {
        lock(&self.shared).issuer.failures.extend(statuses);
    }

    /// Answers the next AssumeRoleWithWebIdentity with this error: `IDPCommunicationError`, `InvalidIdentityToken`,
    /// `ExpiredTokenException`, `RegionDisabledException`, `IDPRejectedClaim`, `AccessDenied`, …
    pub fn fail_sign_in(&self, code: &str, message: &str) {
        lock(&self.shared).identities.failures.push((code.to_owned(), message.to_owned()));
    }

    /// Lets new sessions last exactly this long, whatever is asked.
    pub fn set_session_length(&self, length: Duration) {
        lock(&self.shared).identities.session_length = Some(length);
    }

    /// Ends every session given out so far.
    pub fn expire_sessions(&self) {
        let mut state = lock(&self.shared);
        let now = state.platform.now;
        state.identities.keys.values_mut().filter(|key| key.until.is_some()).for_each(|key| key.until = Some(now));
    }

    /// An access key that never expires, and its secret.
    pub fn static_key(&self) -> (String, String) {
        let state = lock(&self.shared);
        let lasting = state.identities.keys.iter().find(|(_, key)| key.until.is_none());
        lasting.map(|(id, key)| (id.clone(), key.secret.clone())).unwrap_or_default()
    }

    /// The bearer with which the runner's steps ask for GitHub tokens.
    pub fn token_request_bearer(&self) -> String {
        lock(&self.shared).issuer.bearer.clone()
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared).requests.log.clone()
    }

    /// How often an operation was asked for, by its name with or without `ecs:`.
    pub fn count(&self, operation: &str) -> usize {
        let state = lock(&self.shared);
        let bare = |name: &str| name.split_once(':').map_or(name.to_owned(), |(_, bare)| bare.to_owned());
        let fits = |name: &str| name == operation || bare(name) == operation;
        state.requests.counts.iter().filter(|(name, _)| fits(name)).map(|(_, count)| count).sum()
    }

    /// The versions users get from a service now, sorted and joined by `+`; empty when nothing serves.
    pub fn serving(&self, service: &str) -> String {
        self.look(service, |service| {
            let serves = |task: &&crate::simulator::ecs::model::Task| task.fit();
            let mut versions: Vec<&str> = service.tasks.iter().filter(serves).map(|task| task.version.as_str()).collect();
            versions.sort_unstable();
            versions.dedup();
            versions.join("+")
        })
        .unwrap_or_default()
    }

    /// The task definitions of the running tasks of a service, sorted, each once.
    pub fn running(&self, service: &str) -> Vec<String> {
        self.look(service, |service| {
            let running = service.tasks.iter().filter(|task| task.phase == Phase::Running);
            let mut definitions: Vec<String> = running.map(|task| task.definition.clone()).collect();
            definitions.sort_unstable();
            definitions.dedup();
            definitions
        })
        .unwrap_or_default()
    }

    /// A service as DescribeServices shows it, with tags, without any lag; `null` when there is none.
    pub fn describe(&self, service: &str) -> Value {
        let now = lock(&self.shared).platform.clock.now();
        self.look(service, |service| views::service(service, true, now)).unwrap_or_default()
    }

    /// The newest revision of a task definition family, as it is kept; `null` when there is none.
    pub fn task_definition(&self, region: &str, family: &str) -> Value {
        let state = lock(&self.shared);
        state.platform.definition(region, family).map_or(Value::Null, |definition| Value::Object(definition.body.clone()))
    }

    /// All lines of a log group, oldest first.
    pub fn log_lines(&self, group: &str) -> Vec<String> {
        let mut state = lock(&self.shared);
        state.advance();
        let of_group = state.platform.logs.iter().filter(|((_, name, _), _)| name == group);
        let mut lines: Vec<_> = of_group.flat_map(|(_, lines)| lines.iter().cloned()).collect();
        lines.sort_by_key(|(at, _)| *at);
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// When the newest rollout that somebody asked for was completed or failed; `None` while it is in progress.
    pub fn rollout_ended_at(&self, service: &str) -> Option<Timestamp> {
        self.look(service, |service| service.deployments.iter().rev().find(|one| one.rollback_of.is_none()).and_then(|one| one.ended_at))
            .flatten()
    }

    /// Somebody else deploys: a new revision, whose tasks tell the version `somebody-else`, becomes the service's.
    pub fn deploy_by_somebody_else(&self, service: &str) {
        let mut state = lock(&self.shared);
        state.advance();
        let at = state.platform.now;
        let State { services: all, platform, .. } = &mut *state;
        if let Some(service) = all.iter_mut().find(|one| one.name == service) {
            releases::deploy_by_somebody_else(service, platform, at);
        }
    }

    /// The hosts of all load balancers, of all rules and seeds, and of the registries of all regions in use: each is answered on the simulator's port.
    pub fn hosts(&self) -> Vec<String> {
        let state = lock(&self.shared);
        let balancers = &state.platform.balancers;
        let rules =
            balancers.iter().flat_map(|one| &one.listeners).flat_map(|listener| &listener.rules).flat_map(|rule| rule.hosts.clone());
        let own = state.services.iter().flat_map(|service| service.hosts.clone());
        let clusters = state.platform.clusters.iter().map(|cluster| cluster.region.as_str());
        let regions: BTreeSet<&str> = clusters.chain(state.platform.repositories.iter().map(|one| one.region.as_str())).collect();
        let registries = regions.iter().flat_map(|region| [registry_host(region), bucket_host(region)]);
        let mut hosts: Vec<String> = balancers.iter().map(|one| one.dns.clone()).chain(rules).chain(own).chain(registries).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    fn change(&self, service: &str, with: impl FnOnce(&mut Service)) {
        let mut state = lock(&self.shared);
        state.advance();
        if let Some(service) = state.service_named(service) {
            with(service);
        }
    }

    fn look<T>(&self, service: &str, with: impl FnOnce(&Service) -> T) -> Option<T> {
        let mut state = lock(&self.shared);
        state.advance();
        state.service_named(service).map(|service| with(service))
    }
}
