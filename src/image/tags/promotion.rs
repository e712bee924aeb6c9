//! `from staging to latest and v1.2.3`: an image that is there already gets further tags. Here it is only read; nothing is asked or moved.

use std::fmt;

use crate::failure::{Failure, Result};
use crate::image::reference::checked_tag;
use crate::values::Digest;

/// A promotion as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// The image that has proven itself.
    pub from: From,
    /// The tags it gets, each once.
    pub to: Vec<String>,
}

/// How the promoted image is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// By a tag, which is looked up once.
    Tag(String),
    /// By its digest.
    Digest(Digest),
}

impl Promotion {
    /// Whether `line` is meant as one: no tag has spaces.
    pub fn is_meant(line: &str) -> bool {
        line.split_whitespace().next() == Some("from") && line.trim().contains(char::is_whitespace)
    }

    /// Reads `from TAG to TAG`, further tags after `and` or a comma; the first may be a digest.
    pub fn parse(line: &str) -> Result<Self> {
        let wrong = || Failure::config(format!("{line:?} is no promotion")).fix("write: from staging to latest and v1.2.3");
        let spaced = line.replace(',', " and ");
        let mut words = spaced.split_whitespace();
        let (Some("from"), Some(from), Some("to")) = (words.next(), words.next(), words.next()) else { return Err(wrong()) };
        let from = if from.contains(':') { From::Digest(Digest::parse(from)?) } else { From::Tag(checked_tag(from)?) };
        let mut to: Vec<String> = Vec::new();
        let mut name_is_next = true;
        for word in words {
            match (word, name_is_next) {
                // After a comma an `and` may follow too.
                ("and", _) => name_is_next = true,
                (name, true) => {
                    let name = checked_tag(name)?;
                    name_is_next = false;
                    if !to.contains(&name) {
                        to.push(name);
                    }
                }
                (_, false) => return Err(wrong()),
            }
        }
        if to.is_empty() || name_is_next {
            return Err(wrong());
        }
        Ok(Self { from, to })
    }
}

impl fmt::Display for Promotion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            From::Tag(tag) => write!(f, "from {tag} to {}", self.to.join(" and ")),
            From::Digest(digest) => write!(f, "from {digest} to {}", self.to.join(" and ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promotion_names_one_image_and_the_tags_it_gets() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (line, told) in [
            ("from staging to latest", "from staging to latest"),
            ("  from staging to latest and v1.2.3 ", "from staging to latest and v1.2.3"),
            ("from staging to a, b, and c and a", "from staging to a and b and c"),
            (&format!("from {digest} to live"), &format!("from {digest} to live")),
            ("from from to to", "from from to to"),
        ] {
            assert!(Promotion::is_meant(line));
            assert_eq!(Promotion::parse(line).unwrap().to_string(), told, "{line}");
        }
        assert!(!Promotion::is_meant("from") && !Promotion::is_meant("from-staging") && !Promotion::is_meant("type=sha"));
    }

    #[test]
    fn half_a_promotion_says_how_a_whole_one_is_written() {
        let wrong = [
            "from staging",
            "from staging to",
            "from staging to a and",
            "from staging to a b",
            "from a b to c",
            "from -x to c",
            "from sha256:1 to c",
        ];
        for line in wrong {
            assert!(Promotion::parse(line).unwrap_err().fix[0].starts_with("write"), "{line}");
        }
    }
}
