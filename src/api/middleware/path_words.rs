//! Paths for the log: what a caller may have put into one stays out.

use std::collections::HashSet;

use uuid::Uuid;

/// The words of the pages, which are in no document.
const PAGES: [&str; 17] = [
    "api-docs",
    "assets",
    "backoffice",
    "backoffice.json",
    "client",
    "client.json",
    "data",
    "docs",
    "health",
    "html",
    "live",
    "openapi.json",
    "outbox",
    "ready",
    "redoc",
    "sign-in",
    "sign-out",
];

/// The words that our own routes are made of.
pub struct PathWords(HashSet<String>);

impl PathWords {
    pub fn of<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let words = paths.flat_map(|path| path.split('/')).filter(|word| !word.starts_with('{'));
        Self(words.chain(PAGES).map(str::to_owned).collect())
    }

    /// The path with a `*` for each part that is neither such a word nor the id of an object: it
    /// may be a token, or anything.
    pub fn path(&self, path: &str) -> String {
        let parts = path.split('/').map(|part| {
            let is_known = self.0.contains(part) || is_id(part);
            if is_known { part } else { "*" }
        });
        parts.collect::<Vec<_>>().join("/")
    }
}

/// Other forms of a UUID could be a key of 128 bits.
fn is_id(part: &str) -> bool {
    part.len() == 36 && Uuid::try_parse(part).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_words_and_ids_are_shown() {
        let words = PathWords::of(["/api/v1/users/{id}/suspend"].into_iter());
        let id = "/api/v1/users/018f0000-0000-7000-8000-000000000000/suspend";
        assert_eq!(words.path(id), id);
        assert_eq!(words.path("/api/v1/users/secret/suspend"), "/api/v1/users/*/suspend");
        assert_eq!(words.path("/api/v1/users/018f0000000070008000000000000000"), "/api/v1/users/*");
        assert_eq!(words.path("/wp-login.php"), "/*");
        assert_eq!(words.path("/client/docs"), "/client/docs");
        assert_eq!(words.path("/"), "/");
    }
}
