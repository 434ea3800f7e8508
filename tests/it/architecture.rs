//! Keeps the arrows of `src/lib.rs` one-way, by reading the sources.

use std::{
    collections::BTreeSet,
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

/// The modules of this crate that a source names: `crate::x` and `use crate::{x::…, y}`.
fn modules(text: &str) -> BTreeSet<String> {
    let code: String = code(text).flat_map(|line| [line, "\n"]).collect();
    let mut found = BTreeSet::new();
    for named in code.split("crate::").skip(1) {
        let group = named.strip_prefix('{').map(first_level);
        for item in group.unwrap_or_else(|| vec![named.to_owned()]) {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            found.insert(item.trim_start().chars().take_while(|c| is_part(*c)).collect());
        }
    }
    found
}

/// The items of a group in braces, up to its end.
fn first_level(group: &str) -> Vec<String> {
    let (mut depth, mut items) = (0, vec![String::new()]);
    for character in group.chars() {
        match character {
            '}' if depth == 0 => break,
            ',' if depth == 0 => items.push(String::new()),
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if character != ',' {
            items.last_mut().expect("one at least").push(character);
        }
    }
    items
}

#[test]
fn the_checks_see_every_way_to_name_a_module() {
    let text = "use crate::{\n    a::{b, c::d},\n    e,\n};\nfn f() -> crate::g::H {} // crate::i\n// crate::j";
    let seen = modules(text);
    let expected = ["a", "e", "g", "i"];
    for name in expected {
        assert!(seen.contains(name), "{name} in {seen:?}");
    }
    assert!(!seen.contains("b") && !seen.contains("d") && !seen.contains("j"), "{seen:?}");
}

#[track_caller]
fn forbid_modules(folder: &str, forbidden: &[&str]) {
    for (path, text) in sources(folder) {
        for module in modules(&text) {
            let path = path.display();
            assert!(!forbidden.contains(&module.as_str()), "{path} names crate::{module}");
        }
    }
}

#[track_caller]
fn forbid(folder: &str, words: &[&str]) {
    forbid_except(folder, "none", words);
}

#[track_caller]
fn forbid_except(folder: &str, file: &str, words: &[&str]) {
    for (path, text) in sources(folder).into_iter().filter(|(path, _)| !path.ends_with(file)) {
        for line in code(&text) {
            for word in words {
                assert!(!line.contains(word), "{}: `{word}` in: {line}", path.display());
            }
        }
    }
}

#[test]
fn http_is_known_to_the_api_only() {
    for folder in ["services", "db", "adapters", "jobs", "config", "embedded", "telemetry"] {
        forbid(folder, &["poem"]);
        forbid_modules(folder, &["api", "bootstrap", "cli"]);
    }
    // Settings name the type of an address to listen at, which has rules of its own.
    for folder in ["services", "db", "adapters", "jobs", "embedded", "telemetry"] {
        forbid_modules(folder, &["server"]);
    }
}

#[test]
fn arrows_run_down() {
    forbid_modules("services", &["jobs", "config", "embedded"]);
    forbid_modules("db", &["services", "jobs", "config", "embedded"]);
    forbid_modules("adapters", &["services", "jobs", "db", "config", "embedded"]);
    forbid_modules("api", &["jobs", "config", "bootstrap", "cli", "embedded"]);
    forbid_modules("jobs", &["config", "embedded"]);
}

#[test]
fn queries_stand_in_db_only() {
    for folder in [
        "api",
        "jobs",
        "adapters",
        "bootstrap.rs",
        "bootstrap",
        "cli",
        "config",
        "server",
        "telemetry",
    ] {
        forbid(folder, &["diesel::", "diesel_async"]);
    }
    forbid(
        "services",
        &[
            "diesel_async",
            "diesel::insert",
            "diesel::update",
            "diesel::delete",
            "sql_query",
            "schema",
        ],
    );
}

#[test]
fn sql_never_asks_for_the_time() {
    // Heartbeats are the database's own time: the clocks of several machines would have to agree.
    forbid_except(
        "db",
        "jobs/workers.rs",
        &[" now()", "(now()", "NOW()", "dsl::now", "CURRENT_TIMESTAMP"],
    );
}

/// Each condition of `docs/security.md` has a test that its number finds.
#[test]
fn the_conditions_of_security_have_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/security.md")).expect("the page");
    let numbers: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| c")?.split(' ').next()).collect();
    assert!(numbers.len() >= 18, "{numbers:?}");
    let all: String =
        ["", "../tests"].into_iter().flat_map(sources).map(|(_, text)| text).collect();
    for number in numbers {
        assert!(all.contains(&format!("fn c{number}_")), "c{number} has no test");
    }
}
