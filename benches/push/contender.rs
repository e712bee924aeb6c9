//! Who runs against whom: the bare sender, our push and skopeo, each in a process of its own, timed from outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use touchdown::clock::Clock;
use touchdown::http::{Endpoints, Fence, Http, Options};
use touchdown::image::push::progress::silent;
use touchdown::image::push::{Moving, Push, push};
use touchdown::image::reference::RepositoryName;
use touchdown::image::registry::login::{Fixed, Login};
use touchdown::image::registry::{Entrance, Purpose, Repository};
use touchdown::runner::log::{Log, Style};

use super::{floor, layout::Layout};

/// The first argument of a process that is a contender.
pub const CHILD: &str = "contender";

/// What one run took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    pub seconds: f64,
    pub requests: f64,
    /// Megabytes.
    pub peak: f64,
}

/// Runs the contender that the arguments name, where they name one.
pub fn is_child() -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(at) = arguments.iter().position(|argument| argument == CHILD) else { return false };
    let words: Vec<&str> = arguments[at + 1..].iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).max_blocking_threads(8).enable_all().build().unwrap();
    match words.as_slice() {
        ["floor", folder, port, repository, connections] => {
            runtime.block_on(floor::send(Path::new(folder), port.parse().unwrap(), repository, connections.parse().unwrap()));
            report(0);
        }
        ["ours", folder, name, endpoint, certificate] => report(runtime.block_on(ours(folder, name, endpoint, certificate))),
        _ => panic!("{words:?}"),
    }
    true
}

async fn ours(folder: &str, name: &str, endpoint: &str, certificate: &str) -> u64 {
    let name = RepositoryName::parse(name).unwrap();
    let endpoints =
        if endpoint.is_empty() { Endpoints::default() } else { Endpoints([(Endpoints::key(name.host()), endpoint.to_owned())].into()) };
    let environment = [("SSL_CERT_FILE".to_owned(), certificate.to_owned())].into();
    let http = Http::new(Options { clock: Clock::real(), endpoints, fence: Fence(None), environment }).unwrap();
    let log = Log::new(Box::new(std::io::sink()), Style::Plain);
    let to = Repository::new(name, Purpose::Push, Entrance { http, log, supplier: Arc::new(Fixed(Login::Anonymous)) });
    let layout = Layout::open(Path::new(folder));
    let tags = ["v1".to_owned()];
    let push = push(Push { content: &layout, to: &to, tags: &tags, moving: Moving::Now, progress: silent() });
    push.await.unwrap_or_else(|failure| panic!("{failure}")).requests
}

/// Requests, and the most memory that was resident, in kB.
fn report(requests: u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")).unwrap();
    println!("{requests} {peak}");
}

/// Runs the contender `words` in a process of its own.
pub fn child(words: &[&str]) -> Result<Taken, String> {
    let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
    command.arg(CHILD).args(words).stderr(Stdio::inherit());
    let began = Instant::now();
    let output = command.output().map_err(|error| error.to_string())?;
    let seconds = began.elapsed().as_secs_f64();
    if !output.status.success() {
        return Err(format!("{}: {}", words[0], output.status));
    }
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = told.split_whitespace().filter_map(|word| word.parse::<f64>().ok());
    Ok(Taken { seconds, requests: numbers.next().unwrap_or_default(), peak: numbers.next().unwrap_or_default() / 1000.0 })
}

/// Where a program is.
pub fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Runs skopeo.
pub fn skopeo(folder: &Path, port: u16, repository: &str) -> Result<Taken, String> {
    let (from, to) = (format!("oci:{}:v1", folder.display()), format!("docker://127.0.0.1:{port}/{repository}:v1"));
    timed("skopeo", &["--insecure-policy", "copy", "--quiet", "--all", "--dest-tls-verify=false", &from, &to])
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
        timed(self.name, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

fn timed(program: &str, arguments: &[&str]) -> Result<Taken, String> {
    let began = Instant::now();
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    let seconds = began.elapsed().as_secs_f64();
    if !output.status.success() {
        return Err(format!("{program}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(Taken { seconds, ..Taken::default() })
}
