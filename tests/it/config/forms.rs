//! Every setting in each of its forms: as an input, as a flag, and as a key of the file, with one meaning.

use touchdown::config::plan::{Plan, ServicePlan};
use touchdown::config::settings::{Form, Part, SETTINGS, Setting};

use super::{IMAGE, Step};

/// What stands beside a setting that cannot stand alone.
fn beside(name: &str) -> Vec<(&'static str, &'static str)> {
    match name {
        "migrate-timeout" | "migrate-on-cancel" | "migrate-rollback" => vec![("migrate-command", "bin/migrate")],
        "before-timeout" => vec![("before-command", "bin/backup")],
        "move-tags" | "platform" | "compression" | "referrers" => vec![("push-to", "ghcr.io/acme/web")],
        "aws-role-chain" => vec![("aws-role", "arn:aws:iam::123456789012:role/first")],
        _ => Vec::new(),
    }
}

/// A value that is not the default: as an input, and as YAML.
pub fn sample(setting: &Setting) -> (String, String) {
    let plain = |text: &str| (text.to_owned(), text.to_owned());
    match (setting.name, setting.form) {
        ("target", _) => plain("ecs"),
        // Half the time a deploy has by default.
        ("stabilize" | "health-initial-delay", _) => plain("7m"),
        ("region" | "aws-region", _) => plain("eu-central-1"),
        ("cpu" | "memory", _) => ("512".to_owned(), "\"512\"".to_owned()),
        ("secrets", _) => ("A=/web/a\nB=b".to_owned(), "{ A: /web/a, B: b }".to_owned()),
        ("image", _) => (IMAGE.to_owned(), format!("\"{IMAGE}\"")),
        ("platform", _) => plain("linux/arm64"),
        ("task-definition", _) => plain("taskdef.json"),
        ("health-path", _) => plain("/up"),
        ("health-url", _) => plain("https://shop.example.com/up"),
        ("health-status", _) => ("200,204".to_owned(), "\"200,204\"".to_owned()),
        ("health-version", _) => plain("/version=v2"),
        ("health-body", _) => ("/o[kK]/".to_owned(), "\"/o[kK]/\"".to_owned()),
        ("aws-role", _) => plain("arn:aws:iam::123456789012:role/deploy"),
        ("aws-expected-account", _) => ("123456789012".to_owned(), "\"123456789012\"".to_owned()),
        ("aws-role-chain", _) => ("arn:aws:iam::123456789012:role/next".to_owned(), "[\"arn:aws:iam::123456789012:role/next\"]".to_owned()),
        ("after", _) => plain("[db]"),
        ("traffic-steps", _) => ("100".to_owned(), "[100]".to_owned()),
        (_, Form::Text | Form::Image) => plain("some"),
        (_, Form::Flag) => plain("true"),
        (_, Form::Duration) => plain("17m"),
        (_, Form::Number(least, _)) => plain(&(least + 6).to_string()),
        (_, Form::Choice(choices)) => plain(choices.last().unwrap()),
        (_, Form::List | Form::Shares) => ("a\nb".to_owned(), "[a, b]".to_owned()),
        (_, Form::Pairs) => ("A=1\nB=x=y".to_owned(), "{ A: 1, B: x=y }".to_owned()),
        (_, Form::JsonPairs) => ("/ok=true\n/name=web".to_owned(), "{ /ok: true, /name: web }".to_owned()),
        (_, Form::Requests) => {
            ("GET /cart 200\nPOST /login 401".to_owned(), "[GET /cart 200, { path: /login, method: POST, status: 401 }]".to_owned())
        }
        (_, Form::Command) => ("bin/migrate --all".to_owned(), "[bin/migrate, --all]".to_owned()),
    }
}

const FIRST: [(&str, &str); 4] = [("target", "ecs"), ("service", "web"), ("region", "eu-west-1"), ("image", IMAGE)];

fn is_written(setting: &Setting, name: &str) -> bool {
    setting.name != name && beside(setting.name).iter().all(|(other, _)| *other != name)
}

fn as_inputs(setting: &Setting) -> Plan {
    let first = FIRST.iter().filter(|(name, _)| is_written(setting, name));
    let step = first.chain(&beside(setting.name)).fold(step(), |step, (name, value)| step.input(name, value));
    step.input(setting.name, &sample(setting).0).plan()
}

fn as_flags(setting: &Setting) -> Plan {
    let mut words = vec!["deploy".to_owned()];
    let mut flag = |name: &str, value: &str| match Setting::named(name).unwrap().form {
        Form::Flag => words.push(format!("--{name}={value}")),
        // Each line as a flag of its own, as people write them at a terminal.
        Form::List | Form::Pairs | Form::JsonPairs | Form::Requests => {
            value.lines().for_each(|line| words.extend([format!("--{name}"), line.to_owned()]));
        }
        _ => words.extend([format!("--{name}"), value.to_owned()]),
    };
    FIRST.iter().filter(|(name, _)| is_written(setting, name)).for_each(|(name, value)| flag(name, value));
    beside(setting.name).iter().for_each(|(name, value)| flag(name, value));
    flag(setting.name, &sample(setting).0);
    step().flags(&words.iter().map(String::as_str).collect::<Vec<_>>()).plan()
}

