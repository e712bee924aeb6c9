//! ECR's registry: the distribution spec behind ECR's tokens, with what ECR does differently. Images lie in memory, up to a bound.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md> (2026-11)
//!
//! It also answers on this machine's own address, for clients that cannot be told where a host is (skopeo): there the token tells the region.

pub(crate) mod address;
mod blobs;
pub(crate) mod entry;
pub(crate) mod image;
mod manifests;
mod uploads;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::json;

use crate::simulator::ecr::{Repository, unknown};
use crate::simulator::wire::{Call, Outcome, Refusal, Reply, like};
use crate::simulator::world::{ACCOUNT, State, arn};

use address::{Address, At, What};
use entry::Token;
use uploads::Upload;

/// As many bytes of blobs are kept, unless a test says otherwise.
const ROOM: usize = 512 << 20;

/// What all registries of the account share.
pub(crate) struct Registry {
    /// By digest; a repository has what its own list of layers names.
    pub blobs: BTreeMap<String, Bytes>,
    pub uploads: BTreeMap<String, Upload>,
    pub tokens: Vec<Token>,
    /// Regions where layers are shared between repositories: `BLOB_MOUNTING` of PutAccountSetting.
    pub mounting: BTreeSet<String>,
    /// As many bytes as are kept.
    pub room: usize,
}

impl Default for Registry {
    fn default() -> Self {
        Self { blobs: BTreeMap::new(), uploads: BTreeMap::new(), tokens: Vec::new(), mounting: BTreeSet::new(), room: ROOM }
    }
}

impl Registry {
    /// Whether so many more bytes may be kept.
    fn has_room_for(&self, more: usize) -> bool {
        let kept: usize = self.blobs.values().map(Bytes::len).chain(self.uploads.values().map(Upload::size)).sum();
        kept + more <= self.room
    }
}

/// One request to a registry, whose caller is known.
struct Ask<'a> {
    call: &'a Call,
    address: &'a Address,
    account: String,
    region: String,
}

impl Ask<'_> {
    /// The address of something in the registry. On this machine's own address it is relative: nobody knows the scheme.
    fn link(&self, path: &str) -> String {
        match &self.address.at {
            At::Here => path.to_owned(),
            _ => format!("https://{}{path}", self.call.host()),
        }
    }

    fn repository<'s>(&self, state: &'s mut State, name: &str) -> Outcome<&'s mut Repository> {
        let mut all = state.platform.repositories.iter_mut();
        all.find(|one| one.region == self.region && one.name == name).ok_or_else(|| name_unknown(name))
    }
}

/// The digest of what was sent, where it is a blob or a manifest.
pub(crate) fn sent(call: &Call, address: &Address) -> String {
    let writes = matches!(call.method.as_str(), "PUT" | "PATCH") && matches!(address.what, What::Upload { .. } | What::Manifest { .. });
    if writes { image::digest(&call.body) } else { String::new() }
}

/// An answer in the spec's shape; ECR's 401 is plain text.
pub(crate) fn reply(outcome: Outcome<Reply>, address: &Address) -> Reply {
    let reply = outcome.unwrap_or_else(|refusal| match refusal.status {
        401 => {
            let host = match &address.at {
                At::Registry { account, region } => address::registry_host(region).replacen(ACCOUNT, account, 1),
                At::Bucket { region } => address::bucket_host(region),
                At::Here => address::registry_host("us-east-1"),
            };
            let challenge = format!("Basic realm=\"https://{host}/\",service=\"ecr.amazonaws.com\"");
            Reply::new(401, "text/plain; charset=utf-8", refusal.message).with("www-authenticate", challenge)
        }
        status => {
            let errors = json!({ "errors": [{ "code": refusal.code, "message": refusal.message }] });
            Reply::new(status, "application/json; charset=utf-8", format!("{errors}\n"))
        }
    });
    reply.with("docker-distribution-api-version", "registry/2.0")
}

/// Answers a request; `sent` is the digest of its body.
pub(crate) fn answer(state: &mut State, call: &Call, address: &Address, sent: &str) -> Outcome<Reply> {
    if let (At::Bucket { .. }, What::Layer { digest }) = (&address.at, &address.what) {
        return Ok(blobs::from_bucket(&state.registry, call, digest));
    }
    let token = entry::shown(&state.registry.tokens, call, state.platform.now)?.clone();
    let (account, region) = match &address.at {
        At::Registry { account, region } => (account.clone(), region.clone()),
        At::Bucket { .. } | At::Here => (ACCOUNT.to_owned(), token.region.clone()),
    };
    let ask = Ask { call, address, account, region };
    permit(state, &ask, &token)?;
    if call.cut {
        return Err(full(&state.registry));
    }
    match (&address.what, call.method.as_str()) {
        (What::Base, "GET" | "HEAD") => Ok(Reply::new(200, "text/plain; charset=utf-8", "")),
        (What::Manifest { name, reference }, "GET" | "HEAD") => manifests::read(state, &ask, name, reference),
        (What::Manifest { name, reference }, "PUT") => manifests::write(state, &ask, (name, reference), sent),
        (What::Blob { name, digest }, "HEAD") => blobs::head(state, &ask, name, digest),
        (What::Blob { name, digest }, "GET") => blobs::read(state, &ask, name, digest),
        (What::Uploads { name }, "POST") => uploads::begin(state, &ask, name),
        (What::Upload { name, id }, "GET" | "HEAD") => uploads::look(state, &ask, name, id),
        (What::Upload { name, id }, "PATCH") => uploads::patch(state, &ask, (name, id), sent),
        (What::Upload { name, id }, "PUT") => uploads::commit(state, &ask, (name, id), sent),
        (What::Tags { name }, "GET") => manifests::tags(state, &ask, name),
        (What::Referrers { name, digest }, "GET") => manifests::referrers(state, &ask, name, digest),
        // What is deleted, is deleted by ECR's own API; uploads end by themselves.
        _ => Err(Refusal::new("UNSUPPORTED", "The operation is unsupported.").status(405)),
    }
}

/// Refuses who may not: by a test's word, or in somebody else's registry.
fn permit(state: &State, ask: &Ask<'_>, token: &Token) -> Outcome<()> {
    let Some(action) = ask.address.action(&ask.call.method) else { return Ok(()) };
    let ours = ask.account == ACCOUNT;
    if ours && !state.requests.denied.iter().any(|(pattern, service)| service.is_none() && like(pattern, action)) {
        return Ok(());
    }
    let resource = format!("repository/{}", ask.address.repository().unwrap_or_default());
    let resource = arn("ecr", &ask.region, &resource).replacen(ACCOUNT, &ask.account, 1);
    let policy = if ours { "identity-based" } else { "resource-based" };
    let reason = format!("because no {policy} policy allows the {action} action");
    let message = format!("User: {} is not authorized to perform: {action} on resource: {resource} {reason}", token.principal);
    Err(Refusal::new("DENIED", message).status(403))
}

/// The simulator's own bound, not ECR's.
fn full(registry: &Registry) -> Refusal {
    Refusal::new("SIZE_INVALID", format!("the simulator keeps at most {} bytes of images", registry.room)).status(413)
}

fn name_unknown(name: &str) -> Refusal {
    Refusal::new("NAME_UNKNOWN", unknown(name).message).status(404)
}
