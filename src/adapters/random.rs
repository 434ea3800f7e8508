//! Randomness for secrets, codes and identifiers, from the operating system.

use chrono::{DateTime, Utc};
use rand::{TryRng, rngs::SysRng};
use uuid::{Builder, Uuid};

/// Letters and digits without l, o, 0 and 1, which people confuse.
const PASSWORD_ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The source of all random values.
#[derive(Debug, Clone, Copy, Default)]
pub struct Random;

impl Random {
    /// Random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give; nothing safe can be done then.
    #[must_use]
    pub fn bytes<const N: usize>(self) -> [u8; N] {
        let mut bytes = [0; N];
        #[expect(clippy::expect_used, reason = "without randomness there is no safe way on")]
        SysRng.try_fill_bytes(&mut bytes).expect("the operating system's randomness");
        bytes
    }

    /// A UUIDv7 (RFC 9562, 5.7) that sorts by the given time.
    #[must_use]
    pub fn id(self, now: DateTime<Utc>) -> Uuid {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// A code of six decimal digits, each value equally likely.
    #[must_use]
    pub fn six_digits(self) -> String {
        /// The largest multiple of a million that fits, to reject what would be biased.
        const LIMIT: u32 = u32::MAX - u32::MAX % 1_000_000;
        loop {
            let value = u32::from_le_bytes(self.bytes());
            if value < LIMIT {
                return format!("{:06}", value % 1_000_000);
            }
        }
    }

    /// A secret of 256 bits as 64 hexadecimal digits.
    #[must_use]
    pub fn token(self) -> String {
        hex(&self.bytes::<32>())
    }

    /// A password of 20 characters (100 bits) that can be typed.
    #[must_use]
    pub fn password(self) -> String {
        typed(&self.bytes::<20>())
    }

    /// A code of 10 characters (50 bits) that can be typed, with a dash in its middle.
    #[must_use]
    pub fn recovery_code(self) -> String {
        format!("{}-{}", typed(&self.bytes::<5>()), typed(&self.bytes::<5>()))
    }
}

/// A character of five bits for each byte.
fn typed(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(PASSWORD_ALPHABET[usize::from(byte % 32)])).collect()
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_form_and_differ() {
        let random = Random;
        assert!(random.six_digits().bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(random.six_digits().len(), 6);
        assert_eq!(random.token().len(), 64);
        assert_ne!(random.token(), random.token());
        assert_eq!(random.password().len(), 20);
        assert_eq!(random.recovery_code().find('-'), Some(5));
        assert_ne!(random.recovery_code(), random.recovery_code());
        assert_ne!(random.password(), random.password());
    }

    #[test]
    fn ids_are_version_7_and_sort_by_time() {
        let early = DateTime::from_timestamp(1_000, 0).expect("valid");
        let late = DateTime::from_timestamp(1_001, 0).expect("valid");
        let (first, second) = (Random.id(early), Random.id(late));
        assert_eq!(first.get_version_num(), 7);
        assert!(first < second);
    }
}
