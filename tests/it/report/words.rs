//! What is said of every ending, in the log, the annotation and the summary: nothing that is not so, and first what matters.

use touchdown::engine::narrate::line;
use touchdown::engine::record::{Entry, JobRollback};
use touchdown::failure::Failure;
use touchdown::report::annotations::{Annotation, annotations};
use touchdown::report::summary::summary;
use touchdown::report::text::block;
use touchdown::report::{Report, Service};
use touchdown::simulator::fault::Fault;

use super::samples::endings::{all, migration_failed, stuck, unsafe_migration};
use super::samples::several::one_live_one_back;
use crate::rig::{Ran, Rig};
use crate::runner_grammar::parse_stdout;

/// One sample: the report, and all that is told while it happens and at its end.
struct Told {
    name: &'static str,
    report: Report,
    annotations: Vec<Annotation>,
    log: Vec<String>,
    summary: String,
}

fn told((name, entries, early): (&'static str, Vec<Entry>, Option<Failure>)) -> Told {
    let report = Report::of(&entries, early.as_ref());
    let log = entries.iter().filter_map(line).map(|(_, line)| line).chain(block(&report).lines().map(str::to_owned)).collect();
    Told { name, annotations: annotations(&report), log, summary: summary(&report), report }
}

fn named(name: &str) -> Told {
    told(all().into_iter().find(|(other, ..)| *other == name).unwrap())
}

/// The message of the only annotation.
fn message(entries: &[Entry]) -> String {
    let [only] = annotations(&Report::of(entries, None)).try_into().unwrap();
    only.message
}

/// Whether something is called proven in `text`.
fn calls_proven(text: &str) -> bool {
    let not = ["not proven", "without proof", "prove nothing", "last proven", "nothing was proven"];
    not.iter().fold(text.to_lowercase(), |text, not| text.replace(not, "")).contains("proven")
}

#[test]
fn what_nobody_asked_about_is_nowhere_called_proven() {
    for name in ["skip-verify", "waived", "verify-waived"] {
        let told = named(name);
        assert!(!calls_proven(&told.summary), "{name}: {}", told.summary);
        let lines = told.log.iter().chain(told.annotations.iter().flat_map(|one| [&one.title, &one.message]));
        lines.for_each(|line| assert!(!calls_proven(line), "{name}: {line}"));
    }
    let told = named("skip-verify");
    assert!(told.log.contains(&"not proven: its health was not asked (skip-verify); on the platform 2 of 2 tasks run web:42".to_owned()));
    assert_eq!(named("verify-waived").report.outcome.word(), "unchanged", "nobody knows whether it is healthy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_checks_calls_nothing_proven_wherever_it_ends() {
    for (fault, outcome) in [(Fault::None, "live"), (Fault::CrashOnStart, "rolled-back")] {
        let rig = Rig::new().await.input("skip-verify", "true");
        rig.simulator.world().set_fault("web", fault);
        let ran = rig.main().await;
        assert_eq!(ran.output("outcome"), outcome, "{}", ran.stdout);
        let lines = ran.stdout.lines().chain(ran.summary.lines());
        lines.for_each(|line| assert!(!calls_proven(&line.replace("**", "")), "{outcome}: {line}"));
    }
}

#[test]
fn after_an_unsafe_migration_going_back_comes_last_and_with_a_warning() {
    let told = named("unsafe-migration");
    let places = |marks: [&str; 4]| marks.map(|mark| told.summary.find(mark).unwrap_or_else(|| panic!("{mark}: {}", told.summary)));
    let order = places(["changed the database", "fix forward", "⚠️ The migration of web", "aws ecs update-service"]);
    assert!(order.is_sorted(), "{}", told.summary);
    let after = &told.summary[order[3]..];
    assert!(!after.contains("### ") && !after.contains("**Do**"), "nothing but the commands comes after them: {after}");
    let message = message(&unsafe_migration().entries);
    assert!(message.contains("its migration has changed the database") && message.contains("do: fix forward"), "{message}");
    assert!(!message.contains("aws ecs"), "{message}");
    let at = |mark: &str| told.log.iter().position(|line| line.contains(mark)).unwrap();
    assert!(at("fix forward") < at("the last resort") && at("the last resort") < at("aws ecs update-service"), "{:?}", told.log);
}

#[test]
fn a_failed_migration_is_told_as_one_that_may_have_changed_the_database() {
    let entries = migration_failed(JobRollback::Safe).entries;
    let report = Report::of(&entries, None);
    let sentence = "web was not deployed: its migrate job failed; the service was not touched, the database may have been";
    assert_eq!((report.outcome.word(), report.sentence.as_str()), ("untouched", sentence));
    let moment = report.timeline.iter().find(|moment| moment.what.contains("migrate job")).unwrap();
    assert_eq!((moment.what.as_str(), moment.took_seconds), ("the migrate job failed", Some(13.2)));
    assert!(moment.facts[0].contains("exit code 1") && moment.facts[1].contains("the database"), "{:?}", moment.facts);
    let [Service { stands, .. }] = report.services.as_slice() else { panic!("{report:?}") };
    assert_eq!(stands, "web:41 serves, as before; its migrate job failed, and may have changed the database");
    let (message, summary) = (message(&entries), summary(&report));
    for text in [&message, &summary.replace("&#8288;", "").replace('`', "").replace("**", "")] {
        assert!(text.contains(stands) && text.contains("look at what the migration of web left in the database"), "{text}");
    }
}

#[test]
fn what_an_unsafe_migration_left_serving_is_not_called_the_new_release() {
    let told = named("unsafe-migration-failed");
    let [service] = told.report.services.as_slice() else { panic!("{:?}", told.report) };
    assert_eq!((told.report.outcome.word(), service.serving.as_deref(), service.touched), ("failed", Some("web:41"), false));
    assert!(service.stands.starts_with("web:41 serves, as before; its migration may have changed the database"), "{}", service.stands);
    assert!(!told.summary.contains("aws ecs"), "there is nothing to put back: {}", told.summary);
}

#[test]
fn a_job_that_nobody_could_see_is_not_called_ended_and_the_commands_look_for_it() {
    let told = named("job-unseen");
    let sentence = "web was not deployed: its migrate job was not seen to end, and the database may have been changed";
    assert_eq!(told.report.sentence, sentence);
    assert!(
        told.summary.contains("**To see whether the migrate job of web runs:**") && !told.summary.contains("back by hand"),
        "{}",
        told.summary
    );
    assert!(told.log.iter().any(|line| line.contains("to see whether the migrate job of web runs:")), "{:?}", told.log);
}

#[test]
fn a_run_of_which_a_part_is_live_says_so() {
    let entries = one_live_one_back().entries;
    let report = Report::of(&entries, None);
    assert_eq!(report.outcome.word(), "rolled-back");
    assert_eq!(report.sentence, "web was rolled back to web:41, proven; api is live on api:8, proven");
    let message = message(&entries);
    assert!(message.contains("now: web: web:41 serves again") && message.contains("now: api: api:8 serves, proven"), "{message}");
}

#[test]
fn what_is_stuck_is_told_with_what_may_serve_and_the_first_command() {
    let entries = stuck().entries;
    let sentence = Report::of(&entries, None).sentence;
    assert_eq!(sentence, "web is stuck: web:41 could not be put back; what serves now is not known, perhaps nothing");
    let message = message(&entries);
    let first =
        "type first, for web: aws ecs update-service --region eu-west-1 --cluster production --service web --task-definition web:41";
    assert!(message.contains("it may serve nobody") && message.lines().any(|line| line == first), "{message}");
    assert!(message.contains("not put back: web: ECS refused to update the service (AccessDeniedException"), "{message}");
}

#[test]
fn no_annotation_says_the_same_twice() {
    for Told { name, annotations, .. } in all().into_iter().filter(|(name, ..)| *name != "hostile-names").map(told) {
        for Annotation { title, message, .. } in annotations {
            let lines: Vec<&str> = message.lines().collect();
            assert!(!lines.contains(&title.as_str()) && !message.is_empty(), "{name}: {title}: {message}");
            let once = |line: &&str| line.len() < 20 || lines.iter().filter(|other| *other == line).count() == 1;
            assert!(lines.iter().all(once), "{name}: {message}");
        }
    }
}

#[test]
fn an_annotation_with_too_many_reasons_keeps_every_fix_whole() {
    let fix = format!("a statement in the policy:\n{}", "{ \"Effect\": \"Allow\" }\n".repeat(60));
    let failure = (0..40).fold(Failure::config("the settings are wrong"), |failure, number| {
        failure.why(format!("services.web-{number}.health.retries is \"{}\": write a whole number", "x".repeat(120)))
    });
    let failure = failure.fix(fix.clone()).fix("and then run it again");
    let [only] = annotations(&Report::of(&[], Some(&failure))).try_into().unwrap();
    assert!(only.message.len() <= 4096 && only.message.contains(&fix) && only.message.ends_with("fix: and then run it again"), "{only:?}");
    let shown = only.message.lines().filter(|line| line.ends_with("write a whole number")).count();
    assert!(shown > 5 && only.message.contains(&format!("and {} more, in the log", 40 - shown)), "{}", only.message);
}

fn error(ran: &Ran) -> (String, String) {
    let error = parse_stdout(&ran.stdout).into_iter().find(|command| command.name == "error").unwrap();
    (error.properties["title"].clone(), error.data)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mistake_stands_once_in_the_log_and_once_in_the_annotation() {
    let rig =
        Rig::empty(100.0).await.input("target", "esc").input("servise", "web").input("health-retries", "ten").input("skip-push", "yes");
    let ran = rig.main().await;
    let (title, message) = error(&ran);
    let printed: Vec<&str> = ran.stdout.lines().filter(|line| !line.starts_with("::")).collect();
    for mistake in
        ["target is \"esc\", no target: write ecs", "servise is no setting: write service", "skip-push is \"yes\", not a boolean"]
    {
        assert_eq!(message.lines().filter(|line| line.contains(mistake)).count(), 1, "{message}");
        assert_eq!(printed.iter().filter(|line| line.contains(mistake)).count(), 1, "{}", ran.stdout);
    }
    assert!(title.starts_with("Nothing was changed: there are ") && !message.contains("mistakes in the settings"), "{title}: {message}");
    assert_eq!(printed.iter().filter(|line| line.contains("mistakes in the settings")).count(), 1, "{}", ran.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_is_told_in_full_once_in_the_log() {
    let rig = Rig::new().await;
    rig.simulator.world().set_fault("web", Fault::CrashOnStart);
    let ran = rig.main().await;
    let printed: Vec<&str> = ran.stdout.lines().filter(|line| !line.starts_with("::")).collect();
    let fix = "read the application's last log lines";
    assert_eq!(printed.iter().filter(|line| line.contains(fix)).count(), 1, "{}", ran.stdout);
    let at_once = printed.iter().find(|line| line.starts_with("web: failed: web:2 does not start: ")).unwrap();
    assert!(at_once.contains("exit code 1"), "whoever looks on knows why before the way back is over: {at_once}");
}
