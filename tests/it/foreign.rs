//! Text that others write, through the whole action: bodies, events, logs, errors of the clouds, names of branches and people.
//! The runner's own grammar, the command files' grammar and a Markdown renderer are the judges.

use serde_json::{Value, json};
use touchdown::simulator::fault::Fault;
use touchdown::simulator::handle::World;

use crate::action_harness::files;
use crate::rig::{REPOSITORY, Ran, Rig, side_by_side};

/// What somebody writes who wants to be read as something else.
const CORPUS: [&str; 9] = [
    "::set-output name=outcome::live",
    "fine\r::save-state name=touchdown_x_0::{}\r\n::add-mask::corpus-word",
    "##[save-state name=x]y ##[add-mask]corpus-word ##[error]z",
    "fine\u{85}::stop-commands::x\u{2028}::error::x\u{2003}::add-mask::corpus-word",
    "</td></tr></table></details><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>",
    "[x](http://evil.example) ![i](http://evil.example/i.png) http://evil.example/z www.evil.example",
    "@octocat acme/shop#1 GH-1 :tada: `|` *b* ~~~\n```\n# head",
    "\u{1b}]8;;http://evil.example\u{7}link\u{1b}[31m\u{202e}",
    "'\"><a href=javascript:alert(1)>x</a> %0A::error::x",
];

/// All of it, a line each.
fn corpus() -> String {
    CORPUS.join("\n")
}

/// Nothing that came out is a command, an output, a link, a mention or markup of somebody else's.
fn harmless(ran: &Ran, place: &str) {
    let ours = ["add-mask", "group", "endgroup", "error", "warning", "notice", "debug"];
    let commands = crate::runner_grammar::parse_stdout(&ran.stdout);
    for command in &commands {
        assert!(ours.contains(&command.name.as_str()), "{place}: {command:?}");
        assert!(command.name != "add-mask" || !command.data.contains("corpus-word"), "{place}: {command:?}");
    }
    let loud = |level: &str| commands.iter().filter(|command| command.name == level).count();
    assert!(["error", "warning", "notice"].iter().all(|level| loud(level) <= 1), "{place}: {}", ran.stdout);
    let (outputs, broken) = files::parse(&ran.outputs);
    let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
    let expected =
        ["outcome", "url", "image", "digest", "revision", "previous-revision", "services", "report", "duration-seconds"].as_slice();
    assert_eq!((names.as_slice(), broken), (expected, None), "{place}: {}", ran.outputs);
    assert!(ran.state.keys().all(|key| key.starts_with("touchdown_") && !key.contains("_x_")), "{place}: {:?}", ran.state.keys());
    let report = std::fs::read_to_string(ran.output("report")).unwrap();
    assert!(serde_json::from_str::<Value>(&report).is_ok(), "{place}: {report}");
    shown_as_it_is(&ran.summary, place);
}

fn shown_as_it_is(summary: &str, place: &str) {
    let mut options = comrak::Options::default();
    options.extension.table = true;
    options.extension.autolink = true;
    options.extension.strikethrough = true;
    options.render.r#unsafe = true;
    let page = comrak::markdown_to_html(summary, &options);
    for markup in ["<script", "<img", "href=\"http://evil", "<a href=\"javascript", "<a href=javascript", "href=\"http://www.evil", "<h1"] {
        assert!(!page.contains(markup), "{place}: {markup} in {page}");
    }
    let prose = without(&without(&page, "<pre", "</pre>"), "<code", "</code>");
    for reference in ["@octocat", "acme/shop#1", "GH-1", ":tada:"] {
        assert!(!prose.contains(reference), "{place}: {reference} would become a link: {page}");
    }
}

/// `page` without what GitHub shows letter by letter.
fn without(page: &str, begins: &str, ends: &str) -> String {
    let mut parts = page.split(begins);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |prose, part| prose + part.split_once(ends).map_or("", |(_, after)| after))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_attackers_write_into_bodies_events_and_logs_is_no_command_anywhere() {
    let cases = [Fault::CrashOnStart, Fault::NeverHealthy, Fault::Flapping, Fault::Alarm, Fault::Placement, Fault::ImagePull];
    side_by_side(cases.map(|fault| async move {
        let rig = Rig::new().await.input("timeout", "3m");
        rig.simulator.world().set_hostile_text("web", &corpus());
        rig.simulator.world().set_fault("web", fault);
        let ran = rig.main().await;
        assert_eq!(ran.output("outcome"), "rolled-back", "{}", ran.stdout);
        let quoted = matches!(fault, Fault::CrashOnStart | Fault::NeverHealthy | Fault::Flapping);
        assert!(ran.summary.contains("script") || !quoted, "{fault:?}: it is shown as it is: {}", ran.summary);
        harmless(&ran, fault.name());
    }))
    .await;
}

