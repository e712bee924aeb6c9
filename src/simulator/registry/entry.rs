//! Who is let into a registry: ECR's authorization tokens, shown as the password of `AWS`. It knows nothing of what is asked for.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::clock::Timestamp;
use crate::simulator::wire::{Call, Outcome, Refusal};
use crate::simulator::world::Platform;

/// How long a token is good.
const LIFE: Duration = Duration::from_secs(12 * 3600);

/// A token as GetAuthorizationToken gives it.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    password: String,
    /// Whom it was given to.
    pub principal: String,
    /// For which region's registry.
    pub region: String,
    /// When it ends.
    pub until: Timestamp,
}

impl Token {
    /// A new one. On a fast clock it lasts at least a real minute: a stalled machine is not an expired token.
    pub(crate) fn new(platform: &mut Platform, principal: &str, region: &str) -> Self {
        let least = Duration::from_secs(60).mul_f64(platform.clock.factor().max(1.0));
        let until = platform.now.plus(LIFE.max(least));
        let password = STANDARD.encode(format!("{{\"payload\":\"{}\",\"type\":\"DATA_KEY\"}}", platform.hex(64)));
        Self { password, principal: principal.to_owned(), region: region.to_owned(), until }
    }

    /// As the API gives it: name and password, encoded once more.
    pub(crate) fn encoded(&self) -> String {
        STANDARD.encode(format!("AWS:{}", self.password))
    }
}

/// The token a request shows.
pub(crate) fn shown<'a>(tokens: &'a [Token], call: &Call, now: Timestamp) -> Outcome<&'a Token> {
    let nobody = || Refusal::new("UNAUTHORIZED", "Not Authorized\n").status(401);
    let encoded = call.header("authorization").strip_prefix("Basic ").ok_or_else(nobody)?;
    let decoded = STANDARD.decode(encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(nobody)?;
    let password = decoded.strip_prefix("AWS:").ok_or_else(nobody)?;
    let token = tokens.iter().find(|token| token.password == password).ok_or_else(nobody)?;
    if token.until <= now {
        return Err(Refusal::new("DENIED", "Your authorization token has expired. Reauthenticate and try again.").status(403));
    }
    Ok(token)
}
