//! The house rules that no lint knows: which room may import which, and which doors to the outside stand where.
//! It reads `src/` itself, so a rule cannot be forgotten; the tables below are the rules.

mod names;

use std::fmt::Write as _;
use std::path::Path;

use names::Used;

/// Floor 0: words of the domain, the one error, time. Everyone may import it.
const GROUND: &[&str] = &["values", "failure", "clock"];

/// A room and what it may import besides floor 0 and itself; `runner::log` is that part of a room only.
const PERMITTED: &[(&str, &[&str])] = &[
    ("main", &["mode", "runner"]),
    ("lib", &[]),
    ("mode", &["report", "engine", "config", "target", "health", "image", "cloud", "runner", "http", "simulator"]),
    ("report", &["engine", "health", "target", "runner"]),
    ("engine", &["target", "health", "runner", "http"]),
    ("config", &["engine::record", "engine::member", "target", "health", "image", "cloud", "runner", "http::Endpoints", "http::lookup"]),
    ("target", &["cloud", "http", "image", "runner::log"]),
    ("health", &["http"]),
    ("image", &["cloud", "http", "runner::log", "runner::docker_config"]),
    ("cloud", &["http", "runner"]),
    ("runner", &["http"]),
    ("http", &[]),
    ("simulator", &[]),
    ("values", &[]),
    ("failure", &[]),
    ("clock", &[]),
];

/// A way out of the program, the names that open it, and the only files (or rooms, with a slash at the end) that may.
struct Door {
    leads_to: &'static str,
    opened_by: &'static [&'static str],
    stands_in: &'static [&'static str],
}

const DOORS: &[Door] = &[
    Door { leads_to: "the environment", opened_by: &["std::env"], stands_in: &["runner/"] },
    Door {
        leads_to: "standard output",
        opened_by: &[
            "std::io::stdout",
            "std::io::stderr",
            "tokio::io::stdout",
            "tokio::io::stderr",
            "print!",
            "println!",
            "eprint!",
            "eprintln!",
            "dbg!",
        ],
        stands_in: &["runner/"],
    },
    // An image is larger than memory: its sources read it where it lies, and put what they compress into files without names.
    Door { leads_to: "files", opened_by: &["std::fs", "tokio::fs"], stands_in: &["runner/", "http/", "image/source/"] },
    Door {
        leads_to: "the network",
        opened_by: &[
            "reqwest",
            "hyper",
            "hyper_util",
            "tokio::net",
            "std::os::unix::net",
            "std::net::TcpListener",
            "std::net::TcpStream",
            "std::net::ToSocketAddrs",
            "std::net::UdpSocket",
        ],
        stands_in: &["http/", "simulator/"],
    },
    Door { leads_to: "TLS", opened_by: &["rustls", "tokio_rustls", "webpki_roots", "rustls_pki_types"], stands_in: &["http/"] },
    // The credential helpers that Docker's own configuration names, and nothing else.
    Door { leads_to: "other programs", opened_by: &["std::process::Command", "tokio::process"], stands_in: &["runner/docker_config.rs"] },
    Door { leads_to: "the end of the process", opened_by: &["std::process::exit", "std::process::abort"], stands_in: &[] },
    Door {
        leads_to: "a wait on the clock",
        opened_by: &[".sleep"],
        // A sign-in refused for a moment needs a fresh token for each try; post waits for what main may still have under way.
        // A registry is tried again per request, with its own budget, beside transfers that go on.
        stands_in: &[
            "engine/run.rs",
            "engine/pace.rs",
            "http/",
            "cloud/aws/sts.rs",
            "image/registry/patience.rs",
            "mode/recover.rs",
            "simulator/",
        ],
    },
    Door {
        leads_to: "a wait on the wall",
        opened_by: &["tokio::time::sleep", "tokio::time::sleep_until", "tokio::time::interval"],
        stands_in: &["clock.rs"],
    },
    Door { leads_to: "a blocking wait", opened_by: &["std::thread::sleep"], stands_in: &[] },
    Door { leads_to: "a deadline on the wall", opened_by: &["tokio::time"], stands_in: &["clock.rs", "engine/", "http/", "simulator/"] },
    Door {
        leads_to: "the time of day",
        opened_by: &["std::time::SystemTime::now", "time::OffsetDateTime::now_utc"],
        // AWS compares a signature's time with its own wall clock.
        stands_in: &["clock.rs", "cloud/aws/signed.rs"],
    },
];

