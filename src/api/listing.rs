//! What lists have in common: reading `sort`.

use crate::services::{FieldError, ServiceError};

/// Reads `-created_at,email` against a whitelist; each field with whether it goes down.
///
/// # Errors
/// An unknown or repeated field, for `sort`.
pub fn parse_sort<K: Copy + PartialEq>(
    text: &str,
    known: &[(&str, K)],
) -> Result<Vec<(K, bool)>, ServiceError> {
    let mut keys: Vec<(K, bool)> = Vec::new();
    for part in text.split(',') {
        let (name, descending) = part.strip_prefix('-').map_or((part, false), |name| (name, true));
        let key = known.iter().find(|(known, _)| *known == name).map(|(_, key)| *key);
        match key {
            Some(key) if keys.iter().all(|(other, _)| *other != key) => {
                keys.push((key, descending));
            }
            _ => {
                let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
                let message = format!(
                    "must name each of {} at most once, with - for descending",
                    names.join(", ")
                );
                return Err(ServiceError::invalid(vec![FieldError::new("sort", "sort", message)]));
            }
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_fields_once() {
        let known = [("email", 1), ("created_at", 2)];
        let parse = |text| parse_sort(text, &known).ok();
        assert_eq!(parse("-created_at,email"), Some(vec![(2, true), (1, false)]));
        for bad in ["", "-", "password_hash", "email,email", "email,-email", "email,", "email;drop"]
        {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }
}
