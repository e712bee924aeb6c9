//! What a run does: mode, stages to skip, who may change anything, how to sign in; and every service of it, put together as the plan.

use crate::clock::Clock;
use crate::cloud::aws::{AwsAuth, is_region};
use crate::runner::mistake::{Mistake, nearest};
use crate::runner::origin::Origin;
use crate::values::{Secret, ServiceName};

use super::Config;
use super::endpoints::{self, Allowed, Overridden};
use super::file::{Chosen, File};
use super::image::Asked;
use super::plan::{Auth, ImageSource, Mode, Plan, PushPlan, RegistryAuth, Skip, TargetPlan};
use super::reader::Reader;
use super::service::Draft;
use super::settings::Setting;
use super::variables::{Author, Variables};

/// The most services of one run.
const MOST: usize = 100;

/// The plan, which only counts when there is no mistake beside it.
pub(super) fn plan(config: Config, jobs_environment: Option<&str>) -> (Plan, Vec<Mistake>) {
    let Config { env, workspace, origin, given, file, mistakes } = config;
    let tagging = super::image::tagging(&origin, Clock::real().now());
    let mut reader = Reader { given: &given, place: "", workspace: &workspace, commit: &origin.commit, tagging: &tagging, mistakes };
    let (mode, skip) = (mode(&mut reader), skip(&mut reader));
    let author = if origin.is_pull_request() && !reader.flag("allow-pull-request") { Author::Anybody } else { Author::Trusted };
    if let Some((what, write)) = by_anybody(&mode, skip, file.is_some()).filter(|_| author == Author::Anybody) {
        reader.wrong("mode", format!("is {} on {}: {what}", mode.name(), origin.event), write);
    }
    if matches!(mode, Mode::Rehearse { .. }) && skip.deploy {
        reader.wrong("skip-deploy", "is set, and a rehearsal is one of a deploy", "remove it, or write mode: verify");
    }
    let allowed = if reader.flag("allow-endpoint-overrides") { Allowed::Everywhere } else { Allowed::Loopback };
    let Overridden { hosts, aws, mut notes, mistakes } = endpoints::endpoints(&env, allowed);
    reader.mistakes.extend(mistakes);
    if !matches!(mode, Mode::Rehearse { .. }) {
        reader.mistakes.extend(endpoints::way(&env, &workspace, &mut notes));
    }
    let environment = reader.text("environment").or_else(|| jobs_environment.map(str::to_owned));
    let single = file.is_none();
    let chosen = match file {
        None => Chosen::default(),
        Some((path, file)) => {
            of_one_service(&mut reader, &path);
            overlay(&mut reader, &file, environment.as_deref());
            let mut variables = Variables::of(&env, author);
            let chosen = file.chosen(environment.as_deref(), &mut variables);
            reader.mistakes.extend(variables.mistakes);
            chosen
        }
    };
    let signing = chosen.auth.clone().under(given.clone());
    let mut signing = Reader { given: &signing, place: "", workspace: &workspace, commit: "", tagging: &tagging, mistakes: Vec::new() };
    let auth = Auth { aws: sign_in(&mut signing), registries: registries(&mut signing, &origin) };
    reader.mistakes.append(&mut signing.mistakes);
    let needed = changes_or_plans(&mode) && !skip.deploy;
    let ask = Ask { region: auth.aws.region.clone(), image: Asked { needed, skip_push: skip.push, used: changes_or_plans(&mode) } };
    let only_push = single && skip.deploy && !reader.has("target") && !reader.has("service");
    let push_only = if only_push { push_only(&mut reader) } else { None };
    let drafts = match (only_push, single) {
        (true, _) => Vec::new(),
        (false, true) => vec![ask.draft(&mut reader, None)],
        (false, false) => several(&mut reader, &chosen, &ask),
    };
    let pushes = push_only.is_some() || drafts.iter().any(|draft| matches!(draft.plan.image, Some(ImageSource::Pushed(_))));
    if author == Author::Anybody && mode == Mode::Deploy && skip.deploy && pushes {
        let what = format!("is written on {}: whoever can open a pull request would push", origin.event);
        reader.wrong(if reader.has("push-to") { "push-to" } else { "tags" }, what, "push on push, or set allow-pull-request: true");
    }
    together(&mut reader, &mode, &drafts);
    let groups = super::groups::groups(&chosen.groups, &drafts).unwrap_or_else(|wrong| {
        reader.mistakes.extend(wrong);
        Vec::new()
    });
    let services = drafts.into_iter().map(|draft| draft.plan).collect();
    (Plan { mode, services, push_only, groups, auth, skip, environment, notes, endpoints: hosts, aws_endpoints: aws }, reader.mistakes)
}

