//! Networks of addresses, as settings name them.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::Deserialize;

/// An address, or all that have the same first bits (RFC 4632, 3.1): `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    first: IpAddr,
    /// How many bits of it count.
    prefix: u32,
}

/// A text that names no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address or network")]
pub struct NotANetwork;

impl Network {
    /// Whether an address is in it; an IPv4 address is one however it is written.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let (first, address) = (self.first, address.to_canonical());
        // Shifted by all of its bits, everything is alike.
        match (first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differing = first.to_bits() ^ address.to_bits();
                differing.checked_shr(32 - self.prefix).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differing = first.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - self.prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// Whether it is all that there is.
    #[must_use]
    pub fn is_everything(self) -> bool {
        self.prefix == 0
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (first, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((first, prefix)) => (first, Some(prefix)),
        };
        let first: IpAddr = first.parse().map_err(|_| NotANetwork)?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| NotANetwork)?
            }
            Some(_) => return Err(NotANetwork),
        };
        if prefix > most || first.to_canonical() != first {
            return Err(NotANetwork);
        }
        Ok(Self { first, prefix })
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn contains(network: &str, address: &str) -> bool {
        let network: Network = network.parse().expect("a network");
        network.contains(address.parse().expect("an address"))
    }

    #[test]
    fn a_network_has_the_addresses_with_its_first_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.0"),
            ("192.0.2.128/25", "192.0.2.255", "192.0.2.127"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.7", "::ffff:192.0.2.7", "::192.0.2.7"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("fd00::/8", "fdff::1", "fe00::"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::"),
            ("::/0", "ffff::", "0.0.0.0"),
        ] {
            assert!(contains(network, inside), "{network} {inside}");
            assert!(!contains(network, outside), "{network} {outside}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "fd00::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "localhost",
            "10.0.0.1:80",
            "::ffff:10.0.0.0/104",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(bad.parse::<Network>(), Err(NotANetwork), "{bad}");
        }
    }
}
