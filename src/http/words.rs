//! What went wrong on the wire, in plain words. Texts of other people's machines in it are cut; addresses with their queries never stand in it.

use std::error::Error;
use std::io::ErrorKind;

use rustls::CertificateError;

use crate::clock::Timestamp;
use crate::failure::cut;

/// The innermost cause in plain words: the outer ones only say that a request failed.
pub(super) fn plain(error: &(dyn Error + 'static)) -> String {
    if let Some(tls) = tls_error(error) {
        return handshake(tls);
    }
    let io = causes(error).filter_map(|cause| cause.downcast_ref::<std::io::Error>()).last();
    let hyper = causes(error).find_map(|cause| cause.downcast_ref::<hyper::Error>());
    match (io, hyper) {
        (Some(io), _) => input_output(io),
        (None, Some(hyper)) if hyper.is_incomplete_message() => {
            "the server closed the connection before its answer was complete".to_owned()
        }
        (None, Some(hyper)) if hyper.is_parse() || hyper.is_parse_too_large() => format!("what came back is not HTTP: {hyper}"),
        _ => short(&causes(error).last().map(ToString::to_string).unwrap_or_default()),
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// The TLS error behind `error`, if that is what it is. An `io::Error` hides what it carries from `source`.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    causes(error).find_map(|cause| {
        let carried = cause.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref());
        cause.downcast_ref::<rustls::Error>().or_else(|| carried?.downcast_ref())
    })
}

/// A failed handshake.
fn handshake(error: &rustls::Error) -> String {
    let day = |seconds: u64| Timestamp(seconds.saturating_mul(1000)).rfc3339();
    match error {
        rustls::Error::InvalidCertificate(invalid) => match invalid {
            CertificateError::ExpiredContext { not_after, .. } => format!("the certificate expired on {}", day(not_after.as_secs())),
            CertificateError::Expired => "the certificate has expired".to_owned(),
            CertificateError::NotValidYetContext { not_before, .. } => {
                format!("the certificate is not valid before {}", day(not_before.as_secs()))
            }
            CertificateError::NotValidForNameContext { expected, presented } => {
                short(&format!("the certificate is not for {}: it is for {}", expected.to_str(), listed(presented)))
            }
            CertificateError::UnknownIssuer => {
                "nobody known here has signed the certificate (its own issuer, or one of a company)".to_owned()
            }
            other => short(&format!("the certificate is not valid: {other}")),
        },
        rustls::Error::InvalidMessage(_) => "what came back is not TLS: perhaps this port speaks plain http".to_owned(),
        rustls::Error::AlertReceived(alert) => format!("the server refused the handshake: {alert:?}"),
        other => short(&other.to_string()),
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") }
}

/// A failure of the operating system's.
pub(super) fn input_output(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused: nothing listens there".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "the connection was reset".to_owned(),
        ErrorKind::ConnectionAborted | ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "there is no way to it from here".to_owned(),
        ErrorKind::TimedOut => "it took too long".to_owned(),
        _ => short(&error.to_string()),
    }
}

/// At most 200 bytes of `text`.
pub(super) fn short(text: &str) -> String {
    let mut text = text.to_owned();
    cut(&mut text, 200);
    text
}
