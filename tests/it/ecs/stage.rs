//! A service in the simulator, the target that drives it, and a driver that waits as the engine does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use touchdown::cloud::aws::Session;
use touchdown::failure::{Failure, Kind, Result};
use touchdown::simulator::fault::Fault;
use touchdown::simulator::seed::ServiceSeed;
use touchdown::target::ecs::{Clusters, Ecs, EcsSettings, Release, Snapshot};
use touchdown::target::{Arrival, Captured, InFlight, Observation, Prepared, ServiceOrder, Target, Undo};
use touchdown::values::{Digest, PinnedImage, RunId, ServiceName};

use crate::aws::{REGION, Stage};

/// How many times as fast as the wall.
const PACE: f64 = 100.0;

/// A service and its target.
pub(crate) struct Deck {
    pub(crate) stage: Stage,
    pub(crate) session: Session,
    pub(crate) clusters: Clusters,
    pub(crate) common: ServiceOrder,
    pub(crate) settings: EcsSettings,
    pub(crate) definition: Option<Value>,
    pub(crate) ecs: Arc<Ecs>,
}

impl Deck {
    pub(crate) async fn of(seed: ServiceSeed) -> Self {
        let stage = Stage::at(PACE).await;
        stage.world.set_rollout_time(Duration::from_secs(20));
        stage.world.add_service(&seed).unwrap();
        let session = stage.sign_in().await;
        let settings = EcsSettings { region: REGION.to_owned(), cluster: "default".to_owned(), ..EcsSettings::default() };
        let (common, clusters) = (common("web"), Clusters::default());
        let ecs = Arc::new(Ecs::new(common.clone(), settings.clone(), None, session.clone(), &clusters));
        Self { stage, session, clusters, common, settings, definition: None, ecs }
    }

    pub(crate) async fn web() -> Self {
        Self::of(ServiceSeed::new("web")).await
    }

    pub(crate) async fn with(fault: Fault) -> Self {
        let deck = Self::web().await;
        deck.stage.world.set_fault("web", fault);
        deck
    }

    /// The same service, met by another process with other settings.
    pub(crate) fn again(mut self, change: impl FnOnce(&mut ServiceOrder, &mut EcsSettings)) -> Self {
        change(&mut self.common, &mut self.settings);
        let (common, settings) = (self.common.clone(), self.settings.clone());
        self.ecs = Arc::new(Ecs::new(common, settings, self.definition.clone(), self.session.clone(), &self.clusters));
        self
    }

    pub(crate) fn starting_from(mut self, definition: Value) -> Self {
        self.definition = Some(definition);
        self.again(|_, _| {})
    }

    pub(crate) async fn captured(&self) -> Captured<Snapshot> {
        self.insist(async || Target::snapshot(&*self.ecs).await).await.unwrap()
    }

    /// Captures, prepares, applies.
    pub(crate) async fn begun(&self, tag: &str) -> (Captured<Snapshot>, Prepared<Release>) {
        let captured = self.captured().await;
        let prepared = self.insist(async || Target::prepare(&*self.ecs, &image(tag), &captured.before).await).await.unwrap();
        self.applied(&captured, &prepared).await.unwrap();
        (captured, prepared)
    }

    pub(crate) async fn applied(&self, captured: &Captured<Snapshot>, prepared: &Prepared<Release>) -> Result<()> {
        self.insist(async || Target::apply(&*self.ecs, &prepared.release, &captured.before).await).await
    }

    /// Looks until the release has arrived or will not, at most some minutes of the clock; the last notes come along.
    pub(crate) async fn settled(&self, release: &Release) -> Result<Arrival> {
        let mut notes = Vec::new();
        for _ in 0..400 {
            match Target::observe(&*self.ecs, release).await {
                Ok(Observation::Ready(arrival)) => return Ok(arrival),
                Ok(Observation::Broken(failure)) => return Err(failure),
                Ok(Observation::Progressing { note }) => notes.push(note),
                Err(failure) if failure.kind == Kind::Transient => {}
                Err(failure) => return Err(failure),
            }
            self.stage.clock.sleep(Duration::from_secs(2)).await;
        }
        notes.dedup();
        Err(Failure::new(Kind::TimedOut, format!("not settled; it said {notes:?}")))
    }

