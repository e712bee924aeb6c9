//! The one error type: what happened, why (the platform's own words), what to do about it.
//! Code branches on `Kind` only; prose is for people. Text here may be foreign: whoever prints it disarms it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every fallible function below `main` answers with this.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// What sort of failure it is: the only part of a [`Failure`] that code may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The user's settings are wrong; nothing was touched.
    Config,
    /// A cloud refused: who is asking lacks a permission or a trust.
    Denied,
    /// Something named does not exist.
    Missing,
    /// The platform is in a state that forbids this now.
    Conflict,
    /// Worth another try: throttled, unreachable, or a server error.
    Transient,
    /// A deadline of ours passed.
    TimedOut,
    /// The release itself is bad: it crashes, does not answer, or answers wrongly.
    Unhealthy,
    /// Another deployment took the place of ours.
    Superseded,
    /// A signal or a person stopped the run.
    Cancelled,
    /// Our own mistake.
    Bug,
}

/// Lines that belong to a failure but are folded away: log tails, stopped tasks, events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// What the lines are, e.g. "last log lines of web/app".
    pub title: String,
    /// The lines, foreign and unescaped.
    pub lines: Vec<String>,
}

/// One failure, ready for its three renderings (annotation, log, summary).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What code branches on.
    pub kind: Kind,
    /// One sentence: what could not be done or proven.
    pub what: String,
    /// The reasons, nearest first, in the platform's own words where it gave any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// What to do; an entry of several lines is a snippet with its heading in the first line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fix: Vec<String>,
    /// Folded-away material.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Certain: what failed has changed nothing. A lost answer is never that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unchanged: bool,
}

impl Evidence {
    /// Every text of it.
    pub fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        [&mut self.title].into_iter().chain(&mut self.lines)
    }
}

impl Failure {
    /// A failure of `kind` that says `what`.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), why: Vec::new(), fix: Vec::new(), evidence: Vec::new(), unchanged: false }
    }

    /// The user's settings are wrong.
    pub fn config(what: impl Into<String>) -> Self {
        Self::new(Kind::Config, what)
    }

    /// Our own mistake.
    pub fn bug(what: impl Into<String>) -> Self {
        Self::new(Kind::Bug, what).fix("this is a defect in Touchdown: please report it with the JSON report attached")
    }

    /// Adds a reason.
    #[must_use]
    pub fn why(mut self, reason: impl Into<String>) -> Self {
        self.why.push(reason.into());
        self
    }

    /// Adds something to do.
    #[must_use]
    pub fn fix(mut self, remedy: impl Into<String>) -> Self {
        self.fix.push(remedy.into());
        self
    }

    /// Says that what failed has certainly changed nothing.
    #[must_use]
    pub fn unchanged(self) -> Self {
        Self { unchanged: true, ..self }
    }

    /// Adds material to fold away.
    #[must_use]
    pub fn evidence(mut self, title: impl Into<String>, lines: Vec<String>) -> Self {
        if !lines.is_empty() {
            self.evidence.push(Evidence { title: title.into(), lines });
        }
        self
    }

    /// Every text of it.
    pub fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let evidence = self.evidence.iter_mut().flat_map(Evidence::texts);
        [&mut self.what].into_iter().chain(&mut self.why).chain(&mut self.fix).chain(evidence)
    }

    /// Cuts every text so that the whole serialises to at most about `bytes` bytes; evidence goes first.
    #[must_use]
    pub fn cut_to(mut self, bytes: usize) -> Self {
        while size(&self) > bytes && self.evidence.pop().is_some() {}
        while size(&self) > bytes && self.fix.len() > 1 {
            self.fix.pop();
        }
        while size(&self) > bytes && self.why.len() > 1 {
            self.why.pop();
        }
        let mut longest = bytes / 4;
        while size(&self) > bytes && longest > 16 {
            for text in self.why.iter_mut().chain(&mut self.fix).chain([&mut self.what]) {
                cut(text, longest);
            }
            longest /= 2;
        }
        self
    }
}

/// Where a text was cut.
pub const CUT: char = '…';

/// Shortens `text` to at most `limit` bytes at character boundaries, with an ellipsis where it was cut: in its middle, for what people look
/// for stands at the beginning or at the end. Where a trace names what it was caused by, its last cause is kept instead of its end.
pub fn cut(text: &mut String, limit: usize) {
    if text.len() <= limit {
        return;
    }
    let room = limit.saturating_sub(CUT.len_utf8());
    let tail = room / 2;
    let head = room - tail;
    let begins = text.len() - tail;
    let cause = text.to_ascii_lowercase().rfind("caused by").filter(|cause| (head..begins).contains(cause));
    let (from, to) = cause.map_or((begins, text.len()), |cause| (cause, cause + tail.saturating_sub(CUT.len_utf8())));
    let end = if cause.is_some() { "…" } else { "" };
    *text = format!("{}{CUT}{}{end}", &text[..boundary(text, head)], &text[after(text, from)..boundary(text, to)]);
}

/// The last boundary of a character that is not behind `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

/// The first that is not before it.
fn after(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

fn size(failure: &Failure) -> usize {
    serde_json::to_string(failure).map_or(usize::MAX, |json| json.len())
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)?;
        for (label, lines) in [("why", &self.why), ("fix", &self.fix)] {
            for (index, line) in lines.iter().enumerate() {
                let label = if index == 0 { label } else { "" };
                write!(f, "\n  {label:<4} {}", line.replace('\n', "\n       "))?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::cut;

    fn cut_to(text: &str, limit: usize) -> String {
        let mut text = text.to_owned();
        cut(&mut text, limit);
        text
    }

    #[test]
    fn a_cut_text_keeps_its_beginning_and_its_end() {
        assert_eq!(cut_to("short enough", 12), "short enough");
        assert_eq!(
            cut_to("Traceback (most recent call last): … ValueError: no DATABASE_URL", 43),
            "Traceback (most rece…ror: no DATABASE_URL"
        );
    }

    #[test]
    fn of_a_trace_the_last_cause_is_kept_though_its_frames_follow() {
        let frames = "\n\tat com.acme.Pool.open(Pool.java:41)".repeat(20);
        let trace = format!(
            "java.lang.RuntimeException: no pool{frames}\nCaused by: no route{frames}\nCaused by: password authentication failed{frames}"
        );
        let cut = cut_to(&trace, 200);
        assert!(cut.starts_with("java.lang.RuntimeException: no pool\n") && cut.len() <= 200, "{cut}");
        assert!(cut.contains("…Caused by: password authentication failed\n") && cut.ends_with('…'), "{cut}");
    }

    #[test]
    fn a_cut_is_never_inside_a_character_nor_longer_than_it_may_be() {
        for text in ["ä€🦀".repeat(40), format!("{}caused by {}", "ä".repeat(40), "€".repeat(40))] {
            for limit in 12..90 {
                let cut = cut_to(&text, limit);
                assert!(cut.len() <= limit && cut.contains('…'), "{limit}: {cut}");
            }
        }
    }
}
