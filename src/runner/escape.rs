//! Foreign text made harmless for the job summary: GitHub's Markdown, the HTML in it, and what GitHub makes of text afterwards
//! (mentions, references, emoji; <https://docs.github.com/en/get-started/writing-on-github>, 2026-11).
//! Libraries escape for CommonMark only (comrak) or for HTML only (pulldown-cmark-escape); none stops the filters that run after the parser.

use super::text;

/// A word joiner: not seen, no part of any name, and no place for a line to end. It stands between two characters that GitHub must not
/// read together.
const BREAK: &str = "&#8288;";

/// `text` as one line that shows exactly its characters, wherever Markdown or HTML text may stand, table cells included.
/// Line ends become spaces. What would become a mention, a reference, a commit or an emoji holds an invisible break.
pub fn markdown(text: &str) -> String {
    let line = text::lines(text).join(" ");
    let pieces: Vec<String> = line.split_whitespace().map(word).collect();
    first_of_line(&pieces.join(" "))
}

/// An identifier (revision, commit, ARN) as inline code, where nothing is linked and nothing needs a break, so that it can be copied;
/// text that inline code cannot hold everywhere is escaped instead.
pub fn code(text: &str) -> String {
    let line = text::lines(text).join(" ");
    let line = line.trim();
    if line.is_empty() || line.contains(['`', '|']) { markdown(line) } else { format!("`{line}`") }
}

/// `lines` as a block of code, in a fence longer than any run of backticks inside; begins and ends at a line of its own.
pub fn fence(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().flat_map(|line| text::lines(line)).collect();
    let fence = "`".repeat(lines.iter().map(|line| longest_run(line)).max().unwrap_or(0).max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", lines.join("\n"))
}

fn longest_run(line: &str) -> usize {
    line.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

fn word(word: &str) -> String {
    let chars: Vec<char> = word.chars().collect();
    let resource_name = is_resource_name(word);
    let mut escaped = String::with_capacity(word.len() * 2);
    for (at, c) in chars.iter().enumerate() {
        escaped.push_str(&character(&chars, at));
        if breaks_after(&chars, at, *c, resource_name) {
            escaped.push_str(BREAK);
        }
    }
    escaped
}

/// One character: itself, or its number where Markdown or HTML would take it for theirs.
fn character(word: &[char], at: usize) -> String {
    let (before, c, after) = (at.checked_sub(1).map(|at| word[at]), word[at], word.get(at + 1).copied());
    let inside_word = before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric);
    let significant = match c {
        '&' | '<' | '>' | '"' | '`' | '*' | '~' | '[' | ']' | '|' | '\\' | '@' | '#' | '!' => true,
        '_' => !inside_word,
        ':' => after == Some('/'),
        '.' => ends_with_ignoring_case(&word[..at], "www"),
        _ => false,
    };
    match c {
        // GitHub's own way to keep a dollar sign from beginning a formula.
        // <https://docs.github.com/en/get-started/writing-on-github/working-with-advanced-formatting/writing-mathematical-expressions> (2026-11)
        '$' => "<span>&#36;</span>".to_owned(),
        c if significant => number(c),
        c => c.to_string(),
    }
}

/// Whether GitHub would read the character together with what follows: `@name`, `#1`, `GH-1`, `:tada:`, a commit.
fn breaks_after(word: &[char], at: usize, c: char, resource_name: bool) -> bool {
    let rest = &word[at + 1..];
    let follows = |wanted: fn(&char) -> bool| rest.first().is_some_and(wanted);
    match c {
        '@' => follows(|c| c.is_alphanumeric()),
        '#' => follows(char::is_ascii_digit),
        'h' | 'H' => follows(|c| *c == '-') && rest.get(1).is_some_and(char::is_ascii_digit) && ends_with_ignoring_case(&word[..at], "g"),
        ':' if resource_name => false,
        ':' => {
            let name = rest.iter().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-')).count();
            name > 0 && rest.get(name) == Some(&':')
        }
        c if c.is_ascii_hexdigit() && !resource_name => breaks_commit(word, at),
        _ => false,
    }
}

/// Whether a break is due here in a commit: seven to forty hexadecimal digits that stand alone, of which no seven may stay together.
/// Digits only (an account number) and parts of something longer (a request's id, a task's path) are left whole, so that they can be copied.
fn breaks_commit(word: &[char], at: usize) -> bool {
    let joined = |c: &&char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/');
    let before = word[..at].iter().rev().take(41).take_while(joined).count();
    let run: Vec<&char> = word[at - before..].iter().take(42).take_while(joined).collect();
    let commit = (7..=40).contains(&run.len()) && run.iter().all(|c| c.is_ascii_hexdigit()) && run.iter().any(|c| c.is_alphabetic());
    commit && before % 6 == 5 && before + 1 < run.len()
}

/// An ARN is copied from the summary into policies: it holds no commit, and no break between its colons.
fn is_resource_name(word: &str) -> bool {
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let parts: Vec<&str> = word.trim_start_matches(['"', '\'', '(', '<']).splitn(6, ':').collect();
    matches!(parts[..], ["arn", partition, service, region, account, _]
        if partition.starts_with("aws") && [partition, service, region].into_iter().all(plain) && account.bytes().all(|byte| byte.is_ascii_digit()))
}

/// At the start of a line a list, a heading, a rule or a quotation could begin.
fn first_of_line(line: &str) -> String {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let at = match line[digits..].chars().next() {
        Some('.' | ')') if digits > 0 => digits,
        Some('-' | '+' | '=') if digits == 0 => 0,
        _ => return line.to_owned(),
    };
    let c = line[at..].chars().next().map(number).unwrap_or_default();
    format!("{}{c}{}", &line[..at], &line[at + 1..])
}

fn ends_with_ignoring_case(chars: &[char], end: &str) -> bool {
    let from = chars.len().saturating_sub(end.len());
    chars[from..].iter().map(char::to_ascii_lowercase).eq(end.chars())
}

fn number(c: char) -> String {
    format!("&#{};", u32::from(c))
}
