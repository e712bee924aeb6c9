//! The summary as people read it: the first lines, tables that fit a page, foreign text that stays text, and the room there is.

use comrak::{Options, markdown_to_html};
use touchdown::engine::record::{Event, Record};
use touchdown::failure::{Evidence, Failure, Kind};
use touchdown::report::Report;
use touchdown::report::summary::summary;
use touchdown::runner::summary_file::BUDGET;

use super::samples::endings::all;
use super::samples::{Sample, group};

/// As GitHub renders it, with everything a foreign text could abuse switched on.
fn html(markdown: &str) -> String {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    options.extension.tasklist = true;
    options.extension.footnotes = true;
    options.render.r#unsafe = true;
    markdown_to_html(markdown, &options)
}

fn rendered() -> Vec<(&'static str, Report, String)> {
    let told = |(name, entries, early): (_, Vec<_>, Option<Failure>)| {
        let report = Report::of(&entries, early.as_ref());
        let page = html(&summary(&report));
        (name, report, page)
    };
    all().into_iter().map(told).collect()
}

/// The tags of a page, without what stands between them.
fn tags(page: &str) -> Vec<&str> {
    page.split('<').skip(1).map(|rest| rest.split_once('>').map_or(rest, |(tag, _)| tag)).collect()
}

/// The text of a page, with `break_` where a word may be broken.
fn text(page: &str, break_: &str) -> String {
    let pieces = page.split('<').enumerate().map(|(index, piece)| match piece.split_once('>') {
        Some((tag, text)) if index > 0 => format!("{}{text}", if tag == "wbr" || tag.starts_with("br") { break_ } else { "" }),
        _ => piece.to_owned(),
    });
    let text: String = pieces.collect();
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&"), ("\u{2060}", ""), ("\u{a0}", " ")]
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to))
}

/// What stands above the first table, list or smaller heading.
fn first_lines(page: &str) -> String {
    let end = ["<table>", "<ul>", "<h3>", "<pre>", "<details"].iter().filter_map(|mark| page.find(mark)).min().unwrap_or(page.len());
    text(&page[..end], "").trim().to_owned()
}

