//! Who runs against whom: the bare sender, our action and skopeo, each in a process of its own, timed from outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::floor;
use crate::action_harness::Runner;

/// The first argument of a process that is the bare sender.
const CHILD: &str = "bare-sender";

/// What one run took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    pub seconds: f64,
    pub requests: f64,
    /// Megabytes.
    pub peak: f64,
}

/// Is the bare sender, where the arguments say so.
pub fn is_child() -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(at) = arguments.iter().position(|argument| argument == CHILD) else { return false };
    let [folder, port, repository, connections] = &arguments[at + 1..] else { panic!("{arguments:?}") };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(8).enable_all().build().unwrap();
    runtime.block_on(floor::send(Path::new(folder), port.parse().unwrap(), repository, connections.parse().unwrap()));
    true
}

/// Runs the bare sender.
pub fn floor(folder: &Path, port: u16, repository: &str, connections: usize) -> Result<Taken, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let numbers = (port.to_string(), connections.to_string());
    timed(&program, &[CHILD, &folder.display().to_string(), &numbers.0, repository, &numbers.1])
}

/// Runs the action as a workflow's step that only pushes: `image`, which is named from `workspace`, to `repository`.
pub fn ours(step: Runner, workspace: &Path, image: &str, repository: &str) -> Result<Taken, String> {
    let step = step.env("GITHUB_WORKSPACE", &workspace.display().to_string()).input("image", image).input("push-to", repository);
    let ran = step.input("tags", "v1").input("skip-deploy", "true").main();
    let told = format!("{}{}", ran.stdout, ran.stderr);
    let before = |word: &str| told.split(word).next().and_then(|before| before.rsplit([' ', '(']).next()?.parse().ok());
    match (ran.code, before(" requests")) {
        (Some(0), Some(requests)) => Ok(Taken { seconds: ran.took.as_secs_f64(), requests, peak: ran.peak_memory as f64 / 1_000_000.0 }),
        _ => Err(format!("our push to {repository} failed: {told}")),
    }
}

/// Where a program is.
pub fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Runs skopeo.
pub fn skopeo(folder: &Path, port: u16, repository: &str) -> Result<Taken, String> {
    let (from, to) = (format!("oci:{}:v1", folder.display()), format!("docker://127.0.0.1:{port}/{repository}:v1"));
    timed(Path::new("skopeo"), &["--insecure-policy", "copy", "--quiet", "--all", "--dest-tls-verify=false", &from, &to])
}

/// Another tool, where it is on PATH: its name, and its arguments with `LAYOUT` and `REGISTRY` to be put in.
pub struct Peer {
    name: &'static str,
    arguments: &'static [&'static str],
}

/// <https://github.com/google/go-containerregistry>, <https://github.com/regclient/regclient>, <https://github.com/oras-project/oras> (2026-11)
const PEERS: [Peer; 3] = [
    Peer { name: "crane", arguments: &["push", "--insecure", "--index", "LAYOUT", "REGISTRY/REPOSITORY:v1"] },
    Peer {
        name: "regctl",
        arguments: &["--host", "reg=REGISTRY,tls=disabled", "image", "copy", "ocidir://LAYOUT:v1", "REGISTRY/REPOSITORY:v1"],
    },
    Peer { name: "oras", arguments: &["cp", "--from-oci-layout", "--to-plain-http", "LAYOUT:v1", "REGISTRY/REPOSITORY:v1"] },
];

/// Those that are there.
pub fn peers() -> Vec<Peer> {
    PEERS.into_iter().filter(|peer| on_path(peer.name).is_some()).collect()
}

impl Peer {
    pub fn push(&self, folder: &Path, port: u16, repository: &str) -> Result<Taken, String> {
        let filled = |text: &&str| {
            let text = text.replace("LAYOUT", &folder.display().to_string()).replace("REPOSITORY", repository);
            text.replace("REGISTRY", &format!("127.0.0.1:{port}"))
        };
        let arguments: Vec<String> = self.arguments.iter().map(filled).collect();
        timed(Path::new(self.name), &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

pub fn timed(program: &Path, arguments: &[&str]) -> Result<Taken, String> {
    let name = program.display();
    let began = Instant::now();
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    let seconds = began.elapsed().as_secs_f64();
    if !output.status.success() {
        return Err(format!("{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(Taken { seconds, ..Taken::default() })
}
