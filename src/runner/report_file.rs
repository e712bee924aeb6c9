//! The JSON report as a file that later steps can read: in the runner's temporary folder, else in `$HOME`, never in the workspace.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use super::env::Env;
use super::random;

/// Writes `json` into a new file and names it. The error tells why neither folder would take it.
pub fn write(env: &Env, json: &str) -> std::io::Result<PathBuf> {
    let mut causes = Vec::new();
    for variable in ["RUNNER_TEMP", "HOME"] {
        let Some(folder) = env.get(variable) else {
            causes.push(format!("{variable} is not set"));
            continue;
        };
        match write_into(Path::new(folder), json) {
            Ok(path) => return Ok(path),
            Err(error) => causes.push(format!("{variable} ({folder}): {error}")),
        }
    }
    Err(std::io::Error::other(causes.join("; ")))
}

/// Owned like the folder: what root leaves on a self-hosted runner nobody else can delete.
fn write_into(folder: &Path, json: &str) -> std::io::Result<PathBuf> {
    let path = folder.join(format!("touchdown-report-{}.json", &random::hex()?[..8]));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path)?;
    file.write_all(json.as_bytes())?;
    let owner = fs::metadata(folder)?;
    let _ = chown(&path, Some(owner.uid()), Some(owner.gid()));
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
