//! The report: what a journal comes to, and how it reads, in every way a run can end.

mod samples;

use comrak::{Options, markdown_to_html};
use samples::all;
use touchdown::report::Report;
use touchdown::report::summary::summary;

/// As GitHub renders it, with everything a foreign text could abuse switched on.
fn html(markdown: &str) -> String {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    options.extension.tasklist = true;
    options.extension.footnotes = true;
    options.render.r#unsafe = true;
    markdown_to_html(markdown, &options)
}

#[test]
fn every_ending_is_rendered_for_the_pictures() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("summaries");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, entries, early) in all() {
        let report = Report::of(&entries, early.as_ref());
        let text = summary(&report);
        assert!(text.starts_with("## "), "{name}: {text}");
        assert!(html(&text).contains("<h2>"), "{name}");
        std::fs::write(folder.join(format!("{name}.md")), text).unwrap();
    }
}
