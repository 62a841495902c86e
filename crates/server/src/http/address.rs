//! Who is at the other end: the peer, or the client behind a proxy that is trusted.

use http::HeaderMap;
use http::header::HeaderName;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// An address as limits count it and devices are listed under it: IPv4 alone, IPv6 by its /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    pub fn new(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Self(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            v4 => Self(v4),
        }
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

fn trusts(trusted: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// The peer's address, or behind a trusted proxy the nearest hop of `X-Forwarded-For` that is no trusted proxy itself.
/// What stands before a hop that nobody trusts was written by a stranger, and is not read.
pub fn client_address(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> ClientAddress {
    let mut address = peer;
    if trusts(trusted, peer) {
        let lines = headers.get_all(FORWARDED_FOR).iter().rev().filter_map(|line| line.to_str().ok());
        for hop in lines.flat_map(|line| line.rsplit(',')) {
            let Some(hop) = parse_hop(hop) else { break };
            address = hop;
            if !trusts(trusted, hop) {
                break;
            }
        }
    }
    ClientAddress::new(address)
}

/// `1.2.3.4`, `1.2.3.4:5678`, `::1`, `[::1]` or `[::1]:5678`.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split(']').next()?.parse().ok();
    }
    text.rsplit_once(':')?.0.parse().ok()
}

/// Whether the client speaks TLS with the proxy, as a trusted one says.
pub fn came_over_tls(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> bool {
    trusts(trusted, peer)
        && last_word(headers, &FORWARDED_PROTO).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// The host that the client asked for: what a trusted proxy says of it, else the `Host` header.
pub fn asked_host<'a>(headers: &'a HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> Option<&'a str> {
    let forwarded = if trusts(trusted, peer) { last_word(headers, &FORWARDED_HOST) } else { None };
    forwarded.or_else(|| headers.get(http::header::HOST)?.to_str().ok())
}

/// The last element of the last line: the one that the nearest proxy wrote.
fn last_word<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get_all(name).iter().next_back()?.to_str().ok()?.rsplit(',').next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        client_address(&headers, peer.parse().unwrap(), &trusted).to_string()
    }

    #[test]
    fn a_stranger_cannot_choose_his_address() {
        assert_eq!(seen("203.0.113.9", &["1.1.1.1"], &[]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9", &["1.1.1.1"], &["10.0.0.0/8"]), "203.0.113.9");
        let behind_two = &["1.1.1.1, 203.0.113.9", "10.0.0.7"];
        assert_eq!(seen("10.0.0.1", behind_two, &["10.0.0.0/8"]), "203.0.113.9", "what he wrote himself is not read");
    }

    #[test]
    fn hops_are_walked_from_the_nearest() {
        let trusted = &["10.0.0.0/8", "::1/128"];
        assert_eq!(seen("10.0.0.1", &["203.0.113.9"], trusted), "203.0.113.9");
        assert_eq!(seen("::1", &["203.0.113.9:4711, 10.2.3.4"], trusted), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", &["unknown, 10.9.9.9"], trusted), "10.9.9.9", "as far as it can be read");
        assert_eq!(seen("10.0.0.1", &[], trusted), "10.0.0.1");
        assert_eq!(seen("::ffff:10.0.0.1", &["203.0.113.9"], trusted), "203.0.113.9", "IPv4 in IPv6's clothes");
    }

    #[test]
    fn ipv6_counts_by_its_network() {
        assert_eq!(seen("2001:db8:1:2:aaaa::1", &[], &[]), "2001:db8:1:2::/64");
        assert_eq!(seen("10.0.0.1", &["[2001:db8:1:2:bbbb::2]:99"], &["10.0.0.0/8"]), "2001:db8:1:2::/64");
    }
}
