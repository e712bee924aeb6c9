//! Foreign text: nothing printed is a command, nothing escaped is more than text, nothing fenced leaves its fence.
#![no_main]

use comrak::nodes::NodeValue;
use comrak::{Arena, Options, parse_document};
use libfuzzer_sys::fuzz_target;
use touchdown::runner::{escape, text};

fuzz_target!(|foreign: &str| {
    for line in text::disarm(foreign) {
        assert!(!line.trim_start().starts_with("::") && !line.contains("##["), "{line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    let mut options = Options::default();
    let on = &mut options.extension;
    (on.strikethrough, on.table, on.autolink, on.tasklist, on.footnotes, on.alerts) = (true, true, true, true, true, true);
    let arena = Arena::new();
    for node in parse_document(&arena, &escape::markdown(foreign), &options).descendants() {
        match &node.data.borrow().value {
            NodeValue::Document | NodeValue::Paragraph | NodeValue::Text(_) => {}
            NodeValue::HtmlInline(html) if html == "<span>" || html == "</span>" => {}
            other => panic!("{other:?}"),
        }
    }
    let fenced = escape::fence(&[foreign.to_owned()]);
    for node in parse_document(&arena, &fenced, &options).descendants() {
        assert!(matches!(node.data.borrow().value, NodeValue::Document | NodeValue::CodeBlock(_)));
    }
});
