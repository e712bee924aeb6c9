//! One service from its written settings: the same names whether they came as inputs, as flags or from the file.
//! Every mistake is collected; what is returned beside them is only used when there are none.

use std::collections::BTreeMap;

use crate::cloud::aws::is_region;
use crate::engine::member::{JobOnCancel, JobPlan};
use crate::engine::record::{JobRollback, OnTrouble};
use crate::target::ecs::{EcsSettings, WaitUntil, default_cluster};
use crate::target::{EnvChange, InFlight, TaskWhat};
use crate::values::{ServiceName, Share};

use super::given::{Given, Value};
use super::image::Asked;
use super::plan::{ServicePlan, TargetPlan};
use super::reader::Reader;
use super::settings::LATER_TARGETS;
use super::yaml::{self, Kind, Node};

/// The most that a service's settings may take in the journal, in bytes.
const MOST: usize = 3 * 1024;

/// A service, and what it says about its group.
pub(super) struct Draft {
    pub(super) plan: ServicePlan,
    pub(super) on_cancel: OnTrouble,
    pub(super) after: Vec<String>,
    /// Where in the file the service stands, and where its `after`.
    pub(super) lines: Lines,
}

/// Lines of the file; none for inputs and flags.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    pub(super) service: Option<u32>,
    pub(super) after: Option<u32>,
}

