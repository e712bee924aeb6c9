//! The one loop that acts: append; start a step for each idle service; take the next finished step; append its events;
//! fold; tell the idle services their group's verdict. It owns all state. A verdict never reaches a service whose step is in flight.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tracing::Instrument;
use tracing::instrument::WithSubscriber;

use crate::clock::Clock;
use crate::failure::{Failure, Kind, Result};
use crate::http::Http;
use crate::runner::signals::Stop;
use crate::target::{Before, UndoCost};
use crate::values::ServiceName;

use super::activity::Activity;
use super::back;
use super::forward::{Ended, Tools};
use super::group::{self, Circumstances, Services, Verdict, Wanted};
use super::journal::Journal;
use super::member::Member;
use super::pace::Pace;
use super::record::{Entry, Event, GroupPlan, JobRollback, Record};
use super::service::{Back, Need, Phase, Service};
use super::state;

/// How long a step in flight may go on after a signal before the run leaves it to the post step.
const IN_FLIGHT_AFTER_SIGNAL: Duration = Duration::from_secs(3);
/// How long the run lives after a signal, in all; real time, for the runner's ladder is.
const LIFE_AFTER_SIGNAL: Duration = Duration::from_millis(5500);

/// Who drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// The step itself: forward, and back where it fails.
    Main,
    /// The post step: back what main began, or finish what it committed.
    Post,
}

/// What a run is given.
pub struct Given {
    /// Who drives.
    pub driver: Driver,
    /// The services.
    pub members: Vec<Member>,
    /// The client; its fence is main's.
    pub http: Http,
    /// The clock.
    pub clock: Clock,
    /// Signals.
    pub stop: Stop,
}

/// Drives every group to its end and writes everything into `journal`. An error is a journal that cannot be written any more.
pub async fn drive(given: Given, journal: Journal) -> (Journal, Result<()>) {
    let mut run = Run::new(given, journal);
    let ended = run.until_ended().await;
    (run.journal, ended)
}

struct Run {
    driver: Driver,
    members: BTreeMap<ServiceName, Arc<Member>>,
    plans: Vec<GroupPlan>,
    wanted: Wanted,
    services: Services,
    committed: BTreeSet<usize>,
    finished: BTreeSet<usize>,
    rechecked: BTreeSet<ServiceName>,
    journal: Journal,
    steps: JoinSet<Ended>,
    in_flight: HashMap<tokio::task::Id, (ServiceName, Activity)>,
    /// Services whose mark says by now that this run is done.
    tidied: BTreeSet<ServiceName>,
    http: Http,
    clock: Clock,
    /// Ends the waits on the way forward, one for each group: it is not committed any more.
    halts: Vec<watch::Sender<bool>>,
    /// Ends every other wait: a signal came.
    halt: watch::Sender<bool>,
    /// Cuts the pauses of those who wait for their group short: one is about to commit.
    hurry: watch::Sender<bool>,
    stop: Stop,
    interrupted: bool,
}

impl Run {
    fn new(given: Given, journal: Journal) -> Self {
        let wanted: Wanted = given.members.iter().map(|member| (member.name.clone(), member.wants())).collect();
        let folded = state::fold(journal.entries());
        Self {
            driver: given.driver,
            members: given.members.into_iter().map(|member| (member.name.clone(), Arc::new(member))).collect(),
            halts: folded.plans.iter().map(|_| watch::Sender::new(false)).collect(),
            plans: folded.plans,
            wanted,
            services: folded.services,
            committed: folded.committed,
            finished: folded.finished,
            rechecked: BTreeSet::new(),
            journal,
            steps: JoinSet::new(),
            in_flight: HashMap::new(),
            tidied: BTreeSet::new(),
            http: given.http,
            clock: given.clock,
            halt: watch::Sender::new(false),
            hurry: watch::Sender::new(false),
            stop: given.stop,
            interrupted: false,
        }
    }

