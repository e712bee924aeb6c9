//! What goes over the wire: a call as it came in, and answers in the vendors' shapes (AWS JSON 1.1, query XML).
//! It knows no operation.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::clock::Timestamp;

/// A request, read whole.
#[derive(Default)]
pub(crate) struct Call {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: http::HeaderMap,
    pub body: bytes::Bytes,
    /// The body was longer than is taken, and is not here.
    pub cut: bool,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The host asked for, in lower case, without a port.
    pub(crate) fn host(&self) -> String {
        let host = self.header("host").to_ascii_lowercase();
        host.rsplit_once(':').map_or(host.clone(), |(name, _)| name.to_owned())
    }

    /// The form of a query-protocol call.
    pub(crate) fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(&self.body).into_owned().chain(self.query.clone()).collect()
    }

    /// The body of a JSON call; `null` when it is not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: bytes::Bytes,
}

impl Reply {
    pub(crate) fn new(status: u16, content_type: &str, body: impl Into<bytes::Bytes>) -> Self {
        Self { status, headers: vec![("content-type".to_owned(), content_type.to_owned())], body: body.into() }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// An error as a vendor's API gives it.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
    /// `resourceIds` of a ConflictException.
    pub resources: Vec<String>,
}

/// What an operation answers with.
pub(crate) type Outcome<T = Value> = std::result::Result<T, Refusal>;

impl Refusal {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        let status = match code {
            "ServerException" | "InternalFailure" => 500,
            "ServiceUnavailable" => 503,
            _ => 400,
        };
        Self { status, code: code.to_owned(), message: message.into(), resources: Vec::new() }
    }

    #[must_use]
    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn client(message: impl Into<String>) -> Self {
        Self::new("ClientException", message)
    }

    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }
}

/// The answer of an AWS JSON 1.1 API.
pub(crate) fn json_reply(outcome: Outcome, request_id: &str) -> Reply {
    let content = "application/x-amz-json-1.1";
    let reply = match outcome {
        Ok(body) => Reply::new(200, content, body.to_string()),
        Err(refusal) => {
            let mut body = json!({ "__type": refusal.code, "message": refusal.message });
            if !refusal.resources.is_empty() {
                body["resourceIds"] = json!(refusal.resources);
            }
            Reply::new(refusal.status, content, body.to_string()).with("x-amzn-errortype", refusal.code)
        }
    };
    reply.with("x-amzn-requestid", request_id)
}

/// The answer of an AWS query API; `body` is the inside of `<ActionResult>`.
pub(crate) fn xml_reply(outcome: Outcome<String>, action: &str, namespace: &str, request_id: &str) -> Reply {
    let reply = match outcome {
        Ok(result) => {
            let metadata = format!("<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>");
            let result = format!("<{action}Result>{result}</{action}Result>");
            let body = format!("<{action}Response xmlns=\"{namespace}\">{result}{metadata}</{action}Response>");
            Reply::new(200, "text/xml", body)
        }
        Err(refusal) => {
            let kind = if refusal.status < 500 { "Sender" } else { "Receiver" };
            let (code, message) = (escape(&refusal.code), escape(&refusal.message));
            let error = format!("<Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>");
            let body = format!("<ErrorResponse xmlns=\"{namespace}\">{error}<RequestId>{request_id}</RequestId></ErrorResponse>");
            Reply::new(refusal.status, "text/xml", body)
        }
    };
    reply.with("x-amzn-requestid", request_id)
}

/// `<name>text</name>`, escaped.
pub(crate) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// `<name><member>…</member>…</name>`; the members are XML already.
pub(crate) fn members(name: &str, members: impl IntoIterator<Item = String>) -> String {
    let mut xml = format!("<{name}>");
    for member in members {
        let _ = write!(xml, "<member>{member}</member>");
    }
    let _ = write!(xml, "</{name}>");
    xml
}

/// Text for XML; characters XML 1.0 does not have are dropped.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(escaped, "&#{};", u32::from(character));
            }
            other if other < ' ' || other == '\u{fffe}' || other == '\u{ffff}' => {}
            other => escaped.push(other),
        }
    }
    escaped
}

/// The numbered members of a query form: `Names.member.1`, `Names.member.2`, …
pub(crate) fn numbered(form: &BTreeMap<String, String>, name: &str) -> Vec<String> {
    (1..).map_while(|index| form.get(&format!("{name}.member.{index}")).cloned()).collect()
}

/// Epoch seconds, as AWS JSON writes a moment.
#[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit the 52 bits")]
pub(crate) fn seconds(at: Timestamp) -> Value {
    json!(at.0 as f64 / 1000.0)
}

/// A text member of a JSON request; empty when absent.
pub(crate) fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The texts of a list member of a JSON request.
pub(crate) fn texts(body: &Value, name: &str) -> Vec<String> {
    body.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// `pattern` with `*` (any text) and `?` (any one character), as IAM's StringLike and listener rules have it.
pub(crate) fn like(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), first) => like(&pattern[1..], text) || first.is_some_and(|first| like(pattern, &text[first.len_utf8()..])),
        (Some(wanted), Some(got)) if wanted == '?' || wanted == got => like(&pattern[wanted.len_utf8()..], &text[got.len_utf8()..]),
        _ => false,
    }
}
