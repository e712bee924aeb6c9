//! The runner's files and ours: command files by the runner's own grammar, the copy in `$HOME`, the workspace, the report.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use proptest::prelude::*;
use touchdown::runner::env::Env;
use touchdown::runner::hold::Main;
use touchdown::runner::home::Home;
use touchdown::runner::origin::Origin;
use touchdown::runner::state::{self, StateFile};
use touchdown::runner::summary_file::{self, BUDGET, Section};
use touchdown::runner::workspace::{LARGEST, Workspace};
use touchdown::runner::{outputs, report_file};

use super::env;
use crate::action_harness::files::parse;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.path().join(name), text).unwrap();
        self.path(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn env(&self, variable: &str) -> Env {
        env(&[(variable, self.0.path().to_str().unwrap())])
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn owned(outputs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    outputs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

#[test]
fn every_output_is_written_also_the_empty_ones_and_behind_what_stands_there() {
    let folder = Folder::new();
    let env = env(&[("GITHUB_OUTPUT", &folder.file("output", "old=1\n"))]);
    let written = outputs::write(&env, &owned(&[("outcome", "live"), ("url", ""), ("services", "[\n{}\n]\n\nEOF\nx=y\r")])).unwrap();
    assert!(written.is_empty());
    let (read, error) = parse(&folder.text("output"));
    assert_eq!(read, pairs(&[("old", "1"), ("outcome", "live"), ("url", ""), ("services", "[\n{}\n]\n\nEOF\nx=y\r")]));
    assert_eq!(error, None);
}

#[test]
fn outputs_that_are_too_much_together_lose_the_longest_and_say_so() {
    let folder = Folder::new();
    let env = env(&[("GITHUB_OUTPUT", &folder.file("output", ""))]);
    let left_out = outputs::write(&env, &[("outcome", "live".to_owned()), ("services", "x".repeat(outputs::LARGEST))]).unwrap();
    assert_eq!(left_out, ["services"]);
    assert_eq!(parse(&folder.text("output")).0, pairs(&[("outcome", "live"), ("services", "")]));
}

#[test]
fn a_command_file_that_is_not_there_is_an_error_that_names_the_cause() {
    let folder = Folder::new();
    let gone = folder.path("gone");
    let error = outputs::write(&env(&[("GITHUB_OUTPUT", &gone)]), &[]).unwrap_err().to_string();
    assert!(error.starts_with(&gone) && error.contains("under a runner that is itself a container"), "{error}");
    let error = StateFile::open(&env(&[("GITHUB_STATE", &gone)])).unwrap_err().to_string();
    assert!(error.starts_with(&gone) && error.contains("under a runner that is itself a container"), "{error}");
    let error = summary_file::append(&env(&[("GITHUB_STEP_SUMMARY", &gone)]), &[]).unwrap_err().to_string();
    assert!(error.starts_with(&gone) && error.contains("under a runner that is itself a container"), "{error}");
    assert!(StateFile::open(&env(&[])).unwrap_err().to_string().starts_with("GITHUB_STATE is not set"));
    assert!(Home::of(&env(&[("HOME", &gone)])).unwrap_err().to_string().contains("under a runner that is itself a container"));
    assert_eq!(Home::of(&env(&[])).unwrap_err().to_string(), "HOME is not set");
    assert!(!Path::new(&gone).exists());
    let error = outputs::write(&env(&[("GITHUB_OUTPUT", folder.0.path().to_str().unwrap())]), &[]).unwrap_err().to_string();
    assert!(!error.contains("container"), "a folder in the file's place has another cause: {error}");
}

#[test]
fn state_lines_come_back_under_their_keys() {
    let folder = Folder::new();
    let mut file = StateFile::open(&env(&[("GITHUB_STATE", &folder.file("state", ""))])).unwrap();
    file.append("touchdown_a_0", "12ab {\"x\":\"<<EOF = é\"}").unwrap();
    file.append("touchdown_a_1", "").unwrap();
    let (read, error) = parse(&folder.text("state"));
    assert_eq!((read.clone(), error), (pairs(&[("touchdown_a_0", "12ab {\"x\":\"<<EOF = é\"}"), ("touchdown_a_1", "")]), None));
    let post: Env =
        read.into_iter().map(|(key, value)| (format!("STATE_{key}"), value)).chain([("STATES".to_owned(), String::new())]).collect();
    assert_eq!(state::saved(&post), pairs(&[("touchdown_a_0", "12ab {\"x\":\"<<EOF = é\"}"), ("touchdown_a_1", "")]));
}

#[test]
fn a_state_line_that_would_be_two_is_refused() {
    let folder = Folder::new();
    let mut file = StateFile::open(&env(&[("GITHUB_STATE", &folder.file("state", ""))])).unwrap();
    for (key, value) in [("a", "b\nc=d"), ("a", "b\rc"), ("a<<b", "c"), ("a=b", "c"), ("", "c"), ("a b", "c"), ("a", "\0")] {
        assert!(file.append(key, value).is_err(), "{key:?} {value:?}");
    }
    assert_eq!(folder.text("state"), "");
}

proptest! {
    #[test]
    fn any_output_is_read_as_it_was_written(values in prop::collection::vec(any::<String>(), 3), text in super::hostile()) {
        let folder = Folder::new();
        let env = env(&[("GITHUB_OUTPUT", &folder.file("output", ""))]);
        let names = ["outcome", "url", "services", "previous-revision"];
        let wanted: Vec<(&str, String)> = names.into_iter().zip(values.into_iter().chain([text])).collect();
        outputs::write(&env, &wanted).unwrap();
        let (read, error) = parse(&folder.text("output"));
        prop_assert_eq!(read, wanted.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Vec<_>>());
        prop_assert_eq!(error, None);
    }

    #[test]
    fn whatever_state_takes_comes_back_and_nothing_else_does(lines in prop::collection::vec((any::<String>(), any::<String>()), 0..6)) {
        let folder = Folder::new();
        let mut file = StateFile::open(&env(&[("GITHUB_STATE", &folder.file("state", ""))])).unwrap();
        let taken: Vec<_> = lines.into_iter().filter(|(key, value)| file.append(key, value).is_ok()).collect();
        prop_assert_eq!(parse(&folder.text("state")), (taken, None));
    }

    #[test]
    fn any_bytes_in_home_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = Folder::new();
        std::fs::write(folder.path("touchdown-abc.journal"), &bytes).unwrap();
        let lines = Home::of(&folder.env("HOME")).unwrap().lines();
        prop_assert!(lines.iter().all(|(key, value)| !key.contains('=') && !value.contains('\n')));
    }
}

fn section(rank: u8, markdown: &str) -> Section {
    Section { rank, markdown: markdown.to_owned() }
}

#[test]
fn a_summary_within_its_budget_is_whole_and_in_order() {
    let folder = Folder::new();
    let env = env(&[("GITHUB_STEP_SUMMARY", &folder.file("summary", "before\n\n"))]);
    summary_file::append(&env, &[section(9, "last of importance\n"), section(0, "# first")]).unwrap();
    assert_eq!(folder.text("summary"), "before\n\nlast of importance\n\n# first\n\n");
}

#[test]
fn a_summary_that_is_too_long_loses_the_least_important_and_says_so() {
    let evidence = "x".repeat(500 * 1024);
    let sections = [section(0, "outcome\n"), section(7, &evidence), section(8, &evidence), section(1, "state\n")];
    let folder = Folder::new();
    let env = env(&[("GITHUB_STEP_SUMMARY", &folder.file("summary", ""))]);
    summary_file::append(&env, &sections).unwrap();
    let text = folder.text("summary");
    assert!(text.starts_with("outcome\n\nxxx") && text.len() <= BUDGET);
    assert!(text.ends_with("state\n\n\n_1 of 4 parts are left out here: a summary holds 900 KiB. The JSON report has them all._\n"));
    summary_file::append(&env, &sections).unwrap();
    assert!(folder.text("summary").len() <= BUDGET, "a second part of the same step has its own budget");
}

proptest! {
    #[test]
    fn no_summary_is_longer_than_its_budget(sections in prop::collection::vec((any::<u8>(), 0usize..400), 0..12), budget in 0usize..2000) {
        let sections: Vec<Section> = sections.into_iter().map(|(rank, length)| section(rank, &"é".repeat(length))).collect();
        prop_assert!(summary_file::fit(&sections, budget).len() <= budget);
    }
}

#[test]
fn the_copy_in_home_is_locked_private_and_read_back() {
    let folder = Folder::new();
    let home = Home::of(&folder.env("HOME")).unwrap();
    let mut copy = home.journal("ab12").unwrap();
    copy.append("touchdown_ab12_0", "first = line").unwrap();
    assert!(home.journal("ab12").is_err(), "two would write one journal");
    assert_eq!(home.lines(), pairs(&[("touchdown_ab12_0", "first = line")]));
    let metadata = std::fs::metadata(folder.path("touchdown-ab12.journal")).unwrap();
    assert_eq!((metadata.permissions().mode() & 0o777, metadata.uid()), (0o600, std::fs::metadata(folder.0.path()).unwrap().uid()));
    drop(copy);
    home.journal("ab12").unwrap().append("touchdown_ab12_1", "second").unwrap();
    assert_eq!(home.lines().len(), 2);
}

#[test]
fn what_root_makes_in_home_belongs_to_homes_owner() {
    let folder = Folder::new();
    // Anyone else than root, as on a developer's machine, owns the folder already: then it is their own uid that is expected.
    let owner = match chown(folder.0.path(), Some(1001), Some(1001)) {
        Ok(()) => 1001,
        Err(_) => std::fs::metadata(folder.0.path()).unwrap().uid(),
    };
    let home = Home::of(&folder.env("HOME")).unwrap();
    let _copy = home.journal("ab").unwrap();
    home.raise_fence("ab").unwrap();
    home.keep_credentials("ab", "{}").unwrap();
    let report = report_file::write(&folder.env("HOME"), "{}").unwrap();
    let made: Vec<_> = ["journal", "fence", "credentials"].map(|what| folder.path(&format!("touchdown-ab.{what}")).into()).into();
    for path in made.into_iter().chain([report]) {
        assert_eq!(std::fs::metadata(&path).unwrap().uid(), owner, "{path:?}");
    }
}

#[test]
fn kept_credentials_are_whole_private_and_gone_when_dropped() {
    let folder = Folder::new();
    let home = Home::of(&folder.env("HOME")).unwrap();
    assert_eq!(home.credentials("ab"), None);
    home.keep_credentials("ab", "one").unwrap();
    home.keep_credentials("ab", "another").unwrap();
    assert_eq!(home.credentials("ab").as_deref(), Some("another"));
    let path = folder.path("touchdown-ab.credentials");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    home.drop_credentials("ab");
    assert_eq!(home.credentials("ab"), None);
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 0);
}

#[test]
fn cleaning_leaves_nothing_but_a_fence_against_somebody_who_still_runs() {
    let folder = Folder::new();
    let home = Home::of(&folder.env("HOME")).unwrap();
    let hold = home.hold("ab").unwrap();
    drop(home.journal("ab").unwrap());
    home.raise_fence("ab").unwrap();
    home.keep_credentials("ab", "{}").unwrap();
    home.clean("ab");
    assert!(home.fence("ab").exists() && home.credentials("ab").is_none());
    drop(hold);
    home.clean("ab");
    assert_eq!(std::fs::read_dir(folder.0.path()).unwrap().count(), 0);
}

#[test]
fn the_lock_tells_a_main_that_runs_from_one_that_has_ended_and_from_none() {
    let folder = Folder::new();
    let home = Home::of(&folder.env("HOME")).unwrap();
    assert_eq!(home.main("ab"), Main::Unknown);
    let hold = home.hold("ab").unwrap();
    assert!(home.hold("ab").is_err());
    assert_eq!(home.main("ab"), Main::Alive);
    drop(hold);
    assert_eq!(home.main("ab"), Main::Ended);
}

#[test]
fn another_name_of_somebody_elses_file_is_neither_written_nor_given_away() {
    let folder = Folder::new();
    folder.file("elsewhere", "theirs");
    let owner = std::fs::metadata(folder.path("elsewhere")).unwrap().uid();
    let _ = chown(folder.0.path(), Some(1001), Some(1001));
    let home = Home::of(&folder.env("HOME")).unwrap();
    for what in ["journal", "fence", "lock"] {
        std::fs::hard_link(folder.path("elsewhere"), folder.path(&format!("touchdown-ab.{what}"))).unwrap();
    }
    assert!(home.journal("ab").is_err() && home.raise_fence("ab").is_err() && home.hold("ab").is_err());
    assert_eq!((folder.text("elsewhere").as_str(), std::fs::metadata(folder.path("elsewhere")).unwrap().uid()), ("theirs", owner));
}

#[test]
fn pipes_links_and_folders_in_home_neither_stop_nor_mislead() {
    let folder = Folder::new();
    let home = Home::of(&folder.env("HOME")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(folder.path("touchdown-pipe.journal")).status().unwrap().success());
    folder.file("elsewhere", "touchdown_x_0=forged\n");
    symlink(folder.path("elsewhere"), folder.path("touchdown-link.journal")).unwrap();
    std::fs::create_dir(folder.path("touchdown-folder.journal")).unwrap();
    folder.file("other.journal", "touchdown_y_0=not ours\n");
    assert_eq!(home.lines(), []);
    assert!(home.journal("link").is_err() && home.journal("folder").is_err() && home.journal("pipe").is_err());
    assert_eq!(home.main("pipe"), Main::Unknown);
    assert_eq!(folder.text("elsewhere"), "touchdown_x_0=forged\n");
    assert!(home.fence("../../etc/x").starts_with(folder.0.path()) && !home.fence("../x").to_str().unwrap().contains(".."));
}

#[test]
fn the_workspace_is_read_and_nothing_outside_it() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path("checkout/.github")).unwrap();
    folder.file("checkout/.github/touchdown.yml", "version: 1\n");
    folder.file("secret", "outside");
    symlink(folder.path("secret"), folder.path("checkout/out.yml")).unwrap();
    symlink(folder.path("checkout/.github/touchdown.yml"), folder.path("checkout/in.yml")).unwrap();
    symlink("loop.yml", folder.path("checkout/loop.yml")).unwrap();
    folder.file("checkout/large.yml", &"x".repeat(usize::try_from(LARGEST).unwrap() + 1));
    std::fs::write(folder.path("checkout/latin.yml"), [0xe9]).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(folder.path("checkout/pipe.yml")).status().unwrap().success());
    let workspace = Workspace::of(&env(&[("GITHUB_WORKSPACE", &folder.path("checkout"))]));
    assert_eq!(workspace.read(".github/touchdown.yml").unwrap(), "version: 1\n");
    assert_eq!(workspace.read("in.yml").unwrap(), "version: 1\n");
    assert_eq!(workspace.read(&folder.path("checkout/in.yml")).unwrap(), "version: 1\n");
    assert!(workspace.has("in.yml") && !workspace.has("none.yml"));
    let why = |path: &str| {
        let failure = workspace.read(path).unwrap_err();
        format!("{}: {}", failure.what, failure.why.join(" "))
    };
    for path in ["out.yml", "../secret", "/etc/passwd", ".github/../../secret"] {
        assert!(why(path).ends_with("it leads out of the workspace"), "{path}: {}", why(path));
    }
    assert!(why("large.yml").ends_with("it is larger than 256 KiB"));
    assert!(why("latin.yml").ends_with("it is not UTF-8"));
    assert!(why("pipe.yml").ends_with("it is no regular file") && why(".github").ends_with("it is no regular file"));
    assert!(why("none.yml").starts_with("there is no file \"none.yml\" in the workspace"));
    assert!(why("loop.yml").contains("cannot be read"));
}

