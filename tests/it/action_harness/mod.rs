//! The Actions runner for one docker action, as its source does it: five folders, command files made beforehand, the environment,
//! main, the cancellation ladder, post with `STATE_*`. It runs the binary itself, the binary as PID 1, or the image by the runner's own
//! command line. It knows nothing of what the action does. (actions/runner, `ContainerActionHandler.cs`, `ProcessInvoker.cs`, 2026-11.)

pub mod files;
mod process;

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub use process::{Ladder, Orphan, Trigger};

/// A step of a job, ready to run.
pub struct Runner {
    root: tempfile::TempDir,
    program: Program,
    inputs: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    cancel: Option<Trigger>,
    ladder: Ladder,
    patience: Duration,
}

/// A main that stands still.
pub struct StoppedMain {
    files: files::CommandFiles,
    process: process::Stopped,
    began: Instant,
    patience: Duration,
}

impl StoppedMain {
    /// Lets it go on to its end.
    pub fn go_on(self) -> Ran {
        Ran::of(self.process.go_on(self.patience), &self.files, self.began.elapsed())
    }
}

impl Ran {
    fn of(ended: process::Ended, files: &files::CommandFiles, took: Duration) -> Self {
        let mut file_errors = Vec::new();
        let mut parsed = |which: &str| {
            let (entries, error) = files.entries(which);
            file_errors.extend(error);
            entries
        };
        let (outputs, state, exported) = (parsed("set_output"), parsed("save_state"), parsed("set_env"));
        let process::Ended { code, stdout, stderr, orphan, peak_memory } = ended;
        Self { code, stdout, stderr, outputs, state, exported, summary: files.text("step_summary"), file_errors, took, orphan, peak_memory }
    }
}

enum Program {
    /// Called by its path; on cancellation the signals go to it.
    Binary(PathBuf),
    /// The same in a PID namespace of its own, as in a container: without handlers it does not hear SIGINT.
    PidOne(PathBuf),
    /// By Docker, with the runner's command line.
    Image { docker: PathBuf, tag: String },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Main,
    Post,
}

/// What the runner has seen when the step ended.
pub struct Ran {
    /// The exit status as a shell gives it (128 + signal); `None` where the client was killed and the action may still run.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error, which the runner reads just the same.
    pub stderr: String,
    /// What stands in GITHUB_OUTPUT.
    pub outputs: BTreeMap<String, String>,
    /// What stands in GITHUB_STATE.
    pub state: BTreeMap<String, String>,
    /// What stands in GITHUB_ENV.
    pub exported: BTreeMap<String, String>,
    /// The job summary of this step.
    pub summary: String,
    /// What the runner would say about broken command files; such a step has failed.
    pub file_errors: Vec<String>,
    /// From start to end.
    pub took: Duration,
    /// The action itself where it outlived its client: killed at the latest when this is dropped.
    pub orphan: Option<Orphan>,
    /// The most memory it held at once, in bytes.
    pub peak_memory: u64,
}

impl Runner {
    /// The binary of this package.
    pub fn new() -> Self {
        Self::of(Path::new(env!("CARGO_BIN_EXE_touchdown")))
    }

    /// Another program in its place.
    pub fn of(program: &Path) -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["workspace", "home", "workflow", "file_commands", "runner_temp", "bin"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        std::fs::write(root.path().join("workflow/event.json"), "{}").unwrap();
        // The runner's own user; as another user than root we are that user ourselves.
        for folder in ["workspace", "home", "workflow", "file_commands", "runner_temp"] {
            let _ = chown(root.path().join(folder), Some(1001), Some(1001));
        }
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["touchdown", "touchdown-post"] {
            symlink(program, root.path().join("bin").join(name)).unwrap();
        }
        let program = Program::Binary(root.path().join("bin"));
        Self {
            root,
            program,
            inputs: BTreeMap::new(),
            environment: BTreeMap::new(),
            cancel: None,
            ladder: Ladder::default(),
            patience: Duration::from_secs(120),
        }
    }

    /// A line of `with:`.
    #[must_use]
    pub fn input(mut self, name: &str, value: &str) -> Self {
        self.inputs.insert(format!("INPUT_{}", name.replace(' ', "_").to_uppercase()), value.to_owned());
        self
    }

