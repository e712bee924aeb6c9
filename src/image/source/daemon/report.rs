//! What the engine reports while it pushes: a stream of JSON, a line each, of progress, of what it pushed, and of what went wrong. Foreign text.
//! <https://github.com/moby/moby/blob/master/api/types/jsonstream/message.go> (2026-08)

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Failure, Kind, cut};
use crate::values::Digest;

/// The longest line; what is longer is nobody's report.
const LONGEST: usize = 256 * 1024;

/// How far a push has come, in bytes that the engine counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Advance {
    /// Sent.
    pub sent: u64,
    /// Of so many, as far as is known yet.
    pub total: u64,
}

/// A report being read.
#[derive(Debug, Default)]
pub(super) struct Report {
    line: Vec<u8>,
    layers: HashMap<String, Advance>,
    /// What was pushed, as the engine says.
    pub(super) pushed: Option<Digest>,
    /// What was pushed in the place of an index of which not everything is there.
    pub(super) instead_of: Option<Digest>,
    /// Something of the image is not in the store.
    pub(super) content_missing: bool,
    /// What went wrong.
    pub(super) error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    id: Option<String>,
    status: Option<String>,
    progress_detail: Option<Progress>,
    aux: Option<Value>,
    error: Option<String>,
    error_detail: Option<Detail>,
}

#[derive(Deserialize)]
struct Progress {
    current: Option<u64>,
    total: Option<u64>,
}

#[derive(Deserialize)]
struct Detail {
    message: Option<String>,
}

impl Report {
    /// Takes more of it; whether the progress is another now.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        let mut moved = false;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + piece.len() <= LONGEST {
                self.line.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                moved |= serde_json::from_slice(&line).is_ok_and(|line| self.line(line));
            }
        }
        moved
    }

    /// Its last line may lack an end.
    pub(super) fn end(&mut self) {
        self.take(b"\n");
    }

    /// The sum over all layers.
    pub(super) fn advance(&self) -> Advance {
        let sum = |part: fn(&Advance) -> u64| self.layers.values().map(part).fold(0, u64::saturating_add);
        Advance { sent: sum(|layer| layer.sent), total: sum(|layer| layer.total) }
    }

    fn line(&mut self, line: Line) -> bool {
        if let Some(mut error) = line.error_detail.and_then(|detail| detail.message).or(line.error) {
            cut(&mut error, 500);
            self.error = Some(error);
        }
        if let Some(aux) = &line.aux {
            self.aux(aux);
        }
        if let Some(told) = line.status.as_deref().and_then(digest_told) {
            self.pushed = Some(told);
        }
        let (Some(id), Some(Progress { current, total })) = (line.id, line.progress_detail) else { return false };
        // One that is there already is told without numbers.
        if current.is_none() && total.is_none() {
            return false;
        }
        let known = self.layers.entry(id).or_default();
        *known = Advance { sent: current.unwrap_or(known.sent), total: total.unwrap_or(known.total).max(current.unwrap_or_default()) };
        true
    }

    fn aux(&mut self, aux: &Value) {
        let digest = |pointer: &str| aux.pointer(pointer).and_then(Value::as_str).and_then(|text| Digest::parse(text).ok());
        if aux.get("manifestPushedInsteadOfIndex").and_then(Value::as_bool) == Some(true) {
            self.instead_of = digest("/originalIndex/digest");
            self.pushed = digest("/selectedManifest/digest");
        }
        if aux.get("contentMissing").and_then(Value::as_bool) == Some(true) {
            self.content_missing = true;
        }
        if let Some(told) = digest("/Digest") {
            self.pushed = Some(told);
        }
    }
}

/// The digest in `ci: digest: sha256:… size: 1234`.
fn digest_told(status: &str) -> Option<Digest> {
    let (_, after) = status.split_once(": digest: ")?;
    Digest::parse(after.split_once(" size: ")?.0).ok()
}