/// Whether images are of any interest.
fn changes_or_plans(mode: &Mode) -> bool {
    matches!(mode, Mode::Deploy | Mode::Plan | Mode::Rehearse { .. })
}

/// What must not be done for whoever opens a pull request, and what to write.
fn by_anybody(mode: &Mode, skip: Skip, from_file: bool) -> Option<(&'static str, &'static str)> {
    match mode {
        Mode::Deploy | Mode::Rollback { .. } if !skip.deploy => {
            Some(("whoever can open a pull request would deploy", "deploy on push, or set allow-pull-request: true"))
        }
        Mode::Deploy | Mode::Rollback { .. } | Mode::Verify if from_file => Some((
            "whoever can open a pull request writes the file, and its requests would be sent from here",
            "verify on push or on a schedule, or set allow-pull-request: true",
        )),
        Mode::Deploy | Mode::Rollback { .. } | Mode::Verify | Mode::Plan | Mode::History | Mode::Rehearse { .. } => None,
    }
}

fn skip(reader: &mut Reader<'_>) -> Skip {
    Skip {
        push: reader.flag("skip-push"),
        migrate: reader.flag("skip-migrate"),
        deploy: reader.flag("skip-deploy"),
        verify: reader.flag("skip-verify"),
    }
}

fn mode(reader: &mut Reader<'_>) -> Mode {
    let (to, fault) = (reader.text("to"), reader.text("fault"));
    let mode = reader.choice(
        "mode",
        [
            ("deploy", "deploy"),
            ("plan", "plan"),
            ("verify", "verify"),
            ("rollback", "rollback"),
            ("history", "history"),
            ("rehearse", "rehearse"),
        ],
    );
    for (name, given, of) in [("to", &to, "rollback"), ("fault", &fault, "rehearse")] {
        if given.is_some() && mode != of {
            reader.wrong(name, format!("is set, and the mode is {mode}"), format!("write mode: {of}, or remove it"));
        }
    }
    match mode {
        "plan" => Mode::Plan,
        "verify" => Mode::Verify,
        "rollback" => Mode::Rollback { to },
        "history" => Mode::History,
        "rehearse" => Mode::Rehearse { fault },
        _ => Mode::Deploy,
    }
}

/// Inputs that say something about a service have no place beside a file of several.
fn of_one_service(reader: &mut Reader<'_>, path: &str) {
    let misplaced = |name: &&str| Setting::named(name).is_some_and(Setting::is_of_service);
    for name in reader.given.iter().map(|(name, _)| name).filter(misplaced).collect::<Vec<_>>() {
        let write = format!("write it there; ${{NAME}} puts in what changes from run to run, from the step's env ({path} is read)");
        reader.wrong(name, format!("belongs to a service, and those stand in {path}"), write);
    }
}

/// Checks that the file has the environment. A file that differs by environment is used with one of them: without, nobody meant what is left.
fn overlay(reader: &mut Reader<'_>, file: &File, environment: Option<&str>) {
    let names: Vec<&str> = file.environments.iter().map(|environment| environment.name.as_str()).collect();
    let Some(name) = environment else {
        if !names.is_empty() {
            let write = format!("write one of {}, or give the job one of them (environment: {})", names.join(", "), names[0]);
            reader.wrong("environment", "is not named, the job has none, and the file differs by environment", write);
        }
        return;
    };
    if names.is_empty() || names.contains(&name) {
        return;
    }
    let near = nearest(name, &names);
    let write =
        near.as_ref().map_or_else(|| format!("write one of {}, or add it to the file", names.join(", ")), |near| format!("write {near}"));
    let mistake = Mistake::new("environment", format!("is {name:?}, which the file does not have"), write);
    reader.mistakes.push(Mistake { nearest: near, ..mistake });
}

