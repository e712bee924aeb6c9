//! Foreign text made harmless for the log: the runner executes commands that it finds in what a step prints
//! (<https://github.com/actions/runner>, src/Runner.Common/ActionCommand.cs, 2026-11).
//! It knows the forms of commands; it knows neither secrets nor where the text goes.

/// The longest line that is printed, in bytes.
pub const LONGEST_LINE: usize = 2000;

/// `text` as lines that can be printed: no control, escape or direction characters, no line the runner would take for a command,
/// none longer than [`LONGEST_LINE`]. There is always at least one line.
pub fn disarm(text: &str) -> Vec<String> {
    lines(text).into_iter().map(|line| unarmed(&line)).collect()
}

/// The lines of `text` without anything that cannot be seen, each cut to [`LONGEST_LINE`]; what is left may still be a command.
pub(crate) fn lines(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n");
    let mut lines: Vec<String> = text.split(is_line_end).map(|line| cut(visible(line))).collect();
    while lines.len() > 1 && lines.last().is_some_and(|line| line.trim().is_empty()) {
        lines.pop();
    }
    lines
}

/// One line that is no command any more: `::` at its start, after whatever the runner trims, and `##[` anywhere.
pub(crate) fn unarmed(line: &str) -> String {
    let mut line = line.replace("##[", "##\\[");
    let start = line.len() - line.trim_start().len();
    if line[start..].starts_with("::") {
        line.insert(start, '\\');
    }
    line
}

/// Where .NET's readers, Unicode or a terminal begin a new line.
fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// `line` without terminal sequences and invisible characters; a tab becomes a space.
fn visible(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' | '\u{9b}' | '\u{9d}' => rest = after_sequence(c, rest),
            '\t' => shown.push(' '),
            c if c.is_control() || is_ignorable(c) => {}
            c => shown.push(c),
        }
    }
    shown
}

/// What follows a terminal sequence that `first` began: CSI (colours, cursor) and OSC (titles, links) are skipped whole.
fn after_sequence(first: char, rest: std::str::Chars<'_>) -> std::str::Chars<'_> {
    let text = rest.as_str();
    let (kind, body) = match (first, text.chars().next()) {
        ('\u{9b}', _) => ('[', text),
        ('\u{9d}', _) => (']', text),
        (_, Some(kind @ ('[' | ']'))) => (kind, &text[1..]),
        _ => return rest,
    };
    let end = match kind {
        '[' => body.find(|c: char| !matches!(c, ' '..='?')).filter(|at| matches!(body.as_bytes()[*at], b'@'..=b'~')).map(|at| at + 1),
        _ => body.find(['\u{7}', '\u{1b}', '\u{9c}']),
    };
    end.map_or(body, |end| &body[end..]).chars()
}

/// Characters without a picture of their own: they hide text, turn its direction, or stand between the letters of a command
/// (Unicode 17, `Default_Ignorable_Code_Point` and the remaining format characters).
fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

fn cut(mut line: String) -> String {
    crate::failure::cut(&mut line, LONGEST_LINE);
    line
}
