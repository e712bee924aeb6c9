//! The harness itself, proven on a stand-in: a shell script that does what an action may do.

use std::path::PathBuf;
use std::time::Duration;

use crate::action_harness::files::parse;
use crate::action_harness::{Ladder, Runner, Trigger};
use crate::setup::skip;

/// A script in a folder of its own.
fn script(body: &str) -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stand-in");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    (folder, path)
}

const QUICK: Ladder = Ladder { interrupted: Duration::from_millis(1500), terminated: Duration::from_millis(1500) };

/// A PID namespace needs root, or a kernel that gives users their own.
fn can_be_pid_one() -> bool {
    let tried = std::process::Command::new("/usr/bin/unshare").args(["--fork", "--pid", "--mount-proc", "true"]).output();
    let can = tried.as_ref().is_ok_and(|output| output.status.success());
    if !can {
        skip("PID 1", &format!("unshare --fork --pid --mount-proc: {tried:?}"));
    }
    can
}

#[test]
fn main_gets_inputs_and_post_gets_what_main_has_saved() {
    let (_folder, path) = script(
        r#"case $0 in *-post) echo "post: $STATE_j0 in $PWD"; exit 0;; esac
tr '\0' '\n' < /proc/$$/environ | grep '^INPUT_HEALTH-PATH=' >&2
echo j0=begun >> "$GITHUB_STATE"
echo SERVED=yes >> "$GITHUB_ENV"
printf 'services<<E1\n{\n"a": 1\n}\nE1\noutcome=live\n' >> "$GITHUB_OUTPUT"
echo '# Live' >> "$GITHUB_STEP_SUMMARY"
cat touchdown.yml
exit 3"#,
    );
    let runner = Runner::of(&path).input("health-path", "/up").file("touchdown.yml", "version: 1\n");
    let main = runner.main();
    assert_eq!((main.code, main.stdout.as_str(), main.stderr.as_str()), (Some(3), "version: 1\n", "INPUT_HEALTH-PATH=/up\n"));
    assert_eq!(main.outputs.get("services").map(String::as_str), Some("{\n\"a\": 1\n}"));
    assert_eq!(main.outputs.get("outcome").map(String::as_str), Some("live"));
    assert_eq!(main.exported.get("SERVED").map(String::as_str), Some("yes"));
    assert_eq!((main.summary.as_str(), main.file_errors.len()), ("# Live\n", 0));
    let post = runner.post(&main);
    assert_eq!(post.stdout, format!("post: begun in {}\n", runner.folder("workspace").display()));
    assert!(post.outputs.is_empty() && post.summary.is_empty(), "each stage has files of its own");
}

#[test]
fn only_the_environment_of_the_job_reaches_the_action() {
    let (_folder, path) = script("env");
    let ran = Runner::of(&path)
        .env("AWS_REGION", "eu-west-1")
        .env("GITHUB_EVENT_NAME", "pull_request")
        .id_token("http://127.0.0.1:1/", "t")
        .main();
    let has = |line: &str| ran.stdout.lines().any(|have| have == line);
    assert!(
        has("AWS_REGION=eu-west-1") && has("GITHUB_EVENT_NAME=pull_request") && has("ACTIONS_ID_TOKEN_REQUEST_TOKEN=t"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("CARGO"), "the environment of the test leaks: {}", ran.stdout);
}

#[test]
fn cancelling_is_a_sigint_and_its_answer_is_the_end() {
    let (_folder, path) = script(r"trap 'echo undone; exit 130' INT; echo ready; while :; do sleep 0.05; done");
    let ran = Runner::of(&path).cancel(Trigger::Printed("ready".to_owned())).main();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), "ready\nundone\n"));
    assert!(ran.took < Ladder::default().interrupted);
}

