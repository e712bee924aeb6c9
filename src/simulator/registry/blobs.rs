//! Blobs of a repository: whether one is there, and reading it. ECR sends its readers to a bucket, with a signed address.

use bytes::Bytes;

use crate::simulator::wire::{Call, Outcome, Refusal, Reply};
use crate::simulator::world::{State, hex_of};

use super::address::{At, bucket_host};
use super::{Ask, Registry};

/// HEAD.
pub(super) fn head(state: &mut State, ask: &Ask<'_>, name: &str, digest: &str) -> Outcome<Reply> {
    Ok(whole(blob(state, ask, name, digest)?).with("docker-content-digest", digest))
}

/// GET: leads to the bucket; on this machine's own address there is none to lead to.
pub(super) fn read(state: &mut State, ask: &Ask<'_>, name: &str, digest: &str) -> Outcome<Reply> {
    let bytes = blob(state, ask, name, digest)?;
    if ask.address.at == At::Here {
        return Ok(ranged(ask.call, &bytes).with("docker-content-digest", digest));
    }
    let hex = digest.rsplit(':').next().unwrap_or_default();
    let query =
        format!("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature={}", signature(digest));
    let location = format!("https://{}/{}/{digest}?{query}", bucket_host(&ask.region), &hex[..hex.len().min(4)]);
    Ok(Reply::new(307, "application/octet-stream", "").with("location", location))
}

fn blob(state: &mut State, ask: &Ask<'_>, name: &str, digest: &str) -> Outcome<Bytes> {
    let has = ask.repository(state, name)?.layers.contains(digest);
    let found = state.registry.blobs.get(digest).filter(|_| has).cloned();
    found.ok_or_else(|| Refusal::new("BLOB_UNKNOWN", "blob unknown to registry").status(404))
}

/// The bucket: an address is good for reading one layer, and for who shows nothing else.
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html> (2026-11)
pub(super) fn from_bucket(registry: &Registry, call: &Call, digest: &str) -> Reply {
    let error = |status: u16, code: &str, message: &str| {
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        Reply::new(status, "application/xml", body)
    };
    if !call.header("authorization").is_empty() {
        return error(400, "InvalidArgument", "Only one auth mechanism allowed");
    }
    if call.method != "GET" || call.query.get("X-Amz-Signature") != Some(&signature(digest)) {
        return error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.");
    }
    match registry.blobs.get(digest) {
        Some(bytes) => ranged(call, bytes),
        None => error(404, "NoSuchKey", "The specified key does not exist."),
    }
}

fn signature(digest: &str) -> String {
    hex_of(&format!("layer {digest}"), 64)
}

fn whole(bytes: Bytes) -> Reply {
    Reply::new(200, "application/octet-stream", bytes)
}

/// The bytes asked for: all of them, or one range.
fn ranged(call: &Call, bytes: &Bytes) -> Reply {
    let size = bytes.len();
    let Some(asked) = call.header("range").strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return whole(bytes.clone()).with("accept-ranges", "bytes");
    };
    let number = |text: &str| text.parse::<usize>().ok();
    let (first, end) = match asked {
        ("", last) => (size.saturating_sub(number(last).unwrap_or(0)), size),
        (first, last) => (number(first).unwrap_or(size), number(last).map_or(size, |last| size.min(last.saturating_add(1)))),
    };
    if first >= end {
        return Reply::new(416, "application/octet-stream", "").with("content-range", format!("bytes */{size}"));
    }
    let range = format!("bytes {first}-{}/{size}", end - 1);
    Reply::new(206, "application/octet-stream", bytes.slice(first..end)).with("content-range", range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_out_and_one_outside_is_refused() {
        let bytes = Bytes::from_static(b"0123456789");
        let of = |range: &'static str| {
            let headers = http::HeaderMap::from_iter([(http::header::RANGE, http::HeaderValue::from_static(range))]);
            let call = Call { headers, ..Call::default() };
            let reply = ranged(&call, &bytes);
            (reply.status, String::from_utf8(reply.body.to_vec()).unwrap())
        };
        for (range, status, body) in [
            ("bytes=2-4", 206, "234"),
            ("bytes=7-", 206, "789"),
            ("bytes=-2", 206, "89"),
            ("bytes=0-99", 206, "0123456789"),
            ("bytes=10-", 416, ""),
            ("bytes=4-2", 416, ""),
            ("bytes=x-2", 416, ""),
            ("lines=1-2", 200, "0123456789"),
        ] {
            assert_eq!(of(range), (status, body.to_owned()), "{range}");
        }
    }
}