/// What the engine's words mean.
pub(super) fn failure(said: &str, what: String) -> Failure {
    let lower = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let failure = |kind| Failure::new(kind, what.clone()).why(format!("the Docker daemon says: {said}"));
    if says(&["immutable", "cannot be overwritten"]) {
        return failure(Kind::Conflict).fix("the registry lets no tag be written twice: use a tag that is new, as type=sha makes it");
    }
    if says(&["unauthorized", "denied", "no basic auth", "authorization failed", "authentication required", "401", "403"]) {
        return failure(Kind::Denied).fix("check who signs in to the registry, and that it may push to this repository");
    }
    if says(&["name unknown", "name_unknown", "repository does not exist", "404 not found"]) {
        return failure(Kind::Missing).fix("create the repository, or set create-repository: true");
    }
    failure(Kind::Transient)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn report(lines: &str) -> Report {
        let mut report = Report::default();
        for piece in lines.as_bytes().chunks(7) {
            report.take(piece);
        }
        report.end();
        report
    }

    #[test]
    fn progress_is_the_sum_over_the_layers_however_the_lines_are_cut() {
        let lines = "{\"status\":\"Preparing\",\"progressDetail\":{},\"id\":\"a\"}\r\n{\"status\":\"Pushing\",\"progressDetail\":{\"current\":5,\"total\":10},\"id\":\"a\"}\r\n\
            {\"status\":\"Pushing\",\"progressDetail\":{\"current\":7},\"id\":\"b\"}\r\nno json\r\n{\"status\":\"Pushing\",\"progressDetail\":{\"current\":10,\"total\":10},\"id\":\"a\"}";
        assert_eq!(report(lines).advance(), Advance { sent: 17, total: 17 });
    }

    #[test]
    fn what_was_pushed_is_told_in_either_store_s_way() {
        let (digest, other) = (format!("sha256:{}", "a".repeat(64)), format!("sha256:{}", "b".repeat(64)));
        let told = |lines: &str| report(lines).pushed.map(|digest| digest.to_string());
        assert_eq!(told(&format!("{{\"status\":\"ci: digest: {digest} size: 1000\"}}\r\n")), Some(digest.clone()));
        assert_eq!(told(&format!("{{\"aux\":{{\"Tag\":\"ci\",\"Digest\":\"{digest}\",\"Size\":1}}}}")), Some(digest.clone()));
        let instead = report(&format!(
            "{{\"aux\":{{\"manifestPushedInsteadOfIndex\":true,\"originalIndex\":{{\"digest\":\"{digest}\"}},\"selectedManifest\":{{\"digest\":\"{other}\"}}}}}}"
        ));
        assert_eq!((instead.instead_of.unwrap().to_string(), instead.pushed.unwrap().to_string()), (digest, other));
        assert_eq!(told("{\"status\":\"ci: digest: sha256:1 size: 1\"}"), None);
        assert!(report("{\"aux\":{\"contentMissing\":true,\"desc\":{}}}").content_missing);
    }

    #[test]
    fn what_went_wrong_is_told_apart_by_its_words() {
        for (said, kind) in [
            ("unauthorized: authentication required", Kind::Denied),
            ("denied: Permission \"artifactregistry.repositories.uploadArtifacts\" denied", Kind::Denied),
            (
                "push access denied, repository does not exist or may require authorization: server message: insufficient_scope",
                Kind::Denied,
            ),
            ("name unknown: The repository with name 'x' does not exist in the registry", Kind::Missing),
            (
                "tag invalid: The image tag '1' already exists in the 'x' repository and cannot be overwritten because the repository is immutable",
                Kind::Conflict,
            ),
            ("received unexpected HTTP status: 503 Service Unavailable", Kind::Transient),
            ("write tcp 127.0.0.1: connection reset by peer", Kind::Transient),
            ("toomanyrequests: rate exceeded", Kind::Transient),
        ] {
            assert_eq!(failure(said, String::new()).kind, kind, "{said}");
        }
        let told = report("{\"errorDetail\":{\"message\":\"denied: no\"},\"error\":\"denied: no\"}\r\n");
        assert_eq!(told.error.as_deref(), Some("denied: no"));
        assert_eq!(report("{\"error\":\"EOF\"}").error.as_deref(), Some("EOF"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..500), line in "\\{\"(aux|id|status|progressDetail|error)\":.{0,60}\\}") {
            let mut report = Report::default();
            report.take(&bytes);
            report.take(line.as_bytes());
            report.end();
            let _ = report.advance();
        }
    }
}
