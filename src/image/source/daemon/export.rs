//! The legacy store: the engine's export as a stream, from which each layer that the destination lacks is packed as it comes by, and the rest is let go.
//! Nothing of the export lies on the disk; what is packed lies in files without names until it is sent.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Receiver, UnboundedSender, channel};

use crate::failure::{Failure, Kind, Result};
use crate::http::docker::Following;
use crate::http::{Intent, NoAnswer};
use crate::image::configuration::{self, Configuration};
use crate::image::content::{Body, Content, Descriptor, Part};
use crate::image::hashing::digest_of;
use crate::values::Digest;

use super::super::assembly::{Assembly, Out, Ready};
use super::super::pack;
use super::super::tape::{Entry, Flow, Sort, Tape, unread};
use super::recognition::Chains;
use super::{Daemon, Inspected, Packing, encoded, refused};

/// The longest description of a layer.
const LONGEST_JSON: u64 = 1 << 20;
/// Pieces of an export that may have come before they are read.
const AHEAD: usize = 16;

/// An image of the legacy store.
pub struct Export {
    inside: Arc<Inside>,
    ready: Ready,
}

struct Inside {
    daemon: Daemon,
    image: Inspected,
    packing: Packing,
}

impl Export {
    pub(super) fn new(daemon: Daemon, image: Inspected, packing: Packing) -> Self {
        Self { inside: Arc::new(Inside { daemon, image, packing }), ready: Ready::default() }
    }

    pub(super) fn image(&self) -> &Inspected {
        &self.inside.image
    }
}

impl Content for Export {
    fn parts(&self) -> BoxStream<'_, Result<Part>> {
        let mut parts = Vec::new();
        match self.inside.named_only(self.ready.clone(), &mut parts) {
            Ok(true) => return stream::iter(parts.into_iter().map(Ok)).boxed(),
            Ok(false) => {}
            Err(failure) => return stream::iter([Err(failure)]).boxed(),
        }
        let (inside, ready) = (self.inside.clone(), self.ready.clone());
        let (out, parts) = mpsc::unbounded_channel();
        let handle = Handle::current();
        tokio::task::spawn_blocking(move || {
            if let Err(failure) = inside.export(ready, &out, &handle) {
                drop(out.send(Err(failure.why(format!("in the export of {}", inside.daemon.kept)))));
            }
        });
        stream::unfold(parts, |mut parts| async { parts.recv().await.map(|part| (part, parts)) }).boxed()
    }

    fn open(&self, blob: &Descriptor) -> BoxFuture<'_, Result<Body>> {
        let opened = self.ready.open(blob);
        async move { opened }.boxed()
    }

    fn unchanged(&self) -> BoxFuture<'_, Result<()>> {
        self.inside.daemon.still_means(&self.inside.image.id).boxed()
    }

    fn lies_at(&self) -> Option<&str> {
        None
    }
}

impl Daemon {
    /// Fails when the name means another image by now.
    pub(super) async fn still_means(&self, id: &Digest) -> Result<()> {
        let now = self.inspect(&self.kept.to_string(), None).await?.map(|image| image.id);
        if now.as_ref() == Some(id) {
            return Ok(());
        }
        let now = now.map_or_else(|| "nothing".to_owned(), |now| now.to_string());
        Err(Failure::new(Kind::Conflict, format!("{} has moved in the Docker daemon while it was copied", self.kept))
            .why(format!("it meant {id} and means {now} now"))
            .fix("let no other step build under this name meanwhile, and run it again"))
    }
}

impl Inside {
    /// Whether nothing need be exported, because the destination has everything already; then it is all in `parts`.
    fn named_only(&self, ready: Ready, parts: &mut Vec<Part>) -> Result<bool> {
        let Some(known) = self.packing.known.get(&self.image.id) else { return Ok(false) };
        let layers = self.image.layers();
        let assembly = Assembly::new(layers, &self.packing, ready, Out::Kept(parts));
        if layers.is_empty() || layers.iter().any(|plain| assembly.lacks(plain)) {
            return Ok(false);
        }
        assembly.finish_known(known, layers).map(|()| true)
    }

    /// Exports, and once more from the beginning where the wire broke: what came whole is not packed again. Blocks.
    fn export(&self, ready: Ready, out: &UnboundedSender<Result<Part>>, handle: &Handle) -> Result<()> {
        let mut taking = Taking {
            chains: Chains::of(self.image.layers())?,
            assembly: Assembly::new(self.image.layers(), &self.packing, ready, Out::Sent(out)),
            configuration: None,
            inside: self,
            folder: None,
        };
        let mut tried = 0;
        loop {
            tried += 1;
            match self.once(&mut taking, handle) {
                Ok(()) => return taking.finish(),
                Err(failure) if failure.kind != Kind::Transient || out.is_closed() => return Err(failure),
                Err(failure) if !handle.block_on(self.daemon.engine.pause(tried)) => return Err(failure),
                Err(failure) => tracing::info!(why = failure.what, "the export is tried again"),
            }
        }
    }

