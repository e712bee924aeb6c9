//! Every mistake at once: its name, its line, what is wrong and what to write.

use super::{IMAGE, Step, WEB};

#[test]
fn all_mistakes_of_the_inputs_are_told_at_once() {
    let step = Step::new()
        .input("target", "esc")
        .input("servise", "web")
        .input("region", "EU West")
        .input("image", "ghcr.io/Acme/web:v1")
        .input("health-retries", "ten")
        .input("health-body", "/(unclosed/")
        .input("health-interval", "10")
        .input("skip-push", "yes")
        .input("traffic-steps", "10, 50, 100")
        .input("timeout", "0s")
        .input("on-failure", "undo")
        .input("push-to", "ghcr.io/acme/web")
        .input("fault", "crash-on-start")
        .input("smoke", "GET cart");
    insta::assert_snapshot!(step.mistakes().join("\n"), @r#"
    push-to is not served yet: remove it
    servise is no setting: write service
    fault is set, and the mode is deploy: write mode: rehearse, or remove it
    skip-push is "yes", not a boolean: write true or false
    target is "esc", no target: write ecs
    region is "EU West", no region: write the cluster's region, e.g. eu-west-1
    service is missing: write the service's name on the platform
    traffic-steps is 10, 50, 100, no rising shares: write shares that rise to 100
    image has capital letters in its repository, which no registry takes: write it in small letters
    health-retries is "ten", not a whole number: write a whole number from 1 to 1000
    health-interval is "10", a number without a unit: write 10s
    health-body is no pattern: found open group without closing ')': correct the pattern, or write the text without the slashes around it
    smoke has "GET cart", no request: write GET /path, or POST /path 201
    on-failure is "undo", not known: write one of rollback, leave
    timeout is no time at all: write how long it may take, such as 5m
    "#);
}

#[test]
fn all_mistakes_of_the_file_are_told_at_once_with_their_lines() {
    let text = format!(
        "version: 1
auth:
  aws: {{ rolle: x }}
  gcp: {{}}
services:
  web:
    target: ecs
    region: eu-west-1
    image: {IMAGE}
    health: {{ retires: 3, path: health, status: \"2xx\" }}
    helth: {{}}
    cluster: [a]
    env: {{ A: [1], B: }}
    after: [nobody]
    region-name: x
    mode: plan
  api:
    target: cloud-run
    image: ${{GITHUB_TOKEN}}
    cluster: ${{NOWHERE}}
    migrate: {{ timeout: 5m }}
    smoke: [{{ path: cart, stauts: 200 }}]
groups: [[web, apy]]
environments:
  staging:
    services: {{ worker: {{}} }}
    requires: {{ healthy: https://example.com }}
"
    );
    insta::assert_snapshot!(Step::with_file(&text).mistakes().join("\n"), @r#"
    auth.aws.rolle (line 3) is no setting: write role
    auth.gcp (line 4) is not served yet: remove it
    services.web.health.retires (line 10) is no setting: write retries
    services.web.helth (line 11) is no setting: write health
    services.web.region-name (line 15) is no setting: write region
    services.web.mode (line 16) is said for each run: write it as an input or a flag
    environments.staging.requires (line 27) is not served yet: remove it
    environments.staging.services.worker (line 26) is no service of this file: list it in services too
    services.api.cluster (line 20) asks for NOWHERE, which is not set: add to the step:
      env:
        NOWHERE: …
    or write $${ for a plain ${
    services.api.image (line 19) asks for GITHUB_TOKEN, and credentials are never put into settings: use secrets: for the service
    services.web.cluster (line 12) is a list: write one value
    services.web.env.A (line 13) is no text: write a text; "" for an empty one
    services.web.env.B (line 13) has no value: write a text; "" for an empty one
    services.web.health.path (line 10) is "health", no path: write a path that begins with /
    services.web.health.status (line 10) is "2xx", no set of status codes: write 200-299,304
    services.api.target (line 18) is "cloud-run", which is not served yet: write ecs
    services.api.region (line 17) is missing: write the cluster's region, e.g. eu-west-1
    services.api.smoke.path (line 22) is no path: write a path that begins with /
    services.api.smoke.stauts (line 22) is nothing a request has: write status
    services.api.migrate.timeout (line 21) is there, and nothing to run: write services.api.migrate.command or services.api.migrate.job too, or remove it
    groups (line 23) names "apy", no service here: write api
    services.web.after (line 14) names "nobody", no service here: write one of web, api
    "#);
}

#[test]
fn what_only_shows_together_is_told_too() {
    let service = |name: &str, more: &str| format!("  {name}: {{ target: ecs, region: r, image: \"{IMAGE}\"{more} }}\n");
    let file = |services: &[(&str, &str)], groups: &str| {
        let services: String = services.iter().map(|(name, more)| service(name, more)).collect();
        Step::with_file(&format!("version: 1\nservices:\n{services}groups: {groups}\n")).mistakes().join("\n")
    };
    let told = [
        file(&[("a", ", after: [b]"), ("b", ", after: [a]")], "[[a, b]]"),
        file(&[("a", ""), ("b", ", after: [c]"), ("c", ""), ("d", ", after: [a]")], "[[a, b], [c, d]]"),
        file(&[("a", ", after: [a]")], "[]"),
        file(&[("a", ", on-failure: leave"), ("b", "")], "[[a, b]]"),
        file(&[("a", ""), ("b", ", service: a")], "[]"),
        file(&[("a", ""), ("b", "")], "[[a, b], [b]]"),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    after (line 3) goes round in a circle: a waits for b, b waits for a: remove one of them
    after (line 4) goes round in a circle: b waits for c, d waits for a: remove one of them
    services.a.after (line 3) names the service itself: remove it
    on-failure (line 4) differs between a and b, which stand or fall together: write the same for both, or once in defaults
    services.b (line 4) is the same service on the platform as services.a: keep one of them
    groups (line 5) names b twice: keep it in one group
    "#);
}

#[test]
fn files_that_are_none_say_why() {
    let many: String = (0..101).map(|index| format!("  s{index}: {{ target: ecs, region: r, image: \"{IMAGE}\" }}\n")).collect();
    let told = [
        Step::with_file("").mistakes(),
        Step::with_file("- a").mistakes(),
        Step::with_file("version: 2\nservices: {}").mistakes(),
        Step::with_file(WEB).input("config", "nowhere.yml").mistakes(),
        Step::with_file(WEB).input("config", "../secret.yml").mistakes(),
        Step::with_file(&format!("{WEB}  web: {{}}\n")).mistakes(),
        Step::with_file(WEB).input("config", ".github/touchdown.yml").input("health-path", "/up").mistakes(),
        Step::with_file(&format!("{WEB}environments: {{ staging: {{}} }}\n")).input("environment", "stagign").mistakes(),
        Step::with_file(&format!("version: 1\nservices:\n{many}")).mistakes(),
    ];
    insta::assert_snapshot!(told.map(|mistakes| mistakes.join("\n")).join("\n"), @r#"
    .github/touchdown.yml is empty: write the settings into it
    .github/touchdown.yml (line 1) is no map: write version: 1, and services: below it
    version (line 1) is none that this build reads: write version: 1
    config cannot be used: there is no file "nowhere.yml" in the workspace: name a file beneath the workspace, after a checkout
    config cannot be used: there is no file "../secret.yml" in the workspace: name a file beneath the workspace, after a checkout
    web (line 7) is written twice: keep one of them
    health-path belongs to a service, and those stand in .github/touchdown.yml: write it there; ${NAME} puts in what changes from run to run, from the step's env (.github/touchdown.yml is read)
    environment is "stagign", which the file does not have: write staging
    services are 101: write at most 100 in one file
    "#);
}

#[test]
fn settings_too_large_for_the_journal_are_a_mistake_and_name_what_is_large() {
    let requests: String = (0..90).map(|index| format!("GET /a/long/path/to/something/number/{index}\n")).collect();
    let step =
        Step::new().input("target", "ecs").input("service", "web").input("region", "r").input("image", IMAGE).input("smoke", &requests);
    let mistakes = step.mistakes();
    assert!(mistakes.iter().any(|mistake| mistake.contains("smoke") && mistake.contains("the journal takes")), "{mistakes:?}");
}

#[test]
fn flags_that_are_none_say_what_to_write() {
    let told = |words: &[&str]| {
        let words: Vec<String> = ["touchdown"].iter().chain(words).map(|word| (*word).to_owned()).collect();
        match touchdown::config::flags::command(&words) {
            Ok(_) => panic!("{words:?} is no mistake"),
            Err(mistakes) => mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    };
    let all = [
        told(&["deplyo", "--helth-path", "/up", "-x"]),
        told(&["deploy", "plan"]),
        told(&["deploy", "--cluster", "a", "--cluster", "b"]),
        told(&["deploy", "--cluster"]),
        told(&["deploy", "--after", "x"]),
        told(&["deploy", "--push-to", "x"]),
    ];
    insta::assert_snapshot!(all.join("\n"), @r#"
    deplyo is no command: write deploy
    --helth-path is no setting: write --health-path
    -x is no flag: see touchdown --help
    plan is a second command: write one of them, and settings as flags
    --cluster is there twice: keep one of them
    --cluster has no value: write one after it
    --after is no setting: remove it
    --push-to is not served yet: remove it
    "#);
}

#[test]
fn whoever_opens_a_pull_request_neither_deploys_nor_sends_requests_nor_reads_the_steps_variables() {
    let by = |event: &str, mode: &str| {
        let step = Step::with_file(&format!("{WEB}    cluster: \"${{WHERE}}-${{GITHUB_SHA}}\"\n")).env("WHERE", "blue").input("mode", mode);
        step.env("GITHUB_EVENT_NAME", event)
    };
    for event in ["pull_request", "pull_request_target", "pull_request_review", "issue_comment", "workflow_run"] {
        for mode in ["deploy", "rollback", "verify"] {
            assert!(by(event, mode).mistakes().iter().any(|mistake| mistake.starts_with("mode is")), "{event} {mode}");
        }
        let mistakes = by(event, "plan").mistakes();
        assert!(mistakes.len() == 1 && mistakes[0].contains("only GITHUB_… is put in"), "{event}: {mistakes:?}");
        by(event, "verify").input("allow-pull-request", "true").plan();
    }
    by("push", "verify").plan();
    // The run that has ended was a push: nobody else has a say.
    let pushed = by("workflow_run", "verify").file("event.json", r#"{"workflow_run": {"event": "push"}}"#);
    let path = pushed.path("event.json");
    pushed.env("GITHUB_EVENT_PATH", &path).plan();
}

#[test]
fn certificates_of_the_checkout_are_refused_and_others_and_proxies_are_told() {
    let step = Step::with_file(WEB).file("ca.pem", "");
    let path = step.path("ca.pem");
    let mistakes = step.env("SSL_CERT_FILE", &path).mistakes();
    assert!(mistakes.len() == 1 && mistakes[0].contains("certificates of the checkout"), "{mistakes:?}");
    let plan =
        Step::with_file(WEB).env("SSL_CERT_FILE", "/etc/ssl/company.pem").env("HTTPS_PROXY", "http://me:secret@proxy.corp:3128").plan();
    assert!(plan.notes.iter().any(|note| note.contains("/etc/ssl/company.pem")), "{:?}", plan.notes);
    assert!(
        plan.notes.iter().any(|note| note.contains("proxy.corp")) && !format!("{:?}", plan.notes).contains("secret"),
        "{:?}",
        plan.notes
    );
}
