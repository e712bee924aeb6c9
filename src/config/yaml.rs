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
pub(super) const LARGEST: usize = 256 * 1024;
/// The most bytes of scalars, each alias counted with everything it stands for.
const MOST_TEXT: usize = 4 * LARGEST;

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
    Map(Vec<Field>),
}

/// A key, the line it stands on, and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) key: String,
    pub(super) line: u32,
    pub(super) node: Node,
}

/// Reads the one document of `text`; `name` is the file's.
pub(super) fn read(name: &str, text: &str) -> Result<Node, Mistake> {
    if text.len() > LARGEST {
        return Err(Mistake::new(name, "is too large", format!("keep it under {} KiB", LARGEST / 1024)));
    }
    let mut builder = Builder { name, open: Vec::new(), anchors: HashMap::new(), nodes: 0, text: 0, root: None };
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
            Kind::Map(fields) => Value::Object(fields.iter().map(|field| (field.key.clone(), field.node.to_json())).collect::<Map<_, _>>()),
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
    let based = |prefix: &str, base: u32| text.strip_prefix(prefix).and_then(|digits| u64::from_str_radix(digits, base).ok());
    let whole = text.parse::<i64>().map(Number::from).ok().or_else(|| text.parse::<u64>().map(Number::from).ok());
    if let Some(number) = whole.filter(|_| numeric).or_else(|| based("0x", 16).or_else(|| based("0o", 8)).map(Number::from)) {
        return Value::Number(number);
    }
    let number = numeric.then(|| text.parse::<f64>().ok().and_then(Number::from_f64)).flatten();
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// A list or map that is not closed yet.
enum Open {
    List { line: u32, anchor: usize, items: Vec<Node> },
    Map { line: u32, anchor: usize, fields: Vec<Field>, key: Option<(String, u32)> },
}

struct Builder<'n> {
    name: &'n str,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, Size)>,
    nodes: usize,
    text: usize,
    root: Option<Node>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Mistake> {
        let line = u32::try_from(span.start.line()).unwrap_or(u32::MAX);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = !matches!(style, ScalarStyle::Plain);
                let kind = match tag.as_deref().map(|tag| (tag.handle.as_str(), tag.suffix.as_str())) {
                    None => Kind::Scalar { text: text.into_owned(), quoted },
                    Some(("!", "unset")) if text.is_empty() => Kind::Scalar { text: "!unset".to_owned(), quoted: true },
                    Some(("tag:yaml.org,2002:", "str")) => Kind::Scalar { text: text.into_owned(), quoted: true },
                    Some(_) => return Err(self.tagged(line)),
                };
                let size = Size { nodes: 1, text: size(&kind).text };
                self.add(Node { line, kind }, anchor, size)
            }
            Event::Alias(anchor) => {
                let (node, size) = self.anchors.get(&anchor).ok_or_else(|| self.wrong(line, "has an alias of nothing"))?.clone();
                self.add(Node { line, ..node }, 0, size)
            }
            Event::SequenceStart(.., Some(_)) | Event::MappingStart(.., Some(_)) => Err(self.tagged(line)),
            Event::SequenceStart(.., anchor, None) => self.nest(line, Open::List { line, anchor, items: Vec::new() }),
            Event::MappingStart(.., anchor, None) => self.nest(line, Open::Map { line, anchor, fields: Vec::new(), key: None }),
            Event::SequenceEnd | Event::MappingEnd => self.close(line),
            Event::DocumentStart(_) if self.root.is_some() => Err(self.wrong(line, "has a second document")),
            _ => Ok(()),
        }
    }

    fn wrong(&self, line: u32, what: &str) -> Mistake {
        Mistake::new(self.name, what, "write one plain document").at(Some(line))
    }

    fn tagged(&self, line: u32) -> Mistake {
        Mistake::new(self.name, "has a tag that means nothing here", "quote the value if it is a text").at(Some(line))
    }

    fn nest(&mut self, line: u32, open: Open) -> Result<(), Mistake> {
        if self.open.len() >= DEEPEST {
            return Err(self.wrong(line, "is nested too deeply"));
        }
        self.count(line, Size { nodes: 1, text: 0 })?;
        self.open.push(open);
        Ok(())
    }

    /// Before anything is copied.
    fn count(&mut self, line: u32, size: Size) -> Result<(), Mistake> {
        self.nodes = self.nodes.saturating_add(size.nodes);
        self.text = self.text.saturating_add(size.text);
        match (self.nodes > MOST, self.text > MOST_TEXT) {
            (true, _) => Err(self.wrong(line, "has too many nodes")),
            (_, true) => Err(self.wrong(line, "has too much text, with what its aliases stand for")),
            (false, false) => Ok(()),
        }
    }

    fn close(&mut self, line: u32) -> Result<(), Mistake> {
        let (node, anchor) = match self.open.pop() {
            Some(Open::List { line, anchor, items }) => (Node { line, kind: Kind::List(items) }, anchor),
            Some(Open::Map { line, anchor, fields, .. }) => (Node { line, kind: Kind::Map(fields) }, anchor),
            None => return Err(self.wrong(line, "ends what never began")),
        };
        self.add(node, anchor, Size::default())
    }

    fn add(&mut self, node: Node, anchor: usize, counted: Size) -> Result<(), Mistake> {
        let line = node.line;
        self.count(line, counted)?;
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size(&node.kind)));
        }
        if self.open.len() + depth(&node) > DEEPEST {
            return Err(self.wrong(line, "is nested too deeply"));
        }
        let twice = match self.open.last_mut() {
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
                    Kind::Scalar { text, .. } if fields.iter().any(|field| field.key == text) => Some(text),
                    Kind::Scalar { text, .. } => {
                        *key = Some((text, line));
                        None
                    }
                    Kind::List(_) | Kind::Map(_) => return Err(self.wrong(line, "has a key that is no word")),
                },
                Some((key, line)) => {
                    fields.push(Field { key, line, node });
                    None
                }
            },
        };
        twice.map_or(Ok(()), |key| Err(Mistake::new(key, "is written twice", "keep one of them").at(Some(line))))
    }
}

