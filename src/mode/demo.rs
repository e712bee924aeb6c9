//! `touchdown demo`: the main job on the embedded simulator, a good deploy and then a bad one that is rolled back.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cloud::aws::AwsEndpoints;
use crate::config::plan::{Auth, ImageSource, Mode, MoveTags, Plan, PushPlan, ServicePlan, Skip, TargetPlan};
use crate::engine::record::{GroupPlan, MemberPlan, OnTrouble};
use crate::failure::Result;
use crate::health::{HealthAt, HealthSettings, StatusSet, VersionAt, VersionIs, VersionRule};
use crate::http::Endpoints;
use crate::image::reference::{RepositoryName, Source};
use crate::report::{Report, summary};
use crate::runner::report_file;
use crate::simulator::fault::Fault;
use crate::target::InFlight;
use crate::target::ecs::EcsSettings;
use crate::values::{ServiceName, Share};

use super::context::Surroundings;
use super::rehearse::rehearse;
use super::tell::{Told, tell};

/// The good deploy, then the bad one. Good means: the first is live and the second is not.
pub(crate) async fn demo(surroundings: &Surroundings) -> u8 {
    let mut statuses = Vec::new();
    for (title, file, fault) in [("a good release", "live", Fault::None), ("a release that crashes", "rolled-back", Fault::CrashOnStart)] {
        surroundings.log.line(&format!("\n== {title} =="));
        let journal = match plan() {
            Ok(plan) => rehearse(surroundings, &plan, Some(fault.name())).await,
            Err(failure) => Err(failure),
        };
        statuses.push(match &journal {
            Ok(journal) => tell(surroundings, Told::Journal(journal)),
            Err(failure) => tell(surroundings, Told::Early(failure)),
        });
        if let Ok(journal) = &journal {
            show(surroundings, file, &Report::of(journal.entries(), None));
        }
    }
    u8::from(statuses != [0, 1])
}

/// Prints the job summary, and writes it where it can be looked at rendered.
fn show(surroundings: &Surroundings, file: &str, report: &Report) {
    let markdown = summary::summary(report);
    surroundings.log.line(&format!("\n-- the job summary --\n{markdown}"));
    match report_file::write_demo(file, &markdown) {
        Ok(path) => surroundings.log.line(&format!("-- also in {} --", path.display())),
        Err(error) => surroundings.log.line(&format!("-- it could not be written: {error} --")),
    }
}

/// One web service on ECS.
pub(crate) fn plan() -> Result<Plan> {
    let name = ServiceName("web".to_owned());
    let members = vec![MemberPlan { service: name.clone(), after: Vec::new() }];
    Ok(Plan {
        push_only: None,
        mode: Mode::Deploy,
        services: vec![service(name)?],
        groups: vec![GroupPlan { members, on_failure: OnTrouble::Rollback, on_cancel: OnTrouble::Rollback }],
        auth: Auth::default(),
        skip: Skip::default(),
        environment: Some("production".to_owned()),
        notes: Vec::new(),
        endpoints: Endpoints::default(),
        aws_endpoints: AwsEndpoints::default(),
    })
}

fn service(name: ServiceName) -> Result<ServicePlan> {
    let push = PushPlan {
        from: Source::parse("123456789012.dkr.ecr.eu-west-1.amazonaws.com/web-builds:v1.3.0")?,
        to: RepositoryName::parse("123456789012.dkr.ecr.eu-west-1.amazonaws.com/web")?,
        tags: vec!["v1.3.0".to_owned(), "latest".to_owned()],
        moving: MoveTags::Live,
        platform: None,
        compression: None,
        referrers: false,
    };
    let settings = EcsSettings { region: "eu-west-1".to_owned(), cluster: "production".to_owned(), ..EcsSettings::default() };
    Ok(ServicePlan {
        service: name.0.clone(),
        name,
        target: TargetPlan::Ecs(settings),
        image: Some(ImageSource::Pushed(Box::new(push))),
        container: None,
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        definition: None,
        health: health(),
        steps: vec![Share::FULL],
        hold: Duration::ZERO,
        in_flight: InFlight::Wait,
        on_failure: OnTrouble::Rollback,
        before: None,
        migrate: None,
        timeout: Duration::from_secs(15 * 60),
        rollback_timeout: Duration::from_secs(15 * 60),
    })
}

fn health() -> HealthSettings {
    HealthSettings {
        at: HealthAt::Path("/health".to_owned()),
        retries: 10,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        initial_delay: Duration::ZERO,
        successes: 3,
        status: StatusSet(vec![(200, 299)]),
        body: None,
        json: Vec::new(),
        header: Vec::new(),
        version: Some(VersionRule { at: VersionAt::Pointer("/version".to_owned()), expected: VersionIs::Text("v1.3.0".to_owned()) }),
        max_latency: None,
        stabilize: Duration::ZERO,
        smoke: Vec::new(),
    }
}
