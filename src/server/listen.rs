//! Where to listen, as the settings write it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use serde::{Deserialize, Deserializer, de};

/// An address and port such as `127.0.0.1:8001` and `[::]:8001`, or a Unix socket such as
/// `unix:/run/twofold.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// The text is no such address.
#[derive(Debug, thiserror::Error)]
#[error("expected an IP address with a port, such as 127.0.0.1:8001, or unix:/path/to.sock")]
pub struct BadListen;

impl FromStr for Listen {
    type Err = BadListen;

    fn from_str(text: &str) -> Result<Self, BadListen> {
        match text.strip_prefix("unix:") {
            Some("") => Err(BadListen),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| BadListen),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What to connect to where `address` is listened on: "any address" is none to connect to.
pub(super) fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_sockets_are_read_and_written_alike() {
        for text in ["127.0.0.1:8001", "[::]:8001", "unix:/run/two fold.sock", "unix:relative"] {
            assert_eq!(text.parse::<Listen>().expect(text).to_string(), text);
        }
        for text in ["", "8001", ":8001", "127.0.0.1", "localhost:8001", "unix:", "/run/x.sock"] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }
}
