//! The addresses of a host, each looked at before anybody goes there: link-local and metadata addresses are refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::VisitError;
use super::words::input_output;

/// The addresses of `host`, IPv4 first, each family in an order of chance: a load balancer has several, and all shall be asked.
pub(super) async fn lookup(host: &str, port: u16) -> Result<Vec<SocketAddr>, VisitError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((bare, port)).await;
    let found = found.map_err(|error| VisitError::Dns(format!("{bare} does not resolve: {}", input_output(&error))))?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    if let Some(address) = addresses.iter().find(|address| forbidden(address.ip())) {
        return Err(VisitError::Refused(format!("{bare} is {}, a link-local or metadata address", address.ip())));
    }
    if addresses.is_empty() {
        return Err(VisitError::Dns(format!("{bare} has no address")));
    }
    addresses.dedup();
    fastrand::shuffle(&mut addresses);
    addresses.sort_by_key(SocketAddr::is_ipv6);
    Ok(addresses)
}

/// Addresses behind which a cloud keeps credentials for the machine that asks, unspecified ones, and the same as IPv4 inside IPv6.
pub(crate) fn forbidden(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast() || METADATA_V4.contains(&v4),
        IpAddr::V6(v6) => {
            let [first, second, ..] = v6.segments();
            let link_local = first & 0xffc0 == 0xfe80;
            // All of fd00:ec2::/32 belongs to AWS's own services for an instance.
            let aws = (first, second) == (0xfd00, 0x0ec2);
            link_local || aws || v6 == GOOGLE_V6 || v6.is_unspecified() || within_v6(v6).is_some_and(|v4| forbidden(IpAddr::V4(v4)))
        }
    }
}

/// Azure's wire server, Alibaba's and Oracle's metadata; those of AWS, Azure and Google are link-local.
/// <https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16> (2026-11)
const METADATA_V4: [Ipv4Addr; 3] = [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192)];
/// <https://cloud.google.com/compute/docs/metadata/querying-metadata> (2026-11)
const GOOGLE_V6: Ipv6Addr = Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);

/// The IPv4 address inside: mapped, compatible, or translated (64:ff9b::/96).
fn within_v6(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., high, low] = v6.segments();
    let translated = v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    let last = || Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    v6.to_ipv4().filter(|_| !v6.is_loopback()).or_else(|| translated.then(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_and_metadata_addresses_are_refused_in_every_form_and_others_are_not() {
        for (address, refused) in [
            ("169.254.169.254", true),
            ("169.254.170.2", true),
            ("168.63.129.16", true),
            ("100.100.100.200", true),
            ("192.0.0.192", true),
            ("0.0.0.0", true),
            ("255.255.255.255", true),
            ("fe80::1", true),
            ("febf::1", true),
            ("fd00:ec2::254", true),
            ("fd00:ec2::23", true),
            ("fd20:ce::254", true),
            ("::", true),
            ("::ffff:169.254.169.254", true),
            ("::169.254.169.254", true),
            ("64:ff9b::169.254.169.254", true),
            ("::ffff:0.0.0.0", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("10.0.0.1", false),
            ("192.168.1.1", false),
            ("100.64.0.1", false),
            ("fd12::1", false),
            ("fec0::1", false),
            ("64:ff9b::8.8.8.8", false),
            ("2606:4700::1111", false),
            ("8.8.8.8", false),
        ] {
            assert_eq!(forbidden(address.parse().unwrap()), refused, "{address}");
        }
    }
}
