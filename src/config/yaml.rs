//! YAML as a tree that remembers its lines. JSON is YAML. Limits hold before anything is built: depth, nodes after aliases, size.
//! It knows no setting.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

use crate::runner::mistake::Mistake;

/// The deepest nesting.
const DEEPEST: usize = 64;
/// The most nodes, each alias counted with everything it stands for.
const MOST: usize = 10_000;
/// The largest text, in bytes.
const LARGEST: usize = 256 * 1024;

/// A node and the line it begins on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A scalar as written; a quoted one is a text whatever it looks like.
    Scalar { text: String, quoted: bool },
    /// A list.
    List(Vec<Node>),
    /// Keys in their order, each once.
    Map(Vec<(String, Node)>),
}

/// Reads the one document of `text`; `name` is the file's.
pub(super) fn read(name: &str, text: &str) -> Result<Node, Mistake> {
    if text.len() > LARGEST {
        return Err(Mistake::new(name, "is too large", format!("keep it under {} KiB", LARGEST / 1024)));
    }
    let mut builder = Builder { name, open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let line = u32::try_from(error.marker().line()).ok();
            Mistake::new(name, format!("is not YAML: {}", error.info()), "correct the line").at(line)
        })?;
        builder.take(event, span)?;
    }
    builder.root.ok_or_else(|| Mistake::new(name, "is empty", "write the settings into it"))
}

impl Node {
    /// As JSON, by the core schema of YAML 1.2.
    pub(super) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Scalar { text, quoted: true } => Value::String(text.clone()),
            Kind::Scalar { text, quoted: false } => plain(text),
            Kind::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Kind::Map(fields) => Value::Object(fields.iter().map(|(key, node)| (key.clone(), node.to_json())).collect::<Map<_, _>>()),
        }
    }
}

/// A plain scalar: null, a boolean, a number, else a text.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let numeric = digits.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.');
    if numeric && let Ok(number) = text.parse::<i64>() {
        return Value::Number(number.into());
    }
    let number = numeric.then(|| text.parse::<f64>().ok().and_then(Number::from_f64)).flatten();
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// A list or map that is not closed yet.
enum Open {
    List { line: u32, anchor: usize, items: Vec<Node> },
    Map { line: u32, anchor: usize, fields: Vec<(String, Node)>, key: Option<String> },
}

struct Builder<'n> {
    name: &'n str,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Mistake> {
        let line = u32::try_from(span.start.line()).unwrap_or(u32::MAX);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let quoted = !matches!(style, ScalarStyle::Plain);
                self.add(Node { line, kind: Kind::Scalar { text: text.into_owned(), quoted } }, anchor, 1)
            }
            Event::Alias(anchor) => {
                let (node, size) = self.anchors.get(&anchor).cloned().ok_or_else(|| self.wrong(line, "has an alias of nothing"))?;
                self.add(Node { line, ..node }, 0, size)
            }
            Event::SequenceStart(.., anchor, _) => self.nest(line, Open::List { line, anchor, items: Vec::new() }),
            Event::MappingStart(.., anchor, _) => self.nest(line, Open::Map { line, anchor, fields: Vec::new(), key: None }),
            Event::SequenceEnd | Event::MappingEnd => self.close(line),
            Event::DocumentStart(_) if self.root.is_some() => Err(self.wrong(line, "has a second document")),
            _ => Ok(()),
        }
    }

    fn wrong(&self, line: u32, what: &str) -> Mistake {
        Mistake::new(self.name, what, "write one plain document").at(Some(line))
    }

    fn nest(&mut self, line: u32, open: Open) -> Result<(), Mistake> {
        if self.open.len() >= DEEPEST {
            return Err(self.wrong(line, "is nested too deeply"));
        }
        self.count(line, 1)?;
        self.open.push(open);
        Ok(())
    }

    fn count(&mut self, line: u32, nodes: usize) -> Result<(), Mistake> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MOST { Err(self.wrong(line, "has too many nodes")) } else { Ok(()) }
    }

    fn close(&mut self, line: u32) -> Result<(), Mistake> {
        let (node, anchor) = match self.open.pop() {
            Some(Open::List { line, anchor, items }) => (Node { line, kind: Kind::List(items) }, anchor),
            Some(Open::Map { line, anchor, fields, .. }) => (Node { line, kind: Kind::Map(fields) }, anchor),
            None => return Err(self.wrong(line, "ends what never began")),
        };
        self.add(node, anchor, 0)
    }

    fn add(&mut self, node: Node, anchor: usize, nodes: usize) -> Result<(), Mistake> {
        let line = node.line;
        self.count(line, nodes)?;
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size(&node)));
        }
        let deep = self.open.len() + depth(&node) > DEEPEST;
        let twice = match self.open.last_mut() {
            _ if deep => return Err(self.wrong(line, "is nested too deeply")),
            None => {
                self.root = Some(node);
                None
            }
            Some(Open::List { items, .. }) => {
                items.push(node);
                None
            }
            Some(Open::Map { fields, key, .. }) => match key.take() {
                None => match node.kind {
                    Kind::Scalar { text, .. } if fields.iter().any(|(other, _)| *other == text) => Some(text),
                    Kind::Scalar { text, .. } => {
                        *key = Some(text);
                        None
                    }
                    Kind::List(_) | Kind::Map(_) => return Err(self.wrong(line, "has a key that is no word")),
                },
                Some(name) => {
                    fields.push((name, node));
                    None
                }
            },
        };
        twice.map_or(Ok(()), |key| Err(Mistake::new(key, "is written twice", "keep one of them").at(Some(line))))
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar { .. } => 0,
        Kind::List(items) => items.iter().map(size).sum(),
        Kind::Map(fields) => fields.iter().map(|(_, node)| size(node) + 1).sum(),
    }
}

fn depth(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar { .. } => 0,
        Kind::List(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Kind::Map(fields) => 1 + fields.iter().map(|(_, node)| depth(node)).max().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::read;

    #[test]
    fn scalars_are_what_the_core_schema_says_and_quoted_ones_are_texts() {
        let text = "a: yes\nb: true\nc: 1\nd: '1'\ne: 1.5\nf: null\ng: ''\nh: [x, \"\"]\ni: 1.2.3\nj: .5x\n";
        let expected =
            json!({ "a": "yes", "b": true, "c": 1, "d": "1", "e": 1.5, "f": null, "g": "", "h": ["x", ""], "i": "1.2.3", "j": ".5x" });
        assert_eq!(read("f", text).unwrap().to_json(), expected);
        assert_eq!(read("f", "{\"a\": [1, {\"b\": \"c\"}]}").unwrap().to_json(), json!({ "a": [1, { "b": "c" }] }));
    }

    #[test]
    fn bombs_repetitions_and_nonsense_are_mistakes_with_their_line() {
        let bomb = (0..9).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
            let next = n + 1;
            format!("{text}a{next}: &a{next} [*a{n}, *a{n}, *a{n}, *a{n}, *a{n}, *a{n}, *a{n}, *a{n}, *a{n}]\n")
        });
        let deep = "[".repeat(100);
        for (text, what) in [
            (bomb.as_str(), "too many nodes"),
            (deep.as_str(), "too deeply"),
            ("a: 1\na: 2\n", "twice"),
            ("a: [", "not YAML"),
            ("", "empty"),
        ] {
            let mistake = read("f", text).unwrap_err();
            assert!(mistake.what.contains(what), "{text:.20}: {mistake}");
        }
        assert_eq!(read("f", "a: 1\nb: 2\na: 3\n").unwrap_err().line, Some(3));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,200}") {
            let _ = read("f", &text);
        }
    }
}
