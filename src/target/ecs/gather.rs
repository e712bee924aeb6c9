//! Gathers the evidence of a failed release: stopped and waiting tasks, events, target health, last log lines. Each call may be refused.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::cloud::aws::Session;
use crate::cloud::aws::signed::{self, LOGS};
use crate::failure::Evidence;
use crate::target::{Gathered, GathersEvidence, Opaque};

use super::Ecs;
use super::evidence::{self, LogStream};
use super::release::Release;

/// Log lines kept of one container.
const LINES: u64 = 40;
/// Containers whose logs are read.
const CONTAINERS: usize = 3;

impl GathersEvidence for Ecs {
    fn gather(self: Arc<Self>, release: Opaque) -> BoxFuture<'static, Gathered> {
        Box::pin(async move {
            let Ok(release) = serde_json::from_value::<Release>(release) else { return Gathered::default() };
            let stopped = self.tasks(&release, "STOPPED").await;
            let wanted = self.tasks(&release, "RUNNING").await;
            // What the application said last tells most often why: it comes first.
            let mut all = self.logs(&release, &stopped, &wanted).await;
            all.extend(evidence::stopped_tasks(&stopped, &release.task_definition));
            all.extend(evidence::waiting_tasks(&wanted, self.session.http().clock().now()));
            let failed: Vec<&Value> = stopped.iter().filter(|task| !evidence::replaced(task)).collect();
            let mut remedies = evidence::remedies(&failed);
            if let Ok(service) = self.service().await {
                let targets = self.targets(&service).await;
                all.extend(evidence::events(&service, release.at));
                all.extend(evidence::unhealthy_targets(&targets));
                remedies.extend(evidence::remedy_for_targets(&targets).filter(|_| remedies.is_empty()));
            }
            Gathered { evidence: all, remedies }
        })
    }
}

impl Ecs {
    /// The last lines of a task that failed, or else of one that runs.
    async fn logs(&self, release: &Release, stopped: &[Value], wanted: &[Value]) -> Vec<Evidence> {
        let asked = json!({ "taskDefinition": release.task_definition });
        let Ok(Ok(answer)) = self.api.describe_task_definition(asked).await else { return Vec::new() };
        let failed = stopped.iter().find(|task| evidence::fatal(task, &[]).is_some());
        let Some(task) = failed.or(wanted.first()).or(stopped.first()) else { return Vec::new() };
        let mut tails = Vec::new();
        for stream in evidence::log_streams(&answer["taskDefinition"], task).into_iter().take(CONTAINERS) {
            tails.push(Evidence { title: format!("last log lines of {}", stream.container), lines: self.tail(&stream).await });
        }
        tails.retain(|tail| !tail.lines.is_empty());
        tails
    }

    async fn tail(&self, stream: &LogStream) -> Vec<String> {
        let body = json!({ "logGroupName": stream.group, "logStreamName": stream.stream, "limit": LINES, "startFromHead": false });
        let Some(session) = stream.session(&self.session) else { return Vec::new() };
        match signed::json(&session, LOGS, "GetLogEvents", &body).await {
            Ok(Ok(answer)) => evidence::log_lines(&answer),
            Ok(Err(refusal)) if refusal.is_denied() => vec![format!("(not readable: allow logs:GetLogEvents on {})", stream.group)],
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }
}

impl LogStream {
    /// The session that can read it; `None` where its region is none.
    pub(super) fn session(&self, own: &Session) -> Option<Session> {
        match &self.region {
            None => Some(own.clone()),
            Some(region) => own.in_region(region),
        }
    }
}
