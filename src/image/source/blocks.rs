//! Compresses one stream on several cores: block by block, put together in order, so that the bytes depend on the content alone and never on
//! how many cores there were. gzip comes out as one member (some readers stop after the first), zstd as a frame for each block.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use flate2::{Compress, Crc, FlushCompress, Status};

use crate::failure::Result;
use crate::image::hashing::Hasher;
use crate::values::Digest;

use super::Compression;

/// What is compressed at once. Changing it, or a level, changes every digest.
const BLOCK: usize = 512 * 1024;
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 2;
/// The most cores at work: each needs memory of its own.
pub(super) const MOST_CORES: usize = 4;
/// Of a gzip member: deflate, no time, no name, an unknown system.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// An empty last block of deflate.
const DEFLATE_END: [u8; 2] = [3, 0];

/// What became of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Squeezed {
    /// Of what went in.
    pub(super) plain: Digest,
    /// Of what came out.
    pub(super) digest: Digest,
    /// Bytes that came out.
    pub(super) size: u64,
}

/// Why a stream was not compressed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It could not be read.
    Reading(io::Error),
    /// It could not be written, or compressed.
    Writing(io::Error),
}

/// Reads `from` to its end and writes it compressed into `into`, with `cores` at work.
pub(super) fn squeeze(from: &mut dyn Read, into: &File, compression: Compression, cores: usize) -> Result<Squeezed, Trouble> {
    let mut hasher = Hasher::new();
    let first = block(Vec::new(), from, &mut hasher)?;
    let mut output = Output::new(into, compression).map_err(Trouble::Writing)?;
    if first.len() < BLOCK {
        let mut worker = Worker::new(compression).map_err(Trouble::Writing)?;
        worker.compress(&first).and_then(|block| output.take(&block)).map_err(Trouble::Writing)?;
    } else {
        output = side_by_side(first, from, &mut hasher, output, cores.clamp(1, MOST_CORES))?;
    }
    let told = |hasher: Hasher| hasher.finish().map_err(|failure| Trouble::Writing(io::Error::other(failure)));
    let (digest, size) = output.finish().map_err(Trouble::Writing)?;
    Ok(Squeezed { plain: told(hasher)?, digest: told(digest)?, size })
}

/// Block after block goes to the next worker, and comes back from it in the same order.
fn side_by_side<'a>(
    first: Vec<u8>,
    from: &mut dyn Read,
    hasher: &mut Hasher,
    mut output: Output<'a>,
    cores: usize,
) -> Result<Output<'a>, Trouble> {
    thread::scope(|scope| {
        let (mut doors, mut exits) = (Vec::new(), Vec::new());
        let (spent, spare) = channel();
        for _ in 0..cores {
            let (door, work) = sync_channel(1);
            let (done, exit) = sync_channel(1);
            let (compression, spent) = (output.compression, spent.clone());
            scope.spawn(move || work_through(&work, &done, &spent, compression));
            doors.push(door);
            exits.push(exit);
        }
        let writer = scope.spawn(move || collect(&exits, &mut output).map(|()| output));
        let fed = feed(first, &spare, &mut |buffer| block(buffer, from, hasher), &doors);
        drop(doors);
        let written = writer.join().unwrap_or_else(|_| Err(io::Error::other("a thread ended too early")));
        fed?;
        written.map_err(Trouble::Writing)
    })
}

/// Gives block after block to the workers; what they have read through is filled again.
fn feed(
    first: Vec<u8>,
    spare: &Receiver<Vec<u8>>,
    next: &mut dyn FnMut(Vec<u8>) -> Result<Vec<u8>, Trouble>,
    doors: &[SyncSender<Vec<u8>>],
) -> Result<(), Trouble> {
    let mut block = first;
    for door in doors.iter().cycle() {
        // A worker that is gone has met trouble, which the writer tells.
        if block.is_empty() || door.send(block).is_err() {
            break;
        }
        block = next(spare.try_recv().unwrap_or_default())?;
    }
    Ok(())
}

fn work_through(work: &Receiver<Vec<u8>>, done: &SyncSender<io::Result<Squeeze>>, spent: &Sender<Vec<u8>>, compression: Compression) {
    let mut worker = match Worker::new(compression) {
        Ok(worker) => worker,
        Err(error) => return drop(done.send(Err(error))),
    };
    while let Ok(block) = work.recv() {
        if done.send(worker.compress(&block)).is_err() {
            return;
        }
        // Nobody reads on once all is fed.
        let _ = spent.send(block);
    }
}

fn collect(exits: &[Receiver<io::Result<Squeeze>>], output: &mut Output) -> io::Result<()> {
    for exit in exits.iter().cycle() {
        match exit.recv() {
            Ok(block) => output.take(&block?)?,
            Err(_) => break,
        }
    }
    Ok(())
}

/// The next block, whole but for the last one, in a buffer that may have been used.
fn block(mut block: Vec<u8>, from: &mut dyn Read, hasher: &mut Hasher) -> Result<Vec<u8>, Trouble> {
    block.resize(BLOCK, 0);
    let mut have = 0;
    while have < BLOCK {
        match from.read(&mut block[have..]) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Trouble::Reading(error)),
        }
    }
    block.truncate(have);
    hasher.update(&block);
    Ok(block)
}

/// A block, compressed.
struct Squeeze {
    bytes: Vec<u8>,
    /// Of the plain bytes; only for gzip.
    crc: Crc,
}

