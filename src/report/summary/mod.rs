//! The job summary in GitHub's Markdown: the outcome in a sentence, the services, what happened, why and what to do, how everything stands.
//! Every text in it is foreign and passes `runner::escape`. Where there is not room for all, evidence goes first and the outcome never.

mod address;
mod head;
mod known;
mod looks;
mod services;
mod standing;
mod story;
mod trouble;

use crate::runner::escape::{code, fence, markdown as words};
use crate::runner::summary_file::{BUDGET, Section, fit};

use super::phrase::{Part, Phrase, unprefixed};
use super::{Ending, Report, Stood};

/// How long a part of the summary is kept when there is not room for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// Stays.
    Always,
    /// Goes last.
    Story,
    /// Goes before that.
    Detail,
    /// Goes first.
    Evidence,
}

fn section(keep: Keep, markdown: String) -> Section {
    let rank = match keep {
        Keep::Always => 0,
        Keep::Story => 1,
        Keep::Detail => 2,
        Keep::Evidence => 3,
    };
    Section { rank, markdown }
}

/// The summary alone in its file.
pub fn summary(report: &Report) -> String {
    fit(&sections(report), BUDGET)
}

/// The summary in parts, for a file that may hold others already.
pub fn sections(report: &Report) -> Vec<Section> {
    let mut sections = vec![section(Keep::Always, head::head(report))];
    sections.extend(standing::by_hand(report));
    sections.extend(match report.mode.as_str() {
        "plan" => looks::plan(report),
        "history" => looks::history(report),
        _ => services::table(report),
    });
    sections.extend(known::known(report));
    sections.extend(story::story(report));
    sections.extend(trouble::troubles(report));
    sections.extend(standing::standing(report));
    sections.extend(standing::last_resort(report));
    sections.push(section(Keep::Always, head::foot(report)));
    sections
}

/// Nobody has even looked at a service.
fn nothing_begun(report: &Report) -> bool {
    report.services.iter().all(|service| service.before == Stood::Unknown && service.outcome == Ending::Untouched)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// A sentence: names strong, identifiers as code.
fn phrase(phrase: &Phrase) -> String {
    let parts = phrase.0.iter().map(|part| match part {
        Part::Words(text) => spaced(&short(text)),
        Part::Name(text) => format!("**{}**", words(text)),
        Part::Code(text) => code(&short(text)),
        Part::Prose(text) => prose(text),
    });
    parts.collect()
}

/// Words that stand between others: the spaces at their ends stay.
fn spaced(text: &str) -> String {
    let (before, after) = (text.starts_with(' '), text.len() > 1 && text.ends_with(' '));
    format!("{}{}{}", if before { " " } else { "" }, words(text), if after { " " } else { "" })
}

/// A text of several words, in which `what stands between backticks` is code. The backticks that are left unpaired are words.
fn prose(text: &str) -> String {
    let text = short(text);
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return words(&text);
    }
    let part = |(index, part): (usize, &&str)| if index % 2 == 0 { spaced(part) } else { code(part) };
    parts.iter().enumerate().map(part).collect()
}

/// A word longer than this may be broken in a table, whose columns are as wide as their longest word.
const WIDE: usize = 28;

/// `text` for a cell of a table.
fn cell(text: &str) -> String {
    let wide = text.split_whitespace().any(|word| word.chars().count() > WIDE);
    if wide { text.split_whitespace().map(breakable).collect::<Vec<_>>().join(" ") } else { words(text) }
}

/// An identifier for a cell of a table. What `<wbr>` breaks is copied whole.
fn code_cell(text: &str) -> String {
    match text.chars().count() > WIDE {
        false => code(text),
        true if text.contains(|letter: char| letter.is_whitespace() || letter == '`') => cell(text),
        true => format!("<code>{}</code>", breakable(text)),
    }
}

fn breakable(word: &str) -> String {
    let letters: Vec<char> = word.chars().collect();
    if letters.len() <= WIDE {
        return words(word);
    }
    letters.chunks(WIDE / 2).map(|piece| words(&piece.iter().collect::<String>())).collect::<Vec<_>>().join("<wbr>")
}

/// A folded part.
fn folded(title: &str, body: &str) -> String {
    format!("<details><summary>{title}</summary>\n\n{}\n\n</details>\n", body.trim_end())
}

/// `key: a → b` with what is the same before the last part of both left out, and digests cut.
fn change(text: &str) -> String {
    let parts = text.split_once(": ").and_then(|(key, rest)| Some((key, rest.split_once(" → ")?)));
    let Some((key, (from, to))) = parts else { return short(text) };
    let same = |from: &str, to: &str| {
        let place = from.rfind('/').map_or("", |at| &from[..=at]);
        (!place.is_empty() && to.strip_prefix(place).is_some_and(|rest| !rest.contains('/'))).then_some(place.len())
    };
    let at = same(from, to).unwrap_or(0);
    short(&format!("{key}: {} → {}", &from[at..], &to[at..]))
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
    use super::{change, short};

    #[test]
    fn digests_are_cut_to_what_people_compare() {
        let digest = "5f2b7a9c4e1d8036".repeat(4);
        assert_eq!(short(&format!("a@sha256:{digest} → b@sha256:{digest}.")), "a@sha256:5f2b7a9c4e1d → b@sha256:5f2b7a9c4e1d.");
        assert_eq!(short("sha256:abc and sha256:"), "sha256:abc and sha256:");
    }

    #[test]
    fn a_change_shows_what_differs() {
        assert_eq!(change("image: r.example.com/a/web:1 → r.example.com/a/web:2"), "image: web:1 → web:2");
        assert_eq!(change("image: r.example.com/web:1 → other.example.com/web:2"), "image: r.example.com/web:1 → other.example.com/web:2");
        assert_eq!(change("image: r.example.com/web:1 → r.example.com/b/web:2"), "image: r.example.com/web:1 → r.example.com/b/web:2");
        assert_eq!(change("memory: 512 → 1024"), "memory: 512 → 1024");
        assert_eq!(change("desired count 2"), "desired count 2");
    }
}
