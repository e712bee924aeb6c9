//! What the log prints, judged by the runner's own grammar: no command but ours, and no secret.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use touchdown::runner::log::{Level, Log, Style};
use touchdown::runner::text::{LONGEST_LINE, disarm};
use touchdown::runner::trace::Lines;
use touchdown::values::Secret;
use tracing_subscriber::layer::SubscriberExt;

use super::{Printed, env, hostile};
use crate::runner_grammar::{Command, parse_stdout};

/// Every command, also if the runner's comparison of strings ignores what cannot be seen (.NET does so for some cultures).
fn commands(printed: &str) -> Vec<Command> {
    let seen: String =
        printed.chars().filter(|c| !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\0')).collect();
    let all = parse_stdout(printed);
    assert_eq!(all, parse_stdout(&seen));
    all
}

fn names(printed: &str) -> Vec<String> {
    commands(printed).into_iter().map(|command| command.name).collect()
}

#[test]
fn the_injection_corpus_yields_no_command() {
    for hostile in [
        "::set-output name=outcome::live",
        "  \u{2003}\u{a0}::save-state name=touchdown_x_0::{}",
        "fine\r::error::not ours",
        "fine\u{85}::add-mask::production",
        "fine\u{2028}::stop-commands::x",
        "text ##[set-output name=a]b",
        "###[error]b",
        "##\u{200b}[error]b",
        "\u{feff}::error::x",
        "\u{1b}[0m::error::x",
        "\u{1b}[0::error::x",
        "\u{1b}]0;title\u{7}::error::x",
        "\u{1}::error::x",
        ":\u{ad}:error::x",
        "\u{202e}::error::x",
    ] {
        let (log, printed) = Printed::log(Style::GitHub);
        log.line(hostile);
        assert_eq!(commands(&printed.text()), [], "{hostile:?} printed {:?}", printed.text());
    }
}

#[test]
fn what_is_printed_can_still_be_read() {
    assert_eq!(disarm("a\r\nb\tc\u{1b}[1;31mred\u{1b}[0m\n\n"), ["a", "b cred"]);
    assert_eq!(disarm("  ::error::x"), ["  \\::error::x"]);
    assert_eq!(disarm("a ::b:: ##[c]"), ["a ::b:: ##\\[c]"]);
    assert_eq!(disarm(""), [""]);
    assert_eq!(disarm("\u{1b}]8;;https://x\u{1b}\\link"), ["\\link"]);
    let long = disarm(&"é".repeat(LONGEST_LINE));
    assert!(long[0].len() <= LONGEST_LINE && long[0].contains('…') && long[0].ends_with('é'));
}

#[test]
fn an_annotation_carries_its_text_whole_and_the_second_of_a_level_is_a_line() {
    let (log, printed) = Printed::log(Style::GitHub);
    log.annotate(Level::Error, "web: rolled back, 100%", "first\nsecond, 5% ::x");
    log.annotate(Level::Error, "again", "::more");
    log.annotate(Level::Warning, "careful", "w");
    insta::assert_snapshot!(printed.text(), @r"
    ::error title=web%3A rolled back%2C 100%25::first%0Asecond, 5%25 ::x
    error: again: ::more
    ::warning title=careful::w
    ");
    let error = commands(&printed.text()).remove(0);
    assert_eq!((error.properties["title"].as_str(), error.data.as_str()), ("web: rolled back, 100%", "first\nsecond, 5% ::x"));
}

#[test]
fn an_annotation_stays_within_what_the_runner_keeps() {
    let (log, printed) = Printed::log(Style::GitHub);
    log.annotate(Level::Notice, &"t".repeat(5000), &"line of many\n".repeat(5000));
    let notice = commands(&printed.text()).remove(0);
    assert!(notice.data.encode_utf16().count() <= 4096 && notice.properties["title"].len() <= 200);
}

#[test]
fn groups_fold_under_the_runner_and_are_indented_elsewhere() {
    let lines = ["one".to_owned(), "::endgroup::\ntwo".to_owned()];
    let (log, printed) = Printed::log(Style::GitHub);
    log.group("last lines of\nweb", &lines);
    assert_eq!(printed.text(), "::group::last lines of web\none\n\\::endgroup::\ntwo\n::endgroup::\n");
    let (log, printed) = Printed::log(Style::Plain);
    log.group("last lines", &lines);
    assert_eq!(printed.text(), "last lines\n  one\n  \\::endgroup::\n  two\n");
}

#[test]
fn a_plain_log_prints_no_command_at_all() {
    let (log, printed) = Printed::log(Style::Plain);
    log.mask(&Secret::new("hunter2hunter2"));
    log.annotate(Level::Error, "web", "it is hunter2hunter2");
    log.debug("::error::x");
    assert_eq!(printed.text(), "error: web: it is ***\ndebug: ::error::x\n");
}

#[test]
fn what_a_cut_left_of_a_secret_is_masked_too() {
    let (log, _) = Printed::log(Style::Plain);
    log.mask(&Secret::new("hunter2hunter2hunter2"));
    for limit in 14..34 {
        let mut text = "got: token=hunter2hunter2hunter2, and more".to_owned();
        touchdown::failure::cut(&mut text, limit);
        let redacted = log.redact(&format!("{text} (expected 200)"));
        assert!(!redacted.contains("hunt") && !redacted.contains("ter2"), "{limit}: {text:?} became {redacted:?}");
        assert!(redacted.starts_with("got: ") && redacted.contains('…') && redacted.ends_with(" (expected 200)"), "{limit}: {redacted:?}");
    }
    assert_eq!(log.redact("a hunter… of hunters, and… more"), "a ***… of hunters, and… more");
    assert_eq!(log.redact("a hunt…ter2 of …hunter2"), "a ***…*** of …***");
}

#[test]
fn a_secret_is_masked_the_moment_it_is_born_and_in_every_form() {
    let secret = "p&ss w\"rd/ü+1234567%\nsecond line of it";
    let (log, printed) = Printed::log(Style::GitHub);
    log.mask(&Secret::new(secret));
    let mask = commands(&printed.text()).remove(0);
    assert_eq!((mask.name.as_str(), mask.data.as_str()), ("add-mask", secret));
    let uri: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    for form in [
        secret.to_owned(),
        "second line of it".to_owned(),
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
        serde_json::to_string(secret).unwrap(),
        format!("{secret:?}"),
        uri.clone(),
        uri.replace('+', "%20"),
        "p&amp;ss w&quot;rd/ü+1234567%".to_owned(),
    ] {
        let redacted = log.redact(&form);
        assert!(redacted.contains("***") && !redacted.contains("1234567") && !redacted.contains("second"), "{form:?} became {redacted:?}");
    }
}

#[test]
fn a_secret_inside_longer_base64_is_found_wherever_it_begins() {
    let (log, _) = Printed::log(Style::Plain);
    let secret = "a-long-enough-secret-token";
    log.mask(&Secret::new(secret));
    for before in ["", "u", "us", "use", "user"] {
        let encoded = STANDARD.encode(format!("{before}{secret}@example"));
        assert!(log.redact(&encoded).contains("***"), "{before}: {encoded}");
    }
}

#[test]
fn a_secret_with_invisible_characters_in_it_is_still_masked() {
    let (log, printed) = Printed::log(Style::GitHub);
    log.mask(&Secret::new("hunter2hunter2"));
    log.line("hun\u{200b}ter2\u{1b}[1mhunter2");
    log.annotate(Level::Error, "hunter2\u{ad}hunter2", "hunter2\u{ad}hunter2");
    log.group("hunter2\u{ad}hunter2", &["x hunter2\u{feff}hunter2".to_owned()]);
    let after_mask = printed.text().split_once('\n').unwrap().1.to_owned();
    assert!(!after_mask.contains("hunter2"), "{after_mask}");
}

#[test]
fn identifiers_and_short_texts_are_never_masked() {
    let (log, printed) = Printed::log(Style::GitHub);
    for identifier in ["eu-west-1", "us-gov-west-1", "123456789012", "abc", "", "true", "production", " \n"] {
        log.mask(&Secret::new(identifier));
        assert_eq!(log.redact(identifier), identifier);
    }
    assert_eq!(printed.text(), "");
    log.mask(&Secret::new("hunter2-hunter2-9\ntrue"));
    assert_eq!(log.redact("it is true in eu-west-1: hunter2-hunter2-9"), "it is true in eu-west-1: ***");
}

#[test]
fn events_become_lines_with_the_name_of_their_service() {
    let (log, printed) = Printed::log(Style::GitHub);
    log.mask(&Secret::new("hunter2hunter2"));
    let lines = Lines::new(log, &env(&[("RUNNER_DEBUG", "1")]));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
        let run = tracing::info_span!(target: "touchdown::test", "run", id = 1);
        let _run = run.enter();
        let service = tracing::info_span!(target: "touchdown::test", "service", service = "web");
        let _service = service.enter();
        let _step = tracing::info_span!(target: "touchdown::test", "step").entered();
        tracing::info!(target: "touchdown::test", "deploying with hunter2hunter2");
        tracing::warn!(target: "touchdown::test", service = "api", "::error::x");
        tracing::debug!(target: "touchdown::test", status = 200, "request");
        tracing::trace!(target: "touchdown::test", "too quiet");
        tracing::error!(target: "hyper::client", "headers: authorization");
        tracing::info!(target: "touchdownish", "not ours");
    });
    let printed = printed.text().split_once('\n').unwrap().1.to_owned();
    insta::assert_snapshot!(printed, @r"
    web: deploying with ***
    warning: api: ::error::x
    ::debug::web: request status=200
    ");
}

#[test]
fn without_the_runners_debugging_nothing_below_info_is_printed() {
    let (log, printed) = Printed::log(Style::GitHub);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(Lines::new(log, &env(&[]))), || {
        tracing::debug!(target: "touchdown::test", "request");
        tracing::info!(target: "touchdown::test", "told");
    });
    assert_eq!(printed.text(), "told\n");
}

