//! The table of settings: one row each, and everything else is made from it: what is read, `action.yml`, the schema of `touchdown.yml`,
//! the tables of the README and `--help`. It knows no value.

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// As input, and as flag after `--`: `health-path`.
    pub name: &'static str,
    /// How its value is written.
    pub form: Form,
    /// What holds when it is not written; empty where nothing does.
    pub default: &'static str,
    /// Which part of the interface it belongs to.
    pub part: Part,
    /// What it means, as users read it.
    pub doc: &'static str,
}

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Any text.
    Text,
    /// `true` or `false`.
    Flag,
    /// `30s`, `5m`.
    Duration,
    /// A whole number from the first to the second.
    Number(u64, u64),
    /// One of these.
    Choice(&'static [&'static str]),
    /// One entry a line; a list in the file.
    List,
    /// `KEY=VALUE`, one a line; a map in the file.
    Pairs,
    /// Like pairs, with values of JSON's types.
    JsonPairs,
    /// Shares in per cent, rising to 100: a line or a list each.
    Shares,
    /// Requests with what they expect.
    Requests,
    /// One line, or a list of words.
    Command,
    /// An image; in the file also `{ from: … }`.
    Image,
}

/// A part of the interface, and with it where in the file its settings stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What this run does: inputs and flags only.
    Run,
    /// A service, whatever its platform.
    Service,
    /// A service of a file of several.
    Several,
    /// What is deployed, and how it gets to its registry.
    Images,
    /// `target: ecs`.
    Ecs,
    /// Health.
    Health,
    /// How and when it is put back.
    Trouble,
    /// Jobs beside the service.
    Jobs,
    /// Signing in: `auth` of the file.
    SignIn,
}

/// Sections of a service in the file: `health-path` is `health: { path: … }`.
pub const SECTIONS: [&str; 5] = ["image", "health", "migrate", "before", "traffic"];

/// The platforms of the interface that are not served yet.
pub const LATER_TARGETS: [&str; 6] = ["cloud-run", "app-service", "container-instances", "fly", "kubernetes", "compose"];

/// The modes.
pub const MODES: [&str; 6] = ["deploy", "plan", "verify", "rollback", "history", "rehearse"];

/// Part of the interface and not served yet: refused by name, never ignored. A name stands for all that begin with it and a hyphen.
pub const LATER: [&str; 19] = [
    "create",
    "requires",
    "project",
    "resource-group",
    "slot",
    "scale",
    "labels",
    "runtime-service-account",
    "job",
    "gcp",
    "azure",
    "skip-gate",
    "skip-terraform",
    "gate",
    "terraform",
    "metrics",
    "notify",
    "incident-issue",
    "github-deployment",
];

const fn row(name: &'static str, form: Form, default: &'static str, part: Part, doc: &'static str) -> Setting {
    Setting { name, form, default, part, doc }
}

use Form::{Choice, Command, Duration, Flag, Image, JsonPairs, List, Number, Pairs, Requests, Shares, Text};
use Part::{Ecs, Health, Images, Jobs, Run, Service, Several, SignIn, Trouble};

const UNDO: Form = Choice(&["rollback", "leave"]);

