//! Links of our own making, the only ones a summary has. What is not fit for a browser stays text.

use crate::report::Run;
use crate::runner::escape::code;

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

/// Where the run's repository is looked at, when its commit can be named there.
pub(super) fn repository(run: &Run) -> Option<&str> {
    let is_hash = run.commit.len() >= 7 && run.commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (place, _) = run.url.as_deref()?.split_once("/actions/runs/")?;
    is_hash.then_some(place)
}

/// `path:12: …` as a link to that line of the run's own commit and the rest; anything else is no place.
pub(super) fn place<'a>(run: &Run, text: &'a str) -> Option<(String, &'a str)> {
    let (place, rest) = text.split_once(": ")?;
    let (path, line) = place.split_once(':')?;
    let line = line.split(':').next().filter(|line| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    let beneath = path.chars().all(plain) && path.split('/').all(|part| !part.is_empty() && part != "..");
    let address = repository(run).filter(|_| beneath)?;
    let shown = place.rsplit('/').next().unwrap_or(place);
    Some((link(Some(&format!("{address}/blob/{}/{path}#L{line}", run.commit)), &code(shown)), rest))
}

#[cfg(test)]
mod tests {
    use super::{link, place, target};
    use crate::report::Run;

    #[test]
    fn a_line_of_a_file_is_a_link_into_the_commit() {
        let run = Run { url: Some("https://github.com/acme/shop/actions/runs/1".into()), commit: "3f2a9c1d".into(), ..Run::default() };
        let (linked, rest) = place(&run, ".github/touchdown.yml:14: helth is no setting").unwrap();
        let address = "https://github.com/acme/shop/blob/3f2a9c1d/.github/touchdown.yml#L14";
        assert_eq!((linked.as_str(), rest), (format!("<a href=\"{address}\">`touchdown.yml:14`</a>").as_str(), "helth is no setting"));
        for none in [
            "health-interval is \"30\": write 30s",
            "https://a.example:80: no",
            "../x.yml:1: no",
            "/etc/x:1: no",
            "a b:1: no",
            "x.yml:a: no",
        ] {
            assert_eq!(place(&run, none), None, "{none}");
        }
        assert_eq!(place(&Run::default(), "a.yml:1: no"), None);
    }

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
