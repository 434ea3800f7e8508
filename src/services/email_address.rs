//! Mail addresses as account names.

use std::str::FromStr;

use super::FieldError;

/// Why a text is not an address, to put beside a field.
pub const MESSAGE: &str = "must be an e-mail address";

/// An address in lower case, so that one mailbox has one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The address in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The fault to answer when `field` held no address.
    #[must_use]
    pub fn fault(field: &str) -> FieldError {
        FieldError::new(field, "email", MESSAGE)
    }
}

impl FromStr for EmailAddress {
    type Err = email_address::Error;

    /// RFC 5321 addresses without quoted local parts, comments, display names and IP literals,
    /// which no sign-up form takes.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let options = email_address::Options::default()
            .with_required_tld()
            .without_display_text()
            .without_domain_literal();
        let address = email_address::EmailAddress::parse_with_options(text, options)?;
        if address.local_part().contains('"') || text.len() > 254 {
            return Err(email_address::Error::InvalidCharacter);
        }
        Ok(Self(text.to_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_lower_case() {
        let address: EmailAddress = "Ada.Lovelace+x@Example.COM".parse().expect("valid");
        assert_eq!(address.as_str(), "ada.lovelace+x@example.com");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "ada@localhost",
            "a b@example.com",
            &long,
            "ada@example.com\r\nBcc: eve@example.com",
            "\"a b\"@example.com",
            "Ada <ada@example.com>",
            "ada@[127.0.0.1]",
            " ada@example.com",
            "ada@example.com ",
            "ada@example.com\0",
        ] {
            assert!(text.parse::<EmailAddress>().is_err(), "{text:?} was accepted");
        }
    }
}
