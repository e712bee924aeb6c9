//! What the journal holds of an ECS service: where it stood, and what we make it point at. Addresses only.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// What stood before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// ARN of the service.
    pub(super) service_arn: String,
    /// ARN of the task definition that really serves: the last successful one.
    pub(super) task_definition: String,
    /// The deployment that was PRIMARY.
    pub(super) deployment: String,
    /// The desired count.
    pub(super) desired_count: u64,
}

/// What *ours* means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// ARN of the task definition the service is pointed at.
    pub(super) task_definition: String,
    /// ARN of the one it pointed at before.
    pub(super) from: String,
    /// The deployment that was PRIMARY before.
    pub(super) deployment_before: String,
    /// The digest of the image, as sent.
    pub(super) image: String,
    /// The container that takes it.
    pub(super) container: String,
    /// When it was made.
    pub(super) at: Timestamp,
    /// Forward, or back to what stood before.
    pub(super) way: Way,
    /// A new deployment was asked for although nothing changed.
    #[serde(default)]
    pub(super) forced: bool,
    /// The desired count to send, where one is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) desired_count: Option<u64>,
}

/// Which way a release goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Way {
    /// A new release.
    Forward,
    /// Back to what stood before, by an update of ours.
    Back,
    /// Back by ECS itself, out of the deployment `deployment_before`, which it was asked to stop or gave up.
    BackByEcs,
}

impl Release {
    /// Whether the task definition alone does not tell that it has begun: the same one, deployed anew.
    pub(super) fn waits_for_new_deployment(&self) -> bool {
        self.forced && self.from == self.task_definition
    }
}