/// Every setting that is served, in the order of the documentation.
pub const SETTINGS: &[Setting] = &[
    row("mode", Choice(&MODES), "deploy", Run, "What to do: `deploy`, `plan`, `verify`, `rollback`, `history` or `rehearse`"),
    row(
        "config",
        Text,
        ".github/touchdown.yml",
        Run,
        "The file of several services, beneath the workspace; the default is read when it exists and no service is written as inputs",
    ),
    row(
        "environment",
        Text,
        "",
        Run,
        "Which of the file's `environments` to use, and the name in the report; default the job's own environment",
    ),
    row("to", Text, "", Run, "`mode: rollback`: the release to go back to; default the last known-good one"),
    row(
        "fault",
        Text,
        "",
        Run,
        "`mode: rehearse`: what goes wrong, e.g. `crash-on-start`, or `SERVICE=FAULT` for one of several; a wrong name lists them all",
    ),
    row("skip-push", Flag, "false", Run, "Skips the push; an image given by digest is then deployed as written"),
    row("skip-migrate", Flag, "false", Run, "Skips the migration"),
    row("skip-deploy", Flag, "false", Run, "Skips the deploy; what runs is verified"),
    row("skip-verify", Flag, "false", Run, "Skips the proof; the summary says that nothing was proven"),
    row("allow-pull-request", Flag, "false", Run, "Lets a `pull_request` or `pull_request_target` run change something"),
    row(
        "allow-endpoint-overrides",
        Flag,
        "false",
        Run,
        "Lets `AWS_ENDPOINT_URL…` and `TOUCHDOWN_ENDPOINT_…` name other hosts than loopback",
    ),
    row("create-repository", Flag, "false", Run, "Makes the repository when the registry has none (ECR: immutable tags, scan on push)"),
    row(
        "registry-username",
        Text,
        "",
        Run,
        "Name for the registry of `push-to`, or of `image`; default what Docker's own configuration has",
    ),
    row("registry-password", Text, "", Run, "Its password or token"),
    row("github-token", Text, "${{ github.token }}", Run, "The workflow's token, for ghcr.io"),
    row(
        "runner-temp",
        Text,
        "host:${{ runner.temp }}",
        Run,
        "The runner's temporary folder as later steps see it, for the output `report`; leave it as it is",
    ),
    row("target", Choice(&["ecs"]), "", Service, "The platform: `ecs`"),
    row("service", Text, "", Service, "The service's name on the platform; in the file the default is its key"),
    row("container", Text, "", Service, "Which container takes the image; default the only one, else the one the load balancer leads to"),
    row("env", Pairs, "", Service, "Lines `KEY=VALUE`, merged into what runs; `KEY=!unset` removes"),
    row("secrets", Pairs, "", Service, "Lines `KEY=reference` in the platform's own form (ECS: an ARN)"),
    row(
        "traffic-steps",
        Shares,
        "100",
        Service,
        "Shares of the users for the new release, each proven; on ECS the service's own strategy decides, so only 100",
    ),
    row("traffic-hold", Duration, "0s", Service, "How long each share is held"),
    row(
        "in-flight",
        Choice(&["wait", "supersede", "fail"]),
        "wait",
        Service,
        "When another deployment of the service runs: `wait`, `supersede` or `fail`",
    ),
    row("timeout", Duration, "15m", Service, "From the deploy to proven"),
    row(
        "image",
        Image,
        "",
        Images,
        "`docker://NAME` (the machine's daemon), `archive:FILE`, `oci:FOLDER`, or `HOST/REPOSITORY:TAG` or `@sha256:…`; a digest with `skip-push` is deployed as written",
    ),
    row("push-to", Text, "", Images, "The repository the image is pushed to, `HOST/PATH`; default for an image of a registry its own"),
    row(
        "tags",
        List,
        "",
        Images,
        "Its tags there, as docker/metadata-action reads them: `type=sha`, `type=semver,pattern={{version}}`, `latest`; or `from staging to latest`",
    ),
    row(
        "move-tags",
        Choice(&["live", "pushed"]),
        "live",
        Images,
        "When a tag that means another image moves: once the release is `live`, or as soon as it is `pushed`",
    ),
    row("platform", Text, "", Images, "Which platform of an index, e.g. `linux/arm64`; default all of them"),
    row(
        "compression",
        Choice(&["auto", "gzip", "zstd"]),
        "auto",
        Images,
        "Of layers that come plain: `zstd` (sooner, smaller; Docker reads it since 23), `gzip`, or `auto`: zstd for Fargate, else gzip",
    ),
    row(
        "referrers",
        Flag,
        "false",
        Images,
        "Copies what refers to the image along: its signatures, SBOMs and attestations, from a registry or a layout",
    ),
    row("after", List, "", Several, "Services that must be proven first (same group) or committed (another group)"),
    row("region", Text, "", Ecs, "AWS region of the cluster, e.g. `eu-west-1`; default `aws-region`"),
    row("cluster", Text, "default", Ecs, "Name or ARN of the cluster"),
    row(
        "task-definition",
        Text,
        "",
        Ecs,
        "A JSON or YAML file beneath the workspace to start the task definition from; default the revision that serves",
    ),
    row("cpu", Text, "", Ecs, "Task CPU as ECS writes it: `256`, `.25 vCPU`"),
    row("memory", Text, "", Ecs, "Task memory as ECS writes it: `512`, `1 GB`"),
    row("desired-count", Number(0, 10_000), "", Ecs, "Number of tasks; never sent unless given, so that auto scaling keeps its own"),
    row("force", Flag, "false", Ecs, "Deploy although nothing changed"),
    row(
        "wait-until",
        Choice(&["completed", "production-traffic", "bake"]),
        "completed",
        Ecs,
        "When a rollout counts as done: `completed`, `production-traffic` or `bake`",
    ),
    row("health-path", Text, "/health", Health, "Where health is asked; `none: reason` to ask nowhere, the summary shows the reason"),
    row("health-url", Text, "", Health, "A whole address instead of the one the platform names"),
    row("health-retries", Number(1, 1000), "10", Health, "Attempts until the first healthy answer"),
    row("health-interval", Duration, "10s", Health, "Their pace"),
    row("health-timeout", Duration, "5s", Health, "Bounds one attempt"),
    row("health-initial-delay", Duration, "0s", Health, "Pause before the first"),
    row("health-successes", Number(1, 1000), "3", Health, "Consecutive healthy answers, a second apart"),
    row("health-status", Text, "200-299", Health, "Healthy status codes, e.g. `200-299,304`"),
    row("health-body", Text, "", Health, "Text the body must hold, or `/regex/`"),
    row("health-json", JsonPairs, "", Health, "Lines `/pointer=value` that must hold in the body"),
    row("health-header", Pairs, "", Health, "Lines `Name=value` that must hold in the headers"),
    row("health-version", Text, "", Health, "What proves that the new build answers: `/version=sha`, `X-Version=digest`, `/version=v2`"),
    row("health-max-latency", Duration, "", Health, "Limit for 95 % of the answers"),
    row(
        "health-auth",
        Choice(&["auto", "none"]),
        "auto",
        Health,
        "`auto` sends an identity token where the platform asks for one (ECS never does); `none` never",
    ),
    row("stabilize", Duration, "0s", Health, "Hold time after healthy, still checking; one failure fails"),
    row(
        "smoke",
        Requests,
        "",
        Health,
        "Requests run once healthy, one a line: `GET /cart`, `POST /login 401`; in the file also maps with what they expect",
    ),
    row("on-failure", UNDO, "rollback", Trouble, "What a failure does to what was changed: `rollback` or `leave`; for the whole group"),
    row("on-cancel", UNDO, "rollback", Trouble, "What a cancellation does: `rollback` or `leave`; for the whole group"),
    row("rollback-timeout", Duration, "15m", Trouble, "From the rollback to proven"),
    row("before-command", Command, "", Jobs, "A command to run first of all in the serving release's container, e.g. a backup"),
    row("before-job", Text, "", Jobs, "A task definition to run first of all instead"),
    row("before-timeout", Duration, "15m", Jobs, "How long it may take"),
    row("migrate-command", Command, "", Jobs, "A command to run in the new release's container before it serves"),
    row("migrate-job", Text, "", Jobs, "A task definition to run instead"),
    row("migrate-timeout", Duration, "15m", Jobs, "How long it may take"),
    row("migrate-on-cancel", Choice(&["finish", "stop"]), "finish", Jobs, "What a cancellation does to it: `finish` or `stop`"),
    row(
        "migrate-rollback",
        Choice(&["safe", "unsafe"]),
        "safe",
        Jobs,
        "`unsafe` when the release before cannot run on the new schema: then nothing is rolled back by itself",
    ),
    row("aws-role", Text, "", SignIn, "ARN of the role to assume by the workflow's identity; without it the usual AWS credentials chain"),
    row("aws-region", Text, "", SignIn, "Region where `region` is not set"),
    row("aws-expected-account", Text, "", SignIn, "Fails when signed in to another account"),
    row("aws-role-duration", Duration, "", SignIn, "Session length, `15m` to the role's own maximum"),
    row("aws-external-id", Text, "", SignIn, "External id for the last role"),
    row("aws-role-chain", List, "", SignIn, "Further roles, one a line, assumed one after the other"),
];