    async fn until_ended(&mut self) -> Result<()> {
        loop {
            if self.http.fenced() {
                self.give_way();
                return Ok(());
            }
            self.advance_groups()?;
            self.start_steps()?;
            if self.steps.is_empty() {
                return Ok(());
            }
            let stop = self.stop.clone();
            tokio::select! {
                // A step that ends in the same instant must not begin the next one.
                biased;
                () = stop.requested(), if !self.interrupted => {
                    let by = stop.by();
                    tracing::warn!("{by}: nothing new starts");
                    self.interrupt(by)?;
                    return self.leave().await;
                }
                ended = self.steps.join_next_with_id() => if !self.http.fenced() {
                    self.take(ended)?;
                },
            }
        }
    }

    /// The post step has taken over: it goes on with the journal, so nothing more is written into it, least of all a commit.
    fn give_way(&mut self) {
        tracing::warn!("the post step has taken over: this run ends here");
        self.interrupted = true;
        self.journal.hand_over(Record::Interrupted { by: "the post step has taken over".to_owned() });
        self.steps.detach_all();
    }

    /// After a signal: waits for what is in flight, sends the undos that are one call, and goes.
    async fn leave(&mut self) -> Result<()> {
        let began = std::time::Instant::now();
        let mut patience = IN_FLIGHT_AFTER_SIGNAL;
        loop {
            self.advance_groups()?;
            self.start_steps()?;
            let left = patience.saturating_sub(began.elapsed());
            if self.steps.is_empty() || left.is_zero() {
                break;
            }
            if let Ok(ended) = tokio::time::timeout(left, self.steps.join_next_with_id()).await {
                self.take(ended)?;
                patience = LIFE_AFTER_SIGNAL;
            }
        }
        self.steps.detach_all();
        Ok(())
    }

    fn interrupt(&mut self, by: String) -> Result<()> {
        self.interrupted = true;
        self.append(Record::Interrupted { by })?;
        self.halts.iter().chain([&self.halt]).for_each(|halt| {
            halt.send_replace(true);
        });
        Ok(())
    }

    fn circumstances(&self, group: usize) -> Circumstances {
        let interrupted = self.interrupted || self.driver == Driver::Post;
        Circumstances { committed: self.committed.contains(&group), interrupted }
    }

    fn verdict(&self, group: usize) -> Verdict {
        group::verdict(&self.plans[group], &self.services, &self.wanted, self.circumstances(group))
    }

    fn names(&self, group: usize) -> Vec<ServiceName> {
        self.plans[group].members.iter().map(|member| member.service.clone()).collect()
    }

    fn idle(&self, name: &ServiceName) -> bool {
        !self.in_flight.values().any(|(busy, _)| busy == name)
    }

    /// Commits the groups whose members have all been looked at once more, and closes those that have been tidied up.
    fn advance_groups(&mut self) -> Result<()> {
        let mut hurry = false;
        for group in 0..self.plans.len() {
            let names = self.names(group);
            let looked_at = names.iter().all(|name| self.rechecked.contains(name) && self.idle(name));
            match self.verdict(group) {
                Verdict::Commit if looked_at => self.commit(group)?,
                Verdict::Commit => hurry = true,
                Verdict::Forward => names.iter().for_each(|name| {
                    self.rechecked.remove(name);
                }),
                Verdict::Unwind | Verdict::Leave => {
                    self.halts[group].send_replace(true);
                }
                Verdict::Committed => {}
            }
        }
        self.hurry.send_replace(hurry);
        self.fail_what_never_begins()
    }

    fn commit(&mut self, group: usize) -> Result<()> {
        self.append(Record::Committed { group: number(group) })?;
        self.committed.insert(group);
        Ok(())
    }

    fn fail_what_never_begins(&mut self) -> Result<()> {
        let ended: BTreeSet<usize> =
            (0..self.plans.len()).filter(|group| group::ended(&self.plans[*group], &self.services, self.verdict(*group))).collect();
        let waiting: Vec<ServiceName> = self.members.keys().filter(|name| !self.services[*name].in_trouble()).cloned().collect();
        for name in waiting {
            if let Some(before) = group::never_begins(&name, &self.plans, &ended, &self.committed) {
                let failure = Failure::new(Kind::Cancelled, format!("{name} was not started")).why(format!("{before} did not go live"));
                self.happened(&name, Event::Failed { failure })?;
            }
        }
        Ok(())
    }

