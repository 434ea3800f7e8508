//! Patterns for LIKE.

/// A pattern that finds `text` anywhere, and in which nothing of it is special.
pub(super) fn contains(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_search_text_has_no_wildcards() {
        assert_eq!(super::contains(r"50%_\x"), r"%50\%\_\\x%");
    }
}