impl Reader<'_> {
    /// The service, with an image where one is needed; `key` is its name in the file.
    pub(super) fn service(&mut self, key: Option<&str>, region: Option<&str>, asked: Asked) -> Draft {
        let target = self.target(region);
        let service = self.service_name(key);
        let (steps, hold) = self.traffic();
        let plan = ServicePlan {
            name: ServiceName(key.map_or_else(|| service.clone(), str::to_owned)),
            service,
            target,
            image: self.image(asked),
            container: self.text("container"),
            env: self.env(),
            secrets: self.secrets(),
            definition: self.definition(),
            health: self.health(),
            steps,
            hold,
            in_flight: self.choice("in-flight", [("wait", InFlight::Wait), ("supersede", InFlight::Supersede), ("fail", InFlight::Fail)]),
            on_failure: self.trouble("on-failure"),
            before: self.job("before"),
            migrate: self.job("migrate"),
            timeout: self.time_limit("timeout"),
            rollback_timeout: self.time_limit("rollback-timeout"),
        };
        let size = serde_json::to_string(&plan).map_or(0, |text| text.len());
        if size > MOST {
            let what = format!("has settings of {size} bytes, and the journal takes {MOST}");
            self.wrong("health-body", what, "shorten what health compares: health-body, health-json, health-header, or the address");
        }
        let lines = Lines { service: None, after: self.given.get("after").and_then(|given| given.line) };
        Draft { plan, on_cancel: self.trouble("on-cancel"), after: self.list("after"), lines }
    }

    fn service_name(&mut self, key: Option<&str>) -> String {
        let name = match (self.text("service"), key) {
            (Some(name), _) => name,
            (None, Some(key)) => key.to_owned(),
            (None, None) => self.required("service", "write the service's name on the platform"),
        };
        // <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_CreateService.html> (2026-11)
        let sound = name.len() <= 255 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !sound {
            self.wrong("service", format!("is {name:?}, no name of a service"), "write its name: letters, digits, hyphens and underscores");
        }
        name
    }

    fn trouble(&mut self, name: &str) -> OnTrouble {
        self.choice(name, [("rollback", OnTrouble::Rollback), ("leave", OnTrouble::Leave)])
    }

    fn target(&mut self, region: Option<&str>) -> TargetPlan {
        let target = self.required("target", "write ecs");
        match target.as_str() {
            "ecs" | "" => {}
            other if LATER_TARGETS.contains(&other) => self.wrong("target", format!("is {other:?}, which is not served yet"), "write ecs"),
            other => self.wrong("target", format!("is {other:?}, no target"), "write ecs"),
        }
        let region = match (self.text("region"), region) {
            (Some(region), _) => region,
            (None, Some(region)) => region.to_owned(),
            (None, None) => self.required("region", "write the cluster's region, e.g. eu-west-1"),
        };
        if !region.is_empty() && !is_region(&region) {
            self.wrong("region", format!("is {region:?}, no region"), "write the cluster's region, e.g. eu-west-1");
        }
        TargetPlan::Ecs(EcsSettings {
            region,
            cluster: self.text("cluster").unwrap_or_else(default_cluster),
            task_definition: self.text("task-definition"),
            cpu: self.size("cpu", "vCPU", "write 256 or .25 vCPU"),
            memory: self.size("memory", "GB", "write 512 (MiB) or 1 GB"),
            desired_count: self.some_number("desired-count"),
            force: self.flag("force"),
            wait_until: self.choice(
                "wait-until",
                [("completed", WaitUntil::Completed), ("production-traffic", WaitUntil::ProductionTraffic), ("bake", WaitUntil::Bake)],
            ),
        })
    }

    /// A size as ECS writes it: a number, or one with its unit.
    fn size(&mut self, name: &str, unit: &str, write: &str) -> Option<String> {
        let text = self.text(name)?;
        let whole = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (number, with_unit) = match text.len().checked_sub(unit.len()).and_then(|at| text.split_at_checked(at)) {
            Some((number, end)) if end.eq_ignore_ascii_case(unit) => (number.trim_end(), true),
            _ => (text.as_str(), false),
        };
        let sound = if with_unit { number.parse::<f64>().is_ok_and(|number| number.is_finite() && number > 0.0) } else { whole(number) };
        if !sound {
            self.wrong(name, format!("is {text:?}, no size"), write);
        }
        Some(text)
    }

    fn traffic(&mut self) -> (Vec<Share>, std::time::Duration) {
        let hold = self.duration("traffic-hold");
        let steps = self.list("traffic-steps");
        if self.has("traffic-hold") {
            let write = "remove it, and set the bake time of the service's own deployment strategy";
            self.wrong("traffic-hold", "holds no share, and on ECS the service's strategy owns the traffic", write);
        }
        if steps.is_empty() {
            return (vec![Share::FULL], hold);
        }
        let shares: Option<Vec<u8>> = steps.iter().map(|step| step.trim_end_matches('%').trim().parse().ok()).collect();
        let rising = |shares: &Vec<u8>| {
            shares.windows(2).all(|pair| pair[0] < pair[1]) && shares.first().is_some_and(|first| *first > 0) && shares.last() == Some(&100)
        };
        match shares.filter(rising) {
            None => self.wrong("traffic-steps", format!("is {}, no rising shares", steps.join(", ")), "write shares that rise to 100"),
            Some(shares) if shares.len() > 1 => {
                let write = "remove it, and set the service's own deployment strategy (linear or canary): it is followed step by step";
                self.wrong("traffic-steps", "asks for shares, and on ECS the service's strategy owns the traffic", write);
            }
            Some(_) => {}
        }
        (vec![Share::FULL], hold)
    }

    fn env(&mut self) -> BTreeMap<String, EnvChange> {
        let change = |value: String| if value == "!unset" { EnvChange::Unset } else { EnvChange::Set(value) };
        self.pairs("env").into_iter().map(|(name, value)| (name, change(value))).collect()
    }

    fn secrets(&mut self) -> BTreeMap<String, String> {
        let secrets: BTreeMap<String, String> = self.pairs("secrets").into_iter().collect();
        let both: Vec<String> = self.pairs("env").into_iter().map(|(name, _)| name).filter(|name| secrets.contains_key(name)).collect();
        for name in both {
            self.wrong("secrets", format!("and env both set {name}"), "keep one of them");
        }
        for name in secrets.iter().filter(|(_, reference)| !is_reference(reference)).map(|(name, _)| name) {
            let write = "write the ARN of a secret or of a parameter, or the parameter's name; a secret's value has no place here";
            self.wrong("secrets", format!("sets {name} to what is no reference"), write);
        }
        secrets
    }

    /// The user's own task definition, JSON or YAML, beneath the workspace.
    fn definition(&mut self) -> Option<serde_json::Value> {
        let path = self.text("task-definition")?;
        let text = match self.workspace.read(&path) {
            Ok(text) => text,
            Err(failure) => {
                let why = failure.why.first().map(|why| format!(": {why}")).unwrap_or_default();
                self.wrong("task-definition", format!("cannot be used: {}{why}", failure.what), "name a file beneath the workspace");
                return None;
            }
        };
        match yaml::read(&path, &text) {
            Ok(node @ Node { kind: Kind::Map(_), .. }) => {
                let definition = node.to_json();
                if definition["containerDefinitions"].as_array().is_none_or(Vec::is_empty) {
                    self.wrong(
                        "task-definition",
                        format!("names {path}, which has no containerDefinitions"),
                        "write at least one container",
                    );
                }
                Some(definition)
            }
            Ok(_) => {
                self.wrong("task-definition", format!("names {path}, no task definition"), "write one object with containerDefinitions");
                None
            }
            Err(mistake) => {
                self.mistakes.push(mistake);
                None
            }
        }
    }

    fn job(&mut self, kind: &str) -> Option<JobPlan> {
        let name = |key: &str| format!("{kind}-{key}");
        let (command, job) = (self.command(&name("command")), self.text(&name("job")));
        let what = match (command, job) {
            (None, None) => {
                for idle in ["timeout", "on-cancel", "rollback"].map(name).into_iter().filter(|idle| self.has(idle)).collect::<Vec<_>>() {
                    let write = format!("write {} or {} too, or remove it", self.called(&name("command")), self.called(&name("job")));
                    self.wrong(&idle, "is there, and nothing to run", write);
                }
                return None;
            }
            (Some(_), Some(_)) => {
                self.wrong(&name("command"), format!("and {kind}-job are both set"), "keep one of them");
                return None;
            }
            (Some(command), None) => TaskWhat::Command(command),
            (None, Some(job)) => TaskWhat::Job(job),
        };
        Some(JobPlan {
            what,
            timeout: self.time_limit(&name("timeout")),
            on_cancel: self.choice(&name("on-cancel"), [("finish", JobOnCancel::Finish), ("stop", JobOnCancel::Stop)]),
            rollback: self.choice(&name("rollback"), [("safe", JobRollback::Safe), ("unsafe", JobRollback::Unsafe)]),
        })
    }

    /// Words: a list of the file, or one text.
    fn command(&mut self, name: &str) -> Option<Vec<String>> {
        let words = match self.given.get(name) {
            Some(Given { value: Value::Tree(Node { kind: Kind::List(_), .. }), .. }) => self.list(name),
            _ => words(&self.text(name)?),
        };
        Some(words).filter(|words| !words.is_empty())
    }
}

/// Whether `text` can be the `valueFrom` of an ECS secret: an ARN of Secrets Manager or of the parameter store, or a parameter's name.
/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Secret.html> (2026-11)
fn is_reference(text: &str) -> bool {
    let arn: Vec<&str> = text.splitn(6, ':').collect();
    match arn.as_slice() {
        ["arn", _, "secretsmanager", _, _, rest] => rest.starts_with("secret:"),
        ["arn", _, "ssm", _, _, rest] => rest.starts_with("parameter"),
        ["arn", ..] => false,
        _ => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-/".contains(&byte)),
    }
}

/// A command: a JSON list of words, or one line for `sh -c` when it needs a shell, or plain words.
fn words(command: &str) -> Vec<String> {
    if let Ok(list) = serde_json::from_str::<Vec<String>>(command) {
        return list;
    }
    if command.contains(['|', '&', ';', '<', '>', '$', '"', '\'', '*', '`', '\\', '(', '\n']) {
        return vec!["sh".to_owned(), "-c".to_owned(), command.to_owned()];
    }
    command.split_whitespace().map(str::to_owned).collect()
}