/// What a node costs, with everything in it.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    text: usize,
}

impl std::iter::Sum for Size {
    fn sum<I: Iterator<Item = Size>>(sizes: I) -> Size {
        sizes.fold(Size::default(), |sum, size| Size { nodes: sum.nodes + size.nodes, text: sum.text + size.text })
    }
}

fn size(kind: &Kind) -> Size {
    let inside: Size = match kind {
        Kind::Scalar { text, .. } => Size { nodes: 0, text: text.len() },
        Kind::List(items) => items.iter().map(|node| size(&node.kind)).sum(),
        Kind::Map(fields) => fields
            .iter()
            .map(|field| {
                let inside = size(&field.node.kind);
                Size { nodes: inside.nodes + 1, text: inside.text + field.key.len() }
            })
            .sum(),
    };
    Size { nodes: inside.nodes + 1, ..inside }
}

fn depth(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar { .. } => 0,
        Kind::List(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Kind::Map(fields) => 1 + fields.iter().map(|field| depth(&field.node)).max().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::read;

    #[test]
    fn scalars_are_what_the_core_schema_says_and_quoted_ones_are_texts() {
        let text = "a: yes\nb: true\nc: 1\nd: '1'\ne: 1.5\nf: null\ng: ''\nh: [x, \"\"]\ni: 1.2.3\nj: .5x\nk: 0x1F\nl: 0o17\nm: 18446744073709551615\n";
        let expected = json!({ "a": "yes", "b": true, "c": 1, "d": "1", "e": 1.5, "f": null, "g": "", "h": ["x", ""], "i": "1.2.3",
            "j": ".5x", "k": 31, "l": 15, "m": u64::MAX });
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
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(200_000), vec!["*a"; 100].join(", "));
        for (text, what) in [
            (bomb.as_str(), "too many nodes"),
            (deep.as_str(), "too deeply"),
            (long.as_str(), "too much text"),
            ("a: !!binary x\n", "a tag"),
            ("a: 1\n---\nb: 1\n", "a second document"),
            ("? [a]\n: 1\n", "no word"),
            ("a: 1\na: 2\n", "twice"),
            ("a: [", "not YAML"),
            ("", "empty"),
        ] {
            let mistake = read("f", text).unwrap_err();
            assert!(mistake.what.contains(what), "{text:.20}: {mistake}");
        }
        assert_eq!(read("f", "a: 1\nb: 2\na: 3\n").unwrap_err().line, Some(3));
        assert_eq!(read("f", "a: !unset\nb: !!str 1\n").unwrap().to_json(), json!({ "a": "!unset", "b": "1" }));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,200}") {
            let _ = read("f", &text);
        }
    }
}
