//! The JSON report as a file that later steps can read: in the runner's temporary folder, else in `$HOME`, never in the workspace.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use super::env::Env;
use super::random;

/// Writes `json` into a new file and names it as later steps see it: inside a container action the runner's temporary folder has another
/// name, and `host:…` of the input `runner-temp` tells the real one (a path that began the value would be translated, see
/// <https://github.com/actions/runner/blob/main/src/Runner.Worker/Container/ContainerInfo.cs>, 2026-11).
/// The error tells why neither folder would take it.
pub fn write(env: &Env, json: &str) -> std::io::Result<PathBuf> {
    let mut causes = Vec::new();
    for variable in ["RUNNER_TEMP", "HOME"] {
        let Some(folder) = env.get(variable) else {
            causes.push(format!("{variable} is not set"));
            continue;
        };
        match write_into(Path::new(folder), json) {
            Ok(path) => return Ok(if variable == "RUNNER_TEMP" { as_later_steps_see(env, path) } else { path }),
            Err(error) => causes.push(format!("{variable} ({folder}): {error}")),
        }
    }
    Err(std::io::Error::other(causes.join("; ")))
}

fn as_later_steps_see(env: &Env, path: PathBuf) -> PathBuf {
    let outside = env.get("INPUT_RUNNER-TEMP").and_then(|folder| folder.strip_prefix("host:")).filter(|folder| folder.starts_with('/'));
    match (outside, path.file_name()) {
        (Some(folder), Some(name)) => Path::new(folder).join(name),
        _ => path,
    }
}

/// Owned like the folder: what root leaves on a self-hosted runner nobody else can delete.
fn write_into(folder: &Path, json: &str) -> std::io::Result<PathBuf> {
    let path = folder.join(format!("touchdown-report-{}.json", &random::hex()?[..8]));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path)?;
    file.write_all(json.as_bytes())?;
    let owner = fs::metadata(folder)?;
    let _ = fchown(&file, Some(owner.uid()), Some(owner.gid()));
    Ok(path)
}

/// Writes a summary of the demo beneath the folder it is run in, where it can be looked at rendered.
pub fn write_demo(name: &str, markdown: &str) -> std::io::Result<PathBuf> {
    let folder = Path::new("target/demo");
    let path = folder.join(format!("{name}.md"));
    fs::create_dir_all(folder)?;
    fs::write(&path, markdown)?;
    Ok(path)
}