/// The file with this one setting besides what a service must have.
pub fn file_with(setting: &Setting) -> String {
    let mut keys: Vec<(String, String)> = vec![];
    let first = FIRST.iter().filter(|(name, _)| *name != "service" && is_written(setting, name));
    let mut add = |name: &str, value: String| keys.push((Setting::named(name).unwrap().key().unwrap(), value));
    first.for_each(|(name, value)| add(name, format!("\"{value}\"")));
    beside(setting.name).iter().for_each(|(name, value)| add(name, (*value).to_owned()));
    add(setting.name, sample(setting).1);
    let (mut auth, mut service) = (String::new(), String::new());
    let mut sections: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    for (key, value) in keys {
        match key.split_once('.') {
            None => service.push_str(&format!("    {key}: {value}\n")),
            Some(("auth", rest)) => auth.push_str(&format!("    {}: {value}\n", rest.strip_prefix("aws.").unwrap())),
            Some((section, inner)) => sections.entry(section.to_owned()).or_default().push(format!("      {inner}: {value}\n")),
        }
    }
    for (section, inner) in sections {
        service.push_str(&format!("    {section}:\n{}", inner.concat()));
    }
    let auth = if auth.is_empty() { auth } else { format!("auth:\n  aws:\n{auth}") };
    let other =
        if setting.name == "after" { format!("  db: {{ target: ecs, region: eu-west-1, image: \"{IMAGE}\" }}\n") } else { String::new() };
    format!("version: 1\n{auth}services:\n  web:\n{service}{other}")
}

fn step() -> Step {
    Step::new().file("taskdef.json", "{\"containerDefinitions\": [{\"name\": \"web\"}]}")
}

fn as_file(setting: &Setting) -> Plan {
    step().file(".github/touchdown.yml", &file_with(setting)).plan()
}

/// What differs from a plan without the setting, as text: name of the setting's own form left away.
fn service(plan: &Plan) -> (&ServicePlan, String) {
    (&plan.services[0], format!("{:?} {:?}", plan.auth, plan.groups))
}

#[test]
fn every_setting_means_the_same_as_an_input_a_flag_and_a_key_of_the_file() {
    for setting in SETTINGS.iter().filter(|setting| setting.part != Part::Run && setting.is_input() && setting.name != "traffic-hold") {
        let (inputs, mut flags, mut file) = (as_inputs(setting), as_flags(setting), as_file(setting));
        if setting.name == "service" {
            // In the file the service has a name of its own besides.
            file.services[0].name = inputs.services[0].name.clone();
            flags.groups = inputs.groups.clone();
            file.groups = inputs.groups.clone();
        }
        assert_eq!(service(&inputs), service(&flags), "{} as a flag", setting.name);
        assert_eq!(service(&inputs), service(&file), "{} in the file:\n{}", setting.name, file_with(setting));
    }
}

#[test]
fn every_setting_changes_the_plan() {
    let plain = FIRST.iter().fold(step(), |step, (name, value)| step.input(name, value)).plan();
    let fixed = ["target", "image", "traffic-steps", "health-auth"];
    for setting in SETTINGS.iter().filter(|setting| {
        setting.part != Part::Run && setting.is_input() && setting.name != "traffic-hold" && !fixed.contains(&setting.name)
    }) {
        let with = as_inputs(setting);
        let without = beside(setting.name)
            .iter()
            .fold(FIRST.iter().fold(step(), |step, (name, value)| step.input(name, value)), |step, (name, value)| step.input(name, value));
        let without = if beside(setting.name).is_empty() {
            service(&plain).1 + &format!("{:?}", plain.services)
        } else {
            let plan = without.plan();
            service(&plan).1 + &format!("{:?}", plan.services)
        };
        assert_ne!(service(&with).1.clone() + &format!("{:?}", with.services), without, "{} is read and has no effect", setting.name);
    }
}

#[test]
fn an_empty_input_is_none_and_a_flag_goes_over_an_input() {
    let step = FIRST.iter().fold(step(), |step, (name, value)| step.input(name, value)).input("health-retries", "").input("cluster", "one");
    assert_eq!(step.plan().services[0].health.retries, 10);
    let over = step.flags(&["plan", "--cluster", "two", "--force"]).plan();
    assert_eq!(over.mode.name(), "plan");
    let shown = format!("{:?}", over.services[0].target);
    assert!(shown.contains("\"two\"") && shown.contains("force: true"), "{shown}");
}