/// Files aim for 400 lines; this many are too many.
const TOO_LONG: usize = 500;

/// Everything in one file that is against the rules, as `file:line: what`.
fn breaches(file: &str, source: &str, platforms: &[String]) -> Vec<String> {
    let module = module_of(file);
    let room = module.first().copied().unwrap_or(if file == "main.rs" { "main" } else { "lib" });
    let mut found = Vec::new();
    if !source.starts_with("//!") {
        found.push(format!("{file}:1: does not open with `//!`: its responsibility and what it must not know"));
    }
    if source.lines().count() > TOO_LONG {
        found.push(format!("{file}:{TOO_LONG}: is longer than {TOO_LONG} lines"));
    }
    let Some((_, permitted)) = PERMITTED.iter().find(|(name, _)| *name == room) else {
        found.push(format!("{file}:1: `{room}` is a room without a floor: see PERMITTED in tests/it/floors"));
        return found;
    };
    for used in names::of_source(source, &module) {
        let wrong = wrong_import(room, permitted, &used).or_else(|| sibling(&module, &used, platforms)).or_else(|| wrong_door(file, &used));
        found.extend(wrong.map(|wrong| format!("{file}:{}: {wrong}", used.line)));
    }
    found
}

fn wrong_import(room: &str, permitted: &[&str], used: &Used) -> Option<String> {
    let [first, other, ..] = used.path.as_slice() else { return None };
    let is_room = PERMITTED.iter().any(|(name, _)| name == other);
    if first != "crate" || !is_room || other == room || room == "lib" || GROUND.contains(&other.as_str()) {
        return None;
    }
    let allowed = permitted.iter().any(|allowed| is_below(&used.path[1..], allowed));
    (!allowed).then(|| format!("`{room}` may not import `{}`", used.name()))
}

/// A platform does not know its neighbours: they have only the trait in common.
fn sibling(module: &[&str], used: &Used, platforms: &[String]) -> Option<String> {
    let [first, room, other, ..] = used.path.as_slice() else { return None };
    let own = module.get(1).filter(|own| module[0] == "target" && platforms.iter().any(|platform| platform == *own))?;
    let is_other = first == "crate" && room == "target" && other != own && platforms.contains(other);
    is_other.then(|| format!("the target `{own}` may not import its sibling `{other}`"))
}

fn wrong_door(file: &str, used: &Used) -> Option<String> {
    let door = DOORS.iter().find(|door| {
        door.opened_by.iter().any(|name| is_below(&used.path, name)) && !door.stands_in.iter().any(|place| stands(file, place))
    })?;
    let places = if door.stands_in.is_empty() { "nowhere".to_owned() } else { format!("only in {}", door.stands_in.join(", ")) };
    Some(format!("`{}` opens the door to {}, which stands {places}", used.name(), door.leads_to))
}

/// Whether `path` is `name` or something inside it.
fn is_below(path: &[String], name: &str) -> bool {
    let words: Vec<&str> = name.split("::").collect();
    path.len() >= words.len() && path.iter().zip(&words).all(|(have, want)| have == want)
}

/// `runner/` means `runner.rs` too: a room is a file or a folder.
fn stands(file: &str, place: &str) -> bool {
    match place.strip_suffix('/') {
        Some(room) => file.starts_with(place) || file == format!("{room}.rs"),
        None => file == place,
    }
}

