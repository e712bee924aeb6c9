//! The step's outputs. The file wins over anything somebody printed, so every key is always written, also with nothing in it.

use std::io::Write;

use super::command_file;
use super::env::Env;
use super::random;

/// All outputs of a job may hold 1 MB, counted as UTF-16; half of it is left to the other steps
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idoutputs>, 2026-11).
pub const LARGEST: usize = 500_000;

/// Writes all of `outputs` by one append. Where they are too much together, the longest stay empty and are named in the answer.
pub fn write(env: &Env, outputs: &[(&str, String)]) -> std::io::Result<Vec<String>> {
    let mut file = command_file::open(env, "GITHUB_OUTPUT")?;
    let (outputs, left_out) = fit(outputs);
    let mut text = String::new();
    for (name, value) in &outputs {
        text.push_str(&entry(name, value)?);
    }
    file.write_all(text.as_bytes())?;
    Ok(left_out)
}

/// `name<<delimiter`, the value, the delimiter: nobody who chose the value knew the delimiter.
fn entry(name: &str, value: &str) -> std::io::Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(std::io::Error::other(format!("{name:?} cannot name an output")));
    }
    let mut delimiter = format!("ghadelimiter_{}", random::hex()?);
    while value.contains(&delimiter) {
        delimiter = format!("ghadelimiter_{}", random::hex()?);
    }
    Ok(format!("{name}<<{delimiter}\n{value}\n{delimiter}\n"))
}

fn fit<'o>(outputs: &[(&'o str, String)]) -> (Vec<(&'o str, String)>, Vec<String>) {
    let (mut outputs, mut left_out) = (outputs.to_vec(), Vec::new());
    while outputs.iter().map(|(name, value)| size(name) + size(value)).sum::<usize>() > LARGEST {
        let Some((name, value)) = outputs.iter_mut().max_by_key(|(_, value)| size(value)).filter(|(_, value)| !value.is_empty()) else {
            break;
        };
        left_out.push((*name).to_owned());
        value.clear();
    }
    (outputs, left_out)
}

fn size(text: &str) -> usize {
    text.encode_utf16().count() * 2
}
