//! Amazon ECS.

mod evidence;
mod verdict;

use serde::{Deserialize, Serialize};

/// Settings of the `ecs` target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EcsSettings {
    /// AWS region of the cluster.
    pub region: String,
    /// Cluster name or ARN.
    pub cluster: String,
    /// A JSON or YAML file to start from; default: the serving revision. Read beneath the workspace; parsed by `config`.
    pub task_definition: Option<String>,
    /// Task CPU units or vCPU, as ECS writes them (`256`, `.25 vCPU`).
    pub cpu: Option<String>,
    /// Task memory in MiB or GB, as ECS writes it (`512`, `1 GB`).
    pub memory: Option<String>,
    /// Number of tasks; sent only when given.
    pub desired_count: Option<u32>,
    /// Deploy although nothing changed.
    pub force: bool,
    /// When a rollout counts as done.
    pub wait_until: WaitUntil,
}

/// When an ECS rollout counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WaitUntil {
    /// The deployment is successful.
    #[default]
    Completed,
    /// Production traffic is shifted (blue/green, linear, canary).
    ProductionTraffic,
    /// The bake has begun.
    Bake,
}
