//! An image of 500 MB in a real Docker engine with the legacy store: our action against `docker push`, to the same registry.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::contender::{self, Taken};
use super::{Figure, Ground, LONG_RUNS, MB, MEMORY, median, memory, most, place, ratio};
use crate::action_harness::Runner;
use crate::build;

const LAYERS: usize = 5;
const LAYER: usize = 100 * MB;
const NAME: &str = "touchdown-bench:ci";

/// What it takes, of `docker push`'s time.
pub fn figures(ground: &Ground) -> Vec<Figure> {
    let name = "push of 500 MB from Docker's legacy store (compression: zstd)";
    let taken = Loaded::new().and_then(|image| {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..LONG_RUNS {
            ours.push(ground.fresh(&[], |delay| image.ours(ground, delay.port))?);
            theirs.push(ground.fresh(&[], |delay| image.docker_push(delay.port))?);
        }
        println!("  ours {:.3} s, docker push {:.3} s", median(&ours), median(&theirs));
        Ok((ours, theirs))
    });
    let figure = taken.as_ref().map(|(ours, theirs)| median(ours) / median(theirs)).map_err(Clone::clone);
    vec![ratio(format!("{name}, of `docker push`'s time"), 0.5, figure), memory(name, taken.map(|(ours, _)| most(&ours)))]
}

/// The image in the engine, as long as this lives.
struct Loaded {
    docker: PathBuf,
    host: String,
}

impl Loaded {
    fn new() -> Result<Self, String> {
        let docker = component("engine")?;
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        let loaded = Self { docker, host };
        let driver = loaded.docker(&["info", "--format", "{{.DriverStatus}}"])?;
        if driver.contains("io.containerd") {
            return Err("the engine that runs here keeps its images in containerd, which pushes them itself".to_owned());
        }
        let folder = tempfile::tempdir_in(MEMORY).map_err(|error| error.to_string())?;
        let file = folder.path().join("image.tar");
        let mut files = build::saved("linux/amd64", &layers()?);
        for (_, content) in files.iter_mut().filter(|(name, _)| name == "manifest.json") {
            *content = String::from_utf8_lossy(content).replace("web:ci", NAME).into_bytes();
        }
        std::fs::write(&file, build::archive(&files)).map_err(|error| error.to_string())?;
        loaded.docker(&["load", "--quiet", "--input", &file.display().to_string()])?;
        Ok(loaded)
    }

    fn docker(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.docker).args(arguments).output().map_err(|error| format!("docker: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(format!("docker {}: {}", arguments[0], text(&output.stderr))) }
    }

    fn ours(&self, ground: &Ground, port: u16) -> Result<Taken, String> {
        let step = Runner::of(&ground.binary).env("DOCKER_HOST", &self.host).input("compression", "zstd");
        contender::ours(step, Path::new(MEMORY), &format!("docker://{NAME}"), &place(port))
    }

    fn docker_push(&self, port: u16) -> Result<Taken, String> {
        let name = format!("{}:v1", place(port));
        self.docker(&["tag", NAME, &name])?;
        let taken = contender::timed(&self.docker, &["push", "--quiet", &name]);
        self.docker(&["rmi", &name])?;
        taken
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        let _ = self.docker(&["rmi", "--force", NAME]);
    }
}

/// Layers as a build makes them: files of the toolchain that compiles us, one after another.
fn layers() -> Result<Vec<Vec<u8>>, String> {
    let told = Command::new("rustc").args(["--print", "sysroot"]).output().map_err(|error| format!("rustc: {error}"))?;
    let mut bytes = Vec::with_capacity(LAYERS * LAYER);
    read_into(Path::new(String::from_utf8_lossy(&told.stdout).trim()), &mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() < LAYERS * LAYER {
        return Err(format!("the toolchain has only {} MB of files", bytes.len() / MB));
    }
    Ok(bytes.chunks(LAYER).take(LAYERS).enumerate().map(|(at, content)| build::layer(&format!("opt/part-{at}"), content)).collect())
}

fn read_into(folder: &Path, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        if bytes.len() >= LAYERS * LAYER {
            break;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            read_into(&entry.path(), bytes)?;
        } else if kind.is_file() {
            bytes.extend(std::fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// What `tests/setup/with_engine.sh` said of a component.
fn component(name: &str) -> Result<PathBuf, String> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("setup").join(name);
    let told = std::fs::read_to_string(file).map_err(|_| format!("{name} is not set up: `make bench` does it"))?;
    match told.trim_end().split_once(' ') {
        Some(("ready", place)) => Ok(PathBuf::from(place)),
        _ => Err(told),
    }
}
