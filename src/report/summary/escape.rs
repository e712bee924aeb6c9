//! Foreign text as inert Markdown: it shows as it is and can be neither link, image, mention, element nor structure.

/// `text` as one line of words. Everything with a meaning in Markdown or HTML becomes a character reference; what GitHub makes links of
/// after Markdown (`@name`, `#1`, `GH-1`) is parted by an empty comment, which leaves nothing behind when it is copied.
pub(super) fn words(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 2);
    let mut before = ' ';
    for letter in text.chars() {
        match letter {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' | '\u{85}' => escaped.push(' '),
            letter if invisible(letter) => {}
            '@' | '#' => escaped.push_str(&format!("&#{};<!-- -->", u32::from(letter))),
            '-' if before.eq_ignore_ascii_case(&'h') => escaped.push_str("<!-- -->&#45;"),
            ' ' | ',' | '/' | '(' | ')' | '%' | '\'' | '?' | ';' => escaped.push(letter),
            letter if letter.is_ascii_punctuation() => escaped.push_str(&format!("&#{};", u32::from(letter))),
            letter => escaped.push(letter),
        }
        before = letter;
    }
    escaped
}

/// `text` as an inline identifier.
pub(super) fn code(text: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || " ._:/@-+=,()→…%'".contains(letter);
    if !text.is_empty() && text.trim() == text && text.chars().all(plain) {
        format!("`{text}`")
    } else {
        format!("<code>{}</code>", words(text))
    }
}

/// `lines` as a block of code that they cannot end.
pub(super) fn fence(lines: &[String]) -> String {
    let clean: Vec<String> =
        lines.iter().flat_map(|line| line.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])).map(visible).collect();
    let longest = clean.iter().flat_map(|line| line.split(|letter| letter != '`')).map(str::len).max().unwrap_or(0);
    let marks = "`".repeat(longest.max(2) + 1);
    format!("{marks}text\n{}\n{marks}", clean.join("\n"))
}

fn visible(line: &str) -> String {
    line.chars().filter(|letter| *letter == '\t' || !invisible(*letter)).collect()
}

/// Controls, and marks that turn the direction of text.
fn invisible(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The address as the target of a link of ours; `None`: it is none a browser should be sent to.
pub(super) fn address(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let bare = url.username().is_empty() && url.password().is_none() && url.host_str().is_some();
    let harmless = |letter: char| letter.is_ascii_alphanumeric() || "-._~:/?#@!$&'*+,;=%".contains(letter);
    (bare && url.as_str().chars().all(harmless))
        .then(|| url.to_string().replace('&', "&amp;").replace('\'', "%27").replace('*', "%2A").replace('_', "%5F").replace('~', "%7E"))
}
