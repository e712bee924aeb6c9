//! The figures of a push: against a bare sender and against skopeo (and whoever else is on PATH) in the same run, through a proxy that adds 50 ms
//! of round trip, to Debian's registry, fresh for each run. Layouts and registry lie in memory. Medians of alternating runs.

pub mod contender;
mod delay;
mod floor;
mod layout;

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use contender::{Peer, Taken};
use delay::Delay;

use crate::debian::{Debian, Guard, pem};

/// Runs of each contender; of those that take seconds.
const RUNS: usize = 7;
const LONG_RUNS: usize = 3;
/// Numbers of connections the bare sender may choose from, and how often each is tried for that.
const CONNECTIONS: [usize; 3] = [8, 16, 32];
const TRIES: usize = 3;
const MEMORY: &str = "/dev/shm";
const REPOSITORY: &str = "bench/image";
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

/// Takes every figure.
pub fn figures() -> Vec<Figure> {
    match Ground::prepare() {
        Ok(ground) => {
            let mut peak = Ok(0.0_f64);
            let mut figures: Vec<Figure> = [FEW, MANY, INDEX].iter().flat_map(|work| against_others(&ground, work, &mut peak)).collect();
            figures.extend(one_layer(&ground, &mut peak));
            figures.extend(disturbed_and_guarded(&ground, &mut peak));
            figures.push(Figure { work: "most memory a push took".to_owned(), unit: "MB", limit: 25.0, figure: peak });
            figures
        }
        Err(why) => vec![Figure { work: "pushes".to_owned(), unit: "", limit: 0.0, figure: Err(why) }],
    }
}

/// Our push against the bare sender, skopeo and the others.
fn against_others(ground: &Ground, work: &Work, peak: &mut Result<f64, String>) -> Vec<Figure> {
    let folder = ground.layout(work);
    let taken = ground.best_connections(folder.path()).and_then(|connections| ground.alternately(folder.path(), connections, RUNS));
    note(peak, taken.as_ref().map(|taken| taken.peak));
    let ratio = |of: fn(&Medians) -> f64| taken.as_ref().map(|taken| taken.ours / of(taken)).map_err(Clone::clone);
    let row = |whose: &str, limit: f64, figure: Result<f64, String>| Figure {
        work: format!("push of {}, of {whose} time", work.name),
        unit: "x",
        limit,
        figure,
    };
    let mut rows = vec![
        row("the bare sender's", work.of_floor, ratio(|taken| taken.floor)),
        row("skopeo's", work.of_skopeo, ratio(|taken| taken.skopeo)),
    ];
    if taken.as_ref().is_ok_and(|taken| taken.best_other.is_some()) {
        rows.push(row("the best other's", work.of_best_other, ratio(|taken| taken.best_other.unwrap_or(f64::NAN))));
    }
    rows
}

fn one_layer(ground: &Ground, peak: &mut Result<f64, String>) -> Option<Figure> {
    let folder = ground.layout(&ONE);
    let taken = ground.alternately(folder.path(), CONNECTIONS[0], LONG_RUNS);
    note(peak, taken.as_ref().map(|taken| taken.peak));
    let figure = taken.map(|taken| taken.ours / taken.best_other.map_or(taken.skopeo, |other| other.min(taken.skopeo)));
    Some(Figure { work: format!("push of {}, of the best other's time", ONE.name), unit: "x", limit: ONE.of_best_other, figure })
}

