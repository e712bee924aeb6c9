//! What can go wrong with a release, by name: users choose one in `mode: rehearse`, tests set one per service.
//! It only names them; the APIs and the rollout read the name and behave accordingly.

use crate::failure::{Failure, Result};

/// What goes wrong. A fault concerns the new release of a service, unless it concerns an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The container exits with 1 soon after its start.
    CrashOnStart,
    /// The container is killed for its memory, exit code 137.
    OutOfMemory,
    /// The image cannot be pulled.
    ImagePull,
    /// Every health request is answered with 500, the load balancer's too.
    NeverHealthy,
    /// The rollout succeeds, but the answers tell the version of the build before.
    WrongVersion,
    /// The answers are right and take six seconds.
    SlowHealth,
    /// Every second answer is a 500; the load balancer does not mind.
    Flapping,
    /// The container crashes; the circuit breaker rolls back by itself.
    CircuitBreakerRollback,
    /// The container crashes; the circuit breaker ends the rollout and leaves it there.
    CircuitBreakerNoRollback,
    /// Somebody else deploys a third revision in the middle of the rollout.
    Superseded,
    /// The new tasks never leave PENDING.
    Stuck,
    /// The role does not trust this workflow.
    DeniedSignIn,
    /// The role may not update the service.
    DeniedUpdate,
    /// Every third request of each operation is throttled.
    Throttled,
    /// The service is updated, but the answer is lost on the wire.
    LostAnswer,
    /// Every third request of each operation is answered with 500.
    ServerErrors,
    /// The role may not see or stop service deployments.
    NoDeploymentApi,
    /// Tasks run by hand (migrations) exit with 1.
    MigrationFails,
    /// The new release crashes, and the old one cannot be started any more.
    RollbackFails,
    /// The rollout waits at a pause hook for somebody to continue it.
    PausedHook,
    /// An alarm goes off during the rollout.
    Alarm,
    /// Healthy at first; some seconds after the rollout every answer is a 500.
    UnhealthyAfterBake,
    /// There is no capacity for the new tasks.
    Placement,
}

impl Fault {
    /// Every fault with its name and what happens, as users read it.
    pub const ALL: &'static [(Fault, &'static str, &'static str)] = &[
        (Fault::None, "none", "nothing goes wrong"),
        (Fault::CrashOnStart, "crash-on-start", "the new container exits with code 1 soon after its start"),
        (Fault::OutOfMemory, "out-of-memory", "the new container is killed for its memory (exit code 137)"),
        (Fault::ImagePull, "image-pull", "the new image cannot be pulled"),
        (Fault::NeverHealthy, "never-healthy", "the new release answers every health request with 500"),
        (Fault::WrongVersion, "wrong-version", "the rollout succeeds, but the answers still tell the version before"),
        (Fault::SlowHealth, "slow-health", "the new release answers rightly, after six seconds"),
        (Fault::Flapping, "flapping", "every second answer of the new release is a 500"),
        (Fault::CircuitBreakerRollback, "circuit-breaker-rollback", "the new container crashes and the platform rolls back by itself"),
        (
            Fault::CircuitBreakerNoRollback,
            "circuit-breaker-no-rollback",
            "the new container crashes and the platform gives up without a rollback",
        ),
        (Fault::Superseded, "superseded", "somebody else deploys in the middle of the rollout"),
        (Fault::Stuck, "stuck", "the new tasks stay pending for ever"),
        (Fault::DeniedSignIn, "denied-sign-in", "the role does not trust this workflow"),
        (Fault::DeniedUpdate, "denied-update", "the role may not update the service"),
        (Fault::Throttled, "throttled", "every third request of an operation is throttled"),
        (Fault::LostAnswer, "lost-answer", "the service is updated, but the answer is lost on the wire"),
        (Fault::ServerErrors, "server-errors", "every third request of an operation is answered with a server error"),
        (Fault::NoDeploymentApi, "no-deployment-api", "the role may not see or stop service deployments"),
        (Fault::MigrationFails, "migration-fails", "the migration exits with code 1"),
        (Fault::RollbackFails, "rollback-fails", "the new container crashes and the release before cannot be started again"),
        (Fault::PausedHook, "paused-hook", "the rollout stops at a pause hook until somebody continues it"),
        (Fault::Alarm, "alarm", "an alarm goes off during the rollout"),
        (Fault::UnhealthyAfterBake, "unhealthy-after-bake", "the new release is healthy at first and breaks after the rollout"),
        (Fault::Placement, "placement", "there is no capacity for the new tasks"),
    ];

    /// Reads a name as users write it. A name that is not one is a mistake that lists them.
    pub fn parse(name: &str) -> Result<Fault> {
        if let Some((fault, _, _)) = Self::ALL.iter().find(|(_, known, _)| *known == name) {
            return Ok(*fault);
        }
        let names: Vec<&str> = Self::ALL.iter().map(|(_, known, _)| *known).collect();
        let nearest = names.iter().copied().max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
        Err(Failure::config(format!("fault {name:?} is not known"))
            .why(format!("the nearest is {:?}", nearest.unwrap_or_default()))
            .fix(format!("choose one of: {}", names.join(", "))))
    }

    /// The name as users write it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(fault, _, _)| *fault == self).map_or("none", |(_, name, _)| name)
    }
}
