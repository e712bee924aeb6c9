//! The steps on the way forward, each one piece of work for one service that ends in events. It decides nothing about groups.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::failure::{Failure, Kind, Result, cut};
use crate::health::probe::{Shipped, probe, smoke};
use crate::health::verdict::{baseline, judge};
use crate::health::{Baseline, HealthAt, HealthSettings, Sample, Verdict};
use crate::http::Http;
use crate::target::{Arrival, Before, Captured, InFlight, Observation, Opaque, Prepared, RunsTask, Step, TaskHandle, TaskOrder, TaskState};
use crate::values::{Address, NamedBy};

use super::marks;
use super::member::{Checks, Goal, JobPlan, Member};
use super::narrate::job_name;
use super::pace::{Halted, Pace};
use super::record::{Asked, Event, Job};
use super::service::Service;

/// Pause between two looks at a platform.
const LOOK: Duration = Duration::from_secs(2);
/// The longest, after errors.
const LONGEST_LOOK: Duration = Duration::from_secs(15);
/// Pause between two looks at a proven service that waits for its group.
const WATCH: Duration = Duration::from_secs(5);
/// Pause before a wrong answer of a proven service is asked for once more.
const ONCE_MORE: Duration = Duration::from_secs(1);
/// How long a verb is tried again after transient failures.
const INSIST: Duration = Duration::from_secs(60);
/// How much of a waiver's reason stands in a record, in bytes.
const REASON: usize = 400;
/// How long evidence may be gathered.
const EVIDENCE: Duration = Duration::from_secs(15);

/// What a step needs besides its service.
#[derive(Clone)]
pub(crate) struct Tools {
    pub(crate) http: Http,
    pub(crate) pace: Pace,
}

/// How a step ended: what happened, or that it was told to stop while it waited.
pub(crate) type Ended = Result<Vec<Event>, Halted>;

/// Reads what stands, waits for another deployment if asked to, finds what a lost run left, probes the baseline.
pub(crate) async fn capture(member: &Member, tools: &Tools) -> Ended {
    let until = tools.pace.now().plus(member.timeout);
    let mut told = String::new();
    loop {
        let captured = match tools.pace.insist(INSIST, || member.target.clone().snapshot()).await {
            Ok(captured) => captured,
            Err(failure) => return Ok(vec![Event::Failed { failure }]),
        };
        if let Some(lost) = marks::lost(member, tools, &captured).await {
            return Ok(vec![Event::RepairStarted { lost }]);
        }
        let Some(why) = marks::occupied(member, &captured, tools.pace.now()) else { return Ok(found(member, tools, captured).await) };
        match member.in_flight {
            InFlight::Supersede => return Ok(found(member, tools, captured).await),
            InFlight::Wait if tools.pace.now() < until => {
                if why != told {
                    tracing::info!(service = %member.name, "waiting: {why}");
                    told = why;
                }
                tools.pace.pause(LOOK * 2).await?;
            }
            InFlight::Wait | InFlight::Fail => {
                let failure = Failure::new(Kind::Conflict, format!("{} is being deployed by somebody else", member.name))
                    .why(why)
                    .fix("deploy one after the other: give the job `concurrency: { group: deploy-…, cancel-in-progress: false }`")
                    .fix("or set in-flight: supersede to replace the other deployment");
                return Ok(vec![Event::Failed { failure }]);
            }
        }
    }
}

async fn found(member: &Member, tools: &Tools, captured: Captured<Opaque>) -> Vec<Event> {
    if address(member, captured.address.as_ref()).is_none()
        && let Some(failure) = nowhere_to_ask(member, &captured.notes)
    {
        return vec![Event::Failed { failure }];
    }
    let baseline = probe_baseline(member, tools, &captured).await;
    vec![Event::Captured { captured, baseline }]
}

/// The settings ask something of answers, and nothing can be asked: told before anything changes, never passed over.
fn nowhere_to_ask(member: &Member, notes: &[String]) -> Option<Failure> {
    let asked = member.health.of_answers();
    if asked.is_empty() || member.checks == Checks::Skipped || matches!(member.health.at, HealthAt::Waived(_)) {
        return None;
    }
    let what = format!("{}: there is no address at which {} can be asked", member.name, asked.join(", "));
    let failure = notes.iter().fold(Failure::config(what), |failure, note| failure.why(note.clone()));
    Some(failure.fix("set health.url to an address that reaches the service").fix(format!("or remove {}", asked.join(", "))))
}

