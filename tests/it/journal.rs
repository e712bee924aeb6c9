//! The journal: torn, forged and missing lines, limits, and what a lost copy does.

use std::sync::{Arc, Mutex};

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use touchdown::clock::Clock;
use touchdown::engine::journal::{Journal, Keeper, LONGEST_LINE, Saved, read};
use touchdown::engine::record::{Event, FORMAT, GroupPlan, MemberPlan, OnTrouble, Opening, Origin, Record};
use touchdown::failure::{Failure, Kind};
use touchdown::values::{RunId, ServiceName};

pub type Lines = Arc<Mutex<Vec<(String, String)>>>;

#[derive(Clone, Default)]
pub struct Memory(pub Lines);

impl Keeper for Memory {
    fn keep(&mut self, key: &str, value: &str) -> std::io::Result<()> {
        self.0.lock().unwrap().push((key.to_owned(), value.to_owned()));
        Ok(())
    }
    fn name(&self) -> &'static str {
        "memory"
    }
}

impl Memory {
    pub fn saved(&self) -> Saved {
        read(&self.0.lock().unwrap()).remove(0)
    }
}

struct Broken;

impl Keeper for Broken {
    fn keep(&mut self, _: &str, _: &str) -> std::io::Result<()> {
        Err(std::io::Error::other("read-only file system"))
    }
    fn name(&self) -> &'static str {
        "the state file"
    }
}

fn opening() -> Record {
    Record::Opened(Opening {
        format: FORMAT,
        run: RunId { id: "7".into(), attempt: 1 },
        mode: "deploy".into(),
        step: String::new(),
        origin: Origin::default(),
        groups: vec![GroupPlan {
            members: vec![MemberPlan { service: ServiceName("web".into()), after: Vec::new() }],
            on_failure: OnTrouble::Rollback,
            on_cancel: OnTrouble::Rollback,
        }],
        skipped: Vec::new(),
        auth: serde_json::Value::Null,
        container: None,
    })
}

fn happened(event: Event) -> Record {
    Record::Service { name: ServiceName("web".into()), event }
}

fn written(records: Vec<Record>) -> (Lines, Vec<Record>) {
    let lines = Lines::default();
    let mut journal = Journal::new("n0nce".into(), vec![Box::new(Memory(lines.clone()))], Clock::real());
    records.into_iter().for_each(|record| {
        journal.append(record).unwrap();
    });
    let kept = journal.entries().iter().map(|entry| entry.record.clone()).collect();
    (lines, kept)
}

#[test]
fn what_was_written_is_read_back_whatever_the_order_of_the_lines() {
    let (lines, records) = written(vec![opening(), happened(Event::ApplyStarted), happened(Event::Applied)]);
    let mut lines = lines.lock().unwrap().clone();
    lines.reverse();
    let saved = read(&lines);
    assert_eq!(saved.len(), 1);
    assert_eq!(saved[0].nonce, "n0nce");
    assert_eq!(saved[0].entries.iter().map(|entry| entry.record.clone()).collect::<Vec<_>>(), records);
}

#[test]
fn a_line_torn_in_one_copy_is_taken_from_the_other() {
    let (lines, records) = written(vec![opening(), happened(Event::ApplyStarted)]);
    let whole = lines.lock().unwrap().clone();
    let mut torn = whole.clone();
    torn[1].1.truncate(30);
    assert_eq!(read(&torn)[0].entries.len(), 1);
    assert_eq!(read(&[torn, whole].concat())[0].entries.len(), records.len());
}

#[test]
fn nothing_after_a_missing_line_is_believed() {
    let (lines, _) = written(vec![opening(), happened(Event::ApplyStarted), happened(Event::Applied)]);
    let mut lines = lines.lock().unwrap().clone();
    lines.remove(1);
    assert_eq!(read(&lines)[0].entries.len(), 1);
}

#[test]
fn a_line_forged_without_the_nonce_is_not_taken() {
    let (lines, _) = written(vec![opening()]);
    let mut lines = lines.lock().unwrap().clone();
    let (_, genuine) = lines[0].clone();
    let forged = genuine.replace("\"deploy\"", "\"rollback\"");
    lines.push(("touchdown_n0nce_1".into(), forged.clone()));
    lines.push(("touchdown_other_0".into(), genuine));
    let saved = read(&lines);
    assert_eq!(saved.len(), 1, "a line under another nonce has another checksum");
    assert_eq!(saved[0].entries.len(), 1);
    lines[0].1 = forged;
    assert!(read(&lines).is_empty());
}

#[test]
fn one_lost_copy_is_survived_and_both_lost_refuse() {
    let lines = Lines::default();
    let mut journal = Journal::new("n".into(), vec![Box::new(Broken), Box::new(Memory(lines.clone()))], Clock::real());
    journal.append(opening()).unwrap();
    assert_eq!(journal.lost(), ["the state file: read-only file system"]);
    assert_eq!(lines.lock().unwrap().len(), 1);

    let mut journal = Journal::new("n".into(), vec![Box::new(Broken)], Clock::real());
    let failure = journal.append(opening()).unwrap_err();
    assert_eq!(failure.kind, Kind::Config);
    assert!(failure.to_string().contains("the state file: read-only file system"), "{failure}");
    assert!(failure.fix[0].contains("_temp"), "the cause is named: {failure}");
}

#[test]
fn a_long_failure_is_shortened_to_one_line_and_keeps_its_sentence() {
    let failure =
        Failure::new(Kind::Unhealthy, "web crashed").why("x".repeat(9000)).fix("y".repeat(9000)).evidence("log", vec!["z".repeat(9000)]);
    let (lines, records) = written(vec![opening(), happened(Event::Failed { failure })]);
    assert!(lines.lock().unwrap().iter().all(|(_, line)| line.len() <= LONGEST_LINE));
    let Record::Service { event: Event::Failed { failure }, .. } = &records[1] else { panic!("{records:?}") };
    assert_eq!(failure.what, "web crashed");
    assert!(failure.why[0].starts_with("xxx"));
}

#[test]
fn more_services_than_the_journal_holds_are_refused_before_anything_is_changed() {
    let journal = Journal::new("n".into(), Vec::new(), Clock::real());
    assert!(journal.room_for(100).is_ok());
    let failure = journal.room_for(200).unwrap_err();
    assert_eq!(failure.kind, Kind::Config);
}

fn bytes() -> impl Strategy<Value = String> {
    any::<Vec<u8>>().prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

proptest! {
    #[test]
    fn arbitrary_lines_never_panic_and_never_make_a_journal(key in bytes(), value in bytes(), seq in any::<u32>()) {
        prop_assert!(read(&[(key, value.clone())]).is_empty());
        let key = format!("touchdown_n_{seq}");
        prop_assert!(read(&[(key, value)]).is_empty());
    }

    #[test]
    fn every_cut_of_a_journal_is_a_prefix_of_it(at in 0usize..5, cut in 0usize..200) {
        let events = [Event::ApplyStarted, Event::Applied, Event::UndoStarted, Event::UndoneAlready];
        let (lines, records) = written([opening()].into_iter().chain(events.map(happened)).collect());
        let mut lines = lines.lock().unwrap().clone();
        lines.truncate(at + 1);
        let size = lines[at].1.len();
        let mut end = size.saturating_sub(cut + 1);
        while !lines[at].1.is_char_boundary(end) { end -= 1; }
        lines[at].1.truncate(end);
        let kept: Vec<_> = read(&lines).into_iter().flat_map(|saved| saved.entries).map(|entry| entry.record).collect();
        prop_assert_eq!(kept, records[..at].to_vec());
    }
}
