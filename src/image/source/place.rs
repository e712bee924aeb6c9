//! Where the bytes of a blob lie: in memory, in a file of its own, or in a part of one. They are read piece by piece, from anywhere, again and again.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;

use crate::failure::{Failure, Kind, Result};
use crate::image::content::Body;

/// What is read at once, and so many pieces ahead of the reader.
const PIECE: u64 = 512 * 1024;
const AHEAD: usize = 2;

/// Where some bytes lie.
#[derive(Debug, Clone)]
pub(super) struct Place {
    lies: Lies,
    /// Where they begin.
    at: u64,
    /// How many they are.
    pub(super) size: u64,
}

#[derive(Debug, Clone)]
enum Lies {
    Memory(Bytes),
    Named(PathBuf),
    Held(Arc<File>),
}

impl Place {
    /// In memory.
    pub(super) fn memory(bytes: Bytes) -> Self {
        Self { at: 0, size: bytes.len() as u64, lies: Lies::Memory(bytes) }
    }

    /// The whole file at `path`; none where there is none.
    pub(super) fn named(path: PathBuf) -> Result<Option<Self>> {
        match std::fs::metadata(&path) {
            Ok(found) if found.is_file() => Ok(Some(Self { at: 0, size: found.len(), lies: Lies::Named(path) })),
            Ok(_) => Err(Failure::config(format!("{} is no regular file", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unread(&path.display().to_string(), &error)),
        }
    }

    /// `size` bytes of `file` from `at`.
    pub(super) fn held(file: Arc<File>, at: u64, size: u64) -> Self {
        Self { lies: Lies::Held(file), at, size }
    }

    /// All of it, which may be at most `most` bytes. Blocks.
    pub(super) fn whole(&self, most: usize) -> Result<Bytes> {
        if self.size > most as u64 {
            return Err(Failure::config(format!("something of {} bytes stands where at most {most} are expected", self.size)));
        }
        let mut bytes = Vec::new();
        self.reader()?.read_to_end(&mut bytes).map_err(|error| unread("the image", &error))?;
        Ok(bytes.into())
    }

    /// Reads it from its beginning. Blocks.
    pub(super) fn reader(&self) -> Result<Reader> {
        Ok(Reader { lies: self.opened()?, at: self.at, left: self.size })
    }

    /// Reads it from its beginning, ahead of who asks.
    pub(super) fn body(&self) -> Result<Body> {
        let (lies, start, end) = (self.opened()?, self.at, self.at + self.size);
        let starts = (0..self.size.div_ceil(PIECE)).map(move |index| start + index * PIECE);
        let buffers = Buffers::default();
        let pieces = stream::iter(starts).map(move |at| {
            let (lies, buffers, most) = (lies.clone(), buffers.clone(), PIECE.min(end - at));
            async move {
                let piece = tokio::task::spawn_blocking(move || lies.piece(at, most, &buffers)).await;
                piece.unwrap_or_else(|error| Err(Failure::bug(format!("a read did not end: {error}"))))
            }
        });
        Ok(pieces.buffered(AHEAD).boxed())
    }

    fn opened(&self) -> Result<Lies> {
        match &self.lies {
            Lies::Named(path) => match File::open(path) {
                Ok(file) => Ok(Lies::Held(Arc::new(file))),
                Err(error) => Err(unread(&path.display().to_string(), &error)),
            },
            other => Ok(other.clone()),
        }
    }
}

impl Lies {
    fn piece(&self, at: u64, size: u64, buffers: &Buffers) -> Result<Bytes> {
        let mut buffer = buffers.lend();
        buffer.bytes.resize(usize::try_from(size).unwrap_or_default(), 0);
        let mut reader = Reader { lies: self.clone(), at, left: size };
        reader.read_exact(&mut buffer.bytes).map_err(|error| unread("the image", &error))?;
        Ok(Bytes::from_owner(buffer))
    }
}

/// Buffers that are read into again and again: new memory for every piece would cost more than sending it.
#[derive(Debug, Clone, Default)]
struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    fn lend(&self) -> Buffer {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Buffer { bytes, home: self.clone() }
    }
}

/// A buffer that goes home when nobody needs its bytes any more.
struct Buffer {
    bytes: Vec<u8>,
    home: Buffers,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.home.0.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.bytes));
    }
}

/// Reads what lies at a place.
pub(super) struct Reader {
    lies: Lies,
    at: u64,
    left: u64,
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        if most == 0 {
            return Ok(0);
        }
        let read = match &self.lies {
            Lies::Held(file) => file.read_at(&mut into[..most], self.at)?,
            Lies::Named(path) => File::open(path)?.read_at(&mut into[..most], self.at)?,
            Lies::Memory(bytes) => {
                let from = usize::try_from(self.at).unwrap_or(usize::MAX);
                let rest = bytes.get(from..).unwrap_or_default();
                let read = most.min(rest.len());
                into[..read].copy_from_slice(&rest[..read]);
                read
            }
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// Opens the archive at `path`: a regular file, so that nothing waits for a pipe.
pub(super) fn open_file(path: &Path, folder_is: &str) -> Result<File> {
    let shown = path.display();
    let missing = || {
        Failure::new(Kind::Missing, format!("there is no file {shown}"))
            .fix("check the path, and that the step which saves the image runs before this one")
    };
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(Failure::config(format!("{shown} is a folder")).fix(format!("write {folder_is}"))),
        Ok(found) if !found.is_file() => Err(Failure::config(format!("{shown} is no regular file"))),
        Ok(_) => File::open(path).map_err(|error| unread(&shown.to_string(), &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
        Err(error) => Err(unread(&shown.to_string(), &error)),
    }
}

/// A read failed.
pub(super) fn unread(what: &str, error: &io::Error) -> Failure {
    let failure = Failure::config(format!("{what} cannot be read"));
    match error.kind() {
        io::ErrorKind::UnexpectedEof => failure.why("it became shorter while it was read").fix("let nothing write to it meanwhile"),
        io::ErrorKind::PermissionDenied => failure.why(error.to_string()).fix("let the step that writes it make it readable for everybody"),
        _ => failure.why(error.to_string()),
    }
}
