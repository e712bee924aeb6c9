//! The same binary outside a workflow: a file, flags, the machine's own credentials; plain lines and the exit status.

use std::process::{Command, Output};
use std::time::Duration;

use touchdown::clock::Clock;
use touchdown::http::Endpoints;
use touchdown::simulator::Simulator;
use touchdown::simulator::seed::ServiceSeed;

use crate::image_sources::build;
use crate::rig::{DIGEST, REPOSITORY};

/// A project on somebody's machine, and the clouds it reaches.
struct Desk {
    simulator: Simulator,
    folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        let simulator = Simulator::start(Clock::real()).await.unwrap();
        let world = simulator.world();
        world.add_service(&ServiceSeed::new("web")).unwrap();
        world.set_rollout_time(Duration::ZERO);
        world.set_consistency_lag(Duration::ZERO, Duration::ZERO);
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "version: 1\ndefaults: {{ target: ecs, region: eu-west-1, health: {{ interval: 10ms }} }}\n\
             services:\n  web: {{ image: \"{REPOSITORY}/web@{DIGEST}\", env: {{ VERSION: \"${{BUILD}}\" }} }}\n"
        );
        std::fs::write(folder.path().join("touchdown.yml"), text).unwrap();
        Self { simulator, folder }
    }

    async fn run(&self, words: &[&str]) -> Output {
        let (key, secret) = self.simulator.world().static_key();
        self.run_with(words, &[("AWS_ACCESS_KEY_ID", &key), ("AWS_SECRET_ACCESS_KEY", &secret)]).await
    }

    async fn run_with(&self, words: &[&str], env: &[(&str, &str)]) -> Output {
        let endpoints = self.simulator.endpoints();
        let mut command = Command::new(env!("CARGO_BIN_EXE_touchdown"));
        command.args(words).current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        command.env("AWS_ENDPOINT_URL", &endpoints.aws).env("BUILD", "v2").envs(env.iter().copied());
        for host in &endpoints.hosts {
            command.env(format!("TOUCHDOWN_ENDPOINT_{}", Endpoints::key(host)), &endpoints.aws);
        }
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_deployed_planned_and_rolled_back_from_a_terminal() {
    let desk = Desk::new().await;
    let world = desk.simulator.world();
    let planned = desk.run(&["plan", "--config", "touchdown.yml"]).await;
    assert!(planned.status.success() && text(&planned).contains("VERSION"), "{}", text(&planned));
    assert_eq!(world.count("UpdateService"), 0);
    let live = desk.run(&["deploy", "--config", "touchdown.yml", "--skip-push"]).await;
    assert!(live.status.success(), "{}", text(&live));
    assert_eq!(world.serving("web"), "v2");
    assert!(!text(&live).contains("::"), "there is no runner to command: {}", text(&live));
    let back = desk.run(&["rollback", "--config=touchdown.yml"]).await;
    assert!(back.status.success(), "{}", text(&back));
    assert_eq!(world.serving("web"), "v1");
    let left: Vec<_> = std::fs::read_dir(desk.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["touchdown.yml"], "nothing is left on somebody's machine");
    let text_of_file = std::fs::read_to_string(desk.folder.path().join("touchdown.yml")).unwrap();
    std::fs::write(desk.folder.path().join("broken.yml"), text_of_file.replace("interval: 10ms", "interval: 10ms, path: /nowhere"))
        .unwrap();
    let unhealthy = desk.run(&["verify", "--config", "broken.yml"]).await;
    assert_eq!(unhealthy.status.code(), Some(1), "{}", text(&unhealthy));
    assert!(text(&unhealthy).contains("404"), "{}", text(&unhealthy));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_and_version_ask_nobody_and_a_wrong_flag_is_explained() {
    let desk = Desk::new().await;
    let help = desk.run(&["--help"]).await;
    assert!(help.status.success() && text(&help).contains("--health-path"), "{}", text(&help));
    assert_eq!(text(&desk.run(&["--version"]).await).trim(), concat!("touchdown ", env!("CARGO_PKG_VERSION")));
    let bare = desk.run(&[]).await;
    assert!(bare.status.success() && text(&bare).contains("touchdown MODE"), "nobody deploys by a bare word: {}", text(&bare));
    let wrong = desk.run(&["deploy", "--helth-path", "/up"]).await;
    assert!(!wrong.status.success() && text(&wrong).contains("write --health-path"), "{}", text(&wrong));
    assert!(desk.simulator.world().requests().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_usual_chain_is_followed_and_its_end_is_explained() {
    let desk = Desk::new().await;
    let (key, secret) = desk.simulator.world().static_key();
    let profile = desk.folder.path().join("credentials");
    std::fs::write(&profile, format!("[work]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")).unwrap();
    let words = ["plan", "--config", "touchdown.yml"];
    let planned = desk.run_with(&words, &[("AWS_SHARED_CREDENTIALS_FILE", profile.to_str().unwrap()), ("AWS_PROFILE", "work")]).await;
    assert!(planned.status.success(), "{}", text(&planned));
    assert!(!text(&planned).contains(&secret));
    let nobody = desk.run_with(&words, &[("AWS_EC2_METADATA_DISABLED", "true")]).await;
    assert!(text(&nobody).contains("there are no AWS credentials") && text(&nobody).contains("aws-role"), "{}", text(&nobody));
    let config = desk.folder.path().join("config");
    let process = format!("printf '{{\"Version\": 1, \"AccessKeyId\": \"{key}\", \"SecretAccessKey\": \"{secret}\"}}'");
    std::fs::write(desk.folder.path().join("keys.sh"), process).unwrap();
    std::fs::write(
        &config,
        format!(
            "[profile tool]\ncredential_process = sh {}/keys.sh\n[profile center]\nsso_session = work\nsso_account_id = 123456789012\n\
             sso_role_name = deploy\n[sso-session work]\nsso_region = eu-west-1\nsso_start_url = https://acme.awsapps.com/start\n",
            desk.folder.path().display()
        ),
    )
    .unwrap();
    let profile = |name| [("AWS_CONFIG_FILE", config.to_str().unwrap()), ("AWS_PROFILE", name)];
    let planned = desk.run_with(&words, &profile("tool")).await;
    assert!(planned.status.success() && !text(&planned).contains(&secret), "{}", text(&planned));
    let center = desk.run_with(&words, &profile("center")).await;
    assert!(text(&center).contains("aws sso login --profile"), "{}", text(&center));
    // An instance without metadata: asked over our own client, and no panic.
    let unreachable = desk.run_with(&words, &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9")]).await;
    assert!(text(&unreachable).contains("there are no AWS credentials"), "{}", text(&unreachable));
}

/// A push as somebody sees it who has a terminal of this kind: `script` is one.
async fn pushed_at(term: &[(&str, &str)], size: usize) -> Option<String> {
    if !std::path::Path::new("/usr/bin/script").exists() {
        crate::setup::skip("a terminal", "there is no script(1)");
        return None;
    }
    let desk = Desk::new().await;
    let (key, secret) = desk.simulator.world().static_key();
    desk.simulator.world().add_repository("eu-west-1", "web", false);
    let mut layout = build::Layout::default();
    let layers: Vec<Vec<u8>> = (0..4).map(|seed| build::layer("data", &build::noise(seed, size))).collect();
    let image = layout.image("linux/amd64", &layers);
    layout.name(image, None).write(&desk.folder.path().join("image"));
    let endpoints = desk.simulator.endpoints();
    let words = format!(
        "{} deploy --skip-deploy --image oci:image --push-to {REPOSITORY}/web --tags v2 --aws-region eu-west-1",
        env!("CARGO_BIN_EXE_touchdown")
    );
    let mut command = Command::new("/usr/bin/script");
    command.args(["--quiet", "--return", "--command", &words, "/dev/null"]).current_dir(desk.folder.path()).env_clear();
    command
        .env("HOME", desk.folder.path())
        .env("SHELL", "/bin/sh")
        .env("PATH", "/usr/bin:/bin")
        .env("GITHUB_WORKSPACE", desk.folder.path());
    command.env("AWS_ENDPOINT_URL", &endpoints.aws).env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret);
    for host in &endpoints.hosts {
        command.env(format!("TOUCHDOWN_ENDPOINT_{}", Endpoints::key(host)), &endpoints.aws);
    }
    command.envs(term.iter().copied()).stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", text(&output));
    Some(text(&output))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_is_bars_at_a_terminal_and_lines_at_one_that_cannot() {
    let Some(seen) = pushed_at(&[("TERM", "xterm"), ("COLUMNS", "100")], 1_000_000).await else { return };
    assert!(seen.contains("\u{1b}[?7l") && seen.contains(['━', '─']) && seen.contains(" of 4.1 MB"), "{seen}");
    let last = seen.rfind("\u{1b}[").unwrap();
    assert!(seen[last..].contains("pushed "), "nothing of the bars stays: {seen}");
    for plain in [&[("TERM", "dumb")][..], &[("TERM", "xterm"), ("NO_COLOR", "1")], &[]] {
        let seen = pushed_at(plain, 10_000).await.unwrap();
        assert!(!seen.contains('\u{1b}') && seen.contains("pushed "), "{seen}");
    }
}
