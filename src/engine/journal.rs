//! The journal: lines with a sequence number and a keyed checksum, each appended to every copy before it is acted on.
//! It keeps and reads lines; what they mean is `record`'s, what follows from them is `service`'s and `group`'s.

use std::collections::{BTreeMap, BTreeSet};

use ring::hmac;

use crate::clock::Clock;
use crate::failure::{Failure, Kind, Result};
use crate::health::Baseline;

use super::record::{Entry, Event, FORMAT, Record};

/// The longest line, in bytes.
pub const LONGEST_LINE: usize = 4 * 1024;
/// The largest journal, in bytes: it travels as environment variables through two `execve`s.
pub const LARGEST: usize = 512 * 1024;
/// What the events of one service come to after its plan, in bytes: kept free before the first mutation.
const ROOM_FOR_A_SERVICE: usize = 3 * 1024;
/// What evidence may fill beyond that, in bytes, of the whole journal.
const ROOM_FOR_EVIDENCE: usize = 48 * 1024;
/// Keys of journal lines begin with this, in the state file and in the home copy.
pub const PREFIX: &str = "touchdown_";

/// A place that keeps lines.
pub trait Keeper: Send {
    /// Appends one line under a fresh key. The value holds no line break.
    fn keep(&mut self, key: &str, value: &str) -> std::io::Result<()>;
    /// What people call the place: `the state file`.
    fn name(&self) -> &'static str;
}

/// An open journal.
pub struct Journal {
    nonce: String,
    entries: Vec<Entry>,
    keepers: Vec<Box<dyn Keeper>>,
    lost: Vec<String>,
    bytes: usize,
    evidence: usize,
    clock: Clock,
    watcher: Option<Watcher>,
    redactor: Option<Redactor>,
}

/// Takes secrets out of a text.
pub type Redactor = Box<dyn Fn(&str) -> String + Send>;

/// Is told every entry once it is kept.
pub type Watcher = Box<dyn FnMut(&Entry) + Send>;

impl Journal {
    /// A new journal, kept in every one of `keepers`.
    pub fn new(nonce: String, keepers: Vec<Box<dyn Keeper>>, clock: Clock) -> Self {
        Self { nonce, entries: Vec::new(), keepers, lost: Vec::new(), bytes: 0, evidence: 0, clock, watcher: None, redactor: None }
    }

    /// A journal that goes on where `saved` ended.
    pub fn resumed(saved: Saved, keepers: Vec<Box<dyn Keeper>>, clock: Clock) -> Self {
        let bytes = saved.bytes;
        Self { entries: saved.entries, bytes, ..Self::new(saved.nonce, keepers, clock) }
    }

    /// Tells `watcher` every entry from now on.
    #[must_use]
    pub fn watched(mut self, watcher: Watcher) -> Self {
        self.watcher = Some(watcher);
        self
    }

    /// Hands every text that may be foreign to `redactor` before it is kept anywhere.
    #[must_use]
    pub fn redacted(mut self, redactor: Redactor) -> Self {
        self.redactor = Some(redactor);
        self
    }

    /// Every entry so far.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Copies that could not be written, each with its cause; the run goes on while one is left.
    pub fn lost(&self) -> &[String] {
        &self.lost
    }

    /// Appends `record` to every copy. An error means that no copy took it: nothing may be changed after that.
    pub fn append(&mut self, mut record: Record) -> Result<&Entry> {
        if let Some(redactor) = &self.redactor {
            texts(&mut record).into_iter().for_each(|text| *text = redactor(text));
        }
        let seq = u32::try_from(self.entries.len()).map_err(|_| Failure::bug("the journal has too many lines"))?;
        let entry = fit(Entry { seq, at: self.clock.now(), record })?;
        let line = seal(&self.nonce, &entry)?;
        self.keep(seq, &line)?;
        self.bytes += line.len();
        self.entries.push(entry);
        let entry = &self.entries[self.entries.len() - 1];
        if let Some(watcher) = &mut self.watcher {
            watcher(entry);
        }
        Ok(entry)
    }

