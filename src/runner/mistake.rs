//! A mistake in the settings, as data: where it stands, what is wrong, and what to write instead.
//! Whoever reads settings collects them; all are told at once. It knows no setting by name.

use std::fmt;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The setting as it was written: `health-retries`, `services.web.health.retries`.
    pub name: String,
    /// The line in the file; inputs and flags have none.
    pub line: Option<u32>,
    /// The file, where it is known.
    pub file: Option<String>,
    /// What is wrong, with what came: `is "soon", not a duration`.
    pub what: String,
    /// The valid name nearest to an unknown one.
    pub nearest: Option<String>,
    /// What to write instead.
    pub write: String,
}

impl Mistake {
    /// A mistake in the setting `name`.
    pub fn new(name: impl Into<String>, what: impl Into<String>, write: impl Into<String>) -> Self {
        Self { name: name.into(), line: None, file: None, what: what.into(), nearest: None, write: write.into() }
    }

    /// A name nobody knows, with the nearest of `known`.
    pub fn unknown(name: &str, known: &[&str]) -> Self {
        let nearest = nearest(name, known);
        let write = nearest.as_ref().map_or_else(|| "remove it".to_owned(), |nearest| format!("write {nearest}"));
        Self { nearest, ..Self::new(name, "is no setting", write) }
    }

    /// The same mistake on a line of a file.
    #[must_use]
    pub fn at(self, line: Option<u32>) -> Self {
        Self { line, ..self }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: ")?,
            (None, Some(line)) => write!(f, "line {line}: ")?,
            (_, None) => {}
        }
        write!(f, "{} {}: {}", self.name, self.what, self.write)
    }
}

/// The one of `known` that somebody who wrote `name` most likely meant; none when nothing is near.
pub fn nearest(name: &str, known: &[&str]) -> Option<String> {
    let plain = |name: &str| name.chars().take(64).map(|c| if c == '_' || c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect();
    let name: String = plain(name);
    let near = |known: &&str| {
        let known: String = plain(known);
        let distance = strsim::damerau_levenshtein(&name, &known);
        let close = distance <= (known.chars().count() / 3).max(1) || strsim::jaro_winkler(&name, &known) >= 0.9;
        close.then_some(distance)
    };
    known.iter().filter_map(|known| Some((near(known)?, *known))).min().map(|(_, known)| known.to_owned())
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_name_is_found_and_far_ones_are_not() {
        let known = ["health-path", "health-retries", "region", "to"];
        let found = |name| nearest(name, &known);
        assert_eq!(found("health_retires").as_deref(), Some("health-retries"));
        assert_eq!(found("Health-Path").as_deref(), Some("health-path"));
        assert_eq!(found("healthpath").as_deref(), Some("health-path"));
        assert_eq!(found("regoin").as_deref(), Some("region"));
        assert_eq!(found("kubernetes"), None);
        assert_eq!(found(""), None);
        assert_eq!(nearest("anything", &[]), None);
    }
}
