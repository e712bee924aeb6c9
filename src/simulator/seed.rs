//! What a world is filled with: services as somebody's Terraform left them, with their load balancers, and what the application says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A service that exists before the run. `ServiceSeed::new("web")` is a Fargate service with two tasks behind an internet-facing
/// Application Load Balancer with an HTTPS listener and a host rule.
#[derive(Debug, Clone)]
pub struct ServiceSeed {
    /// Region.
    pub region: String,
    /// Cluster, by name or ARN.
    pub cluster: String,
    /// The service's name.
    pub name: String,
    /// The image that serves.
    pub image: String,
    /// Desired count.
    pub desired: u32,
    /// How ECS deploys.
    pub strategy: Strategy,
    /// What stands before it.
    pub balancer: Balancer,
    /// The host of the listener rule; `None`: the listener's default action leads to the service.
    pub host: Option<String>,
    /// Further path patterns of that rule.
    pub path_patterns: Vec<String>,
    /// Other hosts that lead to the application (somebody's own proxy, a CDN).
    pub hosts: Vec<String>,
    /// The container that serves.
    pub container: String,
    /// Its port.
    pub port: u16,
    /// Names of further, non-essential containers.
    pub sidecars: Vec<String>,
    /// Environment of the container.
    pub environment: BTreeMap<String, String>,
    /// The container has a health check of its own.
    pub container_health: bool,
    /// Circuit breaker.
    pub breaker: CircuitBreaker,
    /// Alarms watched during a deployment.
    pub alarms: Vec<String>,
    /// Whether it ever ran.
    pub past: Past,
    /// DAEMON scheduling.
    pub daemon: bool,
    /// `ECS`, `CODE_DEPLOY` or `EXTERNAL`.
    pub controller: String,
    /// The whole task definition (in the form of RegisterTaskDefinition) instead of the one made from the fields above.
    pub definition: Option<Value>,
    /// Further members of CreateService, taken over as they are.
    pub settings: Value,
    /// Tags of the service.
    pub tags: BTreeMap<String, String>,
    /// What the application says.
    pub answers: Answers,
}

/// How ECS deploys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strategy {
    /// A rolling update.
    #[default]
    Rolling,
    /// All traffic at once, after a test; then a bake.
    BlueGreen,
    /// Traffic in equal steps.
    Linear,
    /// A little traffic first.
    Canary,
}

/// What stands before a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balancer {
    /// An internet-facing Application Load Balancer.
    #[default]
    Public,
    /// An internal Application Load Balancer.
    Internal,
    /// An internet-facing Network Load Balancer.
    Network,
    /// A Classic Load Balancer: ECS tells no rollout state.
    Classic,
    /// Nothing.
    Nothing,
}

/// The deployment circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CircuitBreaker {
    /// Off, as the API's default is.
    #[default]
    Off,
    /// Ends a failing deployment.
    Stop,
    /// Ends it and rolls back.
    Rollback,
}

/// Whether a service ever ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Past {
    /// It serves.
    #[default]
    Serves,
    /// Made by Terraform with an image that does not exist: its first deployment never came up.
    NeverRan,
}

/// What the application says on its health paths.
#[derive(Debug, Clone)]
pub struct Answers {
    /// Paths answered with 200 when all is well; others are 404.
    pub paths: Vec<String>,
    /// JSON pointer of the version in the body.
    pub version_pointer: String,
    /// Header with the version.
    pub version_header: String,
    /// Environment variable of the task definition that is the build's version; without it the image's digest is.
    pub variable: String,
    /// The version of the seeded release, whatever its task definition says.
    pub old: Option<String>,
    /// The version of every later release, whatever its task definition says.
    pub new: Option<String>,
    /// Further values of the body, by JSON pointer.
    pub json: Vec<(String, Value)>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// A text in the body.
    pub text: Option<String>,
    /// The status when all is well.
    pub status: u16,
    /// What single requests are answered instead, when all is well.
    pub replies: Vec<RequestReply>,
}

/// The answer to one request.
#[derive(Debug, Clone, Default)]
pub struct RequestReply {
    /// Its method.
    pub method: String,
    /// Its path, without a query.
    pub path: String,
    /// The status.
    pub status: u16,
    /// A text in the body.
    pub text: Option<String>,
    /// Values of the body, by JSON pointer.
    pub json: Vec<(String, Value)>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            paths: ["/health", "/healthz", "/", "/version"].map(str::to_owned).to_vec(),
            version_pointer: "/version".to_owned(),
            version_header: "X-Version".to_owned(),
            variable: "VERSION".to_owned(),
            old: None,
            new: None,
            json: Vec::new(),
            headers: Vec::new(),
            text: None,
            status: 200,
            replies: Vec::new(),
        }
    }
}

