//! The job summary in GitHub's Markdown: the outcome in a sentence, the services, what happened, why and what to do, how everything stands.
//! Every text in it is foreign and passes `escape`. It is cut to a budget: evidence first, the outcome never.

mod escape;
mod services;
mod story;
mod trouble;

use escape::{code, words};

use super::phrase::{Part, Phrase, count, span};
use super::{Ending, Report, headline};

/// The largest summary, in bytes. GitHub drops one above 1 MiB as a whole (docs.github.com, workflow commands, 2026-11).
pub const BUDGET: usize = 900 * 1024;
/// The largest evidence shown open or folded, in bytes of one summary, before the rest is cut for readers' sake.
const CUT: &str = "\n> Cut to what GitHub shows: the JSON report has the rest.\n";

/// How long a part of the summary is kept when there is not room for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Keep {
    /// Goes first.
    Evidence,
    /// Goes next.
    Detail,
    /// Goes after that.
    Story,
    /// Stays.
    Always,
}

/// A part of the summary.
struct Section {
    keep: Keep,
    text: String,
}

fn section(keep: Keep, text: String) -> Section {
    Section { keep, text }
}

/// The summary, at most [`BUDGET`] bytes.
pub fn summary(report: &Report) -> String {
    within(BUDGET, sections(report))
}

fn sections(report: &Report) -> Vec<Section> {
    let mut sections = vec![section(Keep::Always, heading(report))];
    sections.extend(services::table(report));
    sections.extend(services::by_hand(report));
    sections.extend(services::known(report));
    sections.extend(story::story(report));
    sections.extend(trouble::troubles(report));
    sections.extend(services::standing(report));
    sections.push(section(Keep::Always, foot(report)));
    sections
}

/// Leaves out sections, the least needed and the last first, until the rest fits.
fn within(budget: usize, mut sections: Vec<Section>) -> String {
    let size = |sections: &[Section]| sections.iter().map(|section| section.text.len() + 1).sum::<usize>();
    let mut cut = false;
    while size(&sections) + CUT.len() > budget {
        let least = sections.iter().map(|section| section.keep).min().unwrap_or(Keep::Always);
        let Some(last) = sections.iter().rposition(|section| section.keep == least && least != Keep::Always) else { break };
        sections.remove(last);
        cut = true;
    }
    if cut {
        let at = sections.len().saturating_sub(1);
        sections.insert(at, section(Keep::Always, CUT.to_owned()));
    }
    let mut text = sections.into_iter().map(|section| section.text).collect::<Vec<_>>().join("\n");
    crate::failure::cut(&mut text, budget);
    text
}

fn heading(report: &Report) -> String {
    let mut lines = format!("## {} {}\n", glyph(report), phrase(&headline::sentence(report)));
    if let Some((service, trouble)) = headline::cause(report).filter(|_| !report.services.is_empty()) {
        let of = service.filter(|_| report.services.len() > 1);
        let of = of.map(|service| format!("**{}**: ", words(&service.name))).unwrap_or_default();
        lines.push_str(&format!("\n{of}{}\n", words(&short(&trouble.what))));
    }
    for mixture in report.groups.iter().filter(|group| group.mixture.is_some()) {
        let members = mixture.members.iter().map(|name| words(name)).collect::<Vec<_>>().join(" and ");
        lines.push_str(&format!("\n> ⚠️ **{members} do not stand at one version now**, although they are to stand or fall together.\n"));
    }
    lines
}

fn glyph(report: &Report) -> &'static str {
    let unproven = report.services.iter().any(|service| service.unproven.is_some());
    if report.outcome == Ending::Live && unproven { "⚠️" } else { report.outcome.glyph() }
}

/// Who, what and when, in small print.
fn foot(report: &Report) -> String {
    let run = &report.run;
    let mut parts = Vec::new();
    parts.extend(run.environment.as_ref().map(|environment| format!("**{}**", words(environment))));
    parts.extend((!run.commit.is_empty()).then(|| commit(report)));
    let branch = run.reference.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/");
    parts.extend((!branch.is_empty()).then(|| format!("on {}", words(branch))));
    parts.extend((!run.repository.is_empty()).then(|| words(&run.repository)));
    parts.extend(run.actor.as_ref().map(|actor| format!("by {}", words(actor))));
    parts.extend((!run.id.is_empty()).then(|| number(report)));
    parts.extend((!report.began.is_empty()).then(|| words(&report.began.replace('T', " ").replace('Z', " UTC"))));
    parts.extend((report.duration_seconds > 0.0).then(|| format!("took {}", span(report.duration_seconds))));
    parts.push(format!("Touchdown {}", env!("CARGO_PKG_VERSION")));
    format!("\n<sub>{}</sub>\n", parts.join(" · "))
}