fn sign_in(reader: &mut Reader<'_>) -> AwsAuth {
    let (role, role_chain) = (reader.text("aws-role"), reader.list("aws-role-chain"));
    for (name, arn) in role.iter().map(|arn| ("aws-role", arn)).chain(role_chain.iter().map(|arn| ("aws-role-chain", arn))) {
        if !(arn.starts_with("arn:") && arn.contains(":role/")) {
            reader.wrong(name, format!("is {arn:?}, no ARN of a role"), "write arn:aws:iam::123456789012:role/NAME");
        }
    }
    if role.is_none() && !role_chain.is_empty() {
        reader.wrong("aws-role-chain", "has no first role", "write aws-role too");
    }
    let region = reader.text("aws-region");
    if region.as_deref().is_some_and(|region| !is_region(region)) {
        reader.wrong("aws-region", "is no region", "write a region, e.g. eu-west-1");
    }
    let expected_account = reader.text("aws-expected-account");
    if expected_account.as_ref().is_some_and(|account| account.len() != 12 || !account.bytes().all(|digit| digit.is_ascii_digit())) {
        reader.wrong("aws-expected-account", "is no account number", "write its twelve digits, quoted in a file");
    }
    AwsAuth {
        role,
        region,
        expected_account,
        role_duration: reader.some_duration("aws-role-duration"),
        session_name: None,
        external_id: reader.text("aws-external-id").map(Secret::new),
        role_chain,
    }
}

/// Logins for registries; whoever writes a name writes a password.
fn registries(reader: &mut Reader<'_>, origin: &Origin) -> RegistryAuth {
    let written = match (reader.text("registry-username"), reader.text("registry-password")) {
        (Some(name), Some(password)) => Some((name, Secret::new(password))),
        (None, None) => None,
        (Some(_), None) => {
            reader.wrong("registry-password", "is missing, and registry-username is there", "write both, or neither");
            None
        }
        (None, Some(_)) => {
            reader.wrong("registry-username", "is missing, and registry-password is there", "write both, or neither");
            None
        }
    };
    let github = reader.text("github-token").map(|token| (origin.actor.clone().unwrap_or_else(|| "token".to_owned()), Secret::new(token)));
    RegistryAuth { written, github, create: reader.flag("create-repository") }
}

/// An image that is pushed and deployed nowhere; it is known by the last part of its repository.
fn push_only(reader: &mut Reader<'_>) -> Option<(ServiceName, PushPlan)> {
    match reader.image(Asked { needed: true, skip_push: false, used: true })? {
        ImageSource::Pushed(push) => {
            let name = push.to.path().rsplit('/').next().unwrap_or_default().to_owned();
            Some((ServiceName(name), *push))
        }
        ImageSource::Pinned(_) | ImageSource::Tagged { .. } => {
            reader.wrong("push-to", "is missing, and nothing else is to be done", "write push-to or tags, or a target and a service");
            None
        }
    }
}

/// What the run asks of every service.
struct Ask {
    /// Where a service names no region.
    region: Option<String>,
    /// What is asked of the images.
    image: Asked,
}

impl Ask {
    fn draft(&self, reader: &mut Reader<'_>, key: Option<&str>) -> Draft {
        reader.service(key, self.region.as_deref(), self.image)
    }
}

fn several(reader: &mut Reader<'_>, chosen: &Chosen, ask: &Ask) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for listed in chosen.services.iter().take(MOST) {
        let place = format!("services.{}", listed.name);
        let mut of_service = Reader { given: &listed.settings, place: &place, mistakes: Vec::new(), ..*reader };
        let mut draft = ask.draft(&mut of_service, Some(&listed.name));
        draft.lines.service = Some(listed.line);
        drafts.push(draft);
        let mistakes = of_service.mistakes.into_iter().map(|mistake| Mistake { line: mistake.line.or(Some(listed.line)), ..mistake });
        reader.mistakes.extend(mistakes);
    }
    if chosen.services.len() > MOST {
        reader.mistakes.push(Mistake::new(
            "services",
            format!("are {}", chosen.services.len()),
            format!("write at most {MOST} in one file"),
        ));
    }
    drafts
}

/// What only shows when all services are seen together.
fn together(reader: &mut Reader<'_>, mode: &Mode, drafts: &[Draft]) {
    if matches!(mode, Mode::Rollback { to: Some(_) }) && drafts.len() > 1 {
        let what = format!("names one release, and there are {} services", drafts.len());
        reader.wrong("to", what, "leave it away: each goes back to its own last known-good release");
    }
    let place = |draft: &Draft| {
        let TargetPlan::Ecs(settings) = &draft.plan.target;
        (settings.region.clone(), settings.cluster.clone(), draft.plan.service.clone())
    };
    for (index, draft) in drafts.iter().enumerate() {
        if let Some(other) = drafts[..index].iter().find(|other| place(other) == place(draft)) {
            let what = format!("is the same service on the platform as services.{}", other.plan.name);
            let mistake = Mistake::new(format!("services.{}", draft.plan.name), what, "keep one of them");
            reader.mistakes.push(mistake.at(draft.lines.service));
        }
    }
}
