//! `health.*`, `stabilize` and `smoke` as written → how health is asked and judged. It asks nobody.

use std::time::Duration;

use crate::health::{HealthAt, HealthSettings, Smoke, StatusSet, VersionAt, VersionIs, VersionRule};

use crate::http::lookup::forbidden;

use super::reader::Reader;

impl Reader<'_> {
    pub(super) fn health(&mut self) -> HealthSettings {
        // No platform served today asks for an identity token, so both answers come to the same.
        self.choice("health-auth", [("auto", ()), ("none", ())]);
        let health = HealthSettings {
            at: self.health_at(),
            retries: self.number("health-retries"),
            interval: self.duration("health-interval"),
            timeout: self.time_limit("health-timeout"),
            initial_delay: self.duration("health-initial-delay"),
            successes: self.number("health-successes"),
            status: self.health_status(),
            body: self.health_body(),
            json: self.health_json(),
            header: self.health_header(),
            version: self.version(),
            max_latency: self.some_duration("health-max-latency"),
            stabilize: self.duration("stabilize"),
            smoke: self.smoke(),
        };
        self.held_together(&health);
        health
    }

    /// What is asked must be asked somewhere, and within the time there is.
    fn held_together(&mut self, health: &HealthSettings) {
        if matches!(health.at, HealthAt::Waived(_)) {
            let idle = ["health-version", "health-body", "health-json", "health-header", "health-max-latency", "smoke", "stabilize"];
            for name in idle.into_iter().filter(|name| self.has(name)).collect::<Vec<_>>() {
                self.wrong(name, "is there, and health-path is none", "remove one of them");
            }
        }
        if self.has("health-url") && self.has("health-path") {
            self.wrong("health-path", "and health-url are both set", "keep one of them: the address holds a path");
        }
        let further = Duration::from_secs(u64::from(health.successes.saturating_sub(1))).min(health.interval * health.successes);
        let least = health.initial_delay + health.stabilize + further;
        let timeout = self.duration("timeout");
        if least >= timeout {
            let what =
                format!("is {}, and the proof takes {} at least", humantime::format_duration(timeout), humantime::format_duration(least));
            self.wrong("timeout", what, "lengthen it, or shorten stabilize or health-initial-delay");
        }
    }

    fn health_at(&mut self) -> HealthAt {
        if let Some(url) = self.text("health-url") {
            if let Err((what, write)) = address(&url) {
                self.wrong("health-url", what, write);
            }
            return HealthAt::Url(url);
        }
        match self.text("health-path") {
            None => HealthAt::Path("/health".to_owned()),
            Some(path) if is_path(&path) => HealthAt::Path(path),
            Some(waived) => match waived.strip_prefix("none").map(|reason| reason.trim_start_matches([':', ' '])) {
                Some(reason) if !reason.is_empty() => HealthAt::Waived(reason.to_owned()),
                Some(_) => {
                    self.wrong("health-path", "is none without a reason", "write none: why");
                    HealthAt::Waived(String::new())
                }
                None => {
                    self.wrong("health-path", format!("is {waived:?}, no path"), "write a path that begins with /");
                    HealthAt::Path("/".to_owned())
                }
            },
        }
    }

    fn health_status(&mut self) -> StatusSet {
        let text = self.text("health-status").unwrap_or_else(|| "200-299".to_owned());
        status_set(&text).unwrap_or_else(|| {
            self.wrong("health-status", format!("is {text:?}, no set of status codes"), "write 200-299,304");
            StatusSet(Vec::new())
        })
    }

    fn health_body(&mut self) -> Option<String> {
        let text = self.text("health-body")?;
        if let Err(why) = pattern(&text) {
            self.wrong("health-body", why, "correct the pattern, or write the text without the slashes around it");
        }
        Some(text)
    }

    fn health_json(&mut self) -> Vec<(String, serde_json::Value)> {
        let pairs = self.json_pairs("health-json");
        for (pointer, _) in pairs.iter().filter(|(pointer, _)| !pointer.starts_with('/')) {
            self.wrong("health-json", format!("has {pointer:?}, no JSON pointer"), format!("write /{pointer}"));
        }
        pairs
    }

    fn health_header(&mut self) -> Vec<(String, String)> {
        let pairs = self.pairs("health-header");
        for (name, _) in pairs.iter().filter(|(name, _)| !is_header(name)) {
            self.wrong("health-header", format!("has {name:?}, no name of a header"), "write Name=value");
        }
        pairs
    }

    fn version(&mut self) -> Option<VersionRule> {
        let text = self.text("health-version")?;
        let rule = text.split_once('=').map(|(at, expected)| (at.trim(), expected.trim()));
        let Some((at, expected)) = rule.filter(|(at, expected)| !expected.is_empty() && (at.starts_with('/') || is_header(at))) else {
            self.wrong("health-version", format!("is {text:?}, no rule"), "write /version=sha, X-Version=digest or /version=v2");
            return None;
        };
        let at = if at.starts_with('/') { VersionAt::Pointer(at.to_owned()) } else { VersionAt::Header(at.to_owned()) };
        let expected = match expected {
            "sha" => VersionIs::Commit(self.commit.to_owned()),
            "digest" => VersionIs::Digest,
            text => VersionIs::Text(text.to_owned()),
        };
        if matches!(&expected, VersionIs::Commit(commit) if commit.is_empty()) {
            self.wrong("health-version", "asks for the commit, and GITHUB_SHA is not set", "write the version itself, such as /version=v2");
        }
        Some(VersionRule { at, expected })
    }

    fn smoke(&mut self) -> Vec<Smoke> {
        let Some(given) = self.given.get("smoke") else { return Vec::new() };
        let read = super::smoke::requests(given);
        read.unwrap_or_else(|mistakes| {
            self.mistakes.extend(mistakes);
            Vec::new()
        })
    }
}