impl Part {
    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Part::Run => "This run",
            Part::Service => "The service",
            Part::Several => "Several services",
            Part::Images => "The image",
            Part::Ecs => "Amazon ECS",
            Part::Health => "Proof",
            Part::Trouble => "Putting back",
            Part::Jobs => "Jobs beside the service",
            Part::SignIn => "Signing in",
        }
    }

    /// Every part, in the order of the documentation.
    pub const ALL: [Part; 9] = [Run, Service, Images, Several, Ecs, Health, Trouble, Jobs, SignIn];
}

impl Setting {
    /// The row of `name`.
    pub fn named(name: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// Whether it is an input and a flag.
    pub fn is_input(&self) -> bool {
        self.part != Part::Several
    }

    /// Where it stands in the file, below its service or (signing in) at the top; `None`: not in the file.
    pub fn key(&self) -> Option<String> {
        match (self.part, self.section()) {
            (Part::Run, _) => None,
            (Part::SignIn, _) => Some(self.name.replacen("aws-", "auth.aws.", 1)),
            (_, Some((section, inner))) => Some(format!("{section}.{inner}")),
            (_, None) => Some(self.name.to_owned()),
        }
    }

    /// Its section of a service in the file, and its key there: `health-path` → `health`, `path`.
    pub fn section(&self) -> Option<(&'static str, &'static str)> {
        match (self.part, self.name) {
            (Part::Images, "image") => Some(("image", "from")),
            (Part::Images, name) => Some(("image", name)),
            (_, name) => name.split_once('-').filter(|(first, _)| SECTIONS.contains(first)),
        }
    }

    /// Whether it belongs to a service, as opposed to the run and to signing in.
    pub fn is_of_service(&self) -> bool {
        !matches!(self.part, Part::Run | Part::SignIn)
    }
}

/// Whether `name` is one of [`LATER`], or a part of one, and not a setting that is served already.
pub fn is_later(name: &str) -> bool {
    Setting::named(name).is_none()
        && LATER.iter().any(|later| name == *later || name.strip_prefix(later).is_some_and(|rest| rest.starts_with(['-', '.'])))
}
