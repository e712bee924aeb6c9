//! Holds one answer against one expectation: `None`, or expected and got in plain words. What is shown of an answer is cut to 200 bytes.

use serde_json::Value;

use crate::failure::cut;
use crate::http::Answer;

use super::{StatusSet, VersionAt};

/// The status must be in the set.
pub(super) fn status(answer: &Answer, expected: &StatusSet) -> Option<String> {
    let held = expected.0.iter().any(|(from, to)| (*from..=*to).contains(&answer.status));
    (!held).then(|| format!("expected status {expected}, got {}: {}", answer.status, shown(&answer.body)))
}

/// The body must hold the text, or match `/regex/`.
pub(super) fn text(answer: &Answer, expected: &str) -> Option<String> {
    let body = String::from_utf8_lossy(&answer.body);
    let held = match super::pattern(expected) {
        None => body.contains(expected),
        Some(pattern) => match super::compiled(pattern) {
            Ok(regex) => regex.is_match(&body),
            Err(error) => return Some(format!("{} cannot be searched for: {error}", short(expected))),
        },
    };
    (!held).then(|| format!("expected the body to hold {}, got: {}", short(expected), shown(&answer.body)))
}

/// The value at the pointer must be the expected one.
pub(super) fn json(answer: &Answer, pointer: &str, expected: &Value) -> Option<String> {
    let wanted = || format!("expected {} to be {}", short(pointer), short(&expected.to_string()));
    match value_at(answer, pointer) {
        Ok(got) if same(&got, expected) => None,
        Ok(got) => Some(format!("{}, got {}", wanted(), short(&got.to_string()))),
        Err(why) => Some(format!("{}, {why}: {}", wanted(), shown(&answer.body))),
    }
}

/// One of the values of the header must be the expected one.
pub(super) fn header(answer: &Answer, name: &str, expected: &str) -> Option<String> {
    let got = values(answer, name);
    let shown = if got.is_empty() { "none".to_owned() } else { short(&got.join(", ")) };
    (!got.iter().any(|got| got == expected)).then(|| format!("expected the header {} to be {}, got {shown}", short(name), short(expected)))
}

/// The version an answer tells. A header that tells different ones tells them all, and so none that is expected.
pub(super) fn told(answer: &Answer, at: &VersionAt) -> Option<String> {
    let told = match at {
        VersionAt::Header(name) => {
            let mut values = values(answer, name);
            values.dedup();
            values.join(", ")
        }
        VersionAt::Pointer(pointer) => match value_at(answer, pointer).ok()? {
            Value::Null => return None,
            Value::String(text) => text,
            other => other.to_string(),
        },
    };
    let told = told.trim();
    (!told.is_empty()).then(|| short(told))
}

/// Where a version is looked for, in words.
pub(super) fn place(at: &VersionAt) -> String {
    match at {
        VersionAt::Header(name) => format!("the header {}", short(name)),
        VersionAt::Pointer(pointer) => short(pointer),
    }
}

/// At most 200 bytes of `text`.
pub(super) fn short(text: &str) -> String {
    let mut text = text.to_owned();
    cut(&mut text, 200);
    text
}

fn values(answer: &Answer, name: &str) -> Vec<String> {
    answer.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

fn value_at(answer: &Answer, pointer: &str) -> std::result::Result<Value, &'static str> {
    // .NET likes to begin with a byte order mark.
    let body = answer.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&answer.body);
    let body: Value = serde_json::from_slice(body).map_err(|_| "the body is no JSON")?;
    body.pointer(pointer).cloned().ok_or("the body has no such place")
}

/// Equal, where 1 and 1.0 are, and a number and the text of it: whoever writes `/build=1234567` cannot know how it is sent.
fn same(got: &Value, expected: &Value) -> bool {
    match (got, expected) {
        (Value::Number(got), Value::Number(expected)) => {
            got == expected || ((got.is_f64() || expected.is_f64()) && got.as_f64() == expected.as_f64())
        }
        (Value::String(got), Value::Number(_) | Value::Bool(_)) => expected.to_string().as_str() == got,
        _ => got == expected,
    }
}

fn shown(body: &[u8]) -> String {
    match String::from_utf8_lossy(body).trim() {
        "" => "(an empty body)".to_owned(),
        text => short(text),
    }
}
