//! What the set-up (`tests/setup/`) has brought onto this machine. A test that cannot run says why, in the open.

use std::path::{Path, PathBuf};

/// Where the component is (`engine`, `image`, `venv`, `registry`, `sshd`); else prints the skip, which nextest is told to show.
pub fn component(name: &str) -> Option<PathBuf> {
    match read(&target().join("setup"), name) {
        Ok(place) => Some(place),
        Err(why) => {
            skip(name, &why);
            None
        }
    }
}

/// Says that a test, or a part of it, did not run. In our own CI, where everything can be had, that is a failure.
pub fn skip(what: &str, why: &str) {
    eprintln!("skipped: {what}: {why}");
    assert!(std::env::var_os("TOUCHDOWN_ALL_COMPONENTS").is_none(), "{what} is missing where nothing may be: {why}");
}

fn read(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let written = std::fs::read_to_string(folder.join(name)).map_err(|_| "not set up; `make test` does it".to_owned())?;
    match written.trim_end().split_once(' ') {
        Some(("ready", place)) => Ok(PathBuf::from(place)),
        Some(("absent", why)) => Err(why.to_owned()),
        _ => Err(format!("target/setup/{name} says {written:?}")),
    }
}

/// The folder cargo builds into.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

#[test]
fn a_component_is_where_its_file_says_or_absent_for_the_reason_given() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("venv"), "ready /v/bin/python\n").unwrap();
    std::fs::write(folder.path().join("engine"), "absent no engine runs\n").unwrap();
    assert_eq!(read(folder.path(), "venv"), Ok(PathBuf::from("/v/bin/python")));
    assert_eq!(read(folder.path(), "engine"), Err("no engine runs".to_owned()));
    assert_eq!(read(folder.path(), "sshd"), Err("not set up; `make test` does it".to_owned()));
}
