//! Markdown to pages that look as GitHub shows a job summary, for `render.sh`:
//! `render PAGES STYLESHEETS VIEW… -- SUMMARY.md…`, a view being `SUFFIX=light|dark,WIDTH`, and beside them `measure.html`, which tells of each
//! page how high it is and what does not fit into its width.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool for developers: it says what is wrong by failing")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use comrak::{Options, markdown_to_html};

/// As GitHub's own pages pad it.
const PADDING: &str =
    ".markdown-body { box-sizing: border-box; padding: 32px; } @media (max-width: 767px) { .markdown-body { padding: 15px; } }";
/// For each page a line `NAME HEIGHT`, with what can only be read by scrolling sideways.
const MEASURE: &str = "<pre id=\"told\"></pre><script>onload = () => { for (const frame of document.querySelectorAll('iframe')) {
    const page = frame.contentDocument, article = page.querySelector('article');
    const wide = [page.documentElement, ...article.querySelectorAll('table')].filter(part => part.scrollWidth > part.clientWidth + 1);
    const told = wide.map(part => ` ${part.localName}+${part.scrollWidth - part.clientWidth}`).join('');
    document.getElementById('told').textContent += `@${frame.name} ${Math.ceil(article.getBoundingClientRect().height)}${told}\\n`;
} }</script>";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (named, summaries) = arguments.split_at(arguments.iter().position(|argument| argument == "--").expect("-- and the summaries"));
    let [pages, styles, views @ ..] = named else { panic!("usage: render PAGES STYLESHEETS SUFFIX=light|dark,WIDTH… -- SUMMARY.md…") };
    let mut measure = String::from("<!doctype html><meta charset=\"utf-8\">");
    for view in views {
        let (suffix, (scheme, width)) =
            view.split_once('=').and_then(|(suffix, rest)| Some((suffix, rest.split_once(',')?))).expect("a view");
        let style = fs::read_to_string(Path::new(styles).join(format!("github-markdown-{scheme}.css"))).expect("the stylesheet is there");
        for summary in &summaries[1..] {
            let name = format!("{}{suffix}", Path::new(summary).file_stem().unwrap().to_string_lossy());
            let page = page(&fs::read_to_string(summary).expect("the summary is there"), scheme, &style);
            let _ = write!(measure, "<iframe name=\"{name}\" width=\"{width}\" srcdoc=\"{}\"></iframe>", attribute(&page));
            fs::write(Path::new(pages).join(format!("{name}.html")), page).expect("the page can be written");
        }
    }
    fs::write(Path::new(pages).join("measure.html"), measure + MEASURE).expect("the page can be written");
}

fn page(markdown: &str, scheme: &str, style: &str) -> String {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    options.extension.tasklist = true;
    options.render.r#unsafe = true;
    let body = markdown_to_html(markdown, &options);
    let background = if scheme == "dark" { "#0d1117" } else { "#ffffff" };
    format!(
        "<!doctype html><html data-theme=\"{scheme}\"><meta charset=\"utf-8\">\
         <style>{style}\nbody {{ margin: 0; background: {background}; }} {PADDING}</style>\
         <body><article class=\"markdown-body\">{body}</article></body></html>"
    )
}

fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;")
}
