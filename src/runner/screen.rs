//! Rows at the foot of a terminal, redrawn in place beneath the lines that scroll by. Only cursor movements, no colours, and nothing of it outside a terminal.

use super::env::Env;

/// As wide as a terminal is that does not say.
const COLUMNS: usize = 80;

/// A terminal, and the rows at its foot.
#[derive(Debug, Default)]
pub(super) struct Screen {
    pub(super) columns: usize,
    rows: Vec<String>,
}

impl Screen {
    pub(super) fn of_columns(columns: usize) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Where rows may be redrawn: at a terminal that can move its cursor, and to nobody who wants plain text.
    pub(super) fn of(env: &Env, is_terminal: bool) -> Option<Self> {
        let plain = ["NO_COLOR", "CI", "GITHUB_ACTIONS"].iter().any(|name| env.get(name).is_some());
        let moves = env.get("TERM").is_some_and(|term| term != "dumb");
        let columns = env.get("COLUMNS").and_then(|columns| columns.parse().ok()).unwrap_or(COLUMNS);
        (is_terminal && moves && !plain).then(|| Self::of_columns(columns))
    }

    /// What brings a line onto the screen, above the rows.
    pub(super) fn line(&mut self, line: &str) -> String {
        format!("{}{line}\n{}", self.erased(), self.drawn())
    }

    /// What brings other rows onto it.
    pub(super) fn show(&mut self, rows: Vec<String>) -> String {
        let erased = self.erased();
        self.rows = rows;
        format!("{erased}{}", self.drawn())
    }

    fn erased(&self) -> String {
        if self.rows.is_empty() { String::new() } else { format!("\u{1b}[{}A\r\u{1b}[J", self.rows.len()) }
    }

    /// The terminal is told not to begin a new line by itself, whatever its width: each row is one.
    fn drawn(&self) -> String {
        if self.rows.is_empty() { String::new() } else { format!("\u{1b}[?7l{}\n\u{1b}[?7h", self.rows.join("\n")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        pairs.iter().copied().collect()
    }

    #[test]
    fn rows_are_redrawn_at_a_terminal_that_can_and_nowhere_else() {
        let shown = |pairs: &[(&str, &str)], terminal| Screen::of(&env(pairs), terminal).map(|screen| screen.columns);
        assert_eq!(shown(&[("TERM", "xterm")], true), Some(80));
        assert_eq!(shown(&[("TERM", "xterm"), ("COLUMNS", "120")], true), Some(120));
        for (pairs, terminal) in [
            (&[("TERM", "xterm")][..], false),
            (&[("TERM", "dumb")], true),
            (&[], true),
            (&[("TERM", "xterm"), ("NO_COLOR", "1")], true),
            (&[("TERM", "xterm"), ("CI", "true")], true),
        ] {
            assert_eq!(shown(pairs, terminal), None, "{pairs:?}");
        }
    }

    #[test]
    fn lines_scroll_by_above_rows_that_stay() {
        let mut screen = Screen::of_columns(80);
        assert_eq!(screen.line("one"), "one\n", "no code while nothing is drawn");
        assert_eq!(screen.show(vec!["a".to_owned(), "b".to_owned()]), "\u{1b}[?7la\nb\n\u{1b}[?7h");
        assert_eq!(screen.line("two"), "\u{1b}[2A\r\u{1b}[Jtwo\n\u{1b}[?7la\nb\n\u{1b}[?7h");
        assert_eq!(screen.show(Vec::new()), "\u{1b}[2A\r\u{1b}[J");
        assert_eq!(screen.line("three"), "three\n");
    }
}
