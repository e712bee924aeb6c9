//! The files through which a step tells the runner things; the runner has made them beforehand. Whoever writes them knows their grammar.

use std::fs::{File, OpenOptions};

use super::env::Env;

/// Opens the file that `variable` names for appending. The error names the file and the likely cause.
pub(super) fn open(env: &Env, variable: &str) -> std::io::Result<File> {
    let missing = || std::io::Error::other(format!("{variable} is not set: this is not a step of a workflow"));
    let path = env.get(variable).ok_or_else(missing)?;
    OpenOptions::new().append(true).open(path).map_err(|error| explained(path, &error))
}

/// (Docker runs on the host: <https://docs.github.com/en/actions/reference/workflows-and-actions/dockerfile-support>, 2026-11.)
fn explained(path: &str, error: &std::io::Error) -> std::io::Error {
    let cause = match error.kind() {
        std::io::ErrorKind::NotFound => "; under a runner that is itself a container the file does not reach the action",
        std::io::ErrorKind::PermissionDenied => "; the action's container must run as root, as the image does unless it is told otherwise",
        _ => "",
    };
    std::io::Error::new(error.kind(), format!("{path}: {error}{cause}"))
}
