//! A layer as it comes → a blob that can be sent: plain ones are compressed into a file of ours, compressed ones stay as they are and are
//! only looked through, for a layer is known by the digest of its plain bytes.

use std::io::{self, BufReader, Read};
use std::num::NonZero;
use std::sync::Arc;

use crate::failure::Result;
use crate::image::hashing::Hasher;
use crate::values::Digest;

use super::blocks::{self, MOST_CORES, Trouble};
use super::place::Place;
use super::spool::{self, Counted};
use super::tape::unread;
use super::{Compression, Over, Packing, over};

/// The largest window of zstd that is read, as a power of two: 8 MiB, what its levels to 19 use.
const LARGEST_WINDOW: u32 = 23;
const BUFFER: usize = 128 * 1024;

/// A layer that can be sent.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    /// Of its plain bytes.
    pub(super) plain: Digest,
    /// Of what is sent.
    pub(super) digest: Digest,
    /// How it is compressed.
    pub(super) compression: Compression,
    /// Where it lies.
    pub(super) place: Place,
}

impl Compression {
    /// What a file that starts so is compressed with.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// The layer that lies at `place`.
pub(super) fn layer_at(place: &Place, packing: &Packing, over: Over) -> Result<Packed> {
    let mut start = Vec::new();
    place.reader()?.take(8).read_to_end(&mut start).map_err(|error| unread(&error))?;
    match Compression::of(&start) {
        None => layer(&mut place.reader()?, packing, over),
        // A platform that reads no zstd gets the same layer in gzip.
        Some(Compression::Zstd) if packing.compression == Compression::Gzip => {
            layer(&mut decoder(Compression::Zstd, place.reader()?).map_err(|error| unread(&error))?, packing, over)
        }
        Some(compression) => looked_through(place, compression, over),
    }
}

/// The plain layer that `from` brings.
pub(super) fn layer(from: &mut dyn Read, packing: &Packing, over: Over) -> Result<Packed> {
    let from = &mut Watched { inner: from, over };
    let file = spool::file(&packing.spool)?;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST_CORES);
    let squeezed = blocks::squeeze(from, &file, packing.compression, cores).map_err(|trouble| match trouble {
        Trouble::Reading(error) => unread(&error),
        Trouble::Writing(error) => spool::unwritten(&packing.spool, &error),
    })?;
    let place = Place::held(Arc::new(file), 0, squeezed.size);
    Ok(Packed { plain: squeezed.plain, digest: squeezed.digest, compression: packing.compression, place })
}

fn looked_through(place: &Place, compression: Compression, over: Over) -> Result<Packed> {
    let from = Watched { inner: place.reader()?, over };
    let mut decoder = decoder(compression, Hashed { inner: from, hasher: Hasher::new() }).map_err(|error| unread(&error))?;
    let (mut hasher, mut buffer) = (Hasher::new(), vec![0; BUFFER]);
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unread(&error)),
        }
    }
    let rest = decoder.into_inner();
    Ok(Packed { plain: hasher.finish()?, digest: rest.hasher.finish()?, compression, place: place.clone() })
}

/// Expands what it reads; refuses what becomes too much.
pub(super) struct Decoder<R: Read> {
    sort: DecoderSort<R>,
    out: u64,
}

enum DecoderSort<R: Read> {
    Gzip(Box<flate2::bufread::MultiGzDecoder<BufReader<Counted<R>>>>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<Counted<R>>>),
}

/// Expands what `from` brings.
pub(super) fn decoder<R: Read>(compression: Compression, from: R) -> io::Result<Decoder<R>> {
    let from = BufReader::with_capacity(BUFFER, Counted::new(from));
    let sort = match compression {
        Compression::Gzip => DecoderSort::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(from))),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(from)?;
            decoder.window_log_max(LARGEST_WINDOW)?;
            DecoderSort::Zstd(decoder)
        }
    };
    Ok(Decoder { sort, out: 0 })
}

impl<R: Read> Decoder<R> {
    fn counted(&self) -> &Counted<R> {
        match &self.sort {
            DecoderSort::Gzip(decoder) => decoder.get_ref().get_ref(),
            DecoderSort::Zstd(decoder) => decoder.get_ref().get_ref(),
        }
    }

    fn into_inner(self) -> R {
        match self.sort {
            DecoderSort::Gzip(decoder) => decoder.into_inner().into_inner().into_inner(),
            DecoderSort::Zstd(decoder) => decoder.into_inner().into_inner().into_inner(),
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.sort {
            DecoderSort::Gzip(decoder) => decoder.read(into)?,
            DecoderSort::Zstd(decoder) => decoder.read(into)?,
        };
        self.out += read as u64;
        if spool::is_bomb(self.counted().bytes, self.out) {
            return Err(spool::bomb());
        }
        Ok(read)
    }
}

/// Reads as long as anybody waits for it.
pub(super) struct Watched<'a, R> {
    pub(super) inner: R,
    pub(super) over: Over<'a>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if (self.over)() { Err(over()) } else { self.inner.read(into) }
    }
}

/// Hashes what is read.
struct Hashed<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hasher.update(&into[..read]);
        Ok(read)
    }
}
