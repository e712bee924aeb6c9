//! A thin client of the simulator for its tests: signed calls, health requests, and a deploy as a person would do it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::{Value, json};
use touchdown::clock::Clock;
use touchdown::simulator::Simulator;
use touchdown::simulator::handle::World;
use touchdown::simulator::seed::ServiceSeed;

/// An answer: status and body.
pub type Answered = (u16, String);

/// A simulator with one service `web`, and somebody with the static key.
pub struct Client {
    pub simulator: Arc<Simulator>,
    pub world: World,
    pub clock: Clock,
    pub key: Credentials,
    http: reqwest::Client,
}

impl Client {
    /// `factor` times as fast as the wall.
    pub async fn with(factor: f64, seed: ServiceSeed) -> Self {
        let clock = Clock::scaled(factor);
        let simulator = Arc::new(Simulator::start(clock.clone()).await.unwrap());
        simulator.world().add_service(&seed).unwrap();
        Self::of(simulator, clock)
    }

    /// A person at a simulator that others use too.
    pub fn of(simulator: Arc<Simulator>, clock: Clock) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let world = simulator.world();
        let (id, secret) = world.static_key();
        let key = Credentials::new(id, secret, None, None, "test");
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { simulator, world, clock, key, http }
    }

    /// Sends a signed request; `None` when the connection ended without an answer.
    pub async fn send(&self, service: &str, headers: &[(&str, String)], body: String) -> Option<Answered> {
        let url = format!("http://{}/", self.simulator.address());
        let identity = self.key.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-west-1")
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let borrowed = headers.iter().map(|(name, value)| (*name, value.as_str()));
        let signable = SignableRequest::new("POST", url.clone(), borrowed, SignableBody::Bytes(body.as_bytes())).unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        let mut request = self.http.post(url).body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        for (name, value) in instructions.headers() {
            request = request.header(name, value);
        }
        let answer = request.send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// A JSON 1.1 call, e.g. of `ecs`.
    pub async fn call(&self, service: &str, operation: &str, body: Value) -> Option<(u16, Value)> {
        let target = match service {
            "ecs" => "AmazonEC2ContainerServiceV20141113",
            "ecr" => "AmazonEC2ContainerRegistry_V20150921",
            _ => "Logs_20140328",
        };
        let headers = [("content-type", "application/x-amz-json-1.1".to_owned()), ("x-amz-target", format!("{target}.{operation}"))];
        let (status, text) = self.send(service, &headers, body.to_string()).await?;
        Some((status, serde_json::from_str(&text).unwrap()))
    }

    /// An ECS call that must succeed.
    pub async fn ecs(&self, operation: &str, body: Value) -> Value {
        let (status, answer) = self.call("ecs", operation, body).await.unwrap();
        assert_eq!(status, 200, "{operation}: {answer}");
        answer
    }

    /// An ECS call that must fail: its error code.
    pub async fn refused(&self, operation: &str, body: Value) -> String {
        let (status, answer) = self.call("ecs", operation, body).await.unwrap();
        assert_ne!(status, 200, "{operation}: {answer}");
        answer["__type"].as_str().unwrap().to_owned()
    }

    /// A query call of ELBv2.
    pub async fn elb(&self, action: &str, name: &str, value: &str) -> Answered {
        let form: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("Action", action), ("Version", "2015-12-01"), (name, value)])
            .finish();
        let headers = [("content-type", "application/x-www-form-urlencoded".to_owned())];
        self.send("elasticloadbalancing", &headers, form).await.unwrap()
    }

    /// A GET to the application.
    pub async fn get(&self, host: &str, path: &str) -> Answered {
        let url = format!("http://{}{path}", self.simulator.address());
        let answer = self.http.get(url).header("host", host).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// The service `web` as DescribeServices shows it.
    pub async fn web(&self) -> Value {
        self.ecs("DescribeServices", json!({ "cluster": "default", "services": ["web"], "include": ["TAGS"] })).await["services"][0].clone()
    }

    /// Registers the task definition of `web` with this version; gives its ARN.
    pub async fn register(&self, version: &str) -> String {
        let mut definition = self.ecs("DescribeTaskDefinition", json!({ "taskDefinition": "web" })).await["taskDefinition"].clone();
        let fields = definition.as_object_mut().unwrap();
        for key in ["taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy"] {
            fields.remove(key);
        }
        definition["containerDefinitions"][0]["environment"] = json!([{ "name": "VERSION", "value": version }]);
        let registered = self.ecs("RegisterTaskDefinition", definition).await;
        registered["taskDefinition"]["taskDefinitionArn"].as_str().unwrap().to_owned()
    }

    /// Deploys a new version of `web`: gives the digits of the deployment's id.
    pub async fn deploy(&self, version: &str) -> String {
        let definition = self.register(version).await;
        let updated = self.ecs("UpdateService", json!({ "service": "web", "taskDefinition": definition })).await;
        updated["service"]["deployments"][0]["id"].as_str().unwrap().strip_prefix("ecs-svc/").unwrap().to_owned()
    }

    /// The service deployment whose target revision has this number, once it is known.
    pub async fn deployment(&self, number: &str) -> Value {
        let listed = self
            .until("the service deployment is listed", async || {
                let listed = self.ecs("ListServiceDeployments", json!({ "service": "web" })).await;
                let of_ours = |one: &&Value| one["targetServiceRevisionArn"].as_str().unwrap().contains(number);
                listed["serviceDeployments"].as_array().unwrap().iter().find(of_ours).cloned()
            })
            .await;
        let arns = json!({ "serviceDeploymentArns": [listed["serviceDeploymentArn"]] });
        self.ecs("DescribeServiceDeployments", arns).await["serviceDeployments"][0].clone()
    }

    /// Waits until the service deployment has this status.
    pub async fn deployment_is(&self, number: &str, status: &str) -> Value {
        self.until(status, async || Some(self.deployment(number).await).filter(|one| one["status"] == status)).await
    }

    /// Stopped tasks of `web` started by this deployment, at least one.
    pub async fn stopped_tasks(&self, number: &str) -> Vec<Value> {
        self.until("a task has stopped", async || {
            let listed = self.ecs("ListTasks", json!({ "serviceName": "web", "desiredStatus": "STOPPED" })).await["taskArns"].clone();
            if listed == json!([]) {
                return None;
            }
            let tasks = self.ecs("DescribeTasks", json!({ "tasks": listed })).await["tasks"].clone();
            let ours = |task: &&Value| task["startedBy"] == format!("ecs-svc/{number}") && task["lastStatus"] == "STOPPED";
            let ours: Vec<Value> = tasks.as_array().unwrap().iter().filter(ours).cloned().collect();
            Some(ours).filter(|tasks| !tasks.is_empty())
        })
        .await
    }

    /// Asks again until there is something; a busy machine gets half a minute.
    pub async fn until<T>(&self, what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
        for _ in 0..3000 {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}\n{:#}", self.world.describe("web"));
    }
}