    /// The last line of a run that another writer goes on with: it stands in its report and in no copy.
    pub fn hand_over(&mut self, record: Record) {
        let seq = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.keepers.clear();
        self.entries.push(Entry { seq, at: self.clock.now(), record });
    }

    /// Appends evidence while there is room for it; without room it is dropped, and the failure stands without it.
    pub fn append_evidence(&mut self, record: Record) -> Result<()> {
        let bytes = serde_json::to_string(&record).map_or(usize::MAX, |json| json.len());
        if self.evidence.saturating_add(bytes) <= ROOM_FOR_EVIDENCE && bytes < LONGEST_LINE - 256 {
            self.evidence += bytes;
            self.append(record)?;
        }
        Ok(())
    }

    /// Refuses, before the first mutation, a run whose journal could outgrow what the runner can carry.
    pub fn room_for(&self, services: usize) -> Result<()> {
        let needed = self.bytes + services * ROOM_FOR_A_SERVICE + ROOM_FOR_EVIDENCE;
        if needed <= LARGEST {
            return Ok(());
        }
        Err(Failure::config(format!("{services} services in one step are more than the journal can hold"))
            .why(format!("it needs about {} KiB of at most {} KiB", needed / 1024, LARGEST / 1024))
            .fix("deploy them in several steps, each with some of the services"))
    }

    fn keep(&mut self, seq: u32, line: &str) -> Result<()> {
        let key = format!("{PREFIX}{}_{seq}", self.nonce);
        let (lost, mut at) = (&mut self.lost, 0);
        while at < self.keepers.len() {
            match self.keepers[at].keep(&key, line) {
                Ok(()) => at += 1,
                Err(error) => lost.push(format!("{}: {error}", self.keepers.remove(at).name())),
            }
        }
        if self.keepers.is_empty() {
            let failure = Failure::new(Kind::Config, "the journal cannot be written anywhere, so nothing is changed");
            return Err(self
                .lost
                .iter()
                .fold(failure, |failure, cause| failure.why(cause.clone()))
                .fix("run the job on a runner whose GITHUB_STATE file or HOME folder reaches the action's container: a runner that is itself a container must share its _temp folder with the Docker host under the same path"));
        }
        Ok(())
    }
}

/// A journal as read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Saved {
    /// Its nonce.
    pub nonce: String,
    /// Its entries, from 0 without a gap, up to the first that is missing or torn in every copy.
    pub entries: Vec<Entry>,
    /// Its size in bytes.
    pub bytes: usize,
}

/// The nonces under which `lines` hold anything, torn or whole.
pub fn nonces(lines: &[(String, String)]) -> BTreeSet<String> {
    lines.iter().filter_map(|(key, _)| Some(key.strip_prefix(PREFIX)?.rsplit_once('_')?.0.to_owned())).collect()
}

/// Reads every journal found in `lines` (key and value, of all copies together), by nonce.
/// Lines that are torn, forged or of another format are not taken; a journal without its first line is none.
pub fn read(lines: &[(String, String)]) -> Vec<Saved> {
    let mut found: BTreeMap<&str, BTreeMap<u32, (Entry, usize)>> = BTreeMap::new();
    for (key, line) in lines {
        let Some((nonce, seq)) = key.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once('_')) else { continue };
        let Some(entry) = unseal(nonce, line).filter(|entry| seq.parse() == Ok(entry.seq)) else { continue };
        found.entry(nonce).or_default().insert(entry.seq, (entry, line.len()));
    }
    found.into_iter().filter_map(|(nonce, entries)| saved(nonce, entries)).collect()
}

fn saved(nonce: &str, entries: BTreeMap<u32, (Entry, usize)>) -> Option<Saved> {
    let whole = entries.into_values().zip(0u32..).take_while(|((entry, _), seq)| entry.seq == *seq);
    let (entries, sizes): (Vec<_>, Vec<_>) = whole.map(|(entry, _)| entry).unzip();
    let opened = entries.first().is_some_and(|entry| matches!(&entry.record, Record::Opened(opening) if opening.format == FORMAT));
    opened.then(|| Saved { nonce: nonce.to_owned(), entries, bytes: sizes.iter().sum() })
}

