//! The secrets a run has seen, in every form in which a text may hold them. The runner masks what it is told; this masks
//! what goes where the runner does not look: summary, report, journal.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::failure::CUT;
use crate::values::Secret;

/// A shorter text is no secret worth the name: masking it would blank half the log.
const SHORTEST: usize = 4;
/// A shorter piece of base64 could be anything.
const SHORTEST_BASE64: usize = 8;
/// What stands in a secret's place.
const STARS: &str = "***";

/// Every form of every secret, the longest first.
#[derive(Default)]
pub(super) struct Masks(Vec<Secret>);

impl Masks {
    /// Takes a secret. `false` when it is one that must not be masked: too short, or an identifier,
    /// whose masking would make the runner drop every output that holds it.
    pub(super) fn add(&mut self, secret: &Secret) -> bool {
        let text = secret.expose().trim();
        if text.chars().count() < SHORTEST || is_identifier(text) {
            return false;
        }
        for form in forms(secret.expose()) {
            if form.chars().count() >= SHORTEST && !self.0.iter().any(|known| known.expose() == form) {
                self.0.push(Secret::new(form));
            }
        }
        self.0.sort_by_key(|form| std::cmp::Reverse(form.expose().len()));
        true
    }

    /// `text` with every form of every secret replaced.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in self.0.iter().map(Secret::expose) {
            if text.contains(form) {
                text = text.replace(form, STARS);
            }
        }
        if text.contains(CUT) { self.redact_cut(&text) } else { text }
    }

    /// Texts are cut where they are read, secrets are taken out where they are told: what a cut left of one stands beside the ellipsis.
    fn redact_cut(&self, text: &str) -> String {
        let parts: Vec<&str> = text.split(CUT).collect();
        let last = parts.len() - 1;
        let longest = |left: &dyn Fn(&str) -> Option<usize>| self.0.iter().filter_map(|form| left(form.expose())).max();
        let shown = parts.iter().enumerate().map(|(index, part)| {
            let behind = longest(&|form| end_at_the_beginning(part, form)).filter(|_| index > 0);
            let rest = &part[behind.unwrap_or_default()..];
            let before = longest(&|form| beginning_at_the_end(rest, form)).filter(|_| index < last);
            let middle = &rest[..rest.len() - before.unwrap_or_default()];
            format!("{}{middle}{}", behind.map_or("", |_| STARS), before.map_or("", |_| STARS))
        });
        shown.collect::<Vec<_>>().join(&CUT.to_string())
    }
}

/// How many bytes at the end of `text` are a beginning of `form`; nothing below what could be anything.
fn beginning_at_the_end(text: &str, form: &str) -> Option<usize> {
    let ends = form.char_indices().map(|(at, _)| at).filter(|at| (SHORTEST..=text.len()).contains(at));
    ends.rev().find(|end| text.ends_with(&form[..*end]))
}

/// How many bytes at the beginning of `text` are an end of `form`.
fn end_at_the_beginning(text: &str, form: &str) -> Option<usize> {
    let begins = form.char_indices().map(|(at, _)| form.len() - at).filter(|left| (SHORTEST..=text.len()).contains(left));
    begins.into_iter().find(|left| text.starts_with(&form[form.len() - left..]))
}

/// Words, regions and account numbers: they stand in outputs and addresses and are nobody's secret.
fn is_identifier(text: &str) -> bool {
    let region = || {
        let parts: Vec<&str> = text.split('-').collect();
        let letters = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
        let digit = |part: &&str| part.len() == 1 && part.bytes().all(|byte| byte.is_ascii_digit());
        parts.len() >= 3 && parts[..parts.len() - 1].iter().all(letters) && parts.last().is_some_and(digit)
    };
    let account = || text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let word = matches!(text, "true" | "false" | "null" | "none" | "default" | "latest" | "main" | "master" | "staging" | "production");
    word || account() || region()
}

fn forms(secret: &str) -> Vec<String> {
    let lines = secret.lines().map(str::trim).filter(|line| !line.is_empty() && !is_identifier(line) && line.chars().count() >= SHORTEST);
    let mut forms: Vec<String> = lines.map(str::to_owned).collect();
    forms.extend([secret.to_owned(), secret.trim().to_owned(), secret.replace("\r\n", "\n"), secret.replace('\n', " ")]);
    for text in forms.clone() {
        forms.extend([uri(&text), form_encoded(&text), json(&text), xml(&text), debug(&text)]);
        forms.extend(base64(text.as_bytes()));
    }
    forms
}

fn uri(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn form_encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn json(text: &str) -> String {
    serde_json::to_string(text).map_or_else(|_| text.to_owned(), |json| json[1..json.len() - 1].to_owned())
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&apos;")
}

fn debug(text: &str) -> String {
    let shown = format!("{text:?}");
    shown[1..shown.len() - 1].to_owned()
}

/// Base64 of the whole, and the part that is the same wherever in a longer text the secret begins.
fn base64(bytes: &[u8]) -> Vec<String> {
    let inner = (0..3).filter_map(|shift| bytes.get(shift..)).flat_map(|bytes| {
        let whole = &bytes[..bytes.len() / 3 * 3];
        [STANDARD_NO_PAD.encode(whole), URL_SAFE_NO_PAD.encode(whole)]
    });
    let all = [STANDARD.encode(bytes), STANDARD_NO_PAD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)];
    all.into_iter().chain(inner).filter(|form| form.len() >= SHORTEST_BASE64).collect()
}
