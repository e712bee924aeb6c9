//! The session's keys: held while they are good for five more minutes of our clock, then renewed with a fresh identity token.
//! They are kept for the post step, which may not be given a token any more.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::clock::Timestamp;
use crate::failure::{Failure, Kind, Result};
use crate::values::Secret;

use super::{AwsAuth, Entrance, sts};

/// Keys are renewed when less than this is left of them.
const LEFT: Duration = Duration::from_secs(5 * 60);

/// Where keys come from.
pub(super) enum Source {
    /// The role of the settings, by web identity.
    Federated,
    /// The SDKs' usual chain.
    Chain(SharedCredentialsProvider),
}

/// The keys of one session.
pub struct Keys {
    pub(super) entrance: Entrance,
    pub(super) auth: AwsAuth,
    pub(super) region: String,
    source: Source,
    held: Mutex<Option<Held>>,
}

/// Keys as they are kept for the post step.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) token: Option<String>,
    /// Milliseconds since the epoch; absent: they do not expire.
    pub(super) until: Option<u64>,
}

impl Keys {
    pub(super) fn new(entrance: Entrance, auth: AwsAuth, region: String, source: Source) -> Self {
        Self { entrance, auth, region, source, held: Mutex::new(None) }
    }

    /// Keys that are good for a while. One caller renews, the others wait for it.
    pub async fn current(&self) -> Result<Credentials> {
        let mut held = self.held.lock().await;
        let now = self.entrance.http.clock().now();
        if let Some(good) = held.as_ref().filter(|keys| keys.good_at(now.plus(LEFT))) {
            return Ok(good.credentials());
        }
        let renewed = match self.renew().await {
            Ok(renewed) => renewed,
            Err(failure) => match held.as_ref().filter(|keys| keys.good_at(now)) {
                Some(still_good) => return Ok(still_good.credentials()),
                None => self.kept(now).ok_or(failure)?,
            },
        };
        self.born(&renewed);
        let credentials = renewed.credentials();
        *held = Some(renewed);
        Ok(credentials)
    }

    async fn renew(&self) -> Result<Held> {
        match &self.source {
            Source::Federated => sts::assume(self).await,
            Source::Chain(provider) => {
                provider.provide_credentials().await.map(|found| Held::of(&found)).map_err(|error| no_credentials(&error))
            }
        }
    }

    /// What main kept, where it is still good.
    fn kept(&self, now: Timestamp) -> Option<Held> {
        let kept: Held = serde_json::from_str(self.entrance.kept.as_ref()?.expose()).ok()?;
        kept.good_at(now).then_some(kept)
    }

    /// Masked the moment they are born, and kept for the post step; what the usual chain gives it gives post too.
    fn born(&self, keys: &Held) {
        for secret in [Some(&keys.secret), keys.token.as_ref()].into_iter().flatten() {
            self.entrance.log.mask(&Secret::new(secret.clone()));
        }
        if matches!(self.source, Source::Federated)
            && let (Some(keep), Ok(json)) = (&self.entrance.keep, serde_json::to_string(keys))
        {
            keep(&Secret::new(json));
        }
    }
}

/// Why the usual chain had nothing. Profiles of IAM Identity Center are left to AWS's own CLI: their client would add a tenth to the binary.
fn no_credentials(error: &dyn std::error::Error) -> Failure {
    let causes: Vec<String> = std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string).collect();
    let failure = Failure::new(Kind::Denied, "there are no AWS credentials");
    if causes.iter().any(|cause| cause.contains("feature") && cause.contains("sso")) {
        return failure
            .why("the profile signs in by IAM Identity Center (SSO), which this program leaves to the AWS CLI")
            .fix("aws sso login --profile NAME && eval \"$(aws configure export-credentials --profile NAME --format env)\"");
    }
    let why = causes.into_iter().next().unwrap_or_else(|| error.to_string());
    failure.why(why).fix("set aws-role to the role this workflow may assume, or give the step the usual AWS_* variables")
}

impl Held {
    fn of(found: &Credentials) -> Self {
        let until = found.expiry().and_then(|expiry| expiry.duration_since(UNIX_EPOCH).ok());
        Self {
            id: found.access_key_id().to_owned(),
            secret: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
            until: until.map(|until| u64::try_from(until.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    fn good_at(&self, moment: Timestamp) -> bool {
        self.until.is_none_or(|until| until > moment.0)
    }

    pub(super) fn credentials(&self) -> Credentials {
        let expiry: Option<SystemTime> = None;
        Credentials::new(&self.id, &self.secret, self.token.clone(), expiry, "touchdown")
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}