    fn once(&self, taking: &mut Taking, handle: &Handle) -> Result<()> {
        let path = format!("/images/{}/get", encoded(self.image.id.as_str()));
        let following = handle.block_on(self.daemon.engine.follow(http::Request::get(path), Intent::Read));
        let following = following.map_err(|cause| self.daemon.unreached(cause))?;
        if following.status != 200 {
            return Err(refused(&handle.block_on(following.whole()).map_err(|cause| self.daemon.unreached(cause))?));
        }
        let mut tape = Tape::new(Flow(Pull::of(following, handle)));
        while let Some(entry) = tape.next()? {
            if taking.assembly.is_over() {
                return Ok(());
            }
            if entry.sort == Sort::File {
                taking.take(&entry, &mut tape)?;
            }
        }
        Ok(())
    }
}

/// What was taken from an export so far.
struct Taking<'a> {
    inside: &'a Inside,
    chains: Chains,
    assembly: Assembly<'a>,
    configuration: Option<Bytes>,
    /// The folder whose description was read last, and the layer that lies in it.
    folder: Option<(String, Option<Digest>)>,
}

impl Taking<'_> {
    fn take(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let (folder, name) = entry.name.rsplit_once('/').unwrap_or(("", &entry.name));
        match (folder, name) {
            // From engine 25 on: configuration and layers by their digests, beside much else.
            ("blobs/sha256", hex) => match Digest::parse(&format!("sha256:{hex}")) {
                Ok(digest) if digest == self.inside.image.id => self.take_configuration(entry, content),
                Ok(digest) if self.inside.image.layers().contains(&digest) => self.take_layer(Some(&digest), content),
                _ => Ok(()),
            },
            ("", name) if name.strip_suffix(".json").is_some_and(|hex| self.inside.image.id.as_str().ends_with(hex) && hex.len() == 64) => {
                self.take_configuration(entry, content)
            }
            (folder, "json") if entry.size <= LONGEST_JSON => {
                let mut json = Vec::new();
                content.read_to_end(&mut json).map_err(|error| unread(&error))?;
                self.folder = Some((folder.to_owned(), self.chains.recognise(folder, &json)));
                Ok(())
            }
            (folder, "layer.tar") => {
                let recognised = self.folder.take().filter(|(own, _)| own == folder).and_then(|(_, plain)| plain);
                self.take_layer(recognised.as_ref(), content)
            }
            _ => Ok(()),
        }
    }

    fn take_configuration(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        if entry.size > configuration::LARGEST as u64 {
            return Err(Failure::config(format!("the image's configuration has {} bytes", entry.size)));
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|error| unread(&error))?;
        if digest_of(&bytes)? == self.inside.image.id {
            self.configuration = Some(bytes.into());
        }
        Ok(())
    }

    /// Packs a layer unless it is there already. One that is not recognised is known when it has come.
    fn take_layer(&mut self, told: Option<&Digest>, content: &mut dyn Read) -> Result<()> {
        if told.is_some_and(|plain| !self.assembly.lacks(plain)) {
            return Ok(());
        }
        let packed = pack::layer(content, &self.inside.packing, &|| self.assembly.is_over())?;
        if told.is_some_and(|told| *told != packed.plain) || !self.inside.image.layers().contains(&packed.plain) {
            return Err(Failure::config("the Docker daemon exports a layer that is not what it is called").why(packed.plain.to_string()));
        }
        if self.assembly.lacks(&packed.plain) {
            self.assembly.take(packed);
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        if self.assembly.is_over() {
            return Ok(());
        }
        let lacking = || Failure::config("the image is not whole").why("its configuration did not come");
        let bytes = self.configuration.ok_or_else(lacking)?;
        let configuration = Configuration::read(&bytes)?;
        self.assembly.finish(bytes, &configuration)
    }
}

/// The engine's answer, for who reads and waits; it comes ahead of the reader, in the small pieces engines write.
struct Pull {
    coming: Receiver<Result<Bytes, NoAnswer>>,
    have: Bytes,
}

impl Pull {
    fn of(mut following: Following, handle: &Handle) -> Self {
        let (out, coming) = channel(AHEAD);
        handle.spawn(async move {
            while let Some(piece) = following.next().await.transpose() {
                let last = piece.is_err();
                if out.send(piece).await.is_err() || last {
                    break;
                }
            }
        });
        Self { coming, have: Bytes::new() }
    }
}

impl Read for Pull {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.have.is_empty() {
            let lost = |cause: NoAnswer| io::Error::other(cause.into_failure("the Docker daemon's export broke off"));
            self.have = self.coming.blocking_recv().transpose().map_err(lost)?.unwrap_or_default();
        }
        let read = self.have.len().min(into.len());
        into[..read].copy_from_slice(&self.have[..read]);
        self.have.advance(read);
        Ok(read)
    }
}
