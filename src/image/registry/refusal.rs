//! A registry's "no" in the user's terms. <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes> (2026-11)

use serde::Deserialize;

use crate::failure::{Failure, Kind, cut};
use crate::http::Answer;

use super::rules::{Repositories, rules_of};
use crate::image::reference::RepositoryName;

/// An error as a registry tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// `NAME_UNKNOWN`, `DENIED`, …; empty where it names none.
    pub code: String,
    /// Its words, foreign.
    pub message: String,
}

#[derive(Deserialize, Default)]
struct Told {
    #[serde(default)]
    errors: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Refusal {
    pub(super) fn of(answer: &Answer) -> Self {
        let told: Told = serde_json::from_slice(&answer.body).unwrap_or_default();
        let (code, mut message) = match told.errors.into_iter().next() {
            Some(first) => (first.code, first.message),
            None => (String::new(), plain_text(&answer.body)),
        };
        cut(&mut message, 300);
        Self { status: answer.status, code, message }
    }

    pub(super) fn is(&self, code: &str) -> bool {
        self.code.eq_ignore_ascii_case(code)
    }

    pub(super) fn kind(&self) -> Kind {
        match self.status {
            401 | 403 => Kind::Denied,
            404 => Kind::Missing,
            408 | 429 | 500.. => Kind::Transient,
            409 | 412 => Kind::Conflict,
            _ if self.is("DENIED") || self.is("UNAUTHORIZED") => Kind::Denied,
            _ if self.is("NAME_UNKNOWN") => Kind::Missing,
            _ => Kind::Config,
        }
    }

    /// As a failure to do `what` with `name`; `writes`: what was asked for needs the right to push.
    pub(super) fn into_failure(self, what: impl Into<String>, name: &RepositoryName, writes: bool) -> Failure {
        let rules = rules_of(name);
        let kind = self.kind();
        let code = if self.code.is_empty() { String::new() } else { format!(" {}", self.code) };
        let words = if self.message.is_empty() { String::new() } else { format!(": {}", self.message) };
        let failure = Failure::new(kind, what).why(format!("{} answered {}{code}{words}", rules.called, self.status));
        match (kind, rules.repositories) {
            (Kind::Denied, _) if writes => failure.fix(rules.to_push),
            (Kind::Denied, _) => failure.fix(format!(
                "give this run the right to read {name}, or check its name: what may not be seen is often denied instead of missing"
            )),
            (Kind::Missing, Repositories::Beforehand(how)) if writes => failure.fix(how),
            (Kind::Transient, _) => failure.fix("run it again: what has arrived is not sent again"),
            _ => failure,
        }
    }
}

/// The first words of a body that is no JSON; a whole page says nothing.
fn plain_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(1000)]).trim().to_owned();
    if text.starts_with('<') { "(a page)".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_code_and_the_words_are_read_and_pages_are_left_out() {
        let of =
            |status: u16, body: &str| Refusal::of(&Answer { status, headers: http::HeaderMap::new(), body: Bytes::from(body.to_owned()) });
        let told = of(404, r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository","detail":{}}]}"#);
        assert_eq!((told.code.as_str(), told.message.as_str(), told.kind()), ("NAME_UNKNOWN", "no such repository", Kind::Missing));
        assert_eq!(of(502, "<html>bad gateway").message, "(a page)");
        assert_eq!(of(400, "not today").message, "not today");
        assert_eq!(of(400, r#"{"errors":[{"code":"DENIED"}]}"#).kind(), Kind::Denied);
        assert_eq!(of(403, "{}").kind(), Kind::Denied);
    }
}
