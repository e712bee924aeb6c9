//! Walks a tar archive entry by entry, forwards only: from a file by seeking, from a stream by reading on.
//! It unpacks nothing. Names that lead out of the archive, extensions without end and entries cut short are refused here;
//! what the entries mean, others know.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use tar::{EntryType, Header, PaxExtensions};

use crate::failure::{Failure, Result, cut};

/// A tar block.
const BLOCK: u64 = 512;
/// The most entries, the longest extension and the longest name; what is made by people's tools stays far below.
const MOST_ENTRIES: usize = 100_000;
const LONGEST_EXTENSION: u64 = 64 * 1024;
const LONGEST_NAME: usize = 4096;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name within the archive, without `./` before it or `/` after it.
    pub(super) name: String,
    /// What it is.
    pub(super) sort: Sort,
    /// The bytes of its content.
    pub(super) size: u64,
    /// Where its content begins.
    pub(super) at: u64,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sort {
    /// A file with its content.
    File,
    /// Another name of the entry that is called so.
    Link(String),
    /// A folder, a device, …
    Other,
}

/// What a tape is read from.
pub(super) trait Reel: Read {
    /// Goes `bytes` forward; fewer where it ends.
    fn pass(&mut self, bytes: u64) -> io::Result<u64>;
}

/// A file that can be sought in.
pub(super) struct Held {
    file: Arc<File>,
    at: u64,
    end: u64,
}

/// What can only be read on.
pub(super) struct Flow<R>(pub(super) R);

/// An archive being read.
pub(super) struct Tape<R> {
    reel: R,
    /// Where the reel stands.
    at: u64,
    /// What is left of the present entry, and the padding after it.
    left: u64,
    padding: u64,
    entries: usize,
}

impl<R: Reel> Tape<R> {
    pub(super) fn new(reel: R) -> Self {
        Self { reel, at: 0, left: 0, padding: 0, entries: 0 }
    }

    /// The next entry; what was not read of the one before is passed over.
    pub(super) fn next(&mut self) -> Result<Option<Entry>> {
        let mut extensions = Extensions::default();
        loop {
            self.pass_the_rest()?;
            let Some(header) = self.header()? else {
                return if extensions.is_empty() { Ok(None) } else { Err(truncated("an extension with nothing after it")) };
            };
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                return Err(broken(format!("it has more than {MOST_ENTRIES} entries")));
            }
            let size = header.entry_size().map_err(|error| broken(error.to_string()))?;
            self.begin(size)?;
            let sort = header.entry_type();
            if !extensions.is_one(sort) {
                return self.entry(&header, extensions).map(Some);
            }
            let mut content = Vec::new();
            if size > LONGEST_EXTENSION {
                return Err(broken(format!("it has an extension of {size} bytes")));
            }
            self.read_to_end(&mut content).map_err(|error| unread(&error))?;
            extensions.take(sort, &content)?;
        }
    }

    fn entry(&mut self, header: &Header, extensions: Extensions) -> Result<Entry> {
        if let Some(size) = extensions.size {
            self.begin(size)?;
        }
        let name = extensions.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let target = || extensions.link.or_else(|| header.link_name_bytes().map(|name| name.into_owned())).unwrap_or_default();
        let name = text(name)?;
        let within = within(&name)?;
        let sort = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous if !name.ends_with('/') => Sort::File,
            EntryType::Link => Sort::Link(self::within(&text(target())?)?),
            EntryType::Symlink => {
                let folder = within.rsplit_once('/').map_or("", |(folder, _)| folder);
                Sort::Link(followed(folder, &text(target())?)?)
            }
            EntryType::GNUSparse => return Err(broken(format!("{} is stored with holes, which is not read", shown(&within)))),
            _ => Sort::Other,
        };
        Ok(Entry { name: within, sort, size: self.left, at: self.at })
    }

    fn begin(&mut self, size: u64) -> Result<()> {
        if size > i64::MAX as u64 - self.at {
            return Err(broken(format!("an entry claims {size} bytes")));
        }
        (self.left, self.padding) = (size, (BLOCK - size % BLOCK) % BLOCK);
        Ok(())
    }

    fn pass_the_rest(&mut self) -> Result<()> {
        let all = self.left + self.padding;
        if all > 0 {
            let passed = self.reel.pass(all).map_err(|error| unread(&error))?;
            // Some writers leave out the padding of the last entry.
            if passed < self.left {
                return Err(truncated(&format!("an entry of which {} bytes are missing", self.left - passed)));
            }
            self.at += all;
            (self.left, self.padding) = (0, 0);
        }
        Ok(())
    }

    /// The next header; none at the end, which is an empty block or nothing.
    fn header(&mut self) -> Result<Option<Header>> {
        let mut block = [0; BLOCK as usize];
        let mut have = 0;
        while have < block.len() {
            match self.reel.read(&mut block[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(truncated("half a header")),
                Ok(more) => have += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unread(&error)),
            }
        }
        self.at += BLOCK;
        if block == [0; BLOCK as usize] {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        let mut counted = header.clone();
        counted.set_cksum();
        let sound = matches!((header.cksum(), counted.cksum()), (Ok(told), Ok(counted)) if told == counted);
        if sound { Ok(Some(header)) } else { Err(broken(format!("what stands at byte {} is no entry", self.at - BLOCK))) }
    }
}

