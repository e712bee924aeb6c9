//! A step of a workflow inside the test's own process: the runner's folders and files, the simulator as its clouds, a scaled clock.
//! Main and post are the library's own entry; nothing between inputs and outputs is replaced.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;

use touchdown::clock::Clock;
use touchdown::http::Endpoints;
use touchdown::mode::{Invocation, run};
use touchdown::runner::env::Env;
use touchdown::runner::log::{Log, Style};
use touchdown::runner::signals::Stop;
use touchdown::runner::trace::Lines;
use touchdown::simulator::Simulator;
use touchdown::simulator::request::{Hook, Moment, Request};
use touchdown::simulator::seed::ServiceSeed;

use crate::simulator::client::Client;

pub const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";
pub const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub const REPOSITORY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// A step of a job.
pub struct Rig {
    pub simulator: Arc<Simulator>,
    pub clock: Clock,
    folder: tempfile::TempDir,
    inputs: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    steps: Mutex<u32>,
}

/// What a step left behind.
#[derive(Debug, Clone)]
pub struct Ran {
    pub code: u8,
    pub stdout: String,
    pub outputs: String,
    pub state: BTreeMap<String, String>,
    pub summary: String,
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A step under way, so that it can be stopped or killed.
pub struct UnderWay {
    pub stop: Stop,
    pub task: tokio::task::JoinHandle<u8>,
    sink: Sink,
    files: BTreeMap<&'static str, PathBuf>,
}

impl Rig {
    /// One service `web` at rest on the simulator, and the inputs that deploy it.
    pub async fn new() -> Self {
        Self::with(&[ServiceSeed::new("web")], 100.0).await
    }

    /// These services on a simulator whose clock runs `pace` times as fast as the wall, and the inputs that deploy `web`.
    pub async fn with(seeds: &[ServiceSeed], pace: f64) -> Self {
        let rig = Self::empty(pace).await;
        seeds.iter().for_each(|seed| rig.simulator.world().add_service(seed).unwrap());
        rig.input("target", "ecs")
            .input("service", "web")
            .input("region", "eu-west-1")
            .input("image", &format!("{REPOSITORY}/web@{DIGEST}"))
            .input("skip-push", "true")
            .input("aws-role", ROLE)
    }