enum Worker {
    Gzip(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Worker {
    fn new(compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::Gzip => Self::Gzip(Compress::new(flate2::Compression::new(GZIP_LEVEL), false)),
            Compression::Zstd => Self::Zstd(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
        })
    }

    fn compress(&mut self, block: &[u8]) -> io::Result<Squeeze> {
        let mut crc = Crc::new();
        let bytes = match self {
            Self::Zstd(context) => context.compress(block)?,
            Self::Gzip(context) => {
                crc.update(block);
                deflate(context, block)?
            }
        };
        Ok(Squeeze { bytes, crc })
    }
}

/// A block of deflate that needs nothing before it, to the next whole byte.
fn deflate(context: &mut Compress, block: &[u8]) -> io::Result<Vec<u8>> {
    context.reset();
    let mut bytes = Vec::with_capacity(block.len() / 2 + 1024);
    loop {
        let taken = usize::try_from(context.total_in()).unwrap_or(usize::MAX);
        let status = context.compress_vec(block.get(taken..).unwrap_or_default(), &mut bytes, FlushCompress::Sync);
        if status.map_err(io::Error::other)? == Status::StreamEnd {
            return Err(io::Error::other("deflate ended too early"));
        }
        // It is done when it has left room.
        if bytes.len() < bytes.capacity() && context.total_in() == block.len() as u64 {
            return Ok(bytes);
        }
        bytes.reserve(block.len() / 4 + 1024);
    }
}

/// The compressed stream: written, counted and hashed as it comes.
struct Output<'a> {
    file: &'a File,
    compression: Compression,
    hasher: Hasher,
    size: u64,
    crc: Crc,
}

impl<'a> Output<'a> {
    fn new(file: &'a File, compression: Compression) -> io::Result<Self> {
        let mut output = Self { file, compression, hasher: Hasher::new(), size: 0, crc: Crc::new() };
        if compression == Compression::Gzip {
            output.write(&GZIP_HEADER)?;
        }
        Ok(output)
    }

    fn take(&mut self, block: &Squeeze) -> io::Result<()> {
        self.crc.combine(&block.crc);
        self.write(&block.bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn finish(mut self) -> io::Result<(Hasher, u64)> {
        if self.compression == Compression::Gzip {
            self.write(&DEFLATE_END)?;
            self.write(&self.crc.sum().to_le_bytes())?;
            self.write(&self.crc.amount().to_le_bytes())?;
        }
        Ok((self.hasher, self.size))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom};

    use proptest::prelude::*;

    use super::*;
    use crate::image::hashing::digest_of;

    /// Text that compresses, of any length.
    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * index / 7 + index / 1000) as u8).collect()
    }

    fn squeezed(plain: &[u8], compression: Compression, cores: usize) -> (Squeezed, Vec<u8>) {
        let mut file = tempfile::tempfile().unwrap();
        let squeezed = squeeze(&mut &plain[..], &file, compression, cores).unwrap();
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        (squeezed, bytes)
    }

    fn expanded(bytes: &[u8], compression: Compression) -> Vec<u8> {
        let mut plain = Vec::new();
        match compression {
            // The decoder that stops after the first member.
            Compression::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap(),
            Compression::Zstd => zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut plain).unwrap(),
        };
        plain
    }

    #[test]
    fn what_comes_out_expands_to_what_went_in_and_depends_on_nothing_else() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 7 * BLOCK + 3] {
                let plain = text(length);
                let (told, bytes) = squeezed(&plain, compression, 1);
                assert_eq!(
                    (&told.plain, &told.digest, told.size),
                    (&digest_of(&plain).unwrap(), &digest_of(&bytes).unwrap(), bytes.len() as u64)
                );
                assert!(expanded(&bytes, compression) == plain, "{compression:?} {length}");
                for cores in [2, 3, 4, 100] {
                    assert_eq!(squeezed(&plain, compression, cores).0, told, "{compression:?} {length} on {cores}");
                }
            }
        }
    }

    #[test]
    fn the_bytes_are_the_same_in_every_build() {
        let told = |compression| squeezed(&text(3 * BLOCK + 1), compression, 2).0.digest;
        assert_eq!(told(Compression::Gzip).short(), "b24a1b7fa97e");
        assert_eq!(told(Compression::Zstd).short(), "0b7c5d0c01a3");
    }

    #[test]
    fn what_cannot_be_read_or_written_ends_it() {
        struct Ends(usize);
        impl Read for Ends {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let read = self.0.min(into.len());
                self.0 -= read;
                if read == 0 { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(read) }
            }
        }
        for length in [0, 10 * BLOCK] {
            let file = tempfile::tempfile().unwrap();
            let told = squeeze(&mut Ends(length), &file, Compression::Zstd, 2);
            assert!(matches!(told, Err(Trouble::Reading(error)) if error.kind() == io::ErrorKind::ConnectionReset));
            let only_read = File::open("/dev/null").unwrap();
            let told = squeeze(&mut &text(length)[..], &only_read, Compression::Gzip, 2);
            assert!(matches!(told, Err(Trouble::Writing(_))));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_bytes_come_back(plain in proptest::collection::vec(any::<u8>(), 0..3000), times in 1usize..700) {
            let plain = plain.repeat(times);
            for compression in [Compression::Gzip, Compression::Zstd] {
                let (_, bytes) = squeezed(&plain, compression, 2);
                prop_assert!(expanded(&bytes, compression) == plain);
            }
        }
    }
}