fn number(report: &Report) -> String {
    let attempt = if report.run.attempt > 1 { format!(", attempt {}", report.run.attempt) } else { String::new() };
    let text = format!("run {}{attempt}", words(&report.run.id));
    link(report.run.url.as_deref(), &text)
}

fn commit(report: &Report) -> String {
    let commit = &report.run.commit;
    let is_hash = commit.len() >= 7 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let text = code(if is_hash { &commit[..7] } else { commit });
    let repository = report.run.url.as_deref().and_then(|url| Some(url.split_once("/actions/runs/")?.0));
    let address = repository.filter(|_| is_hash).map(|repository| format!("{repository}/commit/{commit}"));
    link(address.as_deref(), &text)
}

fn link(address: Option<&str>, text: &str) -> String {
    address.and_then(escape::address).map_or_else(|| text.to_owned(), |address| format!("<a href=\"{address}\">{text}</a>"))
}

/// A sentence: names strong, identifiers as code.
fn phrase(phrase: &Phrase) -> String {
    let parts = phrase.0.iter().map(|part| match part {
        Part::Words(text) => words(&short(text)),
        Part::Name(text) => format!("**{}**", words(text)),
        Part::Code(text) => code(&short(text)),
    });
    parts.collect()
}

/// A folded part.
fn folded(title: &str, body: &str) -> String {
    format!("<details><summary>{title}</summary>\n\n{body}\n\n</details>\n")
}

/// `folded`, with the number of lines in the title.
fn folded_lines(title: &str, lines: &[String]) -> String {
    folded(&format!("{} ({})", words(title), count(lines.len(), "line")), &escape::fence(lines))
}

/// Digests cut to what people compare.
fn short(text: &str) -> String {
    const MARK: &str = "sha256:";
    let mut shortened = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        let (before, from) = rest.split_at(at + MARK.len());
        shortened.push_str(before);
        let hex = from.bytes().take_while(u8::is_ascii_hexdigit).count();
        let shown = if hex == 64 { 12 } else { hex };
        shortened.push_str(&from[..shown]);
        rest = &from[hex..];
    }
    shortened + rest
}

#[cfg(test)]
mod tests {
    use super::{Keep, escape, section, short, within};

    #[test]
    fn what_does_not_fit_goes_evidence_first_and_the_outcome_stays() {
        let sections = || {
            vec![
                section(Keep::Always, "outcome".into()),
                section(Keep::Story, "story".repeat(20)),
                section(Keep::Evidence, "first".repeat(40)),
                section(Keep::Evidence, "second".repeat(40)),
                section(Keep::Always, "foot".into()),
            ]
        };
        let whole = within(10_000, sections());
        assert!(whole.contains("first") && whole.contains("second") && !whole.contains("Cut to"));
        let less = within(450, sections());
        assert!(less.contains("first") && !less.contains("second") && less.contains("Cut to"), "{less}");
        let least = within(100, sections());
        assert!(least.starts_with("outcome") && least.trim_end().ends_with("foot") && !least.contains("story"), "{least}");
        assert!(least.len() <= 100);
    }

    #[test]
    fn digests_are_cut_to_what_people_compare() {
        let digest = "5f2b7a9c4e1d8036".repeat(4);
        assert_eq!(short(&format!("a@sha256:{digest} → b@sha256:{digest}.")), "a@sha256:5f2b7a9c4e1d → b@sha256:5f2b7a9c4e1d.");
        assert_eq!(short("sha256:abc and sha256:"), "sha256:abc and sha256:");
    }

    #[test]
    fn a_fence_is_longer_than_any_run_inside() {
        let lines = ["a ```` b".to_owned(), "~~~\n```".to_owned()];
        assert_eq!(escape::fence(&lines), "`````text\na ```` b\n~~~\n```\n`````");
    }

    #[test]
    fn only_addresses_for_a_browser_become_links() {
        assert_eq!(escape::address("https://app.example.com/a_b?x=1&y=2").as_deref(), Some("https://app.example.com/a%5Fb?x=1&amp;y=2"));
        for bad in ["javascript:alert(1)", "https://user:pass@example.com", "ftp://example.com", "//example.com", "https://e.com/\"><b>"] {
            assert!(escape::address(bad).is_none_or(|address| !address.contains(['"', '<', '>'])), "{bad}");
        }
        assert_eq!(escape::address("javascript:alert(1)"), None);
        assert_eq!(escape::address("https://user:pass@example.com"), None);
    }
}