/// `checksum json`. The nonce is the key: a line that somebody printed cannot have it.
fn seal(nonce: &str, entry: &Entry) -> Result<String> {
    let json = serde_json::to_string(entry).map_err(|error| Failure::bug("a journal entry cannot be written").why(error.to_string()))?;
    Ok(format!("{} {json}", checksum(nonce, &json)))
}

fn unseal(nonce: &str, line: &str) -> Option<Entry> {
    let (sum, json) = line.split_once(' ').filter(|_| line.len() <= LONGEST_LINE)?;
    (sum == checksum(nonce, json)).then(|| serde_json::from_str(json).ok()).flatten()
}

fn checksum(nonce: &str, json: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, nonce.as_bytes()), json.as_bytes());
    tag.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is only for people in a record, and may be foreign.
fn texts(record: &mut Record) -> Vec<&mut String> {
    match record {
        Record::Noted { note, .. } => vec![note],
        Record::Service { event, .. } => match event {
            Event::Failed { failure } => failure.texts().collect(),
            Event::RollbackFailed { failure, by_hand } => failure.texts().chain(by_hand).collect(),
            Event::Kept { why, by_hand } => [why].into_iter().chain(by_hand).collect(),
            Event::Superseded { by } => vec![by],
            Event::Evidence { evidence } => evidence.texts().collect(),
            Event::Verified { proof, .. } | Event::RolledBack { proof, .. } => proof.iter_mut().collect(),
            Event::Settled { arrival } => arrival.facts.iter_mut().chain(&mut arrival.notes).collect(),
            Event::Prepared { prepared } => prepared.changes.iter_mut().collect(),
            Event::Captured { captured, baseline: Baseline::Unhealthy { how } } => captured.notes.iter_mut().chain([how]).collect(),
            Event::Captured { captured, .. } => captured.notes.iter_mut().collect(),
            Event::JobEnded { tail, .. } => tail.iter_mut().collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Shortens what is only for people until the entry fits a line.
fn fit(mut entry: Entry) -> Result<Entry> {
    for limit in [LONGEST_LINE, 2048, 1024, 512, 256] {
        let size = serde_json::to_string(&entry).map_or(usize::MAX, |json| json.len());
        if size + 32 <= LONGEST_LINE {
            return Ok(entry);
        }
        shorten(&mut entry.record, limit);
    }
    Err(Failure::bug(format!("a journal entry is longer than {LONGEST_LINE} bytes")).why(kind_of(&entry.record)))
}

fn shorten(record: &mut Record, limit: usize) {
    let lines: &mut Vec<String> = match record {
        Record::Noted { note, .. } => return crate::failure::cut(note, limit),
        Record::Service { event, .. } => match event {
            Event::Failed { failure } | Event::RollbackFailed { failure, .. } => {
                *failure = failure.clone().cut_to(limit);
                return;
            }
            Event::Verified { proof, .. } | Event::RolledBack { proof, .. } => proof,
            Event::Settled { arrival } => {
                arrival.notes.truncate(4);
                &mut arrival.facts
            }
            Event::Prepared { prepared } => &mut prepared.changes,
            Event::Captured { captured, .. } => &mut captured.notes,
            Event::JobEnded { tail, .. } => tail,
            Event::Evidence { evidence } => &mut evidence.lines,
            _ => return,
        },
        _ => return,
    };
    lines.truncate((limit / 128).max(1));
    lines.iter_mut().for_each(|line| crate::failure::cut(line, limit / 4));
}

fn kind_of(record: &Record) -> String {
    let json = serde_json::to_value(record).unwrap_or_default();
    json.as_object().and_then(|object| object.keys().next().cloned()).unwrap_or_else(|| "unit record".to_owned())
}