/// What goes wrong, so that an API's own words are told.
type Trouble = fn(&World);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clouds_say_in_their_errors_is_no_command_anywhere() {
    let troubles: [(&str, Trouble); 14] = [
        ("sign-in", |world| world.set_fault("web", Fault::DeniedSignIn)),
        ("update", |world| world.set_fault("web", Fault::DeniedUpdate)),
        ("every third request", |world| world.set_fault("web", Fault::ServerErrors)),
        ("throttled", |world| world.set_fault("web", Fault::Throttled)),
        ("services", |world| world.deny("ecs:DescribeServices")),
        ("definitions", |world| world.deny("ecs:DescribeTaskDefinition")),
        ("registering", |world| world.deny("ecs:RegisterTaskDefinition")),
        ("marking", |world| world.deny("ecs:TagResource")),
        ("deployments", |world| world.deny("ecs:ListServiceDeployments")),
        ("balancers", |world| world.deny("elasticloadbalancing:*")),
        ("migrating", |world| world.deny("ecs:RunTask")),
        ("the registry", |world| world.deny("ecr:DescribeImages")),
        ("logs", |world| {
            world.set_fault("web", Fault::CrashOnStart);
            world.deny("logs:*");
        }),
        ("stopping", |world| {
            world.set_fault("web", Fault::CrashOnStart);
            world.deny("ecs:StopServiceDeployment");
        }),
    ];
    side_by_side(troubles.map(|(place, trouble)| async move {
        let rig = Rig::new().await.input("migrate-command", "bin/migrate").input("image", &format!("{REPOSITORY}/web:v2"));
        let world = rig.simulator.world();
        world.add_image("eu-west-1", "web", "v2");
        world.set_hostile_errors(&corpus());
        trouble(&world);
        let ran = rig.main().await;
        harmless(&ran, place);
        let told = ["sign-in", "update", "services", "definitions", "registering", "migrating", "the registry"].contains(&place);
        assert_eq!(ran.code == 1, told || ["logs", "stopping"].contains(&place), "{place}: {}", ran.stdout);
        let shown = ["set-output", "javascript:alert"].iter().any(|end| ran.summary.contains(end));
        assert_eq!(shown, told, "{place}: what the API said is shown where it decided: {}", ran.summary);
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_branches_people_and_workflows_are_no_command_anywhere() {
    let names = [
        "GITHUB_REF",
        "GITHUB_REF_NAME",
        "GITHUB_HEAD_REF",
        "GITHUB_BASE_REF",
        "GITHUB_ACTOR",
        "GITHUB_TRIGGERING_ACTOR",
        "GITHUB_WORKFLOW",
        "GITHUB_WORKFLOW_REF",
        "GITHUB_JOB",
        "GITHUB_ACTION",
        "GITHUB_REPOSITORY",
        "GITHUB_SHA",
        "GITHUB_SERVER_URL",
        "RUNNER_NAME",
    ];
    side_by_side(names.iter().flat_map(|name| [Fault::None, Fault::CrashOnStart].map(|fault| (*name, fault))).map(
        |(name, fault)| async move {
            let rig = Rig::new().await.env(name, &format!("refs/heads/{}", corpus()));
            rig.simulator.world().set_fault("web", fault);
            let ran = rig.main().await;
            assert_eq!(ran.code == 0, fault == Fault::None, "{name}: {}", ran.stdout);
            harmless(&ran, name);
            let post = rig.post(&ran.state).await;
            assert_eq!(crate::runner_grammar::parse_stdout(&post.stdout), [], "{name}: {}", post.stdout);
        },
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_branch_may_choose_of_the_tokens_claims_is_no_command_anywhere() {
    for claim in ["sub", "environment", "ref", "repository", "actor", "workflow"] {
        let rig = Rig::new().await;
        let world = rig.simulator.world();
        world.set_claims(&json!({ claim: corpus() }));
        world.set_fault("web", Fault::DeniedSignIn);
        let ran = rig.main().await;
        assert_eq!((ran.code, ran.output("outcome").as_str()), (1, "untouched"), "{}", ran.stdout);
        harmless(&ran, claim);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_into_settings_is_no_command_in_the_mistakes_that_name_it() {
    let settings =
        ["target", "service", "region", "image", "env", "health-path", "health-url", "health-status", "smoke", "on-failure", "mode"];
    side_by_side(settings.map(|setting| async move {
        let rig = Rig::new().await.input(setting, &format!("x\n{}", corpus()));
        let ran = rig.main().await;
        assert_eq!(ran.code, 1, "{setting}: {}", ran.stdout);
        harmless(&ran, setting);
    }))
    .await;
    let rig = Rig::empty(100.0).await.file(".github/touchdown.yml", &format!("version: 1\nservices:\n  web: {}\n", json!(corpus())));
    harmless(&rig.main().await, "the file");
    let keys = json!({ "version": 1, "services": { corpus(): { corpus(): corpus() } } });
    let rig = Rig::empty(100.0).await.file(".github/touchdown.yml", &keys.to_string());
    harmless(&rig.main().await, "keys of the file");
}