/// The content of the present entry.
impl<R: Reel> Read for Tape<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.reel.read(&mut into[..most])?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("it ends {} bytes too early", self.left)));
        }
        self.left -= read as u64;
        self.at += read as u64;
        Ok(read)
    }
}

impl Held {
    /// From `at`, where an archive begins.
    pub(super) fn new(file: Arc<File>) -> io::Result<Self> {
        let end = file.metadata()?.len();
        Ok(Self { file, at: 0, end })
    }
}

impl Read for Held {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Reel for Held {
    fn pass(&mut self, bytes: u64) -> io::Result<u64> {
        let passed = bytes.min(self.end.saturating_sub(self.at));
        self.at += passed;
        Ok(passed)
    }
}

impl<R: Read> Read for Flow<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl<R: Read> Reel for Flow<R> {
    fn pass(&mut self, bytes: u64) -> io::Result<u64> {
        io::copy(&mut (&mut self.0).take(bytes), &mut io::sink())
    }
}

/// What entries before an entry say of it.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    any: bool,
}

impl Extensions {
    fn is_one(&self, sort: EntryType) -> bool {
        matches!(sort, EntryType::XHeader | EntryType::XGlobalHeader | EntryType::GNULongName | EntryType::GNULongLink)
    }

    fn is_empty(&self) -> bool {
        !self.any
    }

    fn take(&mut self, sort: EntryType, content: &[u8]) -> Result<()> {
        let without_end = || content.strip_suffix(&[0]).unwrap_or(content).to_vec();
        match sort {
            EntryType::GNULongName => self.name = Some(without_end()),
            EntryType::GNULongLink => self.link = Some(without_end()),
            EntryType::XHeader => self.take_records(content)?,
            // Of the whole archive; git writes its commit there.
            _ => return Ok(()),
        }
        self.any = true;
        Ok(())
    }

    fn take_records(&mut self, content: &[u8]) -> Result<()> {
        for record in PaxExtensions::new(content) {
            let record = record.map_err(|error| broken(error.to_string()))?;
            let number = || std::str::from_utf8(record.value_bytes()).ok().and_then(|text| text.parse().ok());
            match record.key_bytes() {
                b"path" => self.name = Some(record.value_bytes().to_vec()),
                b"linkpath" => self.link = Some(record.value_bytes().to_vec()),
                b"size" => self.size = Some(number().ok_or_else(|| broken("an extension gives a size that is none".to_owned()))?),
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err(broken("an entry is stored with holes, which is not read".to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn text(bytes: Vec<u8>) -> Result<String> {
    let text = String::from_utf8(bytes).map_err(|error| broken(format!("{} is no UTF-8", shown(&error.to_string()))))?;
    if text.len() > LONGEST_NAME || text.contains('\0') {
        return Err(broken(format!("the name {} is none", shown(&text))));
    }
    Ok(text)
}

/// `name` without `.` and without a slash at its end. One that leads out of the archive is a trick.
fn within(name: &str) -> Result<String> {
    followed("", name)
}

/// Where `path` leads from `folder`.
fn followed(folder: &str, path: &str) -> Result<String> {
    let trick = || broken(format!("{} leads out of the archive", shown(path)));
    let from = folder.split('/').filter(|part| !part.is_empty());
    let mut parts: Vec<&str> = from.collect();
    let depth = parts.len();
    if path.starts_with('/') {
        return Err(trick());
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            // A link may go up as far as the top; a name never goes up.
            ".." if depth > 0 => {
                parts.pop().ok_or_else(trick)?;
            }
            ".." => return Err(trick()),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

fn shown(text: &str) -> String {
    let mut text = text.to_owned();
    cut(&mut text, 120);
    format!("{text:?}")
}

/// The archive is not what it should be.
pub(super) fn broken(why: String) -> Failure {
    Failure::config("the archive is broken").why(why).fix("save or build it again")
}

/// The archive ends too early.
pub(super) fn truncated(with: &str) -> Failure {
    Failure::config("the archive is cut short")
        .why(format!("it ends with {with}"))
        .fix("save it again, and check that the step which makes it ended well and that the disk was not full")
}

/// A read failed.
pub(super) fn unread(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => truncated("something half"),
        // Decoders put ours into an error of theirs.
        _ => error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Failure>())
            .cloned()
            .unwrap_or_else(|| broken(format!("it cannot be read: {error}"))),
    }
}
