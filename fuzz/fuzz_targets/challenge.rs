//! `WWW-Authenticate` of any content: reading ends, and a realm comes out of its quotes as it went in.
#![no_main]

use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};
use libfuzzer_sys::fuzz_target;
use touchdown::image::registry::challenge::{Challenge, challenges};

fuzz_target!(|values: Vec<Vec<u8>>| {
    let mut headers = HeaderMap::new();
    for value in values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()) {
        headers.append(WWW_AUTHENTICATE, value);
    }
    for challenge in challenges(&headers) {
        if let Challenge::Bearer { realm, service, .. } = challenge {
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let again = format!("Bearer realm=\"{}\",service=\"{}\"", quoted(&realm), quoted(service.as_deref().unwrap_or_default()));
            let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, HeaderValue::from_str(&again).unwrap())]);
            let service = Some(service.unwrap_or_default());
            assert_eq!(challenges(&headers), [Challenge::Bearer { realm, service, error: None }]);
        }
    }
});
