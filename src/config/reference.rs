//! The reference of all settings as a page, made from `config/default.toml` and the kinds.

use std::fmt::Write;

use super::{
    DEFAULT, Environment,
    keys::{Key, Kind},
    layers::{Layers, Source, TomlFile, Value, variable_of},
};

const HEAD: &str = "# Settings

Made by `twofold reference settings`; don't edit it. The texts are those of
[config/default.toml](../config/default.toml).

";

/// One documented setting of the defaults.
struct Documented<'a> {
    name: String,
    /// What is said of its section, with the first one of it.
    section: String,
    text: String,
    /// As it stands in the file; of a setting without default, an example.
    value: &'a str,
    is_set: bool,
}

/// The page `docs/settings.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    page.push_str(&introduction());
    let mut section = String::new();
    for setting in documented() {
        let above = setting.name.rsplit_once('.').map_or("", |(section, _)| section).to_owned();
        if section != above {
            let _ = write!(page, "\n## {above}\n");
            if !setting.section.is_empty() {
                let _ = write!(page, "\n{}\n", setting.section);
            }
            section = above;
        }
        describe(&mut page, &setting);
    }
    page
}

fn describe(page: &mut String, setting: &Documented<'_>) {
    let kind = Key::find(&setting.name).map(|key| key.kind);
    let secret = if kind.is_some_and(Kind::is_secret) { ", secret" } else { "" };
    let expected = kind.map(Kind::expected).unwrap_or_default();
    let (label, value) = if setting.is_set {
        ("Default", setting.value)
    } else {
        ("Not set; for example", setting.value)
    };
    let elsewhere: Vec<String> = changes(&setting.name)
        .map(|(environment, value)| format!("; in {environment} `{}`", serde_json::json!(value)))
        .collect();
    let elsewhere = elsewhere.concat();
    let _ = write!(
        page,
        "\n### `{}`\n\n{}\n\n- Variable: `{}`{}\n- Value: {expected}{secret}\n- {label}: `{value}`{elsewhere}\n",
        setting.name,
        setting.text,
        variable_of(&setting.name),
        if secret.is_empty() { "" } else { ", or the same with `_FILE` for a file's path" },
    );
}

/// What the environments change in one setting.
fn changes(name: &str) -> impl Iterator<Item = (Environment, Value)> {
    Environment::ALL.into_iter().filter_map(move |environment| {
        let (file, text) = environment.built_in();
        let mut layers = Layers::default();
        layers.add_file(&TomlFile { text, at_line: &|line| Source::BuiltIn { file, line } });
        layers.entries.remove(name).map(|entry| (environment, entry.value))
    })
}

/// The head of the file: its comments before the first blank line.
fn introduction() -> String {
    let head = DEFAULT.lines().take_while(|line| line.starts_with('#'));
    head.fold(String::new(), |text, line| text + line.trim_start_matches(['#', ' ']) + "\n")
}

/// Reads the file line by line: comments, then `name = value`, or `# name = value` where there is
/// no default.
fn documented() -> Vec<Documented<'static>> {
    let (mut section, mut of_section, mut found) = ("", String::new(), Vec::new());
    let mut comment: Vec<&str> = Vec::new();
    for line in DEFAULT.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
            of_section = std::mem::take(&mut comment).join("\n");
            continue;
        }
        let body = line.trim_start_matches("# ");
        let full = |name: &str| {
            if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") }
        };
        match body.split_once(" = ") {
            Some((name, value)) if Key::find(&full(name)).is_some() => {
                let is_set = !line.starts_with('#');
                found.push(Documented {
                    name: full(name),
                    section: std::mem::take(&mut of_section),
                    text: comment.join("\n"),
                    value,
                    is_set,
                });
                comment.clear();
            }
            _ if line.starts_with('#') => comment.push(body),
            _ => comment.clear(),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_setting_is_documented_and_every_documented_one_is_there() {
        let documented = documented();
        let names: BTreeSet<String> = documented.iter().map(|one| one.name.clone()).collect();
        assert_eq!(names, super::super::keys::names().collect());
        for one in documented {
            assert!(!one.text.is_empty(), "{} has no description", one.name);
        }
    }

    #[test]
    fn the_committed_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md");
        let page = std::fs::read_to_string(path).expect("readable");
        assert!(page == reference(), "run: cargo run -- reference settings > docs/settings.md");
    }
}