    fn start_steps(&mut self) -> Result<()> {
        for group in 0..self.plans.len() {
            let verdict = self.verdict(group);
            for name in self.names(group) {
                if let Some(activity) = self.next(group, verdict, &name).filter(|_| self.idle(&name)) {
                    self.start(group, name, activity)?;
                }
            }
        }
        Ok(())
    }

    fn next(&self, group: usize, verdict: Verdict, name: &ServiceName) -> Option<Activity> {
        let (service, member) = (&self.services[name], self.members.get(name)?);
        let may_begin = || group::may_begin(name, &self.plans, &self.services, &self.wanted, &self.committed);
        match verdict {
            Verdict::Forward if may_begin() => match service.forward(&self.wanted[name]) {
                Need::Nothing => None,
                Need::Capture if service.phase == Phase::Repairing => Some(Activity::Repair),
                need => Some(Activity::Forward(need)),
            },
            Verdict::Commit if !self.rechecked.contains(name) => Some(Activity::Recheck),
            Verdict::Unwind => self.next_back(group, name, member),
            Verdict::Leave => self.next_left(name, service),
            Verdict::Committed if !self.finished.contains(&group) && !self.tidied.contains(name) && !self.interrupted => {
                Some(Activity::Finish)
            }
            Verdict::Forward | Verdict::Commit | Verdict::Committed => None,
        }
    }

    fn next_back(&self, group: usize, name: &ServiceName, member: &Member) -> Option<Activity> {
        let service = &self.services[name];
        if !group::may_unwind(name, &self.plans[group], &self.services) {
            return None;
        }
        match service.backward() {
            Back::Nothing => self.close(name, service),
            Back::Undo if self.interrupted && member.target.undo_cost() == UndoCost::Several => None,
            Back::Follow(_) | Back::FindJob(_) | Back::FollowJob(..) if self.interrupted => None,
            back => Some(Activity::Back(back)),
        }
    }

    /// What is left as it is: but a job is never left alone, its own `on-cancel` decides about it.
    fn next_left(&self, name: &ServiceName, service: &Service) -> Option<Activity> {
        match (service.backward(), service.keep()) {
            (Back::FindJob(_) | Back::FollowJob(..), _) if self.interrupted => None,
            (job @ (Back::FindJob(_) | Back::FollowJob(..)), _) => Some(Activity::Back(job)),
            (_, Back::Keep) => Some(Activity::Back(Back::Keep)),
            _ => self.close(name, service),
        }
    }

    fn close(&self, name: &ServiceName, service: &Service) -> Option<Activity> {
        (service.marked && !self.tidied.contains(name)).then_some(Activity::Close)
    }

    /// Writes what is about to happen, then starts it.
    fn start(&mut self, group: usize, name: ServiceName, activity: Activity) -> Result<()> {
        let Some(member) = self.members.get(&name).cloned() else { return Ok(()) };
        if let Some(intent) = activity.intent(&member) {
            self.happened(&name, intent)?;
        }
        if activity == Activity::Back(Back::Keep) {
            self.keep(group, &name, &member)?;
            return match self.close(&name, &self.services[&name]) {
                Some(close) => self.start(group, name, close),
                None => Ok(()),
            };
        }
        let halt = if matches!(activity, Activity::Forward(_)) { &self.halts[group] } else { &self.halt };
        let pace = Pace::new(self.clock.clone(), halt.subscribe(), self.hurry.subscribe());
        let tools = Tools { http: self.http.clone(), pace };
        let span = tracing::info_span!("step", service = %name);
        let work = activity.clone().work(member, tools, self.services[&name].clone());
        let handle = self.steps.spawn(work.instrument(span).with_current_subscriber());
        self.in_flight.insert(handle.id(), (name, activity));
        Ok(())
    }

