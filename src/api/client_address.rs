//! The address of the client. Behind a proxy it is what the proxy says, if the settings trust that one: whoever
//! could make up an address would have as many budgets of tries as he likes.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use poem::{Addr, Request, http::HeaderMap};

use crate::server::Network;

/// Where proxies write down whom they speak for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedBy {
    /// `X-Forwarded-For`
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239)
    Forwarded,
}

impl ForwardedBy {
    fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// The proxies in front of us, and how they say whom they speak for. In the data of requests.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    trusted: Vec<Network>,
    /// The other header is what callers make of it.
    header: ForwardedBy,
    has_warned: Arc<AtomicBool>,
}

impl Proxies {
    /// `header` is the one that they write; they must not let callers write it.
    #[must_use]
    pub fn new(trusted: Vec<Network>, header: ForwardedBy) -> Self {
        Self { trusted, header, has_warned: Arc::default() }
    }

    /// The address of the client, or of the last one on the way to it who can be believed; `None` on a Unix socket
    /// whose proxy names nobody.
    #[must_use]
    pub fn client(&self, request: &Request) -> Option<IpAddr> {
        self.client_of(&request.remote_addr().0, request.headers())
    }

    fn client_of(&self, peer: &Addr, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = match peer {
            Addr::SocketAddr(address) => Some(address.ip().to_canonical()),
            // Who may open the socket is a matter of its file's rights.
            Addr::Unix(_) | Addr::Custom(..) => None,
        };
        if peer.is_some_and(|peer| !self.trusts(peer)) && headers.contains_key(self.header.name()) {
            self.warn();
        }
        let mut client = peer;
        for named in self.named(headers).into_iter().rev() {
            if !client.is_none_or(|address| self.trusts(address)) {
                break;
            }
            // Who doesn't say for whom is asked for no more.
            let Some(address) = named else { break };
            client = Some(address);
        }
        client
    }

    /// Once: a proxy that nobody has told us of makes one client of all of its clients.
    fn warn(&self) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                header = self.header.name(),
                "a request says for whom it comes, and who sent it isn't among server.trusted_proxies: if that is \
                 your proxy, all of its clients count as one"
            );
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// All addresses on the way here, the client's first; `None` for what is none.
    fn named(&self, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
        match self.header {
            ForwardedBy::XForwardedFor => parts(headers, self.header.name(), address).collect(),
            ForwardedBy::Forwarded => parts(headers, self.header.name(), forwarded).collect(),
        }
    }
}

/// The members of a header that is a list, over all of its lines.
fn parts<'a, T>(
    headers: &'a HeaderMap,
    name: &'static str,
    read: impl Fn(&'a str) -> T + 'a,
) -> impl Iterator<Item = T> + 'a {
    let lines = headers.get_all(name).iter();
    // A line that is no text names nobody.
    lines
        .flat_map(|line| line.to_str().unwrap_or_default().split(','))
        .map(move |part| read(part.trim()))
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

/// The `for` of one element (RFC 7239, 4). An address has no comma, so it doesn't matter that one in quotes
/// would cut the element in two.
fn forwarded(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    let (_, value) = named.next()?;
    let value = value.trim();
    let text = value.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(value);
    address(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn client(peer: &str, header: ForwardedBy, lines: &[(&str, &str)]) -> Option<String> {
        let address = match peer {
            "unix" => Addr::Unix(std::sync::Arc::new(tokio::net::unix::SocketAddr::from(
                std::os::unix::net::SocketAddr::from_pathname("socket").expect("a path"),
            ))),
            peer => Addr::SocketAddr(SocketAddr::new(peer.parse().expect("an address"), 1)),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = name.parse::<poem::http::HeaderName>().expect("a name");
            headers.append(name, value.parse().expect("a value"));
        }
        let trusted =
            ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().expect("a network")).into();
        Proxies::new(trusted, header)
            .client_of(&address, &headers)
            .map(|address| address.to_string())
    }

    #[track_caller]
    fn by_x(peer: &str, lines: &[&str], expected: &str) {
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let client = client(peer, ForwardedBy::XForwardedFor, &lines);
        assert_eq!(client.as_deref(), Some(expected), "{peer} {lines:?}");
    }

    #[test]
    fn c10_only_proxies_of_the_settings_are_believed() {
        by_x("192.0.2.1", &["203.0.113.9"], "192.0.2.1");
        by_x("::ffff:192.0.2.1", &[], "192.0.2.1");
        by_x(PROXY, &[], PROXY);
        by_x(PROXY, &["203.0.113.9"], "203.0.113.9");
        by_x("fd00::1", &["[2001:db8::1]:4711"], "2001:db8::1");
        by_x("::ffff:10.0.0.1", &["203.0.113.9:80"], "203.0.113.9");
    }

    #[test]
    fn c10_of_a_chain_the_last_one_that_is_no_proxy_of_ours_counts() {
        by_x(PROXY, &["198.51.100.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9");
        by_x(PROXY, &["198.51.100.1", "203.0.113.9", "10.0.0.2"], "203.0.113.9");
        by_x(PROXY, &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
        // What a client made up stands in front of what the proxy adds.
        by_x(PROXY, &["10.0.0.9, 203.0.113.9"], "203.0.113.9");
        for nonsense in ["unknown", "", "203.0.113.9.1", "2001:db8::/64", "\u{fffd}"] {
            by_x(PROXY, &[&format!("198.51.100.1, {nonsense}")], PROXY);
        }
    }

    #[test]
    fn c10_the_other_header_is_not_read() {
        let both = [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=198.51.100.1")];
        let of = |header| client(PROXY, header, &both);
        assert_eq!(of(ForwardedBy::XForwardedFor).as_deref(), Some("203.0.113.9"));
        assert_eq!(of(ForwardedBy::Forwarded).as_deref(), Some("198.51.100.1"));
    }

    #[test]
    fn c10_forwarded_is_read_as_rfc_7239_writes_it() {
        for (line, expected) in [
            ("for=192.0.2.43", "192.0.2.43"),
            (r#"For="[2001:db8:cafe::17]:4711""#, "2001:db8:cafe::17"),
            ("proto=https; FOR = 192.0.2.60 ;by=203.0.113.43", "192.0.2.60"),
            ("for=192.0.2.43, for=198.51.100.17;by=10.0.0.1", "198.51.100.17"),
            ("for=198.51.100.17, for=10.0.0.5", "198.51.100.17"),
            ("for=_hidden", PROXY),
            ("for=198.51.100.17, by=10.0.0.1", PROXY),
        ] {
            let client = client(PROXY, ForwardedBy::Forwarded, &[("forwarded", line)]);
            assert_eq!(client.as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn a_unix_socket_has_the_clients_that_its_proxy_names() {
        assert_eq!(client("unix", ForwardedBy::XForwardedFor, &[]), None);
        by_x("unix", &["203.0.113.9"], "203.0.113.9");
        by_x("unix", &["198.51.100.1, 203.0.113.9"], "203.0.113.9");
    }
}
