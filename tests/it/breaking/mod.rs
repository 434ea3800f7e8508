//! What breaks callers is found by comparing the documents with those of the last release, and must
//! be named in the changelog. No library for it is well enough kept and complete: the crate `drift`
//! stops at changed content types and knows neither security nor operation ids.

mod fixtures;
mod operations;
mod schemas;

use std::{collections::BTreeSet, fmt, fs, path::Path};

use serde_json::Value;
use twofold::api;

use operations::breaks;

/// A change that breaks callers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Break {
    /// The operation's id or the schema's name, by which the changelog must name it.
    subject: String,
    what: String,
}

impl Break {
    fn new(subject: &str, what: impl Into<String>) -> Self {
        Self { subject: subject.to_owned(), what: what.into() }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "- `{}`: {}.", self.subject, self.what)
    }
}

/// The documents to compare.
#[derive(Clone, Copy)]
struct Documents<'a> {
    old: &'a Value,
    new: &'a Value,
}

/// The texts in a list.
fn names(list: &Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn what_breaks_callers_is_named_in_the_changelog() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let changelog = fs::read_to_string(root.join("CHANGELOG.md")).expect("the changelog");
    let announced = announced(&changelog);
    let current = api::documents(None);
    let mut released = 0;
    for entry in fs::read_dir(root.join("docs/openapi/released")).expect("documents") {
        let path = entry.expect("a file").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
        let old = fs::read_to_string(&path).expect("a document");
        let old = serde_json::from_str(&old).expect("JSON");
        let new = current.iter().find(|document| document.name() == name);
        let new = new.map_or("{}", |document| &document.text);
        let new = serde_json::from_str(new).expect("JSON");
        let missing = breaks(&old, &new).into_iter().filter(|b| !is_named(announced, &b.subject));
        let missing: Vec<String> = missing.map(|missing| missing.to_string()).collect();
        assert!(
            missing.is_empty(),
            "this breaks callers of the released {name} API. Undo it, or write into CHANGELOG.md, \
             under `## [Unreleased]` in a section `### Breaking`, what callers have to do:\n{}",
            missing.join("\n")
        );
        released += 1;
    }
    assert!(released >= 2, "both documents of the last release are compared");
}

/// The section of the changelog that names the breaking changes since the last release.
fn announced(changelog: &str) -> &str {
    let unreleased = changelog.split("\n## ").find(|part| part.starts_with("[Unreleased]"));
    let sections = unreleased.unwrap_or_default().split("\n### ");
    sections.into_iter().find(|section| section.starts_with("Breaking")).unwrap_or_default()
}

fn is_named(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.split(|c| !is_word(c)).any(|word| word == name)
}

#[test]
fn only_the_changelog_of_the_next_release_counts() {
    let changelog = "# Changelog\n\n## [Unreleased]\n\n### Added\n- `one`\n\n### Breaking\n- `two`: gone.\n\n\
                     ### Fixed\n- `three`\n\n## [0.1.0]\n\n### Breaking\n- `four`\n";
    let found: Vec<_> = ["one", "two", "three", "four", "tw"]
        .into_iter()
        .filter(|name| is_named(announced(changelog), name))
        .collect();
    assert_eq!(found, ["two"]);
    assert_eq!(announced("# Changelog\n\n## [Unreleased]\n"), "");
}
