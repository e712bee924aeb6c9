//! One service from its written settings: the same names whether they came as inputs, as flags or from the file.
//! Every mistake is collected; what is returned beside them is only used when there are none.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::member::{JobOnCancel, JobPlan};
use crate::engine::record::{JobRollback, OnTrouble};
use crate::health::{HealthAt, HealthSettings, StatusSet, VersionAt, VersionIs, VersionRule};
use crate::runner::inputs::Inputs;
use crate::runner::mistake::Mistake;
use crate::target::ecs::{EcsSettings, WaitUntil, default_cluster};
use crate::target::{EnvChange, InFlight, TaskWhat};
use crate::values::{Digest, PinnedImage, ServiceName, Share};

use super::plan::{ImageSource, ServicePlan, TargetPlan};

/// Reads settings and keeps what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) inputs: &'a Inputs,
    pub(super) commit: &'a str,
    pub(super) mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn take<T>(&mut self, read: Result<Option<T>, Mistake>) -> Option<T> {
        read.unwrap_or_else(|mistake| {
            self.mistakes.push(mistake);
            None
        })
    }

    fn text(&self, name: &str) -> Option<String> {
        self.inputs.text(name).map(str::to_owned)
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        let read = self.inputs.boolean(name);
        self.take(read).unwrap_or_default()
    }

    fn duration(&mut self, name: &str, default: u64) -> Duration {
        let read = self.inputs.duration(name);
        self.take(read).unwrap_or(Duration::from_secs(default))
    }

    fn integer(&mut self, name: &str, default: u32) -> u32 {
        let read = self.inputs.integer(name, 1..=1000);
        self.take(read).and_then(|number| u32::try_from(number).ok()).unwrap_or(default)
    }

    fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)], default: T) -> T {
        let known: Vec<&str> = choices.iter().map(|(choice, _)| *choice).collect();
        let Some(written) = self.inputs.get(name) else { return default };
        let read = written.one_of(&known).map(Some);
        let chosen = self.take(read);
        choices.iter().find(|(choice, _)| Some(*choice) == chosen).map_or(default, |(_, value)| *value)
    }

    fn required(&mut self, name: &str, write: &str) -> String {
        self.text(name).unwrap_or_else(|| {
            self.mistakes.push(Mistake::new(name, "is missing", write));
            String::new()
        })
    }

    fn wrong(&mut self, name: &str, what: impl Into<String>, write: impl Into<String>) {
        self.mistakes.push(Mistake::new(name, what, write));
    }

    fn pairs(&mut self, name: &str) -> Vec<(String, String)> {
        self.inputs.pairs(name).unwrap_or_else(|mistakes| {
            self.mistakes.extend(mistakes);
            Vec::new()
        })
    }

    /// The service, with an image where the mode deploys one.
    pub(super) fn service(&mut self, needs_image: bool) -> ServicePlan {
        let target = self.target();
        let service = self.required("service", "write the service's name on the platform");
        let image = self.image(needs_image);
        ServicePlan {
            name: ServiceName(service.clone()),
            service,
            target,
            image,
            container: self.text("container"),
            env: self.env(),
            secrets: self.pairs("secrets").into_iter().collect(),
            definition: None,
            health: self.health(),
            steps: vec![Share::FULL],
            hold: Duration::ZERO,
            in_flight: self.choice(
                "in-flight",
                &[("wait", InFlight::Wait), ("supersede", InFlight::Supersede), ("fail", InFlight::Fail)],
                InFlight::Wait,
            ),
            on_failure: self.trouble("on-failure"),
            before: self.job("before"),
            migrate: self.job("migrate"),
            timeout: self.duration("timeout", 15 * 60),
            rollback_timeout: self.duration("rollback-timeout", 15 * 60),
        }
    }

    pub(super) fn trouble(&mut self, name: &str) -> OnTrouble {
        self.choice(name, &[("rollback", OnTrouble::Rollback), ("leave", OnTrouble::Leave)], OnTrouble::Rollback)
    }

    fn target(&mut self) -> TargetPlan {
        let target = self.required("target", "write ecs");
        let later = ["cloud-run", "app-service", "container-instances", "fly", "kubernetes", "compose"];
        match target.as_str() {
            "ecs" | "" => {}
            other if later.contains(&other) => self.wrong("target", format!("is {other:?}, which is not served yet"), "write ecs"),
            other => self.wrong("target", format!("is {other:?}, no target"), "write ecs"),
        }
        let region = self
            .text("region")
            .or_else(|| self.text("aws-region"))
            .unwrap_or_else(|| self.required("region", "write the cluster's region, e.g. eu-west-1"));
        let desired = self.inputs.integer("desired-count", 0..=10_000);
        TargetPlan::Ecs(EcsSettings {
            region,
            cluster: self.text("cluster").unwrap_or_else(default_cluster),
            task_definition: self.text("task-definition"),
            cpu: self.text("cpu"),
            memory: self.text("memory"),
            desired_count: self.take(desired).and_then(|count| u32::try_from(count).ok()),
            force: self.flag("force"),
            wait_until: self.choice(
                "wait-until",
                &[("completed", WaitUntil::Completed), ("production-traffic", WaitUntil::ProductionTraffic), ("bake", WaitUntil::Bake)],
                WaitUntil::Completed,
            ),
        })
    }

    fn image(&mut self, needed: bool) -> Option<ImageSource> {
        let Some(text) = self.text("image") else {
            if needed {
                self.wrong("image", "is missing", "write repository@sha256:… or an ECR repository:tag");
            }
            return None;
        };
        if text.starts_with("docker://") || text.starts_with("archive:") || text.starts_with("oci:") {
            self.wrong(
                "image",
                "names a local image, and pushing is not served yet",
                "push it in a step before, and write repository@sha256:…",
            );
            return None;
        }
        let (name, digest) = text.split_once('@').map_or((text.as_str(), None), |(name, digest)| (name, Some(digest)));
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository.to_owned(), Some(tag.to_owned())),
            _ => (name.to_owned(), None),
        };
        match (digest, tag) {
            (Some(digest), tag) => match Digest::parse(digest) {
                Ok(digest) => Some(ImageSource::Pinned(PinnedImage { repository, tag, digest })),
                Err(_) => {
                    self.wrong("image", "has a digest that is none", "write repository@sha256: and 64 hexadecimal digits");
                    None
                }
            },
            (None, Some(tag)) if crate::cloud::aws::ecr::Repository::parse(&repository).is_some() => {
                Some(ImageSource::Tagged { repository, tag })
            }
            (None, _) => {
                self.wrong("image", "has no digest, and tags of this registry are not looked up yet", "write repository@sha256:…");
                None
            }
        }
    }

    fn env(&mut self) -> BTreeMap<String, EnvChange> {
        let change = |value: String| if value == "!unset" { EnvChange::Unset } else { EnvChange::Set(value) };
        self.pairs("env").into_iter().map(|(name, value)| (name, change(value))).collect()
    }

    fn health(&mut self) -> HealthSettings {
        HealthSettings {
            at: self.health_at(),
            retries: self.integer("health-retries", 10),
            interval: self.duration("health-interval", 10),
            timeout: self.duration("health-timeout", 5),
            initial_delay: self.duration("health-initial-delay", 0),
            successes: self.integer("health-successes", 3),
            status: self.status(),
            body: self.text("health-body"),
            json: self
                .pairs("health-json")
                .into_iter()
                .map(|(pointer, value)| (pointer, serde_json::from_str(&value).unwrap_or(value.into())))
                .collect(),
            header: self.pairs("health-header"),
            version: self.version(),
            max_latency: {
                let read = self.inputs.duration("health-max-latency");
                self.take(read)
            },
            stabilize: self.duration("stabilize", 0),
            smoke: Vec::new(),
        }
    }

    fn health_at(&mut self) -> HealthAt {
        if let Some(url) = self.text("health-url") {
            if !url.starts_with("http://") && !url.starts_with("https://") {
                self.wrong("health-url", "is no http or https address", "write https://…");
            }
            return HealthAt::Url(url);
        }
        match self.text("health-path") {
            None => HealthAt::Path("/health".to_owned()),
            Some(path) if path.starts_with('/') => HealthAt::Path(path),
            Some(waived) => match waived.strip_prefix("none").map(|reason| reason.trim_start_matches([':', ' '])) {
                Some(reason) if !reason.is_empty() => HealthAt::Waived(reason.to_owned()),
                Some(_) => {
                    self.wrong("health-path", "is none without a reason", "write none: why");
                    HealthAt::Waived(String::new())
                }
                None => {
                    self.wrong("health-path", format!("is {waived:?}, no path"), "write a path that begins with /");
                    HealthAt::Path("/".to_owned())
                }
            },
        }
    }

    fn status(&mut self) -> StatusSet {
        let Some(text) = self.text("health-status") else { return StatusSet(vec![(200, 299)]) };
        let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..600).contains(code));
        let range = |part: &str| match part.split_once('-') {
            Some((from, to)) => Some((code(from)?, code(to)?)).filter(|(from, to)| from <= to),
            None => code(part).map(|code| (code, code)),
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        ranges.map(StatusSet).unwrap_or_else(|| {
            self.wrong("health-status", format!("is {text:?}, no set of status codes"), "write 200-299,304");
            StatusSet(Vec::new())
        })
    }

    fn version(&mut self) -> Option<VersionRule> {
        let text = self.text("health-version")?;
        let Some((at, expected)) = text.split_once('=').filter(|(at, expected)| !at.is_empty() && !expected.is_empty()) else {
            self.wrong("health-version", format!("is {text:?}, no rule"), "write /version=sha, X-Version=digest or /version=v2");
            return None;
        };
        let at = if at.starts_with('/') { VersionAt::Pointer(at.to_owned()) } else { VersionAt::Header(at.to_owned()) };
        let expected = match expected {
            "sha" => VersionIs::Commit(self.commit.to_owned()),
            "digest" => VersionIs::Digest,
            text => VersionIs::Text(text.to_owned()),
        };
        Some(VersionRule { at, expected })
    }

    fn job(&mut self, kind: &str) -> Option<JobPlan> {
        let name = |key: &str| format!("{kind}-{key}");
        let (command, job) = (self.text(&name("command")), self.text(&name("job")));
        let what = match (command, job) {
            (None, None) => return None,
            (Some(_), Some(_)) => {
                self.wrong(&name("command"), "and the job of the same name are both set", "write one of them");
                return None;
            }
            (Some(command), None) => TaskWhat::Command(words(&command)),
            (None, Some(job)) => TaskWhat::Job(job),
        };
        Some(JobPlan {
            what,
            timeout: self.duration(&name("timeout"), 15 * 60),
            on_cancel: self.choice(
                &name("on-cancel"),
                &[("finish", JobOnCancel::Finish), ("stop", JobOnCancel::Stop)],
                JobOnCancel::Finish,
            ),
            rollback: self.choice(&name("rollback"), &[("safe", JobRollback::Safe), ("unsafe", JobRollback::Unsafe)], JobRollback::Safe),
        })
    }
}

/// A command: a JSON list of words, or one line for `sh -c` when it needs a shell, or plain words.
fn words(command: &str) -> Vec<String> {
    if let Ok(list) = serde_json::from_str::<Vec<String>>(command) {
        return list;
    }
    if command.contains(['|', '&', ';', '<', '>', '$', '"', '\'', '*', '\n']) {
        return vec!["sh".to_owned(), "-c".to_owned(), command.to_owned()];
    }
    command.split_whitespace().map(str::to_owned).collect()
}