    /// Looks until a note contains `text`.
    pub(crate) async fn note(&self, release: &Release, text: &str) -> String {
        for _ in 0..400 {
            match Target::observe(&*self.ecs, release).await {
                Ok(Observation::Progressing { note }) if note.contains(text) => return note,
                Ok(Observation::Progressing { .. }) => self.stage.clock.sleep(Duration::from_secs(2)).await,
                other => panic!("instead of a note with {text:?}: {other:?}"),
            }
        }
        panic!("no note with {text:?}");
    }

    /// Captures, prepares, applies and settles.
    pub(crate) async fn deployed(&self, tag: &str) -> Result<Arrival> {
        let (_, prepared) = self.begun(tag).await;
        self.settled(&prepared.release).await
    }

    /// Rolls back to the end; what was begun must arrive.
    pub(crate) async fn undone(&self, captured: &Captured<Snapshot>, prepared: &Prepared<Release>) -> Undo<Release> {
        let undo = self.insist(async || Target::rollback(&*self.ecs, &captured.before, &prepared.release).await).await.unwrap();
        if let Undo::Begun(back) = &undo {
            self.settled(back).await.unwrap();
        }
        undo
    }

    /// Calls again what failed for the moment.
    pub(crate) async fn insist<T>(&self, verb: impl AsyncFn() -> Result<T>) -> Result<T> {
        for _ in 0..200 {
            match verb().await {
                Err(failure) if failure.kind == Kind::Transient => self.stage.clock.sleep(Duration::from_millis(500)).await,
                ended => return ended,
            }
        }
        verb().await
    }

    /// The bodies of all requests of an operation.
    pub(crate) fn sent(&self, operation: &str) -> Vec<Value> {
        let requests = self.stage.world.requests();
        let of_operation = requests.iter().filter(|request| request.operation == format!("ecs:{operation}"));
        of_operation.map(|request| serde_json::from_str(&request.body).unwrap()).collect()
    }

    pub(crate) fn count(&self, operation: &str) -> usize {
        self.stage.world.count(operation)
    }

    /// The task definitions that run now, by their short names.
    pub(crate) fn running(&self) -> Vec<String> {
        let running = self.stage.world.running("web");
        running.iter().map(|arn| arn.rsplit('/').next().unwrap().to_owned()).collect()
    }

    /// The newest revision.
    pub(crate) fn newest(&self) -> Value {
        self.stage.world.task_definition(REGION, "web")
    }
}

pub(crate) fn common(service: &str) -> ServiceOrder {
    ServiceOrder {
        name: ServiceName(service.to_owned()),
        service: service.to_owned(),
        container: None,
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        in_flight: InFlight::Wait,
        address_given: false,
        health_waived: false,
        run: RunId { id: "42".to_owned(), attempt: 1 },
        timeout: Duration::from_secs(900),
    }
}

/// An image of the service; the same tag is the same image.
pub(crate) fn image(tag: &str) -> PinnedImage {
    let hex = tag.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let digest = Digest::parse(&format!("sha256:{hex:0>64}")).unwrap();
    PinnedImage { repository: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web".to_owned(), tag: Some(tag.to_owned()), digest }
}

/// A task definition with things that must survive a new revision, and things that must not.
pub(crate) fn rich_definition() -> Value {
    json!({
        "family": "web",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "aKeyNobodyHasHeardOf": { "nested": ["", { "empty": "" }] },
        "enableFaultInjection": false,
        "containerDefinitions": [
            { "name": "proxy", "image": "public.ecr.aws/proxy:1", "essential": true, "command": [""] },
            { "name": "app", "image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:v1", "essential": true,
              "portMappings": [{ "containerPort": 8080 }], "futureSetting": 7,
              "environment": [{ "name": "VERSION", "value": "v1" }, { "name": "EMPTY", "value": "" }, { "name": "OLD", "value": "x" }],
              "secrets": [{ "name": "TOKEN", "valueFrom": "arn:aws:ssm:eu-west-1:123456789012:parameter/token" }] },
        ],
    })
}