impl ServiceSeed {
    /// A service with this name in `eu-west-1`, cluster `default`.
    pub fn new(name: &str) -> Self {
        Self {
            region: "eu-west-1".to_owned(),
            cluster: "default".to_owned(),
            name: name.to_owned(),
            image: format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/{name}:v1"),
            desired: 2,
            strategy: Strategy::Rolling,
            balancer: Balancer::Public,
            host: Some(format!("{name}.example.com")),
            path_patterns: Vec::new(),
            hosts: Vec::new(),
            container: "app".to_owned(),
            port: 8080,
            sidecars: Vec::new(),
            environment: BTreeMap::from([("VERSION".to_owned(), "v1".to_owned())]),
            container_health: false,
            breaker: CircuitBreaker::Off,
            alarms: Vec::new(),
            past: Past::Serves,
            daemon: false,
            controller: "ECS".to_owned(),
            definition: None,
            settings: json!({}),
            tags: BTreeMap::new(),
            answers: Answers::default(),
        }
    }

    /// The task definition, in the form of RegisterTaskDefinition.
    pub(crate) fn task_definition(&self) -> Value {
        if let Some(definition) = &self.definition {
            return definition.clone();
        }
        let log = |container: &str| {
            json!({ "logDriver": "awslogs", "options": {
                "awslogs-group": format!("/ecs/{}", self.name), "awslogs-region": self.region, "awslogs-stream-prefix": container,
            }})
        };
        let environment: Vec<Value> = self.environment.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let mut main = json!({
            "name": self.container,
            "image": self.image,
            "essential": true,
            "portMappings": [{ "containerPort": self.port, "protocol": "tcp" }],
            "environment": environment,
            "logConfiguration": log("ecs"),
        });
        if self.container_health {
            main["healthCheck"] = json!({ "command": ["CMD-SHELL", "curl -f http://localhost:8080/health"], "interval": 10, "retries": 3 });
        }
        let sidecar = |name: &String| json!({ "name": name, "image": "public.ecr.aws/sidecar:1", "essential": false, "logConfiguration": log("ecs") });
        let containers: Vec<Value> = std::iter::once(main).chain(self.sidecars.iter().map(sidecar)).collect();
        json!({
            "family": self.name,
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "512",
            "executionRoleArn": "arn:aws:iam::123456789012:role/execution",
            "taskRoleArn": format!("arn:aws:iam::123456789012:role/{}", self.name),
            "containerDefinitions": containers,
        })
    }

    /// The body of CreateService, but for the load balancer.
    pub(crate) fn create_service(&self, definition: &str) -> Value {
        let tags: Vec<Value> = self.tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let breaker = json!({ "enable": self.breaker != CircuitBreaker::Off, "rollback": self.breaker == CircuitBreaker::Rollback });
        let mut configuration = json!({ "deploymentCircuitBreaker": breaker });
        let (strategy, further) = match self.strategy {
            Strategy::Rolling => ("ROLLING", json!({})),
            Strategy::BlueGreen => ("BLUE_GREEN", json!({ "bakeTimeInMinutes": 1 })),
            Strategy::Linear => ("LINEAR", json!({ "linearConfiguration": { "stepPercent": 50.0, "stepBakeTimeInMinutes": 1 } })),
            Strategy::Canary => ("CANARY", json!({ "canaryConfiguration": { "canaryPercent": 10.0, "canaryBakeTimeInMinutes": 1 } })),
        };
        configuration["strategy"] = json!(strategy);
        merge(&mut configuration, &further);
        if !self.alarms.is_empty() {
            configuration["alarms"] = json!({ "alarmNames": self.alarms, "enable": true, "rollback": true });
        }
        let network = json!({ "awsvpcConfiguration": {
            "subnets": ["subnet-0a1b2c3d"], "securityGroups": ["sg-0a1b2c3d"], "assignPublicIp": "DISABLED" } });
        let mut body = json!({
            "cluster": self.cluster,
            "serviceName": self.name,
            "taskDefinition": definition,
            "desiredCount": self.desired,
            "launchType": "FARGATE",
            "platformVersion": "LATEST",
            "platformFamily": "Linux",
            "networkConfiguration": network,
            "deploymentController": { "type": self.controller },
            "deploymentConfiguration": configuration,
            "schedulingStrategy": if self.daemon { "DAEMON" } else { "REPLICA" },
            "tags": tags,
        });
        merge(&mut body, &self.settings);
        body
    }
}

/// Takes over the members of `further`.
fn merge(body: &mut Value, further: &Value) {
    if let (Some(fields), Some(further)) = (body.as_object_mut(), further.as_object()) {
        fields.extend(further.clone());
    }
}
