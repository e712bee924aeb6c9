//! The job summary's file: sections go in as they come, and where they are too much together the least important stay out.
//! The runner drops a summary over 1 MiB whole (FileCommandManager.cs, 2026-11). What stands in a section is the report's.

use std::io::Write;

use super::command_file;
use super::env::Env;

/// What this step's summary may hold, in bytes: the runner measures before it masks, and masks may make it longer.
pub const BUDGET: usize = 900 * 1024;
/// What the line about left-out sections takes, in bytes.
const NOTE: usize = 200;

/// A piece of the summary that is shown whole or not at all: Markdown that begins and ends at a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// 0 is shown first and left out last.
    pub rank: u8,
    /// Already escaped.
    pub markdown: String,
}

/// Appends `sections`, in their order, as far as the budget reaches.
pub fn append(env: &Env, sections: &[Section]) -> std::io::Result<()> {
    let mut file = command_file::open(env, "GITHUB_STEP_SUMMARY")?;
    let taken = usize::try_from(file.metadata()?.len()).unwrap_or(BUDGET);
    file.write_all(fit(sections, BUDGET.saturating_sub(taken)).as_bytes())
}

/// The sections that fit into `budget` bytes, in their order, with a line that says how many did not.
pub fn fit(sections: &[Section], budget: usize) -> String {
    let mut by_rank: Vec<usize> = (0..sections.len()).collect();
    by_rank.sort_by_key(|index| sections[*index].rank);
    let whole: usize = sections.iter().map(size).sum();
    let mut left = if whole <= budget { budget } else { budget.saturating_sub(NOTE) };
    let mut shown = vec![false; sections.len()];
    for index in by_rank {
        if let Some(rest) = left.checked_sub(size(&sections[index])) {
            (left, shown[index]) = (rest, true);
        }
    }
    let mut text = String::new();
    for section in sections.iter().zip(&shown).filter_map(|(section, shown)| shown.then_some(section)) {
        text.push_str(&section.markdown);
        text.push_str(ending(section));
    }
    let missing = shown.iter().filter(|shown| !**shown).count();
    if missing > 0 && budget >= NOTE {
        text.push_str(&format!(
            "\n_{missing} of {} parts are left out here: a summary holds {} KiB. The JSON report has them all._\n",
            shown.len(),
            BUDGET / 1024
        ));
    }
    text
}

fn size(section: &Section) -> usize {
    section.markdown.len() + ending(section).len()
}

/// Sections are blocks: an empty line keeps one from running into the next.
fn ending(section: &Section) -> &'static str {
    if section.markdown.ends_with("\n\n") || section.markdown.is_empty() {
        ""
    } else if section.markdown.ends_with('\n') {
        "\n"
    } else {
        "\n\n"
    }
}
