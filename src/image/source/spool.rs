//! Files that only we see: made in the folder that is handed in, and without a name from the first moment, so that nothing is left whatever happens.
//! And the measure for what is expanded into them: a little that becomes very much is a bomb.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::failure::{Failure, Kind, Result};

/// So much may come out of anything, and beyond it so many times what went in.
const HARMLESS: u64 = 256 << 20;
const MOST_TIMES: u64 = 200;

/// A new file in `folder`, to be written and read back.
pub(super) fn file(folder: &Path) -> Result<File> {
    for _ in 0..16 {
        let path = folder.join(format!(".touchdown-{:016x}", fastrand::u64(..)));
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return fs::remove_file(&path).map(|()| file).map_err(|error| unwritten(folder, &error)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(unwritten(folder, &error)),
        }
    }
    Err(Failure::bug("no name is free for a temporary file"))
}

/// `folder` takes nothing.
pub(super) fn unwritten(folder: &Path, error: &io::Error) -> Failure {
    let failure = Failure::new(Kind::Conflict, format!("nothing can be written into {}", folder.display())).why(error.to_string());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            failure.fix("make room on this disk: it must hold the layers, compressed")
        }
        _ => failure.fix("check that the runner's temporary folder is there and can be written"),
    }
}

/// Counts what is read.
pub(super) struct Counted<R> {
    inner: R,
    /// So many.
    pub(super) bytes: u64,
}

impl<R> Counted<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, bytes: 0 }
    }

    pub(super) fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

/// Whether `out` bytes are more than `within` bytes can honestly hold.
pub(super) fn is_bomb(within: u64, out: u64) -> bool {
    out > HARMLESS && out / MOST_TIMES > within
}

/// That it is one.
pub(super) fn bomb() -> io::Error {
    io::Error::other(
        Failure::config(format!("something in the image expands to more than {MOST_TIMES} times its size"))
            .why("that is what archives do that are made to fill disks")
            .fix("if it is honest, expand it yourself before"),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_has_no_name_and_cannot_be_made_where_nothing_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = file(folder.path()).unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let failure = super::file(&folder.path().join("absent")).unwrap_err();
        assert!(failure.what.contains("absent") && failure.fix[0].contains("temporary folder"), "{failure}");
        assert!(unwritten(folder.path(), &io::ErrorKind::StorageFull.into()).fix[0].contains("make room"));
    }

    #[test]
    fn much_from_little_is_a_bomb_and_some_megabytes_are_harmless() {
        assert!(!is_bomb(1, HARMLESS));
        assert!(is_bomb(1, HARMLESS + 1));
        assert!(!is_bomb(10 << 20, 2000 << 20));
        assert!(is_bomb(10 << 20, 2001 << 20));
    }
}