    fn keep(&mut self, group: usize, name: &ServiceName, member: &Member) -> Result<()> {
        let service = &self.services[name];
        let why = match service.rollback {
            JobRollback::Unsafe => "an unsafe migration has begun: the old release may not run on the new schema",
            JobRollback::Safe if self.interrupted || self.driver == Driver::Post => "on-cancel: leave",
            JobRollback::Safe => "on-failure: leave",
        };
        let before = service.captured.as_ref().map_or(Before::Absent, |captured| captured.before.clone());
        let by_hand = member.target.by_hand(&before);
        tracing::warn!("{name} (group {group}) is left as it is: {why}");
        self.happened(name, Event::Kept { why: why.to_owned(), by_hand })
    }

    fn take(&mut self, ended: Option<Result<(tokio::task::Id, Ended), JoinError>>) -> Result<()> {
        let (id, ended) = match ended {
            None => return Ok(()),
            Some(Ok((id, ended))) => (id, Ok(ended)),
            Some(Err(error)) => (error.id(), Err(error)),
        };
        let Some((name, activity)) = self.in_flight.remove(&id) else { return Ok(()) };
        let events = match ended {
            Ok(Ok(events)) => events,
            Ok(Err(super::pace::Halted)) => return Ok(()),
            Err(panic) => vec![self.bug(&name, &activity, &panic)],
        };
        match activity {
            Activity::Recheck if events.is_empty() => {
                self.rechecked.insert(name.clone());
            }
            Activity::Close => {
                self.tidied.insert(name.clone());
            }
            Activity::Finish => self.tidied(&name)?,
            _ => {}
        }
        events.into_iter().try_for_each(|event| self.happened(&name, event))
    }

    /// A member of a committed group has been tidied up; after the last one the group is finished.
    fn tidied(&mut self, name: &ServiceName) -> Result<()> {
        let Some(group) = self.plans.iter().position(|plan| plan.members.iter().any(|member| member.service == *name)) else {
            return Ok(());
        };
        self.tidied.insert(name.clone());
        let all = self.names(group).iter().all(|name| self.tidied.contains(name));
        if all && self.finished.insert(group) {
            self.append(Record::Finished { group: number(group) })?;
        }
        Ok(())
    }

    fn bug(&self, name: &ServiceName, activity: &Activity, error: &JoinError) -> Event {
        let failure = Failure::bug(format!("a step of {name} ended in a panic")).why(error.to_string());
        match activity {
            Activity::Back(_) => match (self.members.get(name), &self.services[name].captured) {
                (Some(member), Some(captured)) => back::failed(member, &captured.before, failure),
                (Some(member), None) => back::failed(member, &Before::Absent, failure),
                (None, _) => Event::Failed { failure },
            },
            Activity::Forward(_) | Activity::Repair | Activity::Recheck | Activity::Close | Activity::Finish => Event::Failed { failure },
        }
    }

    fn happened(&mut self, name: &ServiceName, event: Event) -> Result<()> {
        let record = Record::Service { name: name.clone(), event };
        if matches!(&record, Record::Service { event: Event::Evidence { .. }, .. }) {
            let written = self.journal.entries().len();
            self.journal.append_evidence(record)?;
            let added: Vec<Entry> = self.journal.entries()[written..].to_vec();
            added.iter().for_each(|entry| self.fold(entry));
            return Ok(());
        }
        self.append(record)
    }

    fn append(&mut self, record: Record) -> Result<()> {
        let entry = self.journal.append(record)?.clone();
        self.fold(&entry);
        Ok(())
    }

    fn fold(&mut self, entry: &Entry) {
        if let Record::Service { name, event } = &entry.record
            && let Some(service) = self.services.get_mut(name)
        {
            service.fold(event, entry.at);
        }
    }
}

fn number(group: usize) -> u16 {
    u16::try_from(group).unwrap_or(u16::MAX)
}