#[test]
fn the_report_goes_to_the_temporary_folder_else_home_and_says_why_if_neither() {
    let (temporary, home) = (Folder::new(), Folder::new());
    let both = env(&[("RUNNER_TEMP", temporary.0.path().to_str().unwrap()), ("HOME", home.0.path().to_str().unwrap())]);
    let path = report_file::write(&both, "{}").unwrap();
    assert!(path.starts_with(temporary.0.path()));
    assert_eq!(std::fs::read_to_string(path).unwrap(), "{}");
    let outside = env(&[("RUNNER_TEMP", temporary.0.path().to_str().unwrap()), ("INPUT_RUNNER-TEMP", "host:/home/runner/work/_temp")]);
    let path = report_file::write(&outside, "{}").unwrap();
    assert!(path.starts_with("/home/runner/work/_temp"), "later steps see it there: {}", path.display());
    assert!(temporary.0.path().join(path.file_name().unwrap()).is_file());
    let half = env(&[("RUNNER_TEMP", &temporary.path("gone")), ("HOME", home.0.path().to_str().unwrap())]);
    assert!(report_file::write(&half, "{}").unwrap().starts_with(home.0.path()));
    let error = report_file::write(&env(&[("RUNNER_TEMP", &temporary.path("gone"))]), "{}").unwrap_err().to_string();
    assert!(error.starts_with("RUNNER_TEMP (") && error.ends_with("; HOME is not set"), "{error}");
}

#[test]
fn the_origin_names_the_run_and_knows_a_pull_request() {
    let origin = Origin::of(&env(&[
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_RUN_ID", "77"),
        ("GITHUB_RUN_ATTEMPT", "2"),
        ("GITHUB_EVENT_NAME", "pull_request_target"),
    ]));
    assert_eq!(origin.run_url.as_deref(), Some("https://github.com/acme/shop/actions/runs/77/attempts/2"));
    assert!(origin.is_pull_request());
    let terminal = Origin::of(&env(&[]));
    assert_eq!((terminal.run, terminal.run_url.clone(), terminal.event.as_str()), (None, None, ""));
}