    /// A line of `env:`; a name of the runner's own replaces its value.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// What `permissions: id-token: write` brings.
    #[must_use]
    pub fn id_token(self, url: &str, token: &str) -> Self {
        self.env("ACTIONS_ID_TOKEN_REQUEST_URL", url).env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", token)
    }

    /// A file that was checked out.
    #[must_use]
    pub fn file(self, path: &str, content: &str) -> Self {
        let path = self.folder("workspace").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    /// Cancels main (and post, if it is still set then) when the trigger fires.
    #[must_use]
    pub fn cancel(mut self, when: Trigger) -> Self {
        self.cancel = Some(when);
        self
    }

    /// Lets the rest of the job run undisturbed.
    #[must_use]
    pub fn without_cancel(mut self) -> Self {
        self.cancel = None;
        self
    }

    /// Other waits than the runner's 7.5 s and 2.5 s between the signals.
    #[must_use]
    pub fn ladder(mut self, ladder: Ladder) -> Self {
        self.ladder = ladder;
        self
    }

    /// Runs the program as PID 1 of a namespace of its own.
    #[must_use]
    pub fn being_pid_one(mut self) -> Self {
        self.program = Program::PidOne(self.folder("bin"));
        self
    }

    /// Runs this image instead.
    #[must_use]
    pub fn in_docker(mut self, docker: &Path, tag: &str) -> Self {
        self.program = Program::Image { docker: docker.to_owned(), tag: tag.to_owned() };
        self
    }

    /// A folder of the job on this machine: `workspace`, `home`, `runner_temp`, `file_commands`, `workflow`.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The main step.
    pub fn main(&self) -> Ran {
        self.run(Stage::Main, &BTreeMap::new())
    }

    /// The post step, which gets what main has saved; inputs and environment as for main.
    pub fn post(&self, main: &Ran) -> Ran {
        self.run(Stage::Post, &main.state)
    }

    /// The main step, stopped by SIGSTOP when the trigger fires.
    pub fn stopped_main(&self, when: &Trigger) -> StoppedMain {
        let files = files::CommandFiles::create(&self.folder("file_commands"), stage_number());
        let variables = self.variables(&files);
        let process = process::run_until_stopped(self.command(Stage::Main, &variables), when, self.patience);
        StoppedMain { files, process, began: Instant::now(), patience: self.patience }
    }

    /// The post step with what a stopped main has saved by now.
    pub fn post_of(&self, main: &StoppedMain) -> Ran {
        self.run(Stage::Post, &main.files.entries("save_state").0)
    }

    fn run(&self, stage: Stage, state: &BTreeMap<String, String>) -> Ran {
        let files = files::CommandFiles::create(&self.folder("file_commands"), stage_number());
        let mut variables = self.variables(&files);
        variables.extend(state.iter().map(|(name, value)| (format!("STATE_{name}"), value.clone())));
        let began = Instant::now();
        let command = self.command(stage, &variables);
        let ended = process::run(command, self.follows(), self.cancel.as_ref(), self.ladder, self.patience);
        Ran::of(ended, &files, began.elapsed())
    }

    fn follows(&self) -> process::Follows {
        match self.program {
            Program::Binary(_) => process::Follows::Itself,
            Program::PidOne(_) => process::Follows::ItsChild,
            // The client forwards SIGINT and SIGTERM to the container itself, and dies alone by SIGKILL.
            Program::Image { .. } => process::Follows::Nobody,
        }
    }

    /// The folders as the action sees them.
    fn seen(&self, folder: &str) -> String {
        match self.program {
            Program::Image { .. } => format!("/github/{folder}"),
            Program::Binary(_) | Program::PidOne(_) => self.folder(folder).to_str().unwrap().to_owned(),
        }
    }

    fn variables(&self, files: &files::CommandFiles) -> BTreeMap<String, String> {
        let mut variables: BTreeMap<String, String> = [
            ("GITHUB_ACTIONS", "true"),
            ("CI", "true"),
            ("GITHUB_ACTION", "touchdown"),
            ("GITHUB_ACTOR", "mona"),
            ("GITHUB_API_URL", "https://api.github.com"),
            ("GITHUB_EVENT_NAME", "push"),
            ("GITHUB_JOB", "deploy"),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_REF_NAME", "main"),
            ("GITHUB_REF_TYPE", "branch"),
            ("GITHUB_REPOSITORY", "acme/shop"),
            ("GITHUB_REPOSITORY_ID", "7001"),
            ("GITHUB_REPOSITORY_OWNER", "acme"),
            ("GITHUB_REPOSITORY_OWNER_ID", "42"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_RUN_ID", "9001"),
            ("GITHUB_RUN_NUMBER", "17"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567"),
            ("GITHUB_WORKFLOW", "Deploy"),
            ("RUNNER_ARCH", "X64"),
            ("RUNNER_ENVIRONMENT", "github-hosted"),
            ("RUNNER_NAME", "GitHub Actions 1"),
            ("RUNNER_OS", "Linux"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        variables.insert("HOME".to_owned(), self.seen("home"));
        variables.insert("RUNNER_TEMP".to_owned(), self.seen("runner_temp"));
        variables.insert("GITHUB_WORKSPACE".to_owned(), self.seen("workspace"));
        variables.insert("GITHUB_EVENT_PATH".to_owned(), format!("{}/event.json", self.seen("workflow")));
        // A default of action.yml; a value that begins otherwise than with a mounted path is not translated.
        variables.insert("INPUT_RUNNER-TEMP".to_owned(), format!("host:{}", self.folder("runner_temp").display()));
        variables.extend(files.variables(&self.seen("file_commands")));
        variables.extend(self.environment.clone());
        variables.extend(self.inputs.clone());
        variables
    }

    fn command(&self, stage: Stage, variables: &BTreeMap<String, String>) -> std::process::Command {
        let name = match stage {
            Stage::Main => "touchdown",
            Stage::Post => "touchdown-post",
        };
        let mut command = match &self.program {
            Program::Binary(folder) => std::process::Command::new(folder.join(name)),
            Program::PidOne(folder) => {
                let mut command = std::process::Command::new("/usr/bin/unshare");
                command.args(["--fork", "--pid", "--mount-proc"]).arg(folder.join(name));
                command
            }
            Program::Image { docker, tag } => self.docker_run(docker, tag, name, variables),
        };
        command.env_clear().envs(variables).current_dir(self.folder("workspace"));
        if let (Program::Image { .. }, Ok(engine)) = (&self.program, std::env::var("DOCKER_HOST")) {
            command.env("DOCKER_HOST", engine);
        }
        command
    }

    /// The runner's own command line, with one difference: the host's network, by which the container reaches the simulator on loopback
    /// (an engine without a bridge has only that and none).
    fn docker_run(&self, docker: &Path, tag: &str, name: &str, variables: &BTreeMap<String, String>) -> std::process::Command {
        let socket = std::env::var("DOCKER_HOST").ok().and_then(|host| host.strip_prefix("unix://").map(ToOwned::to_owned));
        let mounts = [
            (socket.unwrap_or_else(|| "/var/run/docker.sock".to_owned()), "/var/run/docker.sock"),
            (self.folder("runner_temp").to_str().unwrap().to_owned(), "/github/runner_temp"),
            (self.folder("home").to_str().unwrap().to_owned(), "/github/home"),
            (self.folder("workflow").to_str().unwrap().to_owned(), "/github/workflow"),
            (self.folder("file_commands").to_str().unwrap().to_owned(), "/github/file_commands"),
            (self.folder("workspace").to_str().unwrap().to_owned(), "/github/workspace"),
        ];
        let mut command = std::process::Command::new(docker);
        let container = format!("touchdown_{}_{}", std::process::id(), stage_number());
        command.args(["run", "--name", &container, "--label", "5588e4", "--workdir", "/github/workspace", "--rm"]);
        for variable in variables.keys() {
            command.args(["-e", variable]);
        }
        command.arg("--entrypoint").arg(format!("/{name}")).args(["--network", "host"]);
        for (outside, inside) in mounts {
            command.arg("-v").arg(format!("{outside}:{inside}"));
        }
        command.arg(tag);
        command
    }
}

/// Every stage has command files, and a container, of its own.
fn stage_number() -> u32 {
    static STAGES: AtomicU32 = AtomicU32::new(1);
    STAGES.fetch_add(1, Ordering::Relaxed)
}