#[test]
fn the_first_lines_say_what_happened_how_it_stands_and_what_to_do() {
    let all = rendered();
    let told = |name: &str| first_lines(&all.iter().find(|(other, _, _)| *other == name).unwrap().2);
    insta::assert_snapshot!(["rolled-back", "stuck", "rolling-back", "superseded"].map(told).join("\n\n"), @"
    ↩️ web was rolled back: web:41 serves again, proven
    Now: web:41 serves again; web:42 serves nobody
    Why: the new tasks do not stay up – 4 tasks ended the same way: container app exited with 1: the application reported an error
    Do: look at the last log lines below

    🚨 web is stuck: web:41 could not be put back; what serves now is not known, perhaps nothing
    Now: neither web:41 nor web:42 is known to serve: it may serve nobody (last proven: web:41)
    Why: the new tasks do not stay up – 4 tasks ended the same way: container app exited with 1: the application reported an error
    Not put back: ECS refused to update the service – AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/deploy/run-1234567 is not authorized to perform: ecs:UpdateService
    Do: put web back by hand now
    To put web back on web:41 by hand:

    ⏳ web is being rolled back to web:41; this step ended before that was done
    Now: on its way back to web:41; nobody has seen it arrive yet (last proven: web:41)
    Why: the run was interrupted (SIGINT) before it was done
    Do: wait for the post step of this job: it goes on, and tells how it ended

    🔀 web was superseded: somebody else's web:43 serves and was left alone
    Now: web:43 (deployment ecs-svc/4411902837465) serves; left alone (last proven: web:41)
    Why: somebody deployed web:43 (deployment ecs-svc/4411902837465) in the meantime
    Do: deploy one after the other: give the jobs one concurrency group
    ");
}

#[test]
fn whatever_went_wrong_the_first_lines_say_why_and_what_to_do() {
    for (name, report, page) in rendered().into_iter().filter(|(_, report, _)| report.failure.is_none() && report.exit_status() != 0) {
        let first = first_lines(&page);
        assert!(first.contains("\nWhy: ") && first.contains("\nDo: "), "{name}: {first}");
        let says_where_it_stands = report.services.len() > 1 || first.contains("\nNow: ") || first.contains("serves as before");
        assert!(says_where_it_stands, "{name}: {first}");
    }
}

#[test]
fn no_column_is_wider_than_a_page_however_long_a_name_is() {
    for (name, _, page) in rendered() {
        for cell in page.split("<td").skip(1).filter_map(|rest| rest.split_once("</td>")) {
            let cell = text(cell.0.split_once('>').unwrap().1, " ");
            let widest = cell.split(|letter: char| letter.is_whitespace() || letter == '-').map(|word| word.chars().count()).max();
            assert!(widest <= Some(28), "{name}: {widest:?} in {cell}");
        }
    }
}

#[test]
fn foreign_text_stays_text_and_every_link_is_our_own() {
    let plain = [
        "h2",
        "h3",
        "p",
        "br",
        "br /",
        "strong",
        "em",
        "i",
        "b",
        "code",
        "del",
        "sub",
        "ul",
        "ol",
        "li",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "details open",
        "summary",
        "wbr",
        "span",
        "pre",
    ];
    for (name, _, page) in rendered() {
        for tag in tags(&page) {
            let bare = tag.trim_start_matches('/');
            let aligned = ["td align=\"right\"", "td align=\"left\"", "th align=\"right\"", "th align=\"left\""].contains(&bare);
            let ours = ["a href=\"https://github.com/acme/shop/", "a href=\"https://"].iter().any(|link| bare.starts_with(link));
            let own_link = ours && !bare.contains("evil") && bare.matches('"').count() == 2;
            assert!(
                plain.contains(&bare) || aligned || own_link || bare == "a" || bare == "code class=\"language-text\"",
                "{name}: <{tag}>"
            );
        }
        let opened = tags(&page).iter().filter(|tag| tag.starts_with("details")).count();
        assert_eq!(opened, tags(&page).iter().filter(|tag| **tag == "/details").count(), "{name}");
    }
}

#[test]
fn a_hundred_services_with_huge_evidence_fit_and_only_evidence_is_left_out() {
    let names: Vec<String> = (0..100).map(|number| format!("service-{number:02}")).collect();
    let groups = names.iter().map(|name| group(&[(name.as_str(), &[])])).collect();
    let mut sample = Sample::opened("deploy", groups, &[]);
    for name in &names {
        let revision = format!("{name}:1");
        let begun = sample.captured(name, &revision).prepared(name, &format!("{name}:2"), &[]).event(name, Event::ApplyStarted).after(20.0);
        let failure = Failure::new(Kind::Unhealthy, format!("{name} does not stay up")).why("y".repeat(190)).fix("look at its log");
        let evidence = Evidence { title: "last log lines of app".into(), lines: vec!["<&`|>".repeat(300); 100] };
        sample = begun.failed(name, failure, &[evidence]).rolled_back(name, &revision);
    }
    let sample = sample.record(Record::Interrupted { by: "SIGTERM".into() });
    let text = summary(&Report::of(&sample.entries, None));
    assert!((400 * 1024..=BUDGET).contains(&text.len()), "{}", text.len());
    assert!(text.starts_with("## ↩️ 100 services were rolled back, proven\n"), "{}", &text[..200]);
    assert!(names.iter().all(|name| text.contains(&format!("**{name}**<br>"))), "every service stands in the table");
    assert!(text.contains("How everything stands now") && text.contains("parts are left out here"));
    let page = html(&text);
    assert_eq!(page.matches("<details").count(), page.matches("</details>").count());
}