/// The same again, over TLS, and with connections that break.
fn disturbed_and_guarded(ground: &Ground, peak: &mut Result<f64, String>) -> Vec<Figure> {
    let folder = ground.layout(&FEW);
    let bytes: usize = FEW.layers.iter().sum();
    let thirds: Vec<u64> = [1, 2, 3].map(|quarter| (bytes * quarter / 4) as u64).to_vec();
    let (mut plain, mut guarded, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        plain.push(ground.ours(folder.path(), &[]));
        guarded.push(ground.ours_by_tls(folder.path()));
        broken.push(ground.ours(folder.path(), &thirds));
    }
    let [plain, guarded, broken] = [plain, guarded, broken].map(|runs| runs.into_iter().collect::<Result<Vec<Taken>, String>>());
    for runs in [&guarded, &broken] {
        note(peak, runs.as_ref().map(|runs| most(runs)));
    }
    let of_plain = |runs: Result<Vec<Taken>, String>| Ok(median(&runs?) / median(plain.as_ref().map_err(Clone::clone)?));
    let row = |work: &str, limit: f64, figure: Result<f64, String>| Figure { work: work.to_owned(), unit: "x", limit, figure };
    vec![
        row("push over TLS where HTTP/2 is offered, of the plain one's time", 1.25, of_plain(guarded)),
        row("push with three broken connections, of an undisturbed one's time", 1.5, of_plain(broken)),
        Figure { work: "second push of the same".to_owned(), unit: "requests", limit: 3.0, figure: ground.again(folder.path()) },
    ]
}

/// What is needed for a run.
struct Ground {
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
    fn prepare() -> Result<Self, String> {
        let program = contender::on_path("docker-registry").ok_or("the Debian package docker-registry is not installed")?;
        contender::on_path("skopeo").ok_or("the Debian package skopeo is not installed")?;
        let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
        Ok(Self { program, peers: contender::peers(), runtime })
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
        Ok(Medians { floor: median(&floor), ours: median(&ours), skopeo: median(&skopeo), best_other, peak: most(&ours) })
    }

    /// A registry without anything in it behind the longer way.
    fn fresh<T>(&self, breaks: &[u64], contender: impl FnOnce(&Delay) -> Result<T, String>) -> Result<T, String> {
        let registry = Debian::start(&self.program, &Guard::Open, None, Path::new(MEMORY));
        let delay = self.runtime.block_on(Delay::before(registry.port, breaks));
        contender(&delay)
    }

    fn floor(&self, folder: &Path, connections: usize) -> Result<Taken, String> {
        let connections = connections.to_string();
        self.fresh(&[], |delay| contender::child(&["floor", text(folder), &delay.port.to_string(), REPOSITORY, &connections]))
    }

    fn ours(&self, folder: &Path, breaks: &[u64]) -> Result<Taken, String> {
        self.fresh(breaks, |delay| contender::child(&["ours", text(folder), &place(delay), "", ""]))
    }

    /// The requests of the second of two pushes.
    fn again(&self, folder: &Path) -> Result<f64, String> {
        self.fresh(&[], |delay| {
            let words = ["ours", text(folder), &place(delay), "", ""];
            contender::child(&words)?;
            contender::child(&words).map(|taken| taken.requests)
        })
    }

    fn ours_by_tls(&self, folder: &Path) -> Result<Taken, String> {
        let (authority, certificate, key) = certificates();
        let files = tempfile::tempdir_in(MEMORY).map_err(|error| error.to_string())?;
        let trusted = files.path().join("authority.pem");
        std::fs::write(&trusted, authority).map_err(|error| error.to_string())?;
        let registry = Debian::start(&self.program, &Guard::Open, Some((&certificate, &key)), Path::new(MEMORY));
        let delay = self.runtime.block_on(Delay::before(registry.port, &[]));
        let endpoint = format!("https://127.0.0.1:{}", delay.port);
        contender::child(&["ours", text(folder), &format!("{NAMED}/{REPOSITORY}"), &endpoint, text(&trusted)])
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

fn place(delay: &Delay) -> String {
    format!("127.0.0.1:{}/{REPOSITORY}", delay.port)
}

fn note(peak: &mut Result<f64, String>, taken: Result<f64, &String>) {
    match taken {
        Ok(taken) => *peak = peak.clone().map(|peak| peak.max(taken)),
        Err(why) => *peak = Err(why.clone()),
    }
}

fn median(runs: &[Taken]) -> f64 {
    let mut seconds: Vec<f64> = runs.iter().map(|taken| taken.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}

fn most(runs: &[Taken]) -> f64 {
    runs.iter().map(|taken| taken.peak).fold(0.0, f64::max)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("paths of ours are text")
}
