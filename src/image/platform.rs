//! What an image runs on, as people write it (`linux/arm64/v8`), and which of several images suits what is asked for.
//! <https://github.com/containerd/platforms/blob/main/database.go> (2026-11)

use std::fmt;

use crate::failure::{Failure, Result};

use super::content::{Descriptor, Platform};

impl Platform {
    /// Reads `linux/amd64` or `linux/arm64/v8`.
    pub fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let sound = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if let [os, architecture, variant @ ..] = parts.as_slice()
            && variant.len() <= 1
            && parts.iter().all(sound)
        {
            let variant = variant.first().map(ToString::to_string);
            return Ok(Self { os: (*os).to_owned(), architecture: (*architecture).to_owned(), variant });
        }
        Err(Failure::config(format!("{text:?} is no platform")).fix("write linux/amd64 or linux/arm64"))
    }

    /// Whether it is a platform at all: attestations have none.
    pub fn is_known(&self) -> bool {
        self.os != "unknown" && !self.os.is_empty() && self.architecture != "unknown" && !self.architecture.is_empty()
    }

    /// Whether an image for this runs on what is `asked` for.
    pub fn suits(&self, asked: &Platform) -> bool {
        let (own, other) = (self.plain(), asked.plain());
        own == other || (asked.variant.is_none() && (own.0, own.1) == (other.0, other.1))
    }

    /// By one name each: `x86_64` is `amd64`, and the variant everybody means is left out.
    fn plain(&self) -> (&str, &str, &str) {
        let variant = self.variant.as_deref().unwrap_or_default();
        let (architecture, variant) = match (self.architecture.as_str(), variant) {
            ("x86_64" | "x86-64" | "amd64", "v1" | "") => ("amd64", ""),
            ("x86_64" | "x86-64", other) => ("amd64", other),
            ("aarch64" | "arm64", "8" | "v8" | "") => ("arm64", ""),
            ("aarch64", other) => ("arm64", other),
            ("armhf", _) | ("arm", "7" | "") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            (architecture, variant) => (architecture, variant),
        };
        (&self.os, architecture, variant)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// The one of `images` that suits what is `asked` for: the very same before one that only runs there too.
pub fn chosen<'a>(images: &'a [Descriptor], asked: &Platform) -> Option<&'a Descriptor> {
    let on = |descriptor: &Descriptor, suits: &dyn Fn(&Platform) -> bool| descriptor.platform.as_ref().is_some_and(suits);
    let same = images.iter().find(|image| on(image, &|platform| platform.plain() == asked.plain()));
    same.or_else(|| images.iter().find(|image| on(image, &|platform| platform.suits(asked))))
}

/// The platforms in a sentence.
pub fn listed(platforms: &[Platform]) -> String {
    let each: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    if each.is_empty() { "no platform that it names".to_owned() } else { each.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        Platform::parse(text).unwrap()
    }

    #[test]
    fn a_platform_is_read_and_told_the_same_way() {
        for text in ["linux/amd64", "linux/arm64/v8", "windows/amd64"] {
            assert_eq!(platform(text).to_string(), text);
        }
        for text in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "linux/am d64", "linux/amd64,linux/arm64"] {
            assert!(Platform::parse(text).unwrap_err().fix[0].contains("linux/amd64"), "{text}");
        }
    }

    #[test]
    fn an_image_suits_what_is_asked_for_under_all_its_names() {
        for (image, asked) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm64", "linux/arm64/v8"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm/v7", "linux/arm"),
            ("linux/arm/v6", "linux/arm"),
            ("linux/amd64/v3", "linux/amd64"),
        ] {
            assert!(platform(image).suits(&platform(asked)), "{image} on {asked}");
        }
        for (image, asked) in [
            ("linux/arm64", "linux/amd64"),
            ("linux/amd64", "windows/amd64"),
            ("linux/arm/v7", "linux/arm/v6"),
            ("linux/amd64", "linux/amd64/v3"),
            ("unknown/unknown", "linux/amd64"),
        ] {
            assert!(!platform(image).suits(&platform(asked)), "{image} on {asked}");
        }
    }

    #[test]
    fn the_very_same_is_chosen_before_one_that_only_runs_there_too() {
        let digest = crate::image::hashing::digest_of(b"").unwrap();
        let images: Vec<Descriptor> = ["unknown/unknown", "linux/arm/v6", "linux/arm/v7", "linux/amd64"]
            .iter()
            .map(|text| Descriptor {
                media_type: String::new(),
                digest: digest.clone(),
                size: 0,
                platform: Some(platform(text)),
                annotations: std::collections::BTreeMap::new(),
            })
            .collect();
        let choose = |asked: &str| chosen(&images, &platform(asked)).map(|image| image.platform.clone().unwrap().to_string());
        assert_eq!(choose("linux/arm").as_deref(), Some("linux/arm/v7"));
        assert_eq!(choose("linux/arm/v6").as_deref(), Some("linux/arm/v6"));
        assert_eq!(choose("linux/s390x"), None);
    }
}
