//! Settings as written (inputs, `touchdown.yml`, flags) → a valid plan. Every mistake is reported at once, before any network call.

pub mod names;
pub mod plan;
mod service;
mod yaml;

use std::collections::BTreeMap;

use crate::cloud::aws::{AwsAuth, AwsEndpoints};
use crate::engine::record::{GroupPlan, MemberPlan};
use crate::failure::Failure;
use crate::http::Endpoints;
use crate::runner::env::Env;
use crate::runner::inputs::Inputs;
use crate::runner::mistake::Mistake;
use crate::runner::origin::Origin;
use crate::runner::workspace::Workspace;
use crate::values::Secret;

use plan::{Auth, Mode, Plan, Skip};
use service::Reader;

/// The plan of a single service written as inputs, or every mistake in it.
pub fn of_inputs(env: &Env) -> Result<Plan, Vec<Mistake>> {
    let (inputs, origin) = (Inputs::of(env), Origin::of(env));
    let mut reader = Reader { inputs: &inputs, commit: &origin.commit, mistakes: Vec::new() };
    reader.mistakes.extend(unknown(&inputs));
    let mode = mode(&mut reader);
    let deploys = matches!(mode, Mode::Deploy | Mode::Plan | Mode::Rehearse { .. });
    let changes = matches!(mode, Mode::Deploy | Mode::Rollback { .. });
    if changes && origin.is_pull_request() && !reader.flag("allow-pull-request") {
        let what = format!("is {} on {}: whoever can open a pull request would deploy", mode.name(), origin.event);
        reader.mistakes.push(Mistake::new("mode", what, "deploy on push, or set allow-pull-request: true"));
    }
    let mut service = reader.service(deploys);
    service.definition = definition(env, &mut reader);
    let members = vec![MemberPlan { service: service.name.clone(), after: Vec::new() }];
    let group = GroupPlan { members, on_failure: service.on_failure, on_cancel: reader.trouble("on-cancel") };
    let skip = Skip {
        push: reader.flag("skip-push"),
        migrate: reader.flag("skip-migrate"),
        deploy: reader.flag("skip-deploy"),
        verify: reader.flag("skip-verify"),
    };
    let auth = Auth { aws: aws(&mut reader) };
    let (endpoints, aws_endpoints, notes) = endpoints(env, &mut reader);
    let environment = inputs.text("environment").map(str::to_owned);
    let plan = Plan { mode, services: vec![service], groups: vec![group], auth, skip, environment, notes, endpoints, aws_endpoints };
    if reader.mistakes.is_empty() { Ok(plan) } else { Err(reader.mistakes) }
}

/// The overridden addresses alone, as the post step needs them; what main refused is left out.
pub fn endpoints_of(env: &Env) -> (Endpoints, AwsEndpoints) {
    let inputs = Inputs::of(env);
    let (endpoints, aws, _) = endpoints(env, &mut Reader { inputs: &inputs, commit: "", mistakes: Vec::new() });
    (endpoints, aws)
}

/// All mistakes as one failure.
pub fn failure(mistakes: &[Mistake]) -> Failure {
    let count = mistakes.len();
    let what =
        if count == 1 { "there is a mistake in the settings".to_owned() } else { format!("there are {count} mistakes in the settings") };
    mistakes
        .iter()
        .fold(Failure::config(what), |failure, mistake| failure.why(mistake.to_string()))
        .fix("nothing was touched: correct the settings and run again")
}

/// Names that are not served, each with what to write.
fn unknown(inputs: &Inputs) -> Vec<Mistake> {
    let later = |mistake: Mistake| {
        if names::is_later(&mistake.name) {
            return Mistake::new(mistake.name, "is not served yet", "remove it");
        }
        mistake
    };
    inputs.unknown(&names::SERVED).into_iter().map(later).collect()
}

