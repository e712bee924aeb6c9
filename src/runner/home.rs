//! The second copy in `$HOME`, which main and post share: the journal and the kept credentials. Flat files, ours alone.
//! Where `$HOME` is missing or read-only, the runner's temporary folder takes its place.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use super::env::Env;

/// Files of ours in `$HOME` begin with this.
pub(super) const NAME: &str = "touchdown-";
/// The largest file of ours that is read back, in bytes.
const LARGEST: u64 = 1024 * 1024;
/// The most journals that are read back, the newest first: every step of a job may leave one here.
const MOST_JOURNALS: usize = 64;

/// The folder.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

/// An open copy of the journal, locked for as long as it lives.
#[derive(Debug)]
pub struct Copy(File);

impl Home {
    /// The folder `HOME` names, else the one `RUNNER_TEMP` names: the first that is there and can be written.
    pub fn of(env: &Env) -> std::io::Result<Self> {
        Self::named(env, "HOME").or_else(|error| Self::named(env, "RUNNER_TEMP").map_err(|_| error))
    }

    /// The folder this variable names, where it can be written.
    fn named(env: &Env, variable: &str) -> std::io::Result<Self> {
        let home = Self::there(env, variable)?;
        let probe = home.0.join(format!("{NAME}{}.probe", super::random::hex()?));
        let tried = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&probe);
        let _ = fs::remove_file(&probe);
        tried.map_err(|error| std::io::Error::other(format!("{} cannot be written: {error}", home.0.display())))?;
        Ok(home)
    }

    /// The folder this variable names.
    pub(super) fn there(env: &Env, variable: &str) -> std::io::Result<Self> {
        let folder = PathBuf::from(env.get(variable).ok_or_else(|| std::io::Error::other(format!("{variable} is not set")))?);
        if folder.is_dir() {
            return Ok(Self(folder));
        }
        let why = "under a runner that is itself a container the folder does not reach the action";
        Err(std::io::Error::other(format!("{} is not a folder; {why}", folder.display())))
    }

    /// Makes and locks the journal's copy for `nonce`.
    pub fn journal(&self, nonce: &str) -> std::io::Result<Copy> {
        let file = self.create(&self.path(nonce, "journal"))?;
        file.try_lock().map_err(std::io::Error::from)?;
        Ok(Copy(file))
    }

    /// The lines of the copy for `nonce`.
    pub fn lines_of(&self, nonce: &str) -> Vec<(String, String)> {
        read(&self.path(nonce, "journal")).map(|text| pairs(&text)).unwrap_or_default()
    }

    /// The lines of every copy found, whoever left it.
    pub fn lines(&self) -> Vec<(String, String)> {
        let Ok(folder) = fs::read_dir(&self.0) else { return Vec::new() };
        let files = folder.filter_map(|entry| Some(entry.ok()?.path()));
        let ours = files.filter(|path| name(path).is_some_and(|name| name.starts_with(NAME) && name.ends_with(".journal")));
        let dated = ours.filter_map(|path| Some((fs::symlink_metadata(&path).ok()?.modified().ok()?, path)));
        let mut dated: Vec<_> = dated.collect();
        dated.sort_by(|one, other| other.cmp(one));
        dated.into_iter().take(MOST_JOURNALS).filter_map(|(_, path)| read(&path)).flat_map(|text| pairs(&text)).collect()
    }

    /// What the files of the folder are called.
    pub(super) fn names(&self) -> Vec<String> {
        let folder = fs::read_dir(&self.0).into_iter().flatten();
        folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
    }

    /// Keeps credentials for the post step, whole or not at all, readable by their owner only.
    pub fn keep_credentials(&self, nonce: &str, credentials: &str) -> std::io::Result<()> {
        let fresh = self.path(nonce, "credentials-new");
        let _ = fs::remove_file(&fresh);
        self.create_new(&fresh)?.write_all(credentials.as_bytes())?;
        fs::rename(fresh, self.path(nonce, "credentials"))
    }

    /// The kept credentials.
    pub fn credentials(&self, nonce: &str) -> Option<String> {
        read(&self.path(nonce, "credentials"))
    }

    /// Removes the credentials.
    pub fn drop_credentials(&self, nonce: &str) {
        let _ = fs::remove_file(self.path(nonce, "credentials"));
    }

    /// Removes everything of `nonce`; but a fence stays up while main may yet go on.
    pub fn clean(&self, nonce: &str) {
        self.lower_fence(nonce);
        for what in ["journal", "credentials", "credentials-new"] {
            let _ = fs::remove_file(self.path(nonce, what));
        }
    }

    pub(super) fn path(&self, nonce: &str, what: &str) -> PathBuf {
        let plain: String = nonce.chars().filter(char::is_ascii_alphanumeric).collect();
        self.0.join(format!("{NAME}{plain}.{what}"))
    }

    /// The file, made where it is not there yet, readable by its owner only.
    pub(super) fn create(&self, path: &Path) -> std::io::Result<File> {
        match self.create_new(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made,
        }
        if !fs::symlink_metadata(path)?.is_file() {
            return Err(irregular(path));
        }
        let file = OpenOptions::new().append(true).open(path)?;
        let (opened, there) = (file.metadata()?, fs::symlink_metadata(path)?);
        // What a link leads to, soft or hard, may be anybody's.
        let ours = there.is_file() && opened.nlink() == 1 && (opened.dev(), opened.ino()) == (there.dev(), there.ino());
        if ours { Ok(file) } else { Err(irregular(path)) }
    }

    /// A new file, owned like the folder: what root leaves on a self-hosted runner nobody else can delete.
    fn create_new(&self, path: &Path) -> std::io::Result<File> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        let folder = fs::metadata(&self.0)?;
        let _ = fchown(&file, Some(folder.uid()), Some(folder.gid()));
        Ok(file)
    }
}

impl Copy {
    /// Appends `key=value` by one write.
    pub fn append(&mut self, key: &str, value: &str) -> std::io::Result<()> {
        self.0.write_all(format!("{key}={value}\n").as_bytes())
    }
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let lines = text.split('\n').filter_map(|line| line.split_once('='));
    lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// A regular file of at most [`LARGEST`] bytes; what is longer was not written by us.
fn read(path: &Path) -> Option<String> {
    let file = open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Opens a regular file only: opening a pipe would wait for ever.
pub(super) fn open(path: &Path) -> std::io::Result<File> {
    if fs::symlink_metadata(path)?.is_file() { File::open(path) } else { Err(irregular(path)) }
}

fn irregular(path: &Path) -> std::io::Error {
    std::io::Error::other(format!("{} is no regular file of ours", path.display()))
}
