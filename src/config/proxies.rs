//! Whose word about a caller's network address is taken.

use std::net::IpAddr;

use http::HeaderMap;
use ipnet::IpNet;

/// Networks of reverse proxies whose `X-Forwarded-For` is believed; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that names no networks to trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProxies {
    /// Neither an address nor a network.
    #[error("`{0}` is neither an address, such as 192.0.2.7, nor a network, such as 192.0.2.0/29")]
    NotANetwork(String),
    /// Whoever calls could then claim any address.
    #[error("{0} holds every address there is: name the networks of your proxies")]
    Everybody(IpNet),
}

/// Reads networks, and single addresses, separated by commas.
///
/// # Errors
///
/// [`InvalidProxies`] names the one at fault.
pub fn trusted_proxies(text: &str) -> Result<TrustedProxies, InvalidProxies> {
    text.split(',')
        .map(str::trim)
        .map(|one| {
            let address = || one.parse::<IpAddr>().map(IpNet::from);
            let network = one
                .parse::<IpNet>()
                .or_else(|_| address())
                .map_err(|_| InvalidProxies::NotANetwork(one.to_owned()))?;
            if network.prefix_len() == 0 {
                return Err(InvalidProxies::Everybody(network));
            }
            Ok(network)
        })
        .collect::<Result<_, _>>()
        .map(TrustedProxies)
}

impl TrustedProxies {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the peer of a connection is one of them.
    #[must_use]
    pub fn trust(&self, peer: IpAddr) -> bool {
        // A socket that takes both families shows IPv4 callers as ::ffff:a.b.c.d.
        let peer = peer.to_canonical();
        self.0.iter().any(|network| network.contains(&peer))
    }

    /// The address that a trusted peer says it was called from: the rightmost of `X-Forwarded-For`
    /// that is not a trusted proxy itself, since whatever stands to the left of it may be the
    /// caller's own invention.
    ///
    /// `None` when no such address is named, or something that is no address comes first.
    #[must_use]
    pub fn forwarded(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let values: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        for value in values.into_iter().rev() {
            // Bytes beyond ASCII belong to no address.
            for hop in value.to_str().ok()?.rsplit(',') {
                let address = hop_address(hop.trim())?.to_canonical();
                if !self.trust(address) {
                    return Some(address);
                }
            }
        }
        None
    }
}

/// An address as proxies write it: bare, in brackets, either with a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = || hop.parse().ok();
    let with_port = || {
        hop.parse()
            .ok()
            .map(|socket: std::net::SocketAddr| socket.ip())
    };
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    bare().or_else(with_port).or_else(bracketed)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn forwarded(proxies: &str, values: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(value).unwrap());
        }
        let proxies = trusted_proxies(proxies).unwrap();
        proxies
            .forwarded(&headers)
            .map(|address| address.to_string())
    }

    #[test]
    fn networks_and_addresses_are_read_and_everything_else_is_refused_by_name() {
        let proxies = trusted_proxies("10.0.0.0/8, fd00::/8,192.0.2.7").unwrap();
        for (peer, trusted) in [
            ("10.255.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("fd12::1", true),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("11.0.0.1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(proxies.trust(peer.parse().unwrap()), trusted, "{peer}");
        }
        assert!(!TrustedProxies::default().trust("127.0.0.1".parse().unwrap()));
        for text in [
            "",
            "10.0.0.0/8,",
            "10.0.0.0/33",
            "proxy.example",
            "10.0.0.0/8;fd00::/8",
        ] {
            let told = trusted_proxies(text).unwrap_err();
            assert!(
                matches!(told, InvalidProxies::NotANetwork(_)),
                "{text}: {told}"
            );
        }
        for text in ["0.0.0.0/0", "10.0.0.0/8,::/0"] {
            let told = trusted_proxies(text).unwrap_err();
            assert!(
                matches!(told, InvalidProxies::Everybody(_)),
                "{text}: {told}"
            );
        }
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_is_the_caller() {
        let proxies = "10.0.0.0/8,fd00::/8";
        for (values, caller) in [
            (&[&b"192.0.2.1"[..]][..], "192.0.2.1"),
            (&[b"198.51.100.9, 192.0.2.1"], "192.0.2.1"),
            (
                &[b"198.51.100.9, 192.0.2.1,10.0.0.2 , fd00::2"],
                "192.0.2.1",
            ),
            (&[b"198.51.100.9", b"192.0.2.1", b"10.0.0.2"], "192.0.2.1"),
            (&[b"192.0.2.1:4711"], "192.0.2.1"),
            (&[b"[2001:db8::1]:443"], "2001:db8::1"),
            (&[b"[2001:db8::1]"], "2001:db8::1"),
            (&[b"::ffff:192.0.2.1"], "192.0.2.1"),
            // What the caller wrote itself is never reached.
            (&[b"unknown, 192.0.2.1"], "192.0.2.1"),
            (&[b"\xff", b"192.0.2.1"], "192.0.2.1"),
        ] {
            assert_eq!(forwarded(proxies, values).as_deref(), Some(caller));
        }
    }

    #[test]
    fn what_is_no_address_is_not_believed_and_nothing_beyond_it() {
        for values in [
            &[][..],
            &[&b""[..]],
            &[b"192.0.2.1,"],
            &[b"192.0.2.1, unknown"],
            &[b"192.0.2.1, _hidden, 10.0.0.2"],
            &[b"192.0.2.1", b"\xff"],
            &[b"192.0.2.1:99999"],
            &[b"[192.0.2.1"],
            &[b"192.0.2.0/24"],
            &[b"10.0.0.1, 10.0.0.2"],
        ] {
            assert_eq!(forwarded("10.0.0.0/8", values), None, "{values:?}");
        }
    }
}