async fn probe_baseline(member: &Member, tools: &Tools, captured: &Captured<Opaque>) -> Baseline {
    if member.checks == Checks::Skipped || !matches!(captured.before, Before::Running(_)) {
        return Baseline::Unknown;
    }
    let Some(address) = address(member, captured.address.as_ref()) else { return Baseline::Unknown };
    let sample = probe(&tools.http, &address, &member.health, &Shipped::AnyBuild).await;
    baseline(Some(&sample))
}

/// Starts a job, or finds the one already started with this run's token.
pub(crate) async fn start_job(member: &Member, tools: &Tools, service: &Service, job: Job) -> Ended {
    let (Some(plan), Some(runner)) = (member.job(job), member.target.clone().runs_task()) else {
        return Ok(vec![Event::Failed { failure: Failure::bug("a job was asked of a platform that runs none") }]);
    };
    if job == Job::Migrate {
        marks::open(member, tools, service).await;
    }
    let order = TaskOrder {
        what: plan.what.clone(),
        release: service.prepared.as_ref().filter(|_| job == Job::Migrate).map(|prepared| prepared.release.clone()),
        before: service.captured.as_ref().map_or(Before::Absent, |captured| captured.before.clone()),
        token: member.token(job),
    };
    Ok(match tools.pace.insist(INSIST, || runner.start(order.clone())).await {
        Ok(handle) => vec![Event::JobRunning { job, handle }],
        Err(failure) => vec![Event::Failed { failure }],
    })
}

/// Sees a job to its end, with its lines in the log.
pub(crate) async fn follow_job(member: &Member, tools: &Tools, job: Job, handle: TaskHandle) -> Ended {
    let (Some(plan), Some(runner)) = (member.job(job), member.target.clone().runs_task()) else {
        return Ok(vec![Event::Failed { failure: Failure::bug("a job was asked of a platform that runs none") }]);
    };
    let until = tools.pace.now().plus(plan.timeout);
    let mut lines: Vec<String> = Vec::new();
    loop {
        let look = match tools.pace.insist(INSIST, || runner.look(handle.clone(), lines.len())).await {
            Ok(look) => look,
            // A job goes on while nobody can look at it.
            Err(failure) if failure.kind == Kind::Transient && tools.pace.now() < until => {
                tools.pace.pause(LONGEST_LOOK).await?;
                continue;
            }
            Err(failure) => return Ok(unseen(member, runner.as_ref(), job, failure)),
        };
        let lines_of = |text: &String| text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).map(str::to_owned).collect::<Vec<_>>();
        look.lines.iter().flat_map(lines_of).for_each(|line| tracing::info!(service = %member.name, "{} | {line}", job_name(job)));
        lines.extend(look.lines);
        match look.state {
            TaskState::Succeeded => return Ok(vec![Event::JobEnded { job, tail: tail(&lines) }]),
            TaskState::Failed(failure) => {
                let failure = Failure { what: format!("{}: the {} job failed", member.name, job_name(job)), ..failure };
                return Ok(told(failure.evidence(format!("last lines of the {} job", job_name(job)), tail(&lines))));
            }
            TaskState::Running if tools.pace.now() > until => return Ok(vec![too_long(member, plan, handle, job).await]),
            TaskState::Running => tools.pace.pause(LOOK).await?,
        }
    }
}

/// Nobody can tell whether the job runs: that is no end of it, and a person must look.
pub(crate) fn unseen(member: &Member, runner: &dyn RunsTask, job: Job, failure: Failure) -> Vec<Event> {
    let why = format!("whether its {} job runs cannot be told: {}", job_name(job), failure.what);
    // The look changed nothing; what it looked for may have.
    let failure = Failure { unchanged: false, ..failure };
    vec![Event::Failed { failure }, Event::Kept { why, by_hand: runner.by_hand(&member.token(job)) }]
}

async fn too_long(member: &Member, plan: &JobPlan, handle: TaskHandle, job: Job) -> Event {
    let mut failure = Failure::new(
        Kind::TimedOut,
        format!("{}: the {} job did not end within {}", member.name, job_name(job), humantime::format_duration(plan.timeout)),
    );
    if let Some(runner) = member.target.clone().runs_task()
        && let Err(stopping) = runner.stop(handle, "timed out".to_owned()).await
    {
        failure = failure.why(format!("and it could not be stopped: {}", stopping.what));
    }
    Event::Failed { failure: failure.fix("raise migrate.timeout, or make the job shorter") }
}

