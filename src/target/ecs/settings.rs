//! What users may set for `target: ecs`. The doc comments are the schema's and the README's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the `ecs` target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct EcsSettings {
    /// AWS region of the cluster, e.g. `eu-west-1`.
    pub region: String,
    /// Name or ARN of the cluster.
    #[serde(default = "default_cluster")]
    pub cluster: String,
    /// A JSON or YAML file beneath the workspace to start the task definition from. Default: the revision that serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<String>,
    /// Task CPU as ECS writes it: `256`, `.25 vCPU`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Task memory as ECS writes it: `512`, `1 GB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Number of tasks. Never sent unless given, so that auto scaling keeps its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_count: Option<u32>,
    /// Deploy although nothing changed.
    #[serde(default)]
    pub force: bool,
    /// When a rollout counts as done: `completed`, `production-traffic` or `bake`.
    #[serde(default)]
    pub wait_until: WaitUntil,
}

/// The cluster ECS itself assumes.
pub fn default_cluster() -> String {
    "default".to_owned()
}

/// When an ECS rollout counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WaitUntil {
    /// The service deployment is successful.
    #[default]
    Completed,
    /// Production traffic is shifted (blue/green, linear, canary).
    ProductionTraffic,
    /// The bake has begun.
    Bake,
}