/// `engine/run.rs` is the module `engine::run`, `engine/mod.rs` is `engine`, `lib.rs` and `main.rs` are the root.
fn module_of(file: &str) -> Vec<&str> {
    let mut words: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    if matches!(words.last(), Some(&("mod" | "lib" | "main"))) {
        words.pop();
    }
    words
}

/// Every source file, by its path below `src/`.
pub fn every_source_file() -> Vec<(String, String)> {
    fn collect(folder: &Path, root: &Path, into: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, root, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                into.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    found.sort();
    found
}

/// The platforms, as the `target` room's folder shows them: `target/ecs.rs`, `target/cloud_run/…`.
fn platforms(sources: &[(String, String)]) -> Vec<String> {
    let mut platforms: Vec<String> =
        sources.iter().filter_map(|(file, _)| module_of(file.strip_prefix("target/")?).first().map(ToString::to_string)).collect();
    platforms.dedup();
    platforms
}

#[test]
fn every_room_imports_only_what_it_may_and_opens_only_its_own_doors() {
    let sources = every_source_file();
    assert!(sources.len() > 10, "the source was not found");
    let platforms = platforms(&sources);
    let found: Vec<String> = sources.iter().flat_map(|(file, source)| breaches(file, source, &platforms)).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn the_rules_name_only_rooms_and_files_that_can_be() {
    let sources = every_source_file();
    for place in DOORS.iter().flat_map(|door| door.stands_in) {
        assert!(sources.iter().any(|(file, _)| stands(file, place)), "a door stands in {place}, which is not there");
    }
    for allowed in PERMITTED.iter().flat_map(|(_, allowed)| *allowed) {
        let room = allowed.split("::").next().unwrap();
        assert!(PERMITTED.iter().any(|(name, _)| *name == room), "{room} is permitted to someone and is no room");
    }
}

#[test]
fn nothing_below_mode_may_import_the_simulator_and_no_room_imports_one_above_it() {
    let may = |room: &str, other: &str| {
        PERMITTED.iter().any(|(name, allowed)| *name == room && allowed.iter().any(|path| path.split("::").next() == Some(other)))
    };
    for (room, _) in PERMITTED.iter().filter(|(room, _)| *room != "mode") {
        assert!(!may(room, "simulator"), "{room} may import the simulator");
    }
    for (room, allowed) in PERMITTED {
        for other in allowed.iter().filter_map(|path| path.split("::").next()) {
            assert!(!may(other, room), "{room} and {other} may import each other");
        }
    }
}

/// What the checker says of a file, without the file's name: one line each.
fn said(file: &str, body: &str) -> String {
    let platforms = ["ecs".to_owned(), "cloud_run".to_owned()];
    let mut lines = String::new();
    for breach in breaches(file, &format!("//! A room.\n{body}"), &platforms) {
        writeln!(lines, "{}", breach.strip_prefix(file).unwrap().trim_start_matches(':')).unwrap();
    }
    lines.trim_end().to_owned()
}

#[test]
fn an_import_from_a_floor_above_is_found_however_it_is_written() {
    let expected = "2: `health` may not import `crate::engine::record::Event`";
    for body in [
        "use crate::engine::record::Event;",
        "use crate::{clock::Clock, engine::{self as loop_, record::{Event}}};",
        "use super::engine::record::Event;",
    ] {
        assert!(said("health/mod.rs", body).contains(expected), "{body}: {}", said("health/mod.rs", body));
    }
    assert_eq!(
        said("health/mod.rs", "fn f() { select! { _ = async { crate::engine::run::go() } => {} } }"),
        "2: `health` may not import `crate::engine::run::go`"
    );
    assert_eq!(said("health/probe.rs", "mod tests { use super::super::super::report; }"), "2: `health` may not import `crate::report`");
    assert_eq!(said("health/probe.rs", "mod tests { use super::super::Probe; use super::Sample; }"), "");
}

#[test]
fn a_part_of_a_room_may_be_permitted_where_the_whole_is_not() {
    assert_eq!(said("config/plan.rs", "use crate::engine::record::Plan;"), "");
    assert_eq!(said("config/plan.rs", "use crate::engine::run;"), "2: `config` may not import `crate::engine::run`");
    assert_eq!(said("config/plan.rs", "use crate::engine;"), "2: `config` may not import `crate::engine`");
    assert_eq!(said("target/ecs.rs", "use crate::runner::log::Log; use crate::target::{Before, ecs};"), "");
    assert_eq!(said("target/ecs.rs", "use crate::runner::{log::Log, env::Env};"), "2: `target` may not import `crate::runner::env::Env`");
}

#[test]
fn a_target_that_knows_its_sibling_is_found() {
    let expected = "2: the target `ecs` may not import its sibling `cloud_run`";
    assert_eq!(said("target/ecs.rs", "use crate::target::cloud_run::Revision;"), expected);
    assert_eq!(said("target/ecs/api.rs", "use super::super::cloud_run;"), expected);
    assert_eq!(said("target/mod.rs", "use self::cloud_run::Revision; use crate::target::ecs;"), "");
}

#[test]
fn a_door_in_the_wrong_room_is_found_through_aliases_too() {
    let environment = |name: &str| format!("`{name}` opens the door to the environment, which stands only in runner/");
    assert_eq!(said("mode/deploy.rs", "fn f() { std::env::var(\"X\"); }"), format!("2: {}", environment("std::env::var")));
    assert_eq!(
        said("mode/deploy.rs", "use std::env as surroundings;\nfn f() { surroundings::vars() }"),
        format!("2: {}\n3: {}", environment("std::env"), environment("std::env::vars"))
    );
    assert_eq!(said("runner/env.rs", "fn f() { std::env::vars() }"), "");
    assert!(said("engine/run.rs", "fn f() { println!(\"{}\", 1) }").contains("2: `println!` opens the door to standard output"));
    assert!(
        said("report/json.rs", "use std::io;\nfn f() { serde_json::to_writer(io::stdout(), &1) }").contains("3: `std::io::stdout` opens")
    );
    assert!(
        said("cloud/aws.rs", "use reqwest::Client;")
            .contains("`reqwest::Client` opens the door to the network, which stands only in http/, simulator/")
    );
    assert!(said("health/probe.rs", "use tokio::net::TcpStream;").contains("the network"));
    assert_eq!(said("http/mod.rs", "use reqwest::Client; use tokio::net::UnixStream; use std::net::ToSocketAddrs;"), "");
    assert!(
        said("target/ecs.rs", "async fn f() { self.clock.sleep(TWO).await }").contains("2: `.sleep` opens the door to a wait on the clock")
    );
    assert!(
        said("engine/run.rs", "use tokio::time;\nasync fn f() { time::sleep(TWO).await }")
            .contains("3: `tokio::time::sleep` opens the door to a wait on the wall")
    );
    assert!(
        said("runner/home.rs", "fn f() { std::process::Command::new(\"docker\") }")
            .contains("other programs, which stands only in runner/docker_config.rs")
    );
}

#[test]
fn comments_and_strings_open_no_door() {
    let body = "/// Reads std::env::var, never crate::engine.\nfn f() -> &'static str { \"crate::simulator println!\" /* std::env */ }";
    assert_eq!(said("target/ecs.rs", body), "");
}

#[test]
fn a_file_without_a_word_about_itself_too_long_or_in_no_room_is_found() {
    assert_eq!(breaches("engine/run.rs", "fn f() {}", &[]).len(), 1);
    assert_eq!(said("engine/run.rs", &"\n".repeat(TOO_LONG)), format!("{TOO_LONG}: is longer than {TOO_LONG} lines"));
    assert!(said("util.rs", "").contains("`util` is a room without a floor"));
}