fn tail(lines: &[String]) -> Vec<String> {
    lines[lines.len().saturating_sub(20)..].to_vec()
}

/// Makes and names the release, or finds the one to go back to.
pub(crate) async fn prepare(member: &Member, tools: &Tools, before: Before<Opaque>) -> Ended {
    let found = match &member.goal {
        Goal::Image(image) => tools.pace.insist(INSIST, || member.target.clone().prepare(image.clone(), before.clone())).await,
        Goal::Release(to) => match member.target.clone().lists() {
            Some(lists) => tools.pace.insist(INSIST, || lists.release(to.clone(), before.clone())).await,
            None => Err(Failure::config(format!("{}: this platform keeps no history to go back to", member.name))),
        },
        Goal::WhatStoodBefore => Err(Failure::bug("nothing to deploy was handed to the engine")),
    };
    Ok(match found {
        Ok(prepared) => vec![Event::Prepared { prepared }],
        Err(failure) => vec![Event::Failed { failure }],
    })
}

/// Points the platform at the release.
pub(crate) async fn apply(member: &Member, tools: &Tools, service: &Service) -> Ended {
    let (Some(Prepared { release, .. }), Some(captured)) = (&service.prepared, &service.captured) else {
        return Ok(vec![Event::Failed { failure: Failure::bug("a release was to be applied before it was prepared") }]);
    };
    marks::open(member, tools, service).await;
    Ok(match tools.pace.insist(INSIST, || member.target.clone().apply(release.clone(), captured.before.clone())).await {
        Ok(()) => vec![Event::Applied],
        Err(failure) if failure.kind == Kind::Superseded => vec![Event::Superseded { by: failure.what }],
        Err(failure) => vec![Event::Failed { failure }],
    })
}

/// Sees the release arrive, and gathers why when it does not.
pub(crate) async fn settle(member: &Member, tools: &Tools, service: &Service) -> Ended {
    let Some(Prepared { release, .. }) = &service.prepared else { return Ok(Vec::new()) };
    let since = service.touched.unwrap_or_else(|| tools.pace.now());
    Ok(match arrive(member, tools, release, since.plus(member.timeout)).await? {
        Ok(arrival) => vec![Event::Settled { arrival }],
        Err(failure) => broken(member, release, failure).await,
    })
}

/// Looks until the platform says that `release` has arrived, or will not.
pub(crate) async fn arrive(member: &Member, tools: &Tools, release: &Opaque, until: Timestamp) -> Result<Result<Arrival>, Halted> {
    let (mut last, mut pause) = (String::new(), LOOK);
    loop {
        match member.target.clone().observe(release.clone()).await {
            Ok(Observation::Ready(arrival)) => return Ok(Ok(arrival)),
            Ok(Observation::Broken(failure)) => return Ok(Err(failure)),
            Ok(Observation::Progressing { note }) => {
                pause = LOOK;
                if note != last {
                    tracing::info!(service = %member.name, "{note}");
                    last = note;
                }
            }
            Err(failure) if failure.kind == Kind::Transient => {
                pause = (pause * 2).min(LONGEST_LOOK);
                tracing::debug!(service = %member.name, "cannot look: {failure}");
                last = failure.what;
            }
            Err(failure) => return Ok(Err(failure)),
        }
        if tools.pace.now() > until {
            let failure = Failure::new(Kind::TimedOut, format!("{} had not arrived when its time was up", member.name))
                .why(format!("at the end: {last}"))
                .fix("look at the evidence below; if the release is only slow to start, raise `timeout`");
            return Ok(Err(failure));
        }
        tools.pace.pause(pause).await?;
    }
}

/// The events of a failure, with what the platform tells about it.
pub(crate) async fn broken(member: &Member, release: &Opaque, failure: Failure) -> Vec<Event> {
    if failure.kind == Kind::Superseded {
        return vec![Event::Superseded { by: failure.what }];
    }
    let mut failure = failure;
    if let Some(gatherer) = member.target.clone().evidence()
        && let Ok(found) = tokio::time::timeout(EVIDENCE, gatherer.gather(release.clone())).await
    {
        failure.evidence.extend(found.evidence);
        // Whatever else ended it told its own remedies.
        if failure.kind == Kind::TimedOut {
            failure.fix = [found.remedies, failure.fix].concat();
        }
    }
    told(failure)
}