#[test]
fn whoever_ignores_sigint_gets_sigterm_and_then_sigkill() {
    let (_folder, path) = script(r"trap 'echo int' INT; trap 'echo term; exit 143' TERM; echo ready; while :; do sleep 0.05; done");
    let ran = Runner::of(&path).cancel(Trigger::Printed("ready".to_owned())).ladder(QUICK).main();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(143), "ready\nint\nterm\n"));

    let (_folder, path) = script(r"trap '' INT TERM; echo ready; while :; do sleep 0.05; done");
    let ran = Runner::of(&path).cancel(Trigger::After(Duration::from_millis(500))).ladder(QUICK).main();
    assert_eq!(ran.code, Some(137));
}

#[test]
fn being_pid_one_without_handlers_the_action_outlives_the_runner_and_post_overlaps_it() {
    if !can_be_pid_one() {
        return;
    }
    // `tail` handles no signals (a shell does); as it copies lines on, it can be seen to live.
    let (_folder, path) = script(
        r#"case $0 in *-post) echo post; exit 0;; esac
echo "pid $$"; exec tail -f "$GITHUB_WORKSPACE/in" > "$GITHUB_WORKSPACE/out""#,
    );
    let runner = Runner::of(&path).being_pid_one().file("in", "copied\n").ladder(QUICK);
    let out = runner.folder("workspace").join("out");
    let begun = {
        let out = out.clone();
        // Not before `tail` has taken the shell's place: that has a handler.
        move || std::fs::read_to_string(&out).is_ok_and(|copied| !copied.is_empty())
    };
    let runner = runner.cancel(Trigger::When(Box::new(begun)));
    let main = runner.main();
    assert_eq!((main.code, main.stdout.as_str()), (None, "pid 1\n"));
    let orphan = main.orphan.as_ref().expect("nobody has killed it");
    assert!(orphan.runs());
    orphan.signal("STOP");
    let runner = runner.without_cancel();
    assert_eq!(runner.post(&main).stdout, "post\n");
    std::fs::write(runner.folder("workspace").join("in"), "copied\nstill here\n").unwrap();
    orphan.signal("CONT");
    while !std::fs::read_to_string(&out).unwrap().ends_with("still here\n") {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn being_pid_one_with_a_handler_the_action_hears_the_runner() {
    if !can_be_pid_one() {
        return;
    }
    let (_folder, path) = script(r"trap 'echo undone; exit 130' INT; echo ready; while :; do sleep 0.05; done");
    let ran = Runner::of(&path).being_pid_one().cancel(Trigger::Printed("ready".to_owned())).main();
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), "ready\nundone\n"));
}

#[test]
fn command_files_are_read_as_the_runner_reads_them() {
    let entries = |text: &str| parse(text).0.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
    let error = |text: &str| parse(text).1.unwrap_or_default();
    assert_eq!(entries("a=1\n\nb==2<<3\nc<<X=Y\nlong\nX=Y\nd=\r\n"), ["a=1", "b==2<<3", "c=long", "d=\r"]);
    assert_eq!(entries("\u{feff}a<<E\nx\n\ny\nE"), ["a=x\n\ny"]);
    assert_eq!(entries("empty<<E\nE\n"), ["empty="]);
    assert_eq!(
        (entries("a=1\nnonsense\nb=2\n"), error("a=1\nnonsense\nb=2\n").as_str()),
        (vec!["a=1".to_owned()], "Invalid format 'nonsense'")
    );
    assert!(error("a<<E\ntorn").contains("delimiter not found"), "{}", error("a<<E\ntorn"));
    assert!(error("=x\n").contains("Name must not be empty") && error("a<<\n").contains("Delimiter must not be empty"));
}

#[test]
fn a_broken_command_file_is_told_and_keeps_what_stands_before_it() {
    let (_folder, path) = script(r#"printf 'outcome=live\nnonsense\n' >> "$GITHUB_OUTPUT""#);
    let ran = Runner::of(&path).main();
    assert_eq!(ran.outputs.get("outcome").map(String::as_str), Some("live"));
    assert_eq!(ran.file_errors, ["Unable to process file command 'set_output': Invalid format 'nonsense'"]);
}