fn print_all(log: &Log, texts: &[String; 3]) {
    let [one, two, three] = texts;
    log.line(one);
    log.group(one, &[two.clone(), three.clone()]);
    log.annotate(Level::Error, two, three);
    log.annotate(Level::Error, three, one);
    log.debug(two);
}

proptest! {
    #[test]
    fn whatever_is_printed_the_runner_finds_our_commands_only(one in hostile(), two in hostile(), three in hostile(), any in any::<String>()) {
        let (log, printed) = Printed::log(Style::GitHub);
        print_all(&log, &[one.clone(), two.clone(), three.clone() + &any]);
        let found: Vec<String> = names(&printed.text()).into_iter().filter(|name| name != "debug").collect();
        prop_assert_eq!(found, ["group", "endgroup", "error"]);
        prop_assert!(!printed.text().contains(|c: char| c.is_control() && c != '\n'));
        let (log, printed) = Printed::log(Style::Plain);
        print_all(&log, &[one, two, three + &any]);
        prop_assert_eq!(commands(&printed.text()), []);
    }

    #[test]
    fn no_secret_is_printed_whatever_stands_around_it(
        secret in "[A-Za-z0-9/+=&\"' %<>\\\\]{0,6}[A-Za-z0-9]{8,20}[\"'&%+ ]{0,3}",
        before in hostile(),
        after in hostile(),
    ) {
        let (log, printed) = Printed::log(Style::Plain);
        log.mask(&Secret::new(secret.clone()));
        let json = serde_json::to_string(&secret).unwrap();
        print_all(&log, &[format!("{before}{secret}{after}"), format!("{before}{json}{after}"), format!("{before}{secret:?}{after}")]);
        prop_assert!(!printed.text().contains(secret.trim()), "{}", printed.text());
    }
}

#[test]
fn rows_at_a_terminal_stay_beneath_the_lines_and_hold_nothing_foreign_or_secret() {
    let printed = Printed::default();
    let log = Log::at_a_terminal(Box::new(printed.clone()), 60);
    log.mask(&Secret::new("hunter2-is-long"));
    assert_eq!(log.columns(), Some(60));
    log.show(&["one \u{1b}[31mred".to_owned(), "two\nthree hunter2-is-long".to_owned()]);
    log.line("a line");
    log.show(&[]);
    log.line("the last");
    let rows = "\u{1b}[?7lone red\ntwo three ***\n\u{1b}[?7h";
    assert_eq!(printed.text(), format!("{rows}\u{1b}[2A\r\u{1b}[Ja line\n{rows}\u{1b}[2A\r\u{1b}[Jthe last\n"));
}

#[test]
fn rows_are_shown_in_no_log() {
    for style in [Style::GitHub, Style::Plain] {
        let (log, printed) = Printed::log(style);
        assert_eq!(log.columns(), None);
        log.show(&["a row".to_owned()]);
        assert_eq!(printed.text(), "");
    }
}
