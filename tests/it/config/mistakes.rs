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
        .input("project", "acme")
        .input("fault", "crash-on-start")
        .input("smoke", "GET cart");
    insta::assert_snapshot!(step.mistakes().join("\n"), @r#"
    project is not served yet: remove it
    servise is no setting: write service
    fault is set, and the mode is deploy: write mode: rehearse, or remove it
    skip-push is "yes", not a boolean: write true or false
    target is "esc", no target: write ecs
    region is "EU West", no region: write the cluster's region, e.g. eu-west-1
    service is missing: write the service's name on the platform
    traffic-steps is 10, 50, 100, no rising shares: write shares that rise to 100
    image cannot be used: "ghcr.io/Acme/web" is no repository (it has capital letters, which no registry takes): write "ghcr.io/acme/web"
    health-retries is "ten", not a whole number: write a whole number from 1 to 1000
    health-interval is "10", a number without a unit: write 10s
    health-body is no pattern: found open group without closing ')': correct the pattern, or write the text without the slashes around it
    smoke has "GET cart", no request: write GET /path, or POST /path 201
    timeout is 0s, and the proof takes 2s at least: lengthen it, or shorten stabilize or health-initial-delay
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
    environment is not named, the job has none, and the file differs by environment: write one of staging, or give the job one of them (environment: staging)
    .github/touchdown.yml:3: auth.aws.rolle is no setting: write role
    .github/touchdown.yml:4: auth.gcp is not served yet: remove it
    .github/touchdown.yml:10: services.web.health.retires is no setting: write retries
    .github/touchdown.yml:10: services.web.health.path is "health", no path: write a path that begins with /
    .github/touchdown.yml:10: services.web.health.status is "2xx", no set of status codes: write 200-299,304
    .github/touchdown.yml:11: services.web.helth is no setting: write health
    .github/touchdown.yml:12: services.web.cluster is a list: write one value
    .github/touchdown.yml:13: services.web.env.A is no text: write a text; "" for an empty one
    .github/touchdown.yml:13: services.web.env.B has no value: write a text; "" for an empty one
    .github/touchdown.yml:14: services.web.after names "nobody", no service here: write one of web, api
    .github/touchdown.yml:15: services.web.region-name is no setting: write region
    .github/touchdown.yml:16: services.web.mode is said for each run: write it as an input or a flag
    .github/touchdown.yml:17: services.api.region is missing: write the cluster's region, e.g. eu-west-1
    .github/touchdown.yml:18: services.api.target is "cloud-run", which is not served yet: write ecs
    .github/touchdown.yml:19: services.api.image asks for GITHUB_TOKEN, and credentials are never put into settings: use secrets: for the service
    .github/touchdown.yml:20: services.api.cluster asks for NOWHERE, which is not set: add to the step:
      env:
        NOWHERE: …
    or write $${ for a plain ${
    .github/touchdown.yml:21: services.api.migrate.timeout is there, and nothing to run: write services.api.migrate.command or services.api.migrate.job too, or remove it
    .github/touchdown.yml:22: services.api.smoke.path is no path: write a path that begins with /
    .github/touchdown.yml:22: services.api.smoke.stauts is nothing a request has: write status
    .github/touchdown.yml:23: groups names "apy", no service here: write api
    .github/touchdown.yml:26: environments.staging.services.worker is no service of this file: list it in services too
    .github/touchdown.yml:27: environments.staging.requires is not served yet: remove it
    "#);
}

#[test]
fn what_only_shows_together_is_told_too() {
    let service = |name: &str, more: &str| format!("  {name}: {{ target: ecs, region: eu-west-1, image: \"{IMAGE}\"{more} }}\n");
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
    .github/touchdown.yml:3: after goes round in a circle: a waits for b, b waits for a: remove one of them
    .github/touchdown.yml:4: after goes round in a circle: b waits for c, d waits for a: remove one of them
    .github/touchdown.yml:3: services.a.after names the service itself: remove it
    .github/touchdown.yml:4: on-failure differs between a and b, which stand or fall together: write the same for both, or once in defaults
    .github/touchdown.yml:4: services.b is the same service on the platform as services.a: keep one of them
    .github/touchdown.yml:5: groups names b twice: keep it in one group
    "#);
}

#[test]
fn files_that_are_none_say_why() {
    let many: String = (0..101).map(|index| format!("  s{index}: {{ target: ecs, region: eu-west-1, image: \"{IMAGE}\" }}\n")).collect();
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
    .github/touchdown.yml:1: .github/touchdown.yml is no map: write version: 1, and services: below it
    .github/touchdown.yml:1: version is none that this build reads: write version: 1
    config cannot be used: there is no file "nowhere.yml" in the workspace: name a file beneath the workspace, after a checkout
    config cannot be used: there is no file "../secret.yml" in the workspace: name a file beneath the workspace, after a checkout
    .github/touchdown.yml:7: web is written twice: keep one of them
    health-path belongs to a service, and those stand in .github/touchdown.yml: write it there; ${NAME} puts in what changes from run to run, from the step's env (.github/touchdown.yml is read)
    environment is "stagign", which the file does not have: write staging
    services are 101: write at most 100 in one file
    "#);
}

#[test]
fn settings_too_large_for_the_journal_are_a_mistake_and_name_what_is_large() {
    let body = "x".repeat(4000);
    let step =
        Step::new().input("target", "ecs").input("service", "web").input("region", "r").input("image", IMAGE).input("health-body", &body);
    let mistakes = step.mistakes();
    assert!(mistakes.iter().any(|mistake| mistake.contains("health-body") && mistake.contains("the journal takes")), "{mistakes:?}");
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
        told(&["deploy", "--project", "x"]),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    deplyo is no command: write deploy
    --helth-path is no setting: write --health-path
    -x is no flag: see touchdown --help
    plan is a second command: write one of them, and settings as flags
    --cluster is there twice: keep one of them
    --cluster has no value: write one after it
    --after is no setting: remove it
    --project is not served yet: remove it
    ");
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

#[test]
fn settings_that_would_do_nothing_or_can_never_succeed_are_mistakes() {
    let step = || Step::new().input("target", "ecs").input("service", "web").input("region", "eu-west-1").input("image", IMAGE);
    let told = [
        step().input("health-path", "none: no address").input("smoke", "GET /x").input("health-version", "/v=v2").input("stabilize", "1m"),
        step().input("health-path", "/up").input("health-url", "https://shop.example.com/up"),
        step().input("stabilize", "15m"),
        step().input("traffic-hold", "1m"),
        step().input("mode", "rehearse").input("skip-deploy", "true"),
        step()
            .input("health-url", "http://169.254.169.254/latest")
            .input("smoke", "FETCH /x")
            .input("cpu", "1 core")
            .input("memory", "1GB"),
        step()
            .input("secrets", "A=hunter2!\nB=arn:aws:s3:::x\nC=/web/key\nD=arn:aws:secretsmanager:eu-west-1:1:secret:x")
            .input("cpu", ".25 vCPU"),
    ];
    let told: Vec<String> = told.iter().map(|step| step.mistakes().join("\n")).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    health-version is there, and health-path is none: remove one of them
    smoke is there, and health-path is none: remove one of them
    stabilize is there, and health-path is none: remove one of them
    health-path and health-url are both set: keep one of them: the address holds a path
    timeout is 15m, and the proof takes 15m 2s at least: lengthen it, or shorten stabilize or health-initial-delay
    traffic-hold holds no share, and on ECS the service's strategy owns the traffic: remove it, and set the bake time of the service's own deployment strategy
    skip-deploy is set, and a rehearsal is one of a deploy: remove it, or write mode: verify
    cpu is "1 core", no size: write 256 or .25 vCPU
    health-url is a link-local or metadata address, behind which credentials lie: write an address the service answers at
    smoke has "FETCH /x", no request: write GET /path, or POST /path 201
    secrets sets A to what is no reference: write the ARN of a secret or of a parameter, or the parameter's name; a secret's value has no place here
    secrets sets B to what is no reference: write the ARN of a secret or of a parameter, or the parameter's name; a secret's value has no place here
    "#);
}
