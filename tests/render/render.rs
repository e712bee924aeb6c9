//! Markdown to a page that looks as GitHub shows a job summary: `render SUMMARY.md PAGE.html STYLESHEET light|dark`. For `render.sh`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool for developers: it says what is wrong by failing")]

use comrak::{Options, markdown_to_html};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, summary, page, stylesheet, scheme] = arguments.as_slice() else {
        panic!("usage: render SUMMARY.md PAGE.html STYLESHEET light|dark");
    };
    let markdown = std::fs::read_to_string(summary).expect("the summary is there");
    let style = std::fs::read_to_string(stylesheet).expect("the stylesheet is there");
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    options.extension.tasklist = true;
    options.render.r#unsafe = true;
    let body = markdown_to_html(&markdown, &options);
    let background = if scheme == "dark" { "#0d1117" } else { "#ffffff" };
    let document = format!(
        "<!doctype html><html data-theme=\"{scheme}\"><meta charset=\"utf-8\"><style>{style}\n\
         body {{ margin: 0; background: {background}; }} .markdown-body {{ box-sizing: border-box; width: 1012px; padding: 32px; }}</style>\
         <body><article class=\"markdown-body\">{body}</article></body></html>"
    );
    std::fs::write(page, document).expect("the page can be written");
}
