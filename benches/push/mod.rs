//! The figures of a push: against a bare sender and against skopeo (and whoever else is on PATH) in the same run, through a proxy that adds 50 ms
//! of round trip, to Debian's registry, fresh for each run. Layouts and registry lie in memory. Medians of alternating runs.

pub mod contender;
mod delay;
mod engine;
mod floor;
mod layout;

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use contender::{Peer, Taken};
use delay::Delay;

use touchdown::http::Endpoints;

use crate::action_harness::Runner;
use crate::debian::{Debian, Guard, pem};

/// Runs of each contender; of those that take seconds.
const RUNS: usize = 7;
const LONG_RUNS: usize = 3;
/// Numbers of connections the bare sender may choose from, and how often each is tried for that.
const CONNECTIONS: [usize; 3] = [8, 16, 32];
const TRIES: usize = 3;
const MEMORY: &str = "/dev/shm";
const REPOSITORY: &str = "bench/image";
/// The layout is the workspace itself.
const IMAGE: &str = "oci:.:v1";
/// Of a registry that speaks TLS.
const NAMED: &str = "registry.test";
const MB: usize = 1_000_000;

/// One figure and how far it may go.
pub struct Figure {
    pub work: String,
    pub unit: &'static str,
    pub limit: f64,
    pub figure: Result<f64, String>,
}

/// What is pushed, and how much of the others' time it may take.
struct Work {
    name: &'static str,
    platforms: usize,
    layers: &'static [usize],
    of_floor: f64,
    of_skopeo: f64,
    of_best_other: f64,
}

const FEW: Work = Work { name: "5 x 20 MB", platforms: 1, layers: &[20 * MB; 5], of_floor: 1.25, of_skopeo: 0.30, of_best_other: 0.60 };
const MANY: Work = Work { name: "30 x 5 MB", platforms: 1, layers: &[5 * MB; 30], of_floor: 1.25, of_skopeo: 0.13, of_best_other: 0.35 };
const INDEX: Work =
    Work { name: "index of 4 x 4 x 10 MB", platforms: 4, layers: &[10 * MB; 4], of_floor: 1.25, of_skopeo: 0.18, of_best_other: 0.70 };
const ONE: Work =
    Work { name: "one layer of 1 GB", platforms: 1, layers: &[1000 * MB], of_floor: 0.0, of_skopeo: 0.0, of_best_other: 1.05 };

/// Takes the figures of a binary.
type Taking = fn(&Path) -> Vec<Figure>;

/// What is pushed, by name, and how its figures are taken from the binary.
pub const WORKS: &[(&str, Taking)] = &[
    ("push of 5 x 20 MB", |binary| on_ground(binary, |ground| against_others(ground, &FEW))),
    ("push of 30 x 5 MB", |binary| on_ground(binary, |ground| against_others(ground, &MANY))),
    ("push of an index", |binary| on_ground(binary, |ground| against_others(ground, &INDEX))),
    ("push of 1 GB", |binary| on_ground(binary, one_layer)),
    ("push over TLS", |binary| on_ground(binary, over_tls)),
    ("push disturbed", |binary| on_ground(binary, disturbed)),
    ("push again", |binary| on_ground(binary, again)),
    ("push from Docker", |binary| on_ground(binary, engine::figures)),
];

fn on_ground(binary: &Path, figures: impl Fn(&Ground) -> Vec<Figure>) -> Vec<Figure> {
    match Ground::prepare(binary) {
        Ok(ground) => figures(&ground),
        Err(why) => vec![Figure { work: "pushes".to_owned(), unit: "", limit: 0.0, figure: Err(why) }],
    }
}

/// A figure that compares.
fn ratio(work: String, limit: f64, figure: Result<f64, String>) -> Figure {
    Figure { work, unit: "x", limit, figure }
}

/// The most memory that one of the pushes of `work` held.
fn memory(work: &str, taken: Result<f64, String>) -> Figure {
    Figure { work: format!("{work}, peak memory"), unit: "MB", limit: 25.0, figure: taken }
}