    /// A role on a simulator, and no input.
    pub async fn empty(pace: f64) -> Self {
        let clock = Clock::scaled(pace);
        let simulator = Arc::new(Simulator::start(clock.clone()).await.unwrap());
        simulator.world().add_role(ROLE, &["*"]);
        let folder = tempfile::tempdir().unwrap();
        for name in ["home", "workspace", "temp", "commands"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { simulator, clock, folder, inputs: BTreeMap::new(), environment: BTreeMap::new(), steps: Mutex::new(0) }
    }

    /// A line of `with:`.
    #[must_use]
    pub fn input(mut self, name: &str, value: &str) -> Self {
        self.inputs.insert(format!("INPUT_{}", name.to_uppercase()), value.to_owned());
        self
    }

    /// A line of `env:`.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A file of the workspace.
    #[must_use]
    pub fn file(self, path: &str, text: &str) -> Self {
        let path = self.folder.path().join("workspace").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// A file of the workspace that is no text.
    #[must_use]
    pub fn bytes(self, path: &str, bytes: &[u8]) -> Self {
        std::fs::write(self.workspace().join(path), bytes).unwrap();
        self
    }

    /// The checked-out files.
    pub fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    /// Runs main to its end.
    pub async fn main(&self) -> Ran {
        let under_way = self.start();
        under_way.ended().await
    }

    /// Starts main.
    pub fn start(&self) -> UnderWay {
        self.spawn("touchdown", BTreeMap::new())
    }

    /// Runs main in another mode to its end.
    pub async fn main_in(&self, mode: &str) -> Ran {
        let env = BTreeMap::from([("INPUT_MODE".to_owned(), mode.to_owned())]);
        self.spawn("touchdown", env).ended().await
    }

    /// Runs main to its end as another step of the job.
    pub async fn main_as(&self, step: &str, mode: &str) -> Ran {
        let env = BTreeMap::from([("INPUT_MODE".to_owned(), mode.to_owned()), ("GITHUB_ACTION".to_owned(), step.to_owned())]);
        self.spawn("touchdown", env).ended().await
    }

    /// Starts main as another step of the job.
    pub fn start_as(&self, step: &str) -> UnderWay {
        self.spawn("touchdown", BTreeMap::from([("GITHUB_ACTION".to_owned(), step.to_owned())]))
    }

    /// Runs main and kills it at the first request of this operation.
    pub async fn killed_at(&self, operation: &'static str, moment: Moment) -> Ran {
        self.killed_as("touchdown", operation, moment).await
    }

    /// Runs main as another step of the job and kills it at the first request of this operation.
    pub async fn killed_as(&self, step: &str, operation: &'static str, moment: Moment) -> Ran {
        let reached = Arc::new(Notify::new());
        let tell = reached.clone();
        self.simulator.world().on_request(Box::new(move |request: &Request, now: Moment| {
            if request.operation.ends_with(operation) && now == moment {
                tell.notify_one();
                return Hook::HoldForever;
            }
            Hook::Go
        }));
        let main = self.start_as(step);
        reached.notified().await;
        let ran = main.killed().await;
        self.simulator.world().on_request_no_more();
        ran
    }

    /// Runs post with what main left.
    pub async fn post(&self, state: &BTreeMap<String, String>) -> Ran {
        self.post_as("touchdown", state).await
    }

    /// Runs the post step of another step of the job.
    pub async fn post_as(&self, step: &str, state: &BTreeMap<String, String>) -> Ran {
        let state = state.iter().map(|(key, value)| (format!("STATE_{key}"), value.clone()));
        self.spawn("touchdown-post", state.chain([("GITHUB_ACTION".to_owned(), step.to_owned())]).collect()).ended().await
    }

    /// Somebody else at the same clouds, with a key of their own.
    pub fn somebody(&self) -> Client {
        Client::of(self.simulator.clone(), self.clock.clone())
    }

    fn spawn(&self, name: &str, more: BTreeMap<String, String>) -> UnderWay {
        let files = self.command_files();
        let mut env: BTreeMap<String, String> = self.inputs.clone();
        env.extend(files.iter().map(|(name, path)| ((*name).to_owned(), path.display().to_string())));
        env.extend(self.surroundings());
        env.extend(self.environment.clone());
        env.extend(more);
        let (sink, stop) = (Sink::default(), Stop::manual());
        let (env, log): (Env, Log) = (env.into_iter().collect(), Log::new(Box::new(sink.clone()), Style::GitHub));
        let traced = tracing_subscriber::registry().with(Lines::new(log.clone(), &env));
        let invocation = Invocation { args: vec![format!("/{name}")], env, log, clock: self.clock.clone(), stop: stop.clone() };
        UnderWay { stop, task: tokio::spawn(run(invocation).with_subscriber(traced)), sink, files }
    }

    fn surroundings(&self) -> BTreeMap<String, String> {
        let folder = |name: &str| self.folder.path().join(name).display().to_string();
        let endpoints = self.simulator.endpoints();
        let mut env = BTreeMap::from(
            [
                ("GITHUB_ACTIONS", "true".to_owned()),
                ("GITHUB_JOB", "deploy".to_owned()),
                ("GITHUB_ACTION", "touchdown".to_owned()),
                ("GITHUB_RUN_ID", "4711".to_owned()),
                ("GITHUB_RUN_ATTEMPT", "1".to_owned()),
                ("GITHUB_REPOSITORY", "acme/shop".to_owned()),
                ("GITHUB_SHA", "3f2a9c1d5e7b8a604c2d1e0f9b8a7c6d5e4f3a2b".to_owned()),
                ("GITHUB_REF", "refs/heads/main".to_owned()),
                ("GITHUB_EVENT_NAME", "push".to_owned()),
                ("GITHUB_SERVER_URL", "https://github.com".to_owned()),
                ("GITHUB_ACTOR", "octo".to_owned()),
                ("GITHUB_WORKSPACE", folder("workspace")),
                ("RUNNER_TEMP", folder("temp")),
                ("HOME", folder("home")),
                ("AWS_ENDPOINT_URL", endpoints.aws.clone()),
                ("ACTIONS_ID_TOKEN_REQUEST_URL", endpoints.token_request_url.clone()),
                ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", endpoints.token_request_bearer.clone()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        for host in &endpoints.hosts {
            env.insert(format!("TOUCHDOWN_ENDPOINT_{}", Endpoints::key(host)), endpoints.aws.clone());
        }
        env
    }

    /// Fresh command files, as the runner makes them for each stage.
    fn command_files(&self) -> BTreeMap<&'static str, PathBuf> {
        let mut steps = self.steps.lock().unwrap();
        *steps += 1;
        let file = |name: &str| {
            let path = self.folder.path().join("commands").join(format!("{name}_{steps}"));
            std::fs::write(&path, "").unwrap();
            path
        };
        ["GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY", "GITHUB_ENV"].into_iter().map(|name| (name, file(name))).collect()
    }

    /// The folder `HOME` names.
    pub fn home_path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// What stands in `HOME`.
    pub fn home(&self) -> Vec<String> {
        self.home_files().into_iter().map(|(name, _)| name).collect()
    }

    /// The files in `HOME` with what they hold.
    pub fn home_files(&self) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(self.folder.path().join("home")).unwrap().map(Result::unwrap);
        let mut files: Vec<(String, String)> = entries
            .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read_to_string(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    }
}

impl UnderWay {
    /// Waits for the end.
    pub async fn ended(mut self) -> Ran {
        let code = (&mut self.task).await.unwrap();
        self.left(code)
    }

    /// What it has saved by now.
    pub fn saved(&self) -> BTreeMap<String, String> {
        let state = std::fs::read_to_string(&self.files["GITHUB_STATE"]).unwrap();
        state.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// What it has printed by now.
    pub fn printed(&self) -> String {
        String::from_utf8(self.sink.0.lock().unwrap().clone()).unwrap()
    }

    /// Kills it where it stands.
    pub async fn killed(mut self) -> Ran {
        self.task.abort();
        let code = (&mut self.task).await.unwrap_or(137);
        self.left(code)
    }

    fn left(&self, code: u8) -> Ran {
        let read = |name: &str| std::fs::read_to_string(&self.files[name]).unwrap();
        let state = read("GITHUB_STATE");
        let pairs = state.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.to_owned(), value.to_owned()));
        let stdout = self.printed();
        annotated_sparingly(code, &stdout);
        Ran { code, stdout, outputs: read("GITHUB_OUTPUT"), state: pairs.collect(), summary: read("GITHUB_STEP_SUMMARY") }
    }
}

/// Of every run of every test: at most one annotation of a kind, and an error exactly where the status is one.
fn annotated_sparingly(code: u8, stdout: &str) {
    let commands = crate::runner_grammar::parse_stdout(stdout);
    let count = |name: &str| commands.iter().filter(|command| command.name == name).count();
    let (errors, warnings, notices) = (count("error"), count("warning"), count("notice"));
    assert!(errors <= 1 && warnings <= 1 && notices <= 1, "{errors} errors, {warnings} warnings, {notices} notices: {stdout}");
    assert!(errors == 0 || warnings + notices == 0, "an error says it all: {stdout}");
    assert!(code == 137 || (errors == 1) == (code != 0), "{errors} errors, status {code}: {stdout}");
}

impl Ran {
    /// An output by its name.
    pub fn output(&self, name: &str) -> String {
        let mut lines = self.outputs.lines();
        while let Some(line) = lines.next() {
            if let Some((key, delimiter)) = line.split_once("<<") {
                let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
                if key == name {
                    return value.join("\n");
                }
            }
        }
        panic!("there is no output {name}: {}", self.outputs)
    }

    /// The JSON report.
    pub fn report(&self) -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(self.output("report")).unwrap()).unwrap()
    }
}

/// Runs the cases, sixteen at a time: they mostly wait for their clocks.
pub async fn side_by_side(cases: impl IntoIterator<Item = impl Future<Output = ()>>) {
    use futures_util::StreamExt;
    futures_util::stream::iter(cases).buffer_unordered(16).collect::<Vec<()>>().await;
}
