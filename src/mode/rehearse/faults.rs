//! Which fault a rehearsal gives to which service, and whether it showed: a fault that nothing notices is no success.

use std::collections::BTreeMap;

use crate::config::plan::{Plan, ServicePlan};
use crate::engine::state::State;
use crate::failure::{Failure, Result};
use crate::health::HealthAt;
use crate::runner::mistake::nearest;
use crate::simulator::fault::Fault;
use crate::values::ServiceName;

/// The faults of a rehearsal.
#[derive(Debug, Default)]
pub(super) struct Faults {
    by_service: BTreeMap<ServiceName, Fault>,
    everywhere: Fault,
}

impl Faults {
    /// Reads `crash-on-start` or lines `web=crash-on-start`, for services that are in the plan.
    pub fn parse(text: Option<&str>, plan: &Plan) -> Result<Self> {
        let mut faults = Self::default();
        for line in text.unwrap_or_default().split(['\n', ',']).map(str::trim).filter(|line| !line.is_empty()) {
            let Some((service, fault)) = line.split_once('=') else {
                faults.everywhere = Fault::parse(line)?;
                continue;
            };
            let name = ServiceName(service.trim().to_owned());
            if !plan.services.iter().any(|one| one.name == name) {
                return Err(unknown(&name, plan));
            }
            faults.by_service.insert(name, Fault::parse(fault.trim())?);
        }
        faults.can_strike(plan)?;
        Ok(faults)
    }

    /// The fault of one service.
    pub fn of(&self, service: &ServiceName) -> Fault {
        self.by_service.get(service).copied().unwrap_or(self.everywhere)
    }

    /// Whether it strikes any service.
    pub fn any(&self, fault: Fault) -> bool {
        self.everywhere == fault || self.by_service.values().any(|one| *one == fault)
    }

    fn can_strike(&self, plan: &Plan) -> Result<()> {
        let concerned = |service: &&ServicePlan| self.of(&service.name) == Fault::MigrationFails;
        let without = |service: &ServicePlan| service.before.is_none() && (service.migrate.is_none() || plan.skip.migrate);
        let concerned: Vec<&ServicePlan> = plan.services.iter().filter(concerned).collect();
        if concerned.is_empty() || !concerned.into_iter().all(without) {
            return Ok(());
        }
        Err(Failure::config("fault migration-fails cannot strike: no migration runs here")
            .fix("set migrate-command or migrate-job, leave out skip-migrate, or choose another fault"))
    }

    /// A fault that must spoil a release and did not: the settings do not notice it.
    pub fn noticed(&self, plan: &Plan, state: &State) -> Result<()> {
        let stands = |name: &ServiceName| {
            let group = state.plans.iter().position(|group| group.members.iter().any(|member| member.service == *name));
            group.is_some_and(|group| state.committed.contains(&group))
        };
        for settings in &plan.services {
            let fault = self.of(&settings.name);
            if let Some(fix) = missing(fault, settings, plan.skip.verify).filter(|_| stands(&settings.name)) {
                let what = format!("{}: nobody noticed the fault {}: the release went live", settings.name, fault.name());
                return Err(Failure::config(what).why("that would have been so in production too").fix(fix));
            }
        }
        Ok(())
    }
}

fn unknown(name: &ServiceName, plan: &Plan) -> Failure {
    let names: Vec<&str> = plan.services.iter().map(|service| service.name.0.as_str()).collect();
    Failure::config(format!("fault names the service {:?}, which is not deployed here", name.0))
        .why(format!("the nearest is {:?}", nearest(&name.0, &names).unwrap_or_default()))
        .fix(format!("write a line SERVICE=FAULT with one of: {}", names.join(", ")))
}

/// What would have noticed the fault. `None`: a release may go live with it.
fn missing(fault: Fault, service: &ServicePlan, unverified: bool) -> Option<String> {
    let health = &service.health;
    let asked = !matches!(health.at, HealthAt::Waived(_));
    Some(match fault {
        Fault::None | Fault::Throttled | Fault::LostAnswer | Fault::ServerErrors | Fault::NoDeploymentApi => return None,
        _ if unverified => "leave out skip-verify: nothing is asked of the new release now".to_owned(),
        _ if !asked => "give it a health-path or a health-url: nothing is asked of the new release now".to_owned(),
        Fault::WrongVersion => "set health-version: without it the build before may answer and pass for the new one".to_owned(),
        Fault::SlowHealth => format!(
            "set health-max-latency, or a health-timeout of less than the six seconds an answer took; it is {}",
            humantime::format_duration(health.timeout)
        ),
        Fault::UnhealthyAfterBake | Fault::Flapping => format!(
            "set stabilize to two minutes, and health-successes to more than {}: the release is watched too shortly",
            health.successes
        ),
        _ => "look at what is asked of the release: health-path, health-status, health-version, stabilize".to_owned(),
    })
}