/// The events of a failure, each of which fits a line of the journal.
fn told(mut failure: Failure) -> Vec<Event> {
    let evidence = std::mem::take(&mut failure.evidence);
    let pieces = evidence.into_iter().flat_map(super::evidence::pieces).map(|evidence| Event::Evidence { evidence });
    std::iter::once(Event::Failed { failure }).chain(pieces).collect()
}

/// Gives the release a larger share.
pub(crate) async fn advance(member: &Member, tools: &Tools, service: &Service, step: Step) -> Ended {
    let (Some(Prepared { release, .. }), Some(captured)) = (&service.prepared, &service.captured) else { return Ok(Vec::new()) };
    let verb = || member.target.clone().advance(release.clone(), captured.before.clone(), step);
    Ok(match tools.pace.insist(INSIST, verb).await {
        Ok(()) => vec![Event::Advanced { step }],
        Err(failure) => broken(member, release, failure).await,
    })
}

/// Proves the release, at its own address while it has less than everyone.
pub(crate) async fn verify(member: &Member, tools: &Tools, service: &Service) -> Ended {
    let (Some(Prepared { release, .. }), Some(arrival)) = (&service.prepared, &service.arrival) else { return Ok(Vec::new()) };
    let partial = service.taken < member.target.steps(&member.shares).len();
    let named = if partial { arrival.candidate.as_ref().or(arrival.main.as_ref()) } else { arrival.main.as_ref() };
    let since = service.touched.unwrap_or_else(|| tools.pace.now());
    let stabilize = if partial { member.hold.max(member.health.stabilize) } else { member.health.stabilize };
    let health = HealthSettings { stabilize, ..member.health.clone() };
    let proven = match prove(member, tools, &health, named, since.plus(member.timeout)).await? {
        // Without a last look nothing is proven: somebody else may have deployed meanwhile.
        Ok(proof) => match tools.pace.insist(INSIST, || member.target.clone().observe(release.clone())).await {
            Ok(Observation::Broken(failure)) | Err(failure) => Err(failure),
            Ok(Observation::Progressing { .. } | Observation::Ready(_)) => Ok(proof),
        },
        Err(failure) => match member.target.clone().observe(release.clone()).await {
            Ok(Observation::Broken(broken)) => Err(failure.why.into_iter().fold(broken, Failure::why)),
            _ => Err(failure),
        },
    };
    Ok(match proven {
        Ok((proof, asked)) => vec![Event::Verified { proof: [proof, arrival.facts.clone()].concat(), asked }],
        Err(failure) => broken(member, release, failure).await,
    })
}

/// Asks for health until there is a verdict, then runs the smoke tests. Where nothing is asked, the platform's facts stand alone.
pub(crate) async fn prove(
    member: &Member,
    tools: &Tools,
    health: &HealthSettings,
    named: Option<&Address>,
    until: Timestamp,
) -> Result<Result<(Vec<String>, Asked)>, Halted> {
    let address = match whom_to_ask(member, named) {
        Ok(address) => address,
        Err(asked) => {
            let refused = nowhere_to_ask(member, &[]).filter(|_| asked == Asked::Platform);
            return Ok(refused.map_or(Ok((asked.facts(), asked)), Err));
        }
    };
    tools.pace.pause(health.initial_delay).await?;
    let proof = match sample_until_judged(member, tools, health, &address, until).await? {
        Ok(proof) => proof,
        Err(failure) => return Ok(Err(failure)),
    };
    Ok(smoke_tests(member, tools, &address).await.map(|smoke| ([proof, smoke].concat(), Asked::Health)))
}

async fn sample_until_judged(
    member: &Member,
    tools: &Tools,
    health: &HealthSettings,
    address: &Address,
    until: Timestamp,
) -> Result<Result<Vec<String>>, Halted> {
    let mut samples: Vec<Sample> = Vec::new();
    loop {
        let sample = probe(&tools.http, address, health, &member.shipped).await;
        tracing::debug!(service = %member.name, latency = ?sample.latency, wrong = sample.wrong.as_deref(), "health");
        samples.push(sample);
        let after = match judge(&samples, health) {
            Verdict::Healthy { proof } => return Ok(Ok(proof)),
            Verdict::Unhealthy(failure) => return Ok(Err(failure)),
            Verdict::Undecided { after } => after,
        };
        if tools.pace.now() > until {
            let wrong = samples.iter().rev().find_map(|sample| sample.wrong.clone().map(String::from));
            let failure = Failure::new(Kind::TimedOut, format!("{} was not proven healthy when its time was up", member.name))
                .why(wrong.unwrap_or_else(|| "it answered well, but not for long enough".to_owned()))
                .fix("raise `timeout`: it bounds the rollout, the health checks and the stabilisation together");
            return Ok(Err(failure));
        }
        tools.pace.pause(after).await?;
    }
}

