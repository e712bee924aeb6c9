//! Text in the summary, judged by a parser of GitHub's Markdown and by what GitHub does to text after parsing.

use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Options, parse_document};
use proptest::prelude::*;
use touchdown::runner::escape::{code, fence, markdown};

use super::hostile;

const BREAK: char = '\u{2060}';

/// Everything GitHub turns on, and a little more.
fn github() -> Options<'static> {
    let mut options = Options::default();
    let on = &mut options.extension;
    (on.strikethrough, on.table, on.autolink, on.tasklist) = (true, true, true, true);
    (on.footnotes, on.inline_footnotes, on.alerts, on.math_dollars, on.math_code) = (true, true, true, true, true);
    (on.underline, on.superscript, on.subscript, on.spoiler) = (true, false, true, true);
    options
}

/// What a reader sees, and whatever is more than text.
fn read(document: &str) -> (String, Vec<String>) {
    let arena = Arena::new();
    let (mut text, mut more) = (String::new(), Vec::new());
    visit(parse_document(&arena, document, &github()), &mut |node| match &node.data.borrow().value {
        NodeValue::Document | NodeValue::Paragraph | NodeValue::Table(_) | NodeValue::TableRow(_) | NodeValue::TableCell => {}
        NodeValue::Text(words) => text.push_str(words),
        NodeValue::HtmlInline(html) if html == "<span>" || html == "</span>" => {}
        other => more.push(format!("{other:?}")),
    });
    (text, more)
}

fn visit<'a>(node: &'a AstNode<'a>, seen: &mut impl FnMut(&'a AstNode<'a>)) {
    seen(node);
    node.children().for_each(|child| visit(child, seen));
}

/// What GitHub's filters make of text once it is rendered.
fn made_of(text: &str) -> Vec<&'static str> {
    let patterns = [
        ("a mention", r"@[A-Za-z0-9]"),
        ("a reference", r"#[0-9]"),
        ("a reference", r"(?i)gh-[0-9]"),
        ("an emoji", r":[A-Za-z0-9_+-]+:"),
        ("a mail address", r"[A-Za-z0-9]@[A-Za-z0-9-]+\.[a-z]"),
    ];
    let mut made: Vec<_> =
        patterns.iter().filter(|(_, pattern)| regex_lite::Regex::new(pattern).unwrap().is_match(text)).map(|(what, _)| *what).collect();
    let alone = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '/'));
    let commit = |word: &str| (7..=40).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.split(alone).any(|word| commit(word) && word.bytes().any(|byte| byte.is_ascii_alphabetic())) {
        made.push("a commit");
    }
    made
}

fn shown(text: &str) -> String {
    let (seen, more) = read(&markdown(text));
    assert_eq!(more, Vec::<String>::new(), "{text:?} became {:?}", markdown(text));
    assert_eq!(made_of(&seen), Vec::<&str>::new(), "{text:?} became {:?}", markdown(text));
    seen.replace(BREAK, "")
}

#[test]
fn ordinary_text_stays_as_it_is() {
    for text in
        ["web:41 serves", "rev-41, rev-42 (candidate)", "12 of 20 answers; p95 at 30 ms", "AWS said 400", "a_b-c/d.e", "123456789012"]
    {
        assert_eq!(markdown(text), text);
    }
    assert_eq!(markdown("https://app.example.com/health"), "https&#58;//app.example.com/health");
}

#[test]
fn the_corpus_is_shown_letter_by_letter() {
    for text in [
        "[a](http://evil.example) ![i](http://evil.example/x.png)",
        "http://evil.example www.evil.example WwW.evil.example ftp://evil.example mailto:a@evil.example a@evil.example",
        "<img src=x onerror=alert(1)><details open></table><!-- x",
        "@octocat @acme/team acme/shop#1 #1 GH-1 gh-12 acme/shop@3f2a9c1d 3f2a9c1d7be04418f6a5c1b2d3e4f5a6b7c8d9e0",
        "`code` ```fence``` ~~strike~~ **bold** _it_ __it__ ***x*** ||spoiler|| a|b|c",
        "&lt;b&gt; &#60; &amp;amp; \\* \\",
        ":tada: a:100:b $x$ $$y$$ $`z`$ costs $5 and $6",
        "[^1] [^1]: note ^[inline] [x]: http://evil.example",
        "!",
    ] {
        assert_eq!(shown(text), text);
    }
}

