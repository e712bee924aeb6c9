//! A valid plan: what the modes and the engine work from. Nothing in it needs checking again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cloud::aws::{AwsAuth, AwsEndpoints};
use crate::engine::member::JobPlan;
use crate::engine::record::{GroupPlan, OnTrouble};
use crate::health::HealthSettings;
use crate::http::Endpoints;
use crate::image::content::Platform;
use crate::image::reference::{RepositoryName, Source};
use crate::image::source::Compression;
use crate::target::{EnvChange, InFlight};
use crate::values::{PinnedImage, Secret, ServiceName, Share};

/// Everything a run will do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What to do.
    pub mode: Mode,
    /// The services, in the order written.
    pub services: Vec<ServicePlan>,
    /// An image that is pushed and deployed nowhere (`skip-deploy` without a service).
    pub push_only: Option<(ServiceName, PushPlan)>,
    /// Every service is in exactly one; `after` is checked for cycles.
    pub groups: Vec<GroupPlan>,
    /// How to sign in.
    pub auth: Auth,
    /// Stages skipped by flag.
    pub skip: Skip,
    /// The environment asked for, if one.
    pub environment: Option<String>,
    /// Lines a person should know before anything starts (overridden endpoints, waived health).
    pub notes: Vec<String>,
    /// Hosts that are reached elsewhere.
    pub endpoints: Endpoints,
    /// AWS services that are reached elsewhere.
    pub aws_endpoints: AwsEndpoints,
}

/// The modes of the interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// The whole walk.
    Deploy,
    /// What would change.
    Plan,
    /// Health of what runs now.
    Verify,
    /// Back to the last known-good release, or to this one.
    Rollback {
        /// The platform's name of the release.
        to: Option<String>,
    },
    /// The releases.
    History,
    /// The walk against the simulator, with this fault.
    Rehearse {
        /// Name of the fault; `None`: a good deploy.
        fault: Option<String>,
    },
}

/// Stages skipped by flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skip {
    /// `skip-push`
    pub push: bool,
    /// `skip-migrate`
    pub migrate: bool,
    /// `skip-deploy`
    pub deploy: bool,
    /// `skip-verify`
    pub verify: bool,
}

/// One service. What the post step needs of it is serialised into the journal: never an environment value, never a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServicePlan {
    /// The key in the file, or the service's own name.
    pub name: ServiceName,
    /// The service's name on the platform.
    pub service: String,
    /// The platform with its own settings.
    pub target: TargetPlan,
    /// What to deploy; absent only for modes that deploy nothing. Not in the journal, which has what it came to.
    #[serde(skip)]
    pub image: Option<ImageSource>,
    /// Which container takes the image.
    pub container: Option<String>,
    /// Changes to the environment; not in the journal.
    #[serde(skip)]
    pub env: BTreeMap<String, EnvChange>,
    /// The platform's secret references; not in the journal.
    #[serde(skip)]
    pub secrets: BTreeMap<String, String>,
    /// The user's own task definition, read and parsed; not in the journal.
    #[serde(skip)]
    pub definition: Option<serde_json::Value>,
    /// Health.
    pub health: HealthSettings,
    /// Shares for the new release.
    pub steps: Vec<Share>,
    /// Hold time between them.
    pub hold: Duration,
    /// What to do when another deployment runs.
    pub in_flight: InFlight,
    /// A failure of this service.
    pub on_failure: OnTrouble,
    /// A job first of all.
    pub before: Option<JobPlan>,
    /// A job between prepare and apply.
    pub migrate: Option<JobPlan>,
    /// For the whole service.
    pub timeout: Duration,
    /// For putting it back.
    pub rollback_timeout: Duration,
}

/// A platform with its own settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetPlan {
    /// Amazon ECS.
    Ecs(crate::target::ecs::EcsSettings),
}

/// Where the image comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum ImageSource {
    /// Deployed as written; nothing is read from its registry.
    Pinned(PinnedImage),
    /// A tag whose digest the registry tells.
    Tagged {
        /// Where it lies.
        repository: RepositoryName,
        /// The tag.
        tag: String,
        /// The one platform of an index that is meant; `None`: all of them.
        platform: Option<Platform>,
    },
    /// Pushed first.
    Pushed(Box<PushPlan>),
}

/// A push.
#[derive(Debug, Clone, PartialEq)]
pub struct PushPlan {
    /// What is pushed.
    pub from: Source,
    /// Where to.
    pub to: RepositoryName,
    /// The tags it gets there; the first is the one people know it by.
    pub tags: Vec<String>,
    /// When a tag that means another image moves.
    pub moving: MoveTags,
    /// The one platform of an index that is pushed; `None`: all of them.
    pub platform: Option<Platform>,
    /// How its layers are compressed where they come plain; `None`: as the machines that pull it can read.
    pub compression: Option<Compression>,
    /// Whether what refers to it goes along.
    pub referrers: bool,
}

/// When a tag that means another image moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveTags {
    /// Once the release is live.
    Live,
    /// At the end of the push.
    Pushed,
}

/// Logins for registries, as the settings give them.
#[derive(Debug, Clone, Default)]
pub struct RegistryAuth {
    /// `registry-username` and `registry-password`.
    pub written: Option<(String, Secret)>,
    /// The workflow's actor and token.
    pub github: Option<(String, Secret)>,
    /// `create-repository`
    pub create: bool,
}

/// How to sign in.
#[derive(Debug, Clone, Default)]
pub struct Auth {
    /// AWS.
    pub aws: AwsAuth,
    /// Registries.
    pub registries: RegistryAuth,
}

impl Mode {
    /// As users write it.
    pub fn name(&self) -> &'static str {
        match self {
            Mode::Deploy => "deploy",
            Mode::Plan => "plan",
            Mode::Verify => "verify",
            Mode::Rollback { .. } => "rollback",
            Mode::History => "history",
            Mode::Rehearse { .. } => "rehearse",
        }
    }
}

impl TargetPlan {
    /// As users write it.
    pub fn name(&self) -> &'static str {
        match self {
            TargetPlan::Ecs(_) => "ecs",
        }
    }
}
