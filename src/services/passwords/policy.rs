//! Which passwords may be set (ASVS 5.0, 6.2; NIST SP 800-63B-4, 3.1.1). Any characters will do.

use secrecy::{ExposeSecret, SecretString};

use super::{
    super::{FieldError, Result, ServiceError},
    common,
};

/// No setting asks for fewer characters.
pub const MIN_LENGTH: usize = 8;
/// The longest, in characters; nothing is ever cut off.
pub const MAX_LENGTH: usize = 256;

/// What a word must have to be looked for in a password, in characters.
const SHORTEST_WORD: usize = 4;

/// What the settings say.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The shortest password where it is the only factor, in characters.
    pub min_length: usize,
    /// The shortest one beside a second factor.
    pub min_length_with_factor: usize,
}

impl Policy {
    /// Refuses a password that anyone who knows the account would try first. `own` is what the account is
    /// known by: its name and address.
    ///
    /// # Errors
    /// [`Code::ValidationFailed`](super::super::Code::ValidationFailed) for `field`.
    pub fn check(
        self,
        field: &str,
        password: &SecretString,
        own: &[&str],
        has_factor: bool,
    ) -> Result<()> {
        let text = password.expose_secret();
        let min = if has_factor { self.min_length_with_factor } else { self.min_length };
        let refuse = |rule, message: &str| {
            Err(ServiceError::invalid(vec![FieldError::new(field, rule, message)]))
        };
        if !(min..=MAX_LENGTH).contains(&text.chars().count()) {
            return refuse("length", &format!("must have {min} to {MAX_LENGTH} characters"));
        }
        if common::contains(text) {
            return refuse("common", "must not be a password that many others have");
        }
        if strangeness(text, own) < min / 2 {
            return refuse("guessable", "must not be made of your name or address");
        }
        Ok(())
    }

    /// Whether a password is too short to be the only factor.
    #[must_use]
    pub fn needs_factor(self, password: &SecretString) -> bool {
        password.expose_secret().chars().count() < self.min_length
    }
}

/// How many characters are left without the words of the account's own name and address.
fn strangeness(password: &str, own: &[&str]) -> usize {
    let mut words: Vec<String> = own
        .iter()
        .flat_map(|text| std::iter::once(*text).chain(text.split(|c: char| !c.is_alphanumeric())))
        .map(str::to_lowercase)
        .filter(|word| word.chars().count() >= SHORTEST_WORD)
        .collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let rest = words.iter().fold(password.to_lowercase(), |rest, word| rest.replace(word, ""));
    rest.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { min_length: 12, min_length_with_factor: 8 };
    const OWN: [&str; 2] = ["ada.lovelace@example.com", "Ada Lovelace"];

    #[track_caller]
    fn rule(password: &str, has_factor: bool) -> Option<&'static str> {
        let refused = POLICY.check("password", &password.into(), &OWN, has_factor).err()?;
        assert_eq!(refused.fields.len(), 1);
        Some(refused.fields[0].rule)
    }

    #[test]
    fn c08_length_is_counted_in_characters_and_depends_on_the_second_factor() {
        for (length, alone, with_factor) in
            [(7, false, false), (8, false, true), (11, false, true), (12, true, true)]
        {
            let password: String = "aé漢🦀zqxjkvbw".chars().take(length).collect();
            assert_eq!(rule(&password, false).is_none(), alone, "{length}");
            assert_eq!(rule(&password, true).is_none(), with_factor, "{length}");
        }
        assert_eq!(rule(&"ü".repeat(MAX_LENGTH), false), None);
        assert_eq!(rule(&"ü".repeat(MAX_LENGTH + 1), false), Some("length"));
    }

    #[test]
    fn c08_any_characters_will_do() {
        for good in [
            "            ",
            "aaaa bbbb cccc",
            "パスワードを忘れないでね",
            "🦀🦀🦀🦀🦀🦀🦀🦀🦀🦀🦀🦀",
        ] {
            assert_eq!(rule(good, false), None, "{good}");
        }
    }

    #[test]
    fn c08_common_passwords_are_refused_however_they_are_capitalised() {
        for common in ["password1234", "PassWord1234", "qwertyuiopasdfghjkl", "1qaz2wsx3edc"] {
            assert_eq!(rule(common, false), Some("common"), "{common}");
        }
        assert_eq!(rule("sunshine", true), Some("common"));
        assert_eq!(rule("sunshine", false), Some("length"));
    }

    #[test]
    fn c08_what_is_made_of_ones_own_name_or_address_is_refused() {
        for own in
            ["ada.lovelace1", "lovelace@example", "Ada.Lovelace@Example.com", "ADA LOVELACE12"]
        {
            assert_eq!(rule(own, false), Some("guessable"), "{own}");
        }
        for good in ["correct horse battery", "twelve chars", "example of a phrase"] {
            assert_eq!(rule(good, false), None, "{good}");
        }
    }
}
