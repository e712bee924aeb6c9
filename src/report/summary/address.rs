//! Links of our own making, the only ones a summary has. What is not fit for a browser stays text.

/// `text`, already escaped, as a link to `address`; without one, or with one no browser should be sent to, as it is.
pub(super) fn link(address: Option<&str>, text: &str) -> String {
    address.and_then(target).map_or_else(|| text.to_owned(), |target| format!("<a href=\"{target}\">{text}</a>"))
}

/// `address` as the value of an attribute.
pub(super) fn target(address: &str) -> Option<String> {
    let url = url::Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let bare = url.username().is_empty() && url.password().is_none() && url.host_str().is_some();
    let harmless = |letter: char| letter.is_ascii_alphanumeric() || "-._~:/?#@!$&*+,;=%".contains(letter);
    (bare && url.as_str().chars().all(harmless)).then(|| url.as_str().replace('&', "&amp;"))
}

#[cfg(test)]
mod tests {
    use super::{link, target};

    #[test]
    fn only_addresses_for_a_browser_become_links() {
        assert_eq!(
            link(Some("https://app.example.com/a_b?x=1&y=2"), "open"),
            "<a href=\"https://app.example.com/a_b?x=1&amp;y=2\">open</a>"
        );
        assert_eq!(link(None, "open"), "open");
        let bad = ["javascript:alert(1)", "https://user:pass@example.com", "ftp://example.com", "//example.com", "data:text/html,x"];
        bad.iter().for_each(|bad| assert_eq!(target(bad), None, "{bad}"));
        for odd in ["https://e.com/\"><b>", "https://e.com/a|b", "https://e.com/`x`", "https://e.com/' onclick='x"] {
            assert!(target(odd).is_none_or(|target| !target.contains(['"', '<', '>', '|', '`', '\'', ' '])), "{odd}");
        }
    }
}
