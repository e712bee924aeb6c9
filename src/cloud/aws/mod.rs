//! An AWS session: credentials that renew themselves with a fresh identity token, and signed calls over our own client.

pub mod ecr;
mod explain;
pub mod keys;
pub mod signed;
mod sts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::future::ProvideCredentials as Providing;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Kind, Result};
use crate::http::{Http, Intent, aws::connector};
use crate::runner::log::Log;
use crate::runner::oidc::Oidc;
use crate::values::Secret;

use keys::{Keys, Source};

/// How to sign in to AWS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsAuth {
    /// The role to assume by web identity; `None`: the usual chain of the SDKs.
    pub role: Option<String>,
    /// Region where a service names none.
    pub region: Option<String>,
    /// Fails when signed in anywhere else.
    pub expected_account: Option<String>,
    /// Session length.
    pub role_duration: Option<Duration>,
    /// Session name; default `touchdown-<run id>`.
    pub session_name: Option<String>,
    /// Sent with the last role of the chain; never in the journal.
    #[serde(skip)]
    pub external_id: Option<Secret>,
    /// Roles assumed one after the other from the first.
    pub role_chain: Vec<String>,
}

/// `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>`, as the SDKs name them; already checked by `config`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsEndpoints {
    /// For every service.
    pub all: Option<String>,
    /// By service in lower case: `ecs`, `sts`, `elasticloadbalancing`.
    pub by_service: BTreeMap<String, String>,
}

impl AwsEndpoints {
    /// The override for `service`, if there is one.
    pub fn of(&self, service: &str) -> Option<&str> {
        self.by_service.get(service).or(self.all.as_ref()).map(String::as_str)
    }
}

/// What signing in needs.
#[derive(Clone)]
pub struct Entrance {
    /// The client.
    pub http: Http,
    /// GitHub's issuer, where this job may ask it; else why it may not.
    pub oidc: Result<Oidc>,
    /// The log that masks what is born here.
    pub log: Log,
    /// Endpoint overrides.
    pub endpoints: AwsEndpoints,
    /// Names the session: `touchdown-<run id>`.
    pub session_name: String,
    /// What the post step may fall back to: credentials that main kept.
    pub kept: Option<Secret>,
    /// Called with what the post step may need, at every renewal.
    pub keep: Option<Keep>,
}

/// Keeps what the post step may need.
pub type Keep = Arc<dyn Fn(&Secret) + Send + Sync>;

/// A session in one region.
#[derive(Clone)]
pub struct Session {
    http: Http,
    keys: Arc<Keys>,
    region: String,
    endpoints: AwsEndpoints,
    identity: Identity,
}

/// Who we are, as STS says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Account number.
    pub account: String,
    /// ARN of the user or the assumed role.
    pub arn: String,
}

impl Session {
    /// Signs in, proves it by GetCallerIdentity and holds the account to `aws-expected-account`.
    pub async fn sign_in(entrance: &Entrance, auth: &AwsAuth, region: &str) -> Result<Self> {
        let source = match &auth.role {
            Some(_) => Source::Federated,
            None => Source::Chain(chain(&entrance.http, region).await),
        };
        let keys = Arc::new(Keys::new(entrance.clone(), auth.clone(), region.to_owned(), source));
        let (http, endpoints) = (entrance.http.clone(), entrance.endpoints.clone());
        let mut session = Self { http, keys, region: region.to_owned(), endpoints, identity: Identity::default() };
        session.keys.current().await?;
        session.identity = sts::caller_identity(&session).await?;
        match &auth.expected_account {
            Some(expected) if *expected != session.identity.account => {
                Err(Failure::new(Kind::Denied, "signed in to another AWS account than expected")
                    .why(format!("expected {expected}, signed in to {} as {}", session.identity.account, session.identity.arn))
                    .fix("set aws-role to a role of the expected account, or aws-expected-account to this one"))
            }
            _ => Ok(session),
        }
    }

    /// Who we are.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The same session, calling another region; `None` where that is none: whoever writes a task definition must not choose the host.
    #[must_use]
    pub fn in_region(&self, region: &str) -> Option<Self> {
        is_region(region).then(|| Self { region: region.to_owned(), ..self.clone() })
    }

    /// The client underneath.
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// The ECS client: the SDK's operations over our HTTP client, its own retries off.
    pub fn ecs(&self) -> aws_sdk_ecs::Client {
        let mut config = aws_sdk_ecs::Config::builder()
            .behavior_version(aws_sdk_ecs::config::BehaviorVersion::latest())
            .region(aws_sdk_ecs::config::Region::new(self.region.clone()))
            .http_client(connector(&self.http, intent))
            .retry_config(aws_sdk_ecs::config::retry::RetryConfig::disabled())
            .timeout_config(aws_sdk_ecs::config::timeout::TimeoutConfig::disabled())
            .stalled_stream_protection(aws_sdk_ecs::config::StalledStreamProtectionConfig::disabled())
            .identity_cache(aws_sdk_ecs::config::IdentityCache::no_cache())
            .credentials_provider(SharedCredentialsProvider::new(FromKeys(self.keys.clone())));
        if let Some(endpoint) = self.endpoints.of("ecs") {
            config = config.endpoint_url(endpoint);
        }
        aws_sdk_ecs::Client::from_conf(config.build())
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("region", &self.region).field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Describe, list, get and look-ups read; everything else changes.
fn intent(parts: &http::request::Parts) -> Intent {
    let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    signed::intent_of(target.rsplit('.').next().unwrap_or_default())
}

/// The SDKs' usual chain: environment, profile, container, instance. What it asks over the network goes through our client and changes nothing.
async fn chain(http: &Http, region: &str) -> SharedCredentialsProvider {
    let region = aws_config::Region::new(region.to_owned());
    let surroundings = aws_config::provider_config::ProviderConfig::default()
        .with_http_client(connector(http, |_| Intent::Read))
        .with_region(Some(region.clone()));
    let chain = aws_config::default_provider::credentials::DefaultCredentialsChain::builder();
    SharedCredentialsProvider::new(chain.configure(surroundings).region(region).build().await)
}

/// Whether it can be part of a host name and nothing else: a region stands in the address of every call.
pub fn is_region(text: &str) -> bool {
    let Some((place, number)) = text.rsplit_once('-') else { return false };
    let words: Vec<&str> = place.split('-').collect();
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_number = (1..=2).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 32 && (2..=4).contains(&words.len()) && words.iter().all(is_word) && is_number
}

/// The partition's DNS suffix, from the region.
/// <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html> (2026-11)
pub(crate) fn suffix(region: &str) -> &'static str {
    let suffixes = [
        ("cn-", "amazonaws.com.cn"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("us-isof-", "csp.hci.ic.gov"),
        ("us-iso-", "c2s.ic.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
        ("eusc-", "amazonaws.eu"),
    ];
    suffixes.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("amazonaws.com", |(_, suffix)| suffix)
}

#[derive(Debug)]
struct FromKeys(Arc<Keys>);

impl ProvideCredentials for FromKeys {
    fn provide_credentials<'a>(&'a self) -> Providing<'a>
    where
        Self: 'a,
    {
        Providing::new(async { self.0.current().await.map_err(CredentialsError::provider_error) })
    }
}
