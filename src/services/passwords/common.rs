//! Passwords that attackers try first (ASVS 5.0, 6.2.4 and 6.2.12).

use std::cmp::Ordering;

/// One a line, in lower case and sorted by bytes; where they come from stands in `common.LICENSE.md`.
const LIST: &str = include_str!("common.txt");

/// Whether a password is in the list, however it is capitalised.
pub(super) fn contains(password: &str) -> bool {
    let wanted = password.to_lowercase();
    // The lines from here on to there are still to be searched. Both are at the beginning of a line.
    let (mut from, mut to) = (0, LIST.len());
    while from < to {
        let middle = from + (to - from) / 2;
        let start = LIST.as_bytes()[..middle].iter().rposition(|byte| *byte == b'\n');
        let start = start.map_or(0, |end| end + 1).max(from);
        let line = LIST[start..].split('\n').next().unwrap_or_default();
        match line.cmp(&wanted) {
            Ordering::Equal => return !line.is_empty(),
            Ordering::Less => from = start + line.len() + 1,
            Ordering::Greater => to = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{super::MIN_LENGTH, *};

    #[test]
    fn c08_the_list_is_long_sorted_and_of_use() {
        let lines: Vec<&str> = LIST.lines().collect();
        assert!(lines.len() >= 10_000, "{}", lines.len());
        assert!(lines.is_sorted_by(|one, next| one < next));
        for line in &lines {
            assert!(line.chars().count() >= MIN_LENGTH && *line == line.to_lowercase(), "{line}");
        }
        // ASVS 5.0, 6.2.4: 3,000 that the policy would take, at least.
        assert!(lines.iter().filter(|line| line.chars().count() >= 12).count() >= 3000);
    }

    #[test]
    fn c08_all_of_it_is_found_and_nothing_else() {
        for line in LIST.lines() {
            assert!(contains(line) && contains(&line.to_ascii_uppercase()), "{line}");
        }
        assert!(contains("PassWord1234") && contains("Qwertyuiop123"));
        for other in ["", "\n", "password1234\n", "assword1234", "correct horse battery", "~~~~"] {
            assert!(!contains(other), "{other:?}");
        }
    }
}
