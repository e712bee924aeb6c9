//! Checks a SigV4 signature as AWS does: a body or header changed after signing is refused.

use ring::{digest, hmac};

use crate::simulator::sts::Key;
use crate::simulator::wire::{Call, Outcome, Refusal};

/// Compares the signature with the one made from what arrived. `credential` is `<key>/<date>/<region>/<service>/aws4_request`.
pub(crate) fn check(call: &Call, key: &Key, credential: &str, signature: &str) -> Outcome<()> {
    let parts: Vec<&str> = credential.split('/').collect();
    let [_, date, region, service, terminal] = parts[..] else {
        return Err(Refusal::new("IncompleteSignatureException", "Credential should be scoped correctly."));
    };
    let canonical = canonical_request(call);
    let scope = format!("{date}/{region}/{service}/{terminal}");
    let to_sign = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", call.header("x-amz-date"), hash(canonical.as_bytes()));
    let mut secret = format!("AWS4{}", key.secret).into_bytes();
    for part in [date, region, service, terminal] {
        secret = mac(&secret, part);
    }
    let expected: String = mac(&secret, &to_sign).iter().map(|byte| format!("{byte:02x}")).collect();
    if expected == signature {
        return Ok(());
    }
    let message = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.";
    Err(Refusal::new("InvalidSignatureException", message))
}

fn canonical_request(call: &Call) -> String {
    let header = call.header("authorization");
    let names = header.split(',').find_map(|part| part.trim().strip_prefix("SignedHeaders=")).unwrap_or_default();
    let headers: String = names.split(';').map(|name| format!("{name}:{}\n", value(call, name))).collect();
    let mut query: Vec<String> = call.query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    query.sort();
    let path = if call.path.is_empty() { "/" } else { &call.path };
    format!("{}\n{path}\n{}\n{headers}\n{names}\n{}", call.method, query.join("&"), hash(&call.body))
}

fn value(call: &Call, name: &str) -> String {
    let values = call.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(",")
}

fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn hash(bytes: &[u8]) -> String {
    digest::digest(&digest::SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}