#[test]
fn nothing_at_the_start_of_a_line_begins_a_block() {
    for text in [
        "# x",
        "> x",
        "- x",
        "+ x",
        "* x",
        "1. x",
        "12) x",
        "---",
        "===",
        "- - -",
        "***",
        "```",
        "~~~",
        "- [ ] x",
        "> [!NOTE]",
        "| a | b |",
        "=",
        ": x",
    ] {
        assert_eq!(shown(text), text);
        let (seen, more) = read(&format!("before\n{}\nafter", markdown(text)));
        assert!(seen.contains(text) && more.iter().all(|node| node == "SoftBreak"), "{text:?}: {seen:?} {more:?}");
    }
}

#[test]
fn line_ends_and_runs_of_space_become_one_space() {
    assert_eq!(markdown("  a\n\n    b\u{2028}c\r\nd\t\u{1b}[31me  "), "a b c d e");
    assert_eq!(markdown(" \n "), "");
}

#[test]
fn a_table_cell_stays_one_cell() {
    let table = format!("| a | b |\n|---|---|\n| {} | x |\n", markdown("1 | 2 \\| `3|4` | @octocat"));
    let (seen, more) = read(&table);
    assert_eq!((seen.replace(BREAK, ""), more), ("ab1 | 2 \\| `3|4` | @octocatx".to_owned(), Vec::new()));
}

#[test]
fn resource_names_and_request_ids_can_be_copied() {
    for text in [
        "arn:aws:ecs:eu-west-1:123456789012:service/shop/web",
        "(arn:aws:iam::123456789012:role/deploy)",
        "arn:aws:ecs:eu-west-1:123456789012:task/shop/0123456789abcdef0123456789abcdef",
        "request 550e8400-e29b-41d4-a716-446655440000",
    ] {
        assert!(!markdown(text).contains("&#8288;"), "{}", markdown(text));
    }
    assert!(markdown("arn:tada:").contains("&#8288;"));
}

#[test]
fn an_identifier_is_code_where_code_can_hold_it() {
    assert_eq!(code("3f2a9c1d7be0"), "`3f2a9c1d7be0`");
    assert_eq!(code(" @a <b> \n"), "`@a <b>`");
    assert_eq!(code("a`b|c"), "a&#96;b&#124;c");
    assert_eq!(code(""), "");
}

fn lines_of_code(document: &str) -> Vec<String> {
    let arena = Arena::new();
    let mut blocks = Vec::new();
    visit(parse_document(&arena, document, &github()), &mut |node| match &node.data.borrow().value {
        NodeValue::Document => {}
        NodeValue::CodeBlock(block) => blocks.push(block.literal.clone()),
        other => panic!("{other:?} beside the code in {document:?}"),
    });
    assert_eq!(blocks.len(), 1, "{document:?}");
    blocks.remove(0).trim_end_matches('\n').split('\n').map(str::to_owned).collect()
}

#[test]
fn a_fence_is_longer_than_any_run_inside() {
    let lines = ["a".to_owned(), "````".to_owned(), "  ``` x".to_owned(), "</details>".to_owned()];
    let block = fence(&lines);
    assert!(block.starts_with("`````text\n"), "{block}");
    assert_eq!(lines_of_code(&block), lines);
    assert_eq!(lines_of_code(&fence(&[])), [""]);
}

proptest! {
    #[test]
    fn whatever_is_escaped_is_text_and_nothing_else(text in hostile(), any in any::<String>()) {
        for text in [text.clone(), any.clone(), format!("{text}{any}")] {
            let (seen, more) = read(&markdown(&text));
            prop_assert!(more.is_empty(), "{:?} became {:?} with {:?}", text, markdown(&text), more);
            let made = made_of(&seen.split_whitespace().filter(|word| !word.contains("arn:aws")).collect::<Vec<_>>().join(" "));
            prop_assert!(made.is_empty(), "{:?} became {:?} with {:?}", text, markdown(&text), made);
        }
    }

    #[test]
    fn whatever_is_escaped_stays_in_its_cell(text in hostile()) {
        let (_, more) = read(&format!("| a | b |\n|---|---|\n| {} | x |\n", markdown(&text)));
        prop_assert!(more.is_empty(), "{more:?}");
    }

    #[test]
    fn whatever_is_fenced_stays_in_its_fence(lines in prop::collection::vec(hostile(), 0..6)) {
        let block = fence(&lines);
        prop_assert!(!block.contains(|c: char| c.is_control() && c != '\n'));
        lines_of_code(&format!("{block}\n"));
    }
}