async fn smoke_tests(member: &Member, tools: &Tools, address: &Address) -> Result<Vec<String>> {
    let mut proof = Vec::new();
    for test in &member.health.smoke {
        proof.push(smoke(&tools.http, address, test).await?);
    }
    Ok(proof)
}

/// Looks at a proven service that waits for its group.
pub(crate) async fn watch(member: &Member, tools: &Tools, service: &Service) -> Ended {
    tools.pace.idle(WATCH).await?;
    recheck(member, tools, service).await
}

/// One look at a proven service: its health, its place on the platform. One wrong answer is asked about once more, for a group is
/// not put back for a single lost packet. No events: it still stands.
pub(crate) async fn recheck(member: &Member, tools: &Tools, service: &Service) -> Ended {
    let Some(Prepared { release, .. }) = &service.prepared else { return Ok(Vec::new()) };
    match tools.pace.insist(INSIST, || member.target.clone().observe(release.clone())).await {
        Ok(Observation::Progressing { .. } | Observation::Ready(_)) => {}
        Ok(Observation::Broken(failure)) | Err(failure) => return Ok(broken(member, release, failure).await),
    }
    let main = service.arrival.as_ref().and_then(|arrival| arrival.main.as_ref());
    let Ok(address) = whom_to_ask(member, main) else { return Ok(Vec::new()) };
    let Some(wrong) = probe(&tools.http, &address, &member.health, &member.shipped).await.wrong else { return Ok(Vec::new()) };
    tracing::info!(service = %member.name, "one answer was wrong and is asked for once more: {}", wrong.told);
    tools.pace.pause(ONCE_MORE).await?;
    let Some(again) = probe(&tools.http, &address, &member.health, &member.shipped).await.wrong else { return Ok(Vec::new()) };
    let failure = Failure::new(Kind::Unhealthy, format!("{} stopped being healthy before its group was complete", member.name))
        .why(again)
        .why("two answers in a row were wrong")
        .fix("look at the evidence below: the release answered well at first");
    Ok(broken(member, release, failure).await)
}

/// Tidies up after the commit, and says on the platform what was proven.
pub(crate) async fn finish(member: &Member, tools: &Tools, service: &Service) -> Vec<String> {
    let (Some(prepared), Some(captured)) = (&service.prepared, &service.captured) else { return Vec::new() };
    let verb = || member.target.clone().finish(prepared.release.clone(), captured.before.clone());
    let mut left: Vec<String> = tools.pace.insist(INSIST, verb).await.err().map(|failure| failure.what).into_iter().collect();
    if let Some(epilogue) = &member.epilogue {
        left.extend(tools.pace.insist(INSIST, || epilogue.clone().run()).await.err().map(|failure| failure.what));
    }
    if let Some(carried) = member.target.clone().marks()
        && (!service.unchanged() || captured.mark.is_some())
    {
        // What nobody proved is not called proven: then only the open mark is taken away.
        let marked = match service.asked.proves() {
            true => marks::prove(member, &prepared.revision).await,
            false => carried.close(member.holder()).await,
        };
        left.extend(marked.err().map(|failure| failure.what));
    }
    left
}

/// Where health is asked; or why it is not.
pub(crate) fn whom_to_ask(member: &Member, named: Option<&Address>) -> Result<Address, Asked> {
    match (member.checks, &member.health.at) {
        (Checks::Skipped, _) => Err(Asked::Nothing),
        (Checks::Asked, HealthAt::Waived(reason)) => {
            let mut reason = reason.clone();
            cut(&mut reason, REASON);
            Err(Asked::Waived { reason })
        }
        (Checks::Asked, HealthAt::Path(_) | HealthAt::Url(_)) => address(member, named).ok_or(Asked::Platform),
    }
}

/// Where health is asked: `health.url`, else what the platform names.
pub(crate) fn address(member: &Member, named: Option<&Address>) -> Option<Address> {
    match &member.health.at {
        HealthAt::Url(url) => Some(Address { url: url.clone(), via: None, named_by: NamedBy::User }),
        HealthAt::Path(_) => named.cloned(),
        HealthAt::Waived(_) => None,
    }
}
