//! `archive:FILE`: one file with an image in it, as `docker save`, `docker buildx build --output type=oci` or `type=docker`, skopeo, podman and others
//! write it. A plain one is read where it lies, by seeking; one that is compressed as a whole is expanded once into a file that only we see.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use crate::failure::{Failure, Result};
use crate::image::configuration::Origin;
use crate::image::content::{Content, Platform};
use crate::image::manifest;
use crate::values::Digest;

use super::layout::check_marker;
use super::pack::{self, Watched};
use super::place::{Place, open_file};
use super::saved::{self, Saved};
use super::spool;
use super::tape::{Held, Sort, Tape, broken, unread};
use super::tree::{self, Blobs};
use super::{Compression, Image, Over, Packing, Wanted, apart};

/// Links may name links; not forever.
const MOST_LINKS: usize = 8;

/// An image in an archive.
pub enum Archived {
    /// With its manifests: all of it lies ready.
    Whole(Box<Image>),
    /// As `docker save` writes it: its layers are packed on their way.
    Saved(Saved),
}

impl Archived {
    /// The image, to be read.
    pub fn content(&self) -> &dyn Content {
        match self {
            Self::Whole(image) => &**image,
            Self::Saved(saved) => saved,
        }
    }

    /// What it runs on, as far as it says.
    pub fn platforms(&self) -> &[Platform] {
        match self {
            Self::Whole(image) => image.platforms(),
            Self::Saved(saved) => saved.platforms(),
        }
    }

    /// Where it comes from, as it says.
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Whole(image) => image.origin(),
            Self::Saved(saved) => saved.origin(),
        }
    }
}

/// Reads the archive `file`.
pub async fn open(file: &Path, wanted: &Wanted, packing: &Packing) -> Result<Archived> {
    let (file, wanted, packing) = (file.to_owned(), wanted.clone(), packing.clone());
    apart(move |over| {
        let what = |failure: Failure| failure.why(format!("in the archive {}", file.display()));
        let opened = open_file(&file, &format!("oci:{}", file.display()))?;
        let plain = plain(opened, &packing.spool, over).map_err(what)?;
        read(&Arc::new(plain), &wanted, packing.clone()).map_err(what)
    })
    .await
}

/// The archive itself, or what comes out of it when it is expanded.
fn plain(file: File, spool: &Path, over: Over) -> Result<File> {
    let mut start = [0; 8];
    let read = file.read_at(&mut start, 0).map_err(|error| unread(&error))?;
    let Some(compression) = Compression::of(&start[..read]) else {
        return match foreign(&start[..read]) {
            Some(other) => Err(Failure::config(format!("the archive is compressed with {other}, which is not read"))
                .fix("leave it plain, or compress it with gzip or zstd")),
            None => Ok(file),
        };
    };
    let mut expanded = spool::file(spool)?;
    let mut decoder = pack::decoder(compression, Watched { inner: file, over }).map_err(|error| unread(&error))?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = match decoder.read(&mut buffer) {
            Ok(0) => return Ok(expanded),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unread(&error)),
        };
        expanded.write_all(&buffer[..read]).map_err(|error| spool::unwritten(spool, &error))?;
    }
}

fn foreign(start: &[u8]) -> Option<&'static str> {
    let sorts: [(&[u8], &str); 3] = [(&[0xfd, b'7', b'z', b'X', b'Z'], "xz"), (b"BZh", "bzip2"), (b"PK\x03\x04", "zip")];
    sorts.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, name)| *name)
}

fn read(file: &Arc<File>, wanted: &Wanted, packing: Packing) -> Result<Archived> {
    let table = Table::read(file)?;
    let has = |name: &str| table.find(name).map(|place| place.is_some());
    if has("index.json")? && has("oci-layout")? {
        check_marker(&table.needed("oci-layout")?.whole(manifest::LARGEST)?)?;
        let image = tree::read(&table, &table.needed("index.json")?.whole(manifest::LARGEST)?, wanted);
        // An engine's own layout around plain layers is read as what it is beside that: what `docker save` writes.
        if !has("manifest.json")? || image.as_ref().map_or(true, |image| !image.is_plain()) {
            return image.map(|image| Archived::Whole(Box::new(image)));
        }
    }
    if !has("manifest.json")? {
        return Err(Failure::config("the archive holds no image")
            .why("there is neither a manifest.json, as docker save writes it, nor an OCI layout at its top")
            .fix("make it with docker save, or with docker buildx build --output type=oci,dest=FILE"));
    }
    saved::read(&|name| table.needed(name), wanted, packing).map(Archived::Saved)
}

/// Where everything lies in an archive.
pub(super) struct Table {
    file: Arc<File>,
    entries: HashMap<String, Lies>,
}

enum Lies {
    At { at: u64, size: u64 },
    Link(String),
}

impl Table {
    pub(super) fn read(file: &Arc<File>) -> Result<Self> {
        let mut tape = Tape::new(Held::new(file.clone()).map_err(|error| unread(&error))?);
        let mut entries = HashMap::new();
        while let Some(entry) = tape.next()? {
            let lies = match entry.sort {
                Sort::File => Lies::At { at: entry.at, size: entry.size },
                Sort::Link(target) => Lies::Link(target),
                Sort::Other => continue,
            };
            let name = entry.name;
            // What is called by its digest can be there twice: it is held against it. Of anything else nobody can tell which is meant.
            if entries.insert(name.clone(), lies).is_some() && !name.starts_with("blobs/") {
                return Err(broken(format!("{name:?} is in it twice")));
            }
        }
        Ok(Self { file: file.clone(), entries })
    }

    /// The file `name`, through links within the archive.
    fn find(&self, name: &str) -> Result<Option<Place>> {
        let mut name = name;
        for _ in 0..MOST_LINKS {
            match self.entries.get(name) {
                None => return Ok(None),
                Some(Lies::At { at, size }) => return Ok(Some(Place::held(self.file.clone(), *at, *size))),
                Some(Lies::Link(target)) => name = target,
            }
        }
        Err(broken(format!("the link {name:?} has no end")))
    }

    fn needed(&self, name: &str) -> Result<Place> {
        self.find(name)?.ok_or_else(|| broken(format!("{name:?} is named and not in it")))
    }
}

impl Blobs for Table {
    fn place(&self, digest: &Digest) -> Result<Option<Place>> {
        self.find(&format!("blobs/{}", digest.as_str().replacen(':', "/", 1)))
    }
}
