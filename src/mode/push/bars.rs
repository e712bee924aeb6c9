//! How far a push is, as rows for a terminal: a bar for each layer that travels, and one for all of it. Pure: a picture in, text out.

use std::time::Duration;

use crate::engine::narrate::size;

/// More layers than this are counted, not drawn.
const MOST: usize = 8;
/// Names take so many columns, and bars at most so many.
const NAME: usize = 12;
const LONGEST: usize = 30;
/// A shorter bar says nothing.
const SHORTEST: usize = 5;

/// Something that travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) done: u64,
    pub(super) whole: u64,
}

/// How far a push is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    /// What travels now.
    pub(super) under_way: Vec<Bar>,
    /// All of it; what was there counts as done.
    pub(super) total: Bar,
    pub(super) pace: Pace,
}

/// How fast it goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pace {
    /// Bytes in a second.
    pub(super) rate: Option<u64>,
    /// Until the end, at that rate.
    pub(super) left: Option<Duration>,
}

impl Pace {
    /// `85.2 MB/s, 4s left`; nothing where nobody can tell.
    pub(super) fn words(self) -> Option<String> {
        let rate = format!("{}/s", size(self.rate?));
        let left = self.left.map(|left| format!(", {} left", humantime::format_duration(left)));
        Some(rate + &left.unwrap_or_default())
    }
}

/// The rows, none wider than `columns`.
pub(super) fn rows(picture: &Picture, columns: usize) -> Vec<String> {
    let mut rows: Vec<String> = picture.under_way.iter().take(MOST).map(|bar| row(bar, &figures(bar), columns)).collect();
    if let more @ 1.. = picture.under_way.len().saturating_sub(MOST) {
        rows.push(cut(&format!("  and {more} more"), columns));
    }
    let pace = picture.pace.words().map(|words| format!(", {words}")).unwrap_or_default();
    rows.push(row(&picture.total, &format!("{}{pace}", figures(&picture.total)), columns));
    rows
}

fn figures(bar: &Bar) -> String {
    format!("{} of {}", size(bar.done), size(bar.whole))
}

fn row(bar: &Bar, figures: &str, columns: usize) -> String {
    let name = cut(&bar.name, NAME);
    let name = format!("{name}{}", " ".repeat(NAME - width(&name)));
    let room = columns.saturating_sub(2 + NAME + 1 + 1 + width(figures)).min(LONGEST);
    let drawn = if room < SHORTEST { String::new() } else { format!("{} ", drawn(bar, room)) };
    cut(&format!("  {name} {drawn}{figures}"), columns)
}

fn drawn(bar: &Bar, room: usize) -> String {
    let share = u128::from(bar.done.min(bar.whole)) * room as u128 / u128::from(bar.whole.max(1));
    let full = usize::try_from(share).unwrap_or(room);
    format!("{}{}", "━".repeat(full), "─".repeat(room - full))
}

/// `text` in at most `columns`, with `…` where something is missing.
fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (mut short, mut used) = (String::new(), 1);
    for letter in text.chars() {
        used += columns_of(letter);
        if used > columns {
            break;
        }
        short.push(letter);
    }
    if columns > 0 {
        short.push('…');
    }
    short
}

fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// How many columns a letter takes: none where it joins the one before, two for those of East Asia and for pictures
/// (<https://www.unicode.org/reports/tr11/>, 2026-11; in its large blocks).
fn columns_of(letter: char) -> usize {
    match letter {
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' => 0,
        '\u{200b}'..='\u{200d}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' => 0,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7a3}' => 2,
        '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' => 2,
        '\u{1f300}'..='\u{1f64f}' | '\u{1f680}'..='\u{1f6ff}' | '\u{1f900}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bar(name: &str, done: u64, whole: u64) -> Bar {
        Bar { name: name.to_owned(), done, whole }
    }

    fn picture(under_way: Vec<Bar>) -> Picture {
        let pace = Pace { rate: Some(85_200_000), left: Some(Duration::from_secs(4)) };
        Picture { under_way, total: bar("web", 250_000_000, 500_000_000), pace }
    }

    #[test]
    fn each_layer_has_a_bar_and_all_of_it_has_one_with_its_pace() {
        let drawn = rows(&picture(vec![bar("3f2a9c1d5e7b", 15_000_000, 60_000_000)]), 90);
        assert_eq!(drawn[0], "  3f2a9c1d5e7b ━━━━━━━─────────────────────── 15.0 MB of 60.0 MB");
        assert_eq!(drawn[1], "  web          ━━━━━━━━━━━━━━━─────────────── 250.0 MB of 500.0 MB, 85.2 MB/s, 4s left");
    }

    #[test]
    fn many_layers_are_counted_and_a_narrow_screen_keeps_the_figures() {
        let many: Vec<Bar> = (0..11).map(|number| bar(&format!("layer-{number}"), 0, 10_000_000)).collect();
        let drawn = rows(&picture(many), 80);
        assert_eq!((drawn.len(), drawn[8].as_str()), (10, "  and 3 more"));
        let narrow = rows(&picture(vec![bar("a", 1, 2)]), 40);
        assert!(narrow[0].contains('━') || narrow[0].contains('─'), "{narrow:?}");
        assert!(narrow[1].ends_with('…') && !narrow[1].contains('━'), "{narrow:?}");
    }

    #[test]
    fn letters_that_are_wide_or_join_others_are_measured_as_they_are_drawn() {
        for (text, columns) in [("web", 3), ("größe", 5), ("gro\u{308}ße", 5), ("画像", 4), ("🚀", 2), ("", 0)] {
            assert_eq!(width(text), columns, "{text}");
        }
        assert_eq!(cut("画像の名前が長い", 7), "画像の…");
        assert_eq!(cut("abc", 2), "a…");
        assert_eq!(cut("abc", 0), "");
        let drawn = rows(&Picture { total: bar("画像画像画像画像", 1, 2), ..picture(Vec::new()) }, 60);
        assert!(drawn[0].starts_with("  画像画像画…  "), "{drawn:?}");
    }

    #[test]
    fn where_nobody_can_tell_a_pace_there_is_none() {
        assert_eq!(Pace::default().words(), None);
        assert_eq!(Pace { rate: Some(1_000_000), left: None }.words().as_deref(), Some("1.0 MB/s"));
    }

    proptest! {
        #[test]
        fn no_row_is_wider_than_the_screen(name in ".{0,30}", done: u64, whole: u64, rate: Option<u64>, columns in 0usize..200) {
            let pace = Pace { rate, left: rate.map(|rate| Duration::from_secs(rate % 100_000)) };
            let one = bar(&name, done, whole);
            for row in rows(&Picture { under_way: vec![one.clone()], total: one, pace }, columns) {
                prop_assert!(width(&row) <= columns, "{} > {columns}: {row}", width(&row));
            }
        }
    }
}
