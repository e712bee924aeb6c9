//! The runner's command files: made empty before a stage, read after it. (actions/runner, `FileCommandManager.cs`, 2026-11.)

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

const KINDS: [(&str, &str); 5] = [
    ("GITHUB_OUTPUT", "set_output"),
    ("GITHUB_STATE", "save_state"),
    ("GITHUB_ENV", "set_env"),
    ("GITHUB_PATH", "add_path"),
    ("GITHUB_STEP_SUMMARY", "step_summary"),
];

/// The files of one stage.
pub struct CommandFiles {
    folder: PathBuf,
    id: String,
}

impl CommandFiles {
    /// Makes them as the runner's user would: mode 644, so that another user than root cannot write them.
    pub fn create(folder: &Path, number: u32) -> Self {
        let files = Self { folder: folder.to_owned(), id: format!("00000000-0000-4000-8000-{number:012x}") };
        for (_, kind) in KINDS {
            let path = files.path(kind);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            let _ = chown(&path, Some(1001), Some(1001));
        }
        files
    }

    /// Their variables, where the action sees the folder as `seen`.
    pub fn variables(&self, seen: &str) -> impl Iterator<Item = (String, String)> {
        KINDS.iter().map(move |(variable, kind)| ((*variable).to_owned(), format!("{seen}/{kind}_{}", self.id)))
    }

    /// What stands in one of them.
    pub fn text(&self, kind: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path(kind)).unwrap_or_default()).into_owned()
    }

    /// Its entries, those before a broken one included, and what is broken.
    pub fn entries(&self, kind: &str) -> (BTreeMap<String, String>, Option<String>) {
        let (entries, error) = parse(&self.text(kind));
        (entries.into_iter().collect(), error.map(|error| format!("Unable to process file command '{kind}': {error}")))
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{kind}_{}", self.id))
    }
}

/// `key=value` lines and `key<<DELIMITER` blocks, as the runner reads them.
pub fn parse(text: &str) -> (Vec<(String, String)>, Option<String>) {
    let mut entries = Vec::new();
    let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).split_inclusive('\n');
    while let Some(whole) = lines.next() {
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        if line.is_empty() {
            continue;
        }
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        let entry = match (equals, heredoc) {
            (Some(equals), heredoc) if heredoc.is_none_or(|heredoc| equals < heredoc) => {
                Ok((line[..equals].to_owned(), line[equals + 1..].to_owned()))
            }
            (_, Some(heredoc)) => block(&line[heredoc + 2..], &mut lines).map(|value| (line[..heredoc].to_owned(), value)),
            (_, None) => Err(format!("Invalid format '{line}'")),
        };
        match entry {
            Ok((name, _)) if name.is_empty() => return (entries, Some(format!("Invalid format '{line}'. Name must not be empty"))),
            Ok(entry) => entries.push(entry),
            Err(error) => return (entries, Some(error)),
        }
    }
    (entries, None)
}

/// The lines up to the delimiter; each of them ends with a newline, the delimiter need not.
fn block<'a>(delimiter: &str, lines: &mut impl Iterator<Item = &'a str>) -> Result<String, String> {
    if delimiter.is_empty() {
        return Err("Invalid format. Delimiter must not be empty".to_owned());
    }
    let mut value = String::new();
    for whole in lines {
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        if line == delimiter {
            value.pop();
            return Ok(value);
        }
        if line.len() == whole.len() {
            break;
        }
        value.push_str(whole);
    }
    Err(format!("Invalid value. Matching delimiter not found '{delimiter}'"))
}