/// Our push against the bare sender, skopeo and the others.
fn against_others(ground: &Ground, work: &Work) -> Vec<Figure> {
    let folder = ground.layout(work);
    let taken = ground.best_connections(folder.path()).and_then(|connections| ground.alternately(folder.path(), connections, RUNS));
    let of = |whose: fn(&Medians) -> f64| taken.as_ref().map(|taken| taken.ours / whose(taken)).map_err(Clone::clone);
    let name = format!("push of {}", work.name);
    let mut rows = vec![
        ratio(format!("{name}, of the bare sender's time"), work.of_floor, of(|taken| taken.floor)),
        ratio(format!("{name}, of skopeo's time"), work.of_skopeo, of(|taken| taken.skopeo)),
    ];
    if taken.as_ref().is_ok_and(|taken| taken.best_other.is_some()) {
        rows.push(ratio(format!("{name}, of the best other's time"), work.of_best_other, of(|taken| taken.best_other.unwrap_or(f64::NAN))));
    }
    rows.push(memory(&name, taken.map(|taken| taken.peak)));
    rows
}

fn one_layer(ground: &Ground) -> Vec<Figure> {
    let folder = ground.layout(&ONE);
    let taken = ground.alternately(folder.path(), CONNECTIONS[0], LONG_RUNS);
    let name = format!("push of {}", ONE.name);
    let figure = taken.as_ref().map(|taken| taken.ours / taken.best_other.map_or(taken.skopeo, |other| other.min(taken.skopeo)));
    let figure = ratio(format!("{name}, of the best other's time"), ONE.of_best_other, figure.map_err(Clone::clone));
    vec![figure, memory(&name, taken.map(|taken| taken.peak))]
}

fn over_tls(ground: &Ground) -> Vec<Figure> {
    let folder = ground.layout(&FEW);
    let taken = beside_plain(ground, folder.path(), || ground.ours_by_tls(folder.path()));
    compared("push over TLS where HTTP/2 is offered, of the plain one's time", 1.25, taken)
}

fn disturbed(ground: &Ground) -> Vec<Figure> {
    let folder = ground.layout(&FEW);
    let bytes: usize = FEW.layers.iter().sum();
    let quarters: Vec<u64> = [1, 2, 3].map(|quarter| (bytes * quarter / 4) as u64).to_vec();
    let taken = beside_plain(ground, folder.path(), || ground.ours(folder.path(), &quarters));
    compared("push with three broken connections, of an undisturbed one's time", 1.5, taken)
}

fn again(ground: &Ground) -> Vec<Figure> {
    let folder = ground.layout(&FEW);
    vec![Figure { work: "second push of the same".to_owned(), unit: "requests", limit: 3.0, figure: ground.again(folder.path()) }]
}

/// Plain runs and others, alternating.
fn beside_plain(ground: &Ground, folder: &Path, other: impl Fn() -> Result<Taken, String>) -> Result<(Vec<Taken>, Vec<Taken>), String> {
    let (mut plain, mut others) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        plain.push(ground.ours(folder, &[])?);
        others.push(other()?);
    }
    Ok((plain, others))
}

fn compared(work: &str, limit: f64, taken: Result<(Vec<Taken>, Vec<Taken>), String>) -> Vec<Figure> {
    let figure = taken.as_ref().map(|(plain, others)| median(others) / median(plain)).map_err(Clone::clone);
    vec![ratio(work.to_owned(), limit, figure), memory(work, taken.map(|(_, others)| most(&others)))]
}

/// What is needed for a run.
struct Ground {
    binary: PathBuf,
    program: PathBuf,
    peers: Vec<Peer>,
    runtime: tokio::runtime::Runtime,
}

/// Medians of seconds; the most memory of ours, in megabytes.
struct Medians {
    floor: f64,
    ours: f64,
    skopeo: f64,
    best_other: Option<f64>,
    peak: f64,
}

impl Ground {
    fn prepare(binary: &Path) -> Result<Self, String> {
        let program = contender::on_path("docker-registry").ok_or("the Debian package docker-registry is not installed")?;
        contender::on_path("skopeo").ok_or("the Debian package skopeo is not installed")?;
        let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
        Ok(Self { binary: binary.to_owned(), program, peers: contender::peers(), runtime })
    }

    fn layout(&self, work: &Work) -> tempfile::TempDir {
        let folder = tempfile::tempdir_in(MEMORY).expect("/dev/shm can be written");
        layout::write(folder.path(), work.platforms, work.layers, 1);
        folder
    }

    /// Who is fastest for the bare sender.
    fn best_connections(&self, folder: &Path) -> Result<usize, String> {
        let mut tried = Vec::new();
        for connections in CONNECTIONS {
            let runs = (0..TRIES).map(|_| self.floor(folder, connections)).collect::<Result<Vec<Taken>, String>>()?;
            tried.push((connections, median(&runs)));
        }
        tried.into_iter().min_by(|one, other| one.1.total_cmp(&other.1)).map(|(connections, _)| connections).ok_or_else(String::new)
    }