/// `200-299,304`.
pub(super) fn status_set(text: &str) -> Option<StatusSet> {
    let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..600).contains(code));
    let range = |part: &str| match part.split_once('-') {
        Some((from, to)) => Some((code(from)?, code(to)?)).filter(|(from, to)| from <= to),
        None => code(part).map(|code| (code, code)),
    };
    text.split(',').map(range).collect::<Option<Vec<_>>>().map(StatusSet)
}

/// Whether `/regex/` compiles; any other text is just a text.
pub(super) fn pattern(text: &str) -> Result<(), String> {
    match crate::health::pattern(text) {
        None => Ok(()),
        Some(pattern) => crate::health::compiled(pattern).map(drop).map_err(|error| format!("is no pattern: {error}")),
    }
}

/// Whether it can stand after a host.
pub(super) fn is_path(text: &str) -> bool {
    text.starts_with('/') && !text.starts_with("//") && text.chars().all(|letter| !letter.is_whitespace() && !letter.is_control())
}

/// Whether it names a header.
pub(super) fn is_header(name: &str) -> bool {
    http::HeaderName::from_bytes(name.as_bytes()).is_ok()
}

fn is_forbidden(host: &url::Host<&str>) -> bool {
    match host {
        url::Host::Ipv4(address) => forbidden((*address).into()),
        url::Host::Ipv6(address) => forbidden((*address).into()),
        url::Host::Domain(_) => false,
    }
}

fn address(text: &str) -> Result<(), (&'static str, &'static str)> {
    match url::Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() => {
            Err(("is no http or https address", "write https://…"))
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err(("holds a name or a password", "leave them away: the address stands in logs and in the summary"))
        }
        Ok(url) if url.host().is_some_and(|host| is_forbidden(&host)) => {
            Err(("is a link-local or metadata address, behind which credentials lie", "write an address the service answers at"))
        }
        Ok(_) => Ok(()),
        Err(_) => Err(("is no address", "write https://…")),
    }
}