/// The user's own task definition, JSON or YAML, beneath the workspace.
fn definition(env: &Env, reader: &mut Reader<'_>) -> Option<serde_json::Value> {
    let path = reader.inputs.text("task-definition")?;
    let read = match Workspace::of(env).read(path) {
        Ok(text) => yaml::read(path, &text),
        Err(failure) => Err(Mistake::new("task-definition", failure.what, "name a JSON or YAML file beneath the workspace")),
    };
    match read {
        Ok(node) if matches!(node.kind, yaml::Kind::Map(_)) => Some(node.to_json()),
        Ok(_) => {
            reader.mistakes.push(Mistake::new("task-definition", "is no task definition", "write one object with containerDefinitions"));
            None
        }
        Err(mistake) => {
            reader.mistakes.push(mistake);
            None
        }
    }
}

fn mode(reader: &mut Reader<'_>) -> Mode {
    let text = |name: &str| reader.inputs.text(name).map(str::to_owned);
    match reader.inputs.text("mode").unwrap_or("deploy") {
        "deploy" => Mode::Deploy,
        "plan" => Mode::Plan,
        "verify" => Mode::Verify,
        "rollback" => Mode::Rollback { to: text("to") },
        "history" => Mode::History,
        "rehearse" => Mode::Rehearse { fault: text("fault") },
        other => {
            let known = ["deploy", "plan", "verify", "rollback", "history", "rehearse"];
            let mistake = Mistake::new("mode", format!("is {other:?}, no mode"), format!("write one of {}", known.join(", ")));
            reader.mistakes.push(mistake);
            Mode::Deploy
        }
    }
}

fn aws(reader: &mut Reader<'_>) -> AwsAuth {
    let text = |name: &str| reader.inputs.text(name).map(str::to_owned);
    let duration = reader.inputs.duration("aws-role-duration");
    let auth = AwsAuth {
        role: text("aws-role"),
        region: text("aws-region"),
        expected_account: text("aws-expected-account"),
        role_duration: None,
        session_name: None,
        external_id: text("aws-external-id").map(Secret::new),
        role_chain: reader.inputs.list("aws-role-chain"),
    };
    match duration {
        Ok(role_duration) => AwsAuth { role_duration, ..auth },
        Err(mistake) => {
            reader.mistakes.push(mistake);
            auth
        }
    }
}

/// Overridden addresses: plain http only to loopback, other hosts only when allowed, and always told.
fn endpoints(env: &Env, reader: &mut Reader<'_>) -> (Endpoints, AwsEndpoints, Vec<String>) {
    let allowed = reader.flag("allow-endpoint-overrides");
    let (mut hosts, mut aws, mut notes) = (BTreeMap::new(), AwsEndpoints::default(), Vec::new());
    for (name, value) in env.iter().filter(|(_, value)| !value.is_empty()) {
        let of_aws = name.strip_prefix("AWS_ENDPOINT_URL");
        let of_host = name.strip_prefix("TOUCHDOWN_ENDPOINT_");
        if of_aws.is_none() && of_host.is_none() {
            continue;
        }
        let parsed = url::Url::parse(value).ok();
        let loopback = parsed.as_ref().and_then(url::Url::host_str).is_some_and(|host| matches!(host, "127.0.0.1" | "localhost" | "[::1]"));
        let secure = parsed.as_ref().is_some_and(|url| url.scheme() == "https" || loopback);
        if !secure || (!loopback && !allowed) {
            let write =
                if secure { "set allow-endpoint-overrides: true if this is meant" } else { "write https://…, or http:// on loopback" };
            reader.mistakes.push(Mistake::new(name, "sends requests to another host", write));
            continue;
        }
        if !loopback {
            notes.push(format!("{name} sends requests to {value}"));
        }
        match (of_aws, of_host) {
            (Some(""), _) => aws.all = Some(value.to_owned()),
            (Some(service), _) => {
                aws.by_service.insert(service.trim_start_matches('_').to_lowercase().replace('_', ""), value.to_owned());
            }
            (None, Some(host)) => {
                hosts.insert(host.to_owned(), value.to_owned());
            }
            (None, None) => {}
        }
    }
    (Endpoints(hosts), aws, notes)
}
