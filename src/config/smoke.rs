//! `smoke`: requests with what they expect, from lines or from the file. It sends nothing.

use crate::health::{Smoke, StatusSet};
use crate::runner::mistake::{Mistake, nearest};
use crate::runner::written::Written;

use super::given::{Given, Value};
use super::health::{is_header, is_path, pattern, status_set};
use super::yaml::{Field, Kind, Node};

/// The most requests.
const MOST: usize = 100;
/// What a request may be sent as.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// What a request in the file may have.
pub(crate) const KEYS: [&str; 9] = ["name", "method", "path", "headers", "send", "status", "body", "json", "max-latency"];

/// The requests, or every mistake in them.
pub(super) fn requests(given: &Given) -> Result<Vec<Smoke>, Vec<Mistake>> {
    let mut reading = Reading { given, line: given.line, mistakes: Vec::new() };
    let read: Vec<Smoke> = match &given.value {
        Value::Text(text) => lines(text).iter().filter_map(|line| reading.line(line)).collect(),
        Value::Tree(Node { kind: Kind::List(items), .. }) => items.iter().filter_map(|item| reading.item(item)).collect(),
        Value::Tree(node) => reading.item(node).into_iter().collect(),
        Value::Unreadable => Vec::new(),
    };
    if read.len() > MOST {
        reading.wrong("", format!("has {} requests", read.len()), format!("write at most {MOST}"));
    }
    if reading.mistakes.is_empty() { Ok(read) } else { Err(reading.mistakes) }
}

fn lines(text: &str) -> Vec<&str> {
    text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect()
}

struct Reading<'g> {
    given: &'g Given,
    line: Option<u32>,
    mistakes: Vec<Mistake>,
}

impl Reading<'_> {
    fn wrong(&mut self, key: &str, what: impl Into<String>, write: impl Into<String>) {
        let dot = if key.is_empty() { "" } else { "." };
        self.mistakes.push(Mistake::new(format!("{}{dot}{key}", self.given.name), what, write).at(self.line));
    }

    /// `[METHOD ]/path[ STATUS]`.
    fn line(&mut self, line: &str) -> Option<Smoke> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (method, path, status) = match words.as_slice() {
            [path] => ("GET", *path, None),
            [path, status] if path.starts_with('/') => ("GET", *path, Some(*status)),
            [method, path] => (*method, *path, None),
            [method, path, status] => (*method, *path, Some(*status)),
            _ => ("", "", None),
        };
        let expected = status.map_or_else(usual, status_set);
        match expected.filter(|_| is_method(method) && is_path(path)) {
            Some(status) => Some(Smoke { status, ..plain(method, path) }),
            None => {
                let mut shown = line.to_owned();
                crate::failure::cut(&mut shown, 80);
                self.wrong("", format!("has {shown:?}, no request"), "write GET /path, or POST /path 201");
                None
            }
        }
    }

    fn item(&mut self, item: &Node) -> Option<Smoke> {
        self.line = Some(item.line);
        match &item.kind {
            Kind::Scalar { text, .. } => self.line(text),
            Kind::Map(fields) => self.map(fields),
            Kind::List(_) => {
                self.wrong("", "has a list in it", "write GET /path, or a map with a path");
                None
            }
        }
    }

    fn map(&mut self, fields: &[Field]) -> Option<Smoke> {
        let before = self.mistakes.len();
        let mut smoke = plain("GET", "");
        for field in fields {
            self.line = Some(field.line);
            self.field(&mut smoke, field);
        }
        if smoke.path.is_empty() && !fields.iter().any(|field| field.key == "path") {
            self.wrong("path", "is missing", "write a path that begins with /");
        }
        if smoke.name.is_empty() {
            smoke.name = format!("{} {}", smoke.method, smoke.path);
        }
        (self.mistakes.len() == before).then_some(smoke)
    }

    fn field(&mut self, smoke: &mut Smoke, Field { key, node, .. }: &Field) {
        match key.as_str() {
            "name" => smoke.name = self.text(key, node),
            "method" => {
                smoke.method = self.text(key, node);
                self.must(is_method(&smoke.method), key, "is no method", &format!("write one of {}", METHODS.join(", ")));
            }
            "path" => {
                smoke.path = self.text(key, node);
                self.must(is_path(&smoke.path), key, "is no path", "write a path that begins with /");
            }
            "headers" => {
                smoke.headers = self.entries(key, node).iter().map(|field| (field.key.clone(), self.text(key, &field.node))).collect();
                let sound = smoke.headers.iter().all(|(name, _)| is_header(name));
                self.must(sound, key, "has a name that no header has", "write Name: value");
            }
            "send" => {
                smoke.send = Some(match &node.kind {
                    Kind::Scalar { text, .. } => text.clone(),
                    Kind::List(_) | Kind::Map(_) => node.to_json().to_string(),
                });
            }
            "status" => match status_set(&self.text(key, node)) {
                Some(status) => smoke.status = status,
                None => self.wrong(key, "is no set of status codes", "write 200-299,304"),
            },
            "body" => {
                let text = self.text(key, node);
                if let Err(why) = pattern(&text) {
                    self.wrong(key, why, "correct the pattern");
                }
                smoke.body = Some(text);
            }
            "json" => {
                smoke.json = self.entries(key, node).iter().map(|field| (field.key.clone(), field.node.to_json())).collect();
                let sound = smoke.json.iter().all(|(pointer, _)| pointer.starts_with('/'));
                self.must(sound, key, "has a key that is no JSON pointer", "write /pointer: value");
            }
            "max-latency" => {
                let written = Written::new(format!("{}.{key}", self.given.name), self.line, &self.text(key, node));
                match written.map(|written| written.duration()) {
                    Some(Ok(limit)) => smoke.max_latency = Some(limit),
                    Some(Err(mistake)) => self.mistakes.push(mistake),
                    None => self.wrong(key, "is empty", "write a duration, such as 500ms"),
                }
            }
            other => {
                let near = nearest(other, &KEYS);
                let write = near.as_ref().map_or_else(|| format!("write one of {}", KEYS.join(", ")), |near| format!("write {near}"));
                self.wrong(other, "is nothing a request has", write);
            }
        }
    }

    fn must(&mut self, sound: bool, key: &str, what: &str, write: &str) {
        if !sound {
            self.wrong(key, what, write);
        }
    }

    fn text(&mut self, key: &str, node: &Node) -> String {
        match &node.kind {
            Kind::Scalar { text, .. } => text.clone(),
            Kind::List(_) | Kind::Map(_) => {
                self.wrong(key, "is no text", "write one value");
                String::new()
            }
        }
    }

    fn entries<'n>(&mut self, key: &str, node: &'n Node) -> &'n [Field] {
        match &node.kind {
            Kind::Map(fields) => fields,
            Kind::Scalar { .. } | Kind::List(_) => {
                self.wrong(key, "is no map", "write KEY: value, one a line below it");
                &[]
            }
        }
    }
}

fn plain(method: &str, path: &str) -> Smoke {
    Smoke {
        name: if path.is_empty() { String::new() } else { format!("{method} {path}") },
        method: method.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        send: None,
        status: usual().unwrap_or(StatusSet(Vec::new())),
        body: None,
        json: Vec::new(),
        max_latency: None,
    }
}

fn usual() -> Option<StatusSet> {
    Some(StatusSet(vec![(200, 299)]))
}

fn is_method(text: &str) -> bool {
    METHODS.contains(&text)
}
