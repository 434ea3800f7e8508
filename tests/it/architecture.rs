//! Keeps the arrows of `src/lib.rs` one-way, by reading the sources.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    fn walk(path: &Path, found: &mut Vec<(PathBuf, String)>) {
        if path.is_dir() {
            for entry in fs::read_dir(path).expect("readable").flatten() {
                walk(&entry.path(), found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.to_owned(), fs::read_to_string(path).expect("readable")));
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder), &mut found);
    assert!(!found.is_empty(), "nothing in src/{folder}");
    found
}

fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[track_caller]
fn forbid(folder: &str, words: &[&str]) {
    for (path, text) in sources(folder) {
        for line in code(&text) {
            for word in words {
                assert!(!line.contains(word), "{}: `{word}` in: {line}", path.display());
            }
        }
    }
}

#[test]
fn http_is_known_to_the_api_only() {
    for folder in ["services", "db", "adapters", "jobs", "config", "embedded", "telemetry.rs"] {
        forbid(folder, &["poem", "crate::api", "crate::bootstrap", "crate::cli", "crate::server"]);
    }
}

#[test]
fn arrows_run_down() {
    forbid("services", &["crate::jobs", "crate::config", "crate::embedded"]);
    forbid("db", &["crate::services", "crate::jobs", "crate::config"]);
    forbid("adapters", &["crate::services", "crate::jobs", "crate::db", "crate::config"]);
    forbid("api", &["crate::jobs", "crate::config", "crate::bootstrap"]);
    forbid("jobs", &["crate::config"]);
}

#[test]
fn queries_stand_in_db_only() {
    for folder in ["api", "jobs", "adapters", "bootstrap.rs", "cli"] {
        forbid(folder, &["diesel::", "diesel_async"]);
    }
    forbid(
        "services",
        &["RunQueryDsl", "diesel::insert", "diesel::update", "diesel::delete", "db::schema"],
    );
}

#[test]
fn sql_never_asks_for_the_time() {
    forbid("db", &[" now()", "(now()", "NOW()", "dsl::now", "CURRENT_TIMESTAMP"]);
}