    fn alternately(&self, folder: &Path, connections: usize, runs: usize) -> Result<Medians, String> {
        let (mut floor, mut ours, mut skopeo, mut others) = (Vec::new(), Vec::new(), Vec::new(), vec![Vec::new(); self.peers.len()]);
        for _ in 0..runs {
            floor.push(self.floor(folder, connections)?);
            ours.push(self.ours(folder, &[])?);
            skopeo.push(self.fresh(&[], |delay| contender::skopeo(folder, delay.port, REPOSITORY))?);
            for (peer, taken) in self.peers.iter().zip(&mut others) {
                taken.push(self.fresh(&[], |delay| peer.push(folder, delay.port, REPOSITORY))?);
            }
        }
        let best_other = others.iter().map(|runs| median(runs)).min_by(f64::total_cmp);
        let seconds =
            [("the bare sender", &floor), ("ours", &ours), ("skopeo", &skopeo)].map(|(who, runs)| format!("{who} {:.3} s", median(runs)));
        println!("  {}", seconds.join(", "));
        Ok(Medians { floor: median(&floor), ours: median(&ours), skopeo: median(&skopeo), best_other, peak: most(&ours) })
    }

    /// A registry without anything in it behind the longer way.
    fn fresh<T>(&self, breaks: &[u64], contender: impl FnOnce(&Delay) -> Result<T, String>) -> Result<T, String> {
        let registry = Debian::start(&self.program, &Guard::Open, None, Path::new(MEMORY));
        let delay = self.runtime.block_on(Delay::before(registry.port, breaks));
        contender(&delay)
    }

    fn floor(&self, folder: &Path, connections: usize) -> Result<Taken, String> {
        self.fresh(&[], |delay| contender::floor(folder, delay.port, REPOSITORY, connections))
    }

    fn ours(&self, folder: &Path, breaks: &[u64]) -> Result<Taken, String> {
        self.fresh(breaks, |delay| self.push(folder, delay))
    }

    fn push(&self, folder: &Path, delay: &Delay) -> Result<Taken, String> {
        contender::ours(Runner::of(&self.binary), folder, IMAGE, &place(delay.port))
    }

    /// The requests of the second of two pushes.
    fn again(&self, folder: &Path) -> Result<f64, String> {
        self.fresh(&[], |delay| {
            self.push(folder, delay)?;
            self.push(folder, delay).map(|taken| taken.requests)
        })
    }

    fn ours_by_tls(&self, folder: &Path) -> Result<Taken, String> {
        let (authority, certificate, key) = certificates();
        let files = tempfile::tempdir_in(MEMORY).map_err(|error| error.to_string())?;
        let trusted = files.path().join("authority.pem");
        std::fs::write(&trusted, authority).map_err(|error| error.to_string())?;
        let registry = Debian::start(&self.program, &Guard::Open, Some((&certificate, &key)), Path::new(MEMORY));
        let delay = self.runtime.block_on(Delay::before(registry.port, &[]));
        let endpoint = (format!("TOUCHDOWN_ENDPOINT_{}", Endpoints::key(NAMED)), format!("https://127.0.0.1:{}", delay.port));
        let step = Runner::of(&self.binary).env(&endpoint.0, &endpoint.1).env("SSL_CERT_FILE", &trusted.display().to_string());
        contender::ours(step, folder, IMAGE, &format!("{NAMED}/{REPOSITORY}"))
    }
}

/// An authority, and a certificate of its for this machine with its key.
fn certificates() -> (String, String, String) {
    let mut authority = CertificateParams::new(Vec::new()).expect("it names nobody");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let names = vec!["127.0.0.1".to_owned(), NAMED.to_owned()];
    let certificate = CertificateParams::new(names).expect("names").signed_by(&key, &authority).expect("a certificate");
    (pem("CERTIFICATE", authority.der()), pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", key.serialized_der()))
}

fn place(port: u16) -> String {
    format!("127.0.0.1:{port}/{REPOSITORY}")
}

fn median(runs: &[Taken]) -> f64 {
    let mut seconds: Vec<f64> = runs.iter().map(|taken| taken.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}

fn most(runs: &[Taken]) -> f64 {
    runs.iter().map(|taken| taken.peak).fold(0.0, f64::max)
}
