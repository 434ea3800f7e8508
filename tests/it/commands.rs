//! The commands that look, print and fill; `program.rs` has those that run and change.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
};

use serde_json::Value;

use crate::support::{
    TestDb,
    program::{Program, command, dir, run, stderr, stdout},
};

fn json(dir: &Path, args: &[&str], variables: &[(&str, &str)]) -> Value {
    let output = run(dir, &[args, &["--json"]].concat(), variables);
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    serde_json::from_str(&stdout(&output)).expect("JSON")
}

#[test]
fn faults_in_the_settings_end_every_command_with_78() {
    let dir = dir();
    std::fs::create_dir(dir.path().join("config")).expect("directory");
    std::fs::write(dir.path().join("config/local.toml"), "[server]\nlistn = 1\n").expect("file");
    let variables = [("TWOFOLD_ENV", "production"), ("SMTP_URL", "canary-secret")];
    for args in
        [&["serve"] as &[&str], &["config", "check"], &["migrate", "up"], &["admin", "list"]]
    {
        let output = run(dir.path(), args, &variables);
        assert_eq!(output.status.code(), Some(78), "{args:?}: {}", stderr(&output));
        for part in [
            "config/local.toml, line 2): there is no such setting; did you mean server.listen?",
            "mail.smtp_url (the environment variable SMTP_URL): is not valid; give an address",
            "auth.client.secret: is missing",
            "auth.backoffice.secret: is missing",
            "database.url: is missing; production has no embedded database; set DATABASE_URL",
            "server.public_url: is missing",
        ] {
            assert!(stderr(&output).contains(part), "{part}: {}", stderr(&output));
        }
        assert!(!stderr(&output).contains("canary"), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
    assert!(!dir.path().join(".data").exists());

    let output = run(dir.path(), &["config", "check", "--json"], &variables);
    let failure: Value = serde_json::from_str(&stderr(&output)).expect("JSON");
    assert_eq!(failure["exit_code"], 78);
    assert_eq!(failure["faults"][0]["key"], "server.listn");
    assert_eq!(failure["faults"].as_array().expect("a list").len(), 7);
}

#[test]
fn config_check_shows_values_and_sources_but_no_secret() {
    let dir = dir();
    std::fs::write(dir.path().join(".env"), "DATABASE_URL=postgresql://u:canary@h/d\n")
        .expect("file");
    let variables = [("TWOFOLD_LOG__SQL", "off")];
    let output = run(dir.path(), &["config", "check"], &variables);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let line = |key: &str| text.lines().find(|line| line.starts_with(key)).expect(key).to_owned();
    assert!(line("database.url").contains("(hidden)"), "{text}");
    assert!(line("database.url").ends_with("DATABASE_URL in .env"), "{text}");
    assert!(line("log.sql").contains("\"off\""), "{text}");
    assert!(line("log.sql").ends_with("the environment variable TWOFOLD_LOG__SQL"), "{text}");
    assert!(line("server.listen").contains("built-in config/default.toml, line "), "{text}");
    assert!(!text.contains("canary"), "{text}");
    let shown = json(dir.path(), &["config", "check"], &variables);
    assert_eq!(shown["environment"], "development");
    assert!(!shown.to_string().contains("canary"), "{shown}");
}

#[test]
fn routes_and_completions_need_nothing() {
    let dir = dir();
    // Settings that are not even read.
    let variables = [("TWOFOLD_ENV", "nonsense")];
    let routes = json(dir.path(), &["routes"], &variables);
    let routes = routes.as_array().expect("a list");
    let find = |id: &str| routes.iter().find(|route| route["operation_id"] == id).expect(id);
    assert_eq!(find("login_user")["path"], "/api/v1/auth/login");
    assert_eq!(find("login_user")["needs_token"], false);
    assert_eq!(find("list_users")["path"], "/api/v1/backoffice/users");
    assert_eq!(find("list_users")["needs_token"], true);
    let text = stdout(&run(dir.path(), &["routes"], &variables));
    assert_eq!(text.lines().count(), routes.len() + 1, "{text}");

    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(dir.path(), &["completions", shell], &variables);
        let script = stdout(&output);
        assert!(script.contains("twofold") && script.contains("migrate"), "{shell}");
    }
    // A reader that has seen enough is no failure.
    let output = std::process::Command::new("bash")
        .args(["-c", "set -o pipefail; \"$0\" routes | head -n 1"])
        .arg(env!("CARGO_BIN_EXE_twofold"))
        .output()
        .expect("bash");
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn every_command_teaches_by_example() {
    fn look(dir: &Path, command: &[&str]) -> usize {
        let help = stdout(&run(dir, &[command, &["--help"]].concat(), &[]));
        assert!(help.contains("\nExample"), "{command:?}: {help}");
        let commands = help.split("Commands:\n").nth(1).unwrap_or_default();
        let lines = commands.lines().take_while(|line| line.starts_with("  "));
        let names = lines.filter_map(|line| line.split_whitespace().next());
        let inner = names.filter(|name| *name != "help");
        1 + inner.map(|name| look(dir, &[command, &[name]].concat())).sum::<usize>()
    }
    let dir = dir();
    assert!(look(dir.path(), &[]) > 15);
    let help = stdout(&run(dir.path(), &["--help"], &[]));
    assert!(help.contains("Exit codes:"), "{help}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_change_no_configured_schema_and_print_nothing_else() {
    let (dir, db) = (dir(), TestDb::create().await);
    let variables = [("DATABASE_URL", db.url.as_str())];
    let quiet = run(dir.path(), &["admin", "list"], &variables);
    assert!(quiet.status.success() && stderr(&quiet).is_empty(), "{}", stderr(&quiet));
    assert!(run(dir.path(), &["migrate", "down"], &variables).status.success());
    for args in [&["admin", "list"] as &[&str], &["seed"]] {
        let output = run(dir.path(), args, &variables);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(stderr(&output).contains("lacks 1 migrations"), "{}", stderr(&output));
    }
    let status = stdout(&run(dir.path(), &["migrate", "status"], &variables));
    assert!(status.contains("pending"), "{status}");
    let bad = run(dir.path(), &["admin", "create", "--email", "nope", "--name", "x"], &[]);
    assert_eq!(bad.status.code(), Some(2), "{}", stderr(&bad));
    assert!(!dir.path().join(".data/postgres").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn preview_shows_no_first_password() {
    let (dir, db) = (dir(), TestDb::create().await);
    let variables = [
        ("DATABASE_URL", db.url.as_str()),
        ("TWOFOLD_ENV", "preview"),
        ("SMTP_URL", "smtp://127.0.0.1:1"),
    ];
    let program = Program::start(dir.path(), &variables);
    assert!(program.stdout().contains("/client/docs"), "{}", program.stdout());
    assert_eq!(program.first_password(), None, "{}", program.stdout());
}

#[tokio::test(flavor = "multi_thread")]
async fn seed_adds_what_is_missing_and_admins_are_listed() {
    let (dir, db) = (dir(), TestDb::create().await);
    let variables = [("DATABASE_URL", db.url.as_str())];
    let first = json(dir.path(), &["seed", "--users", "1500"], &variables);
    assert_eq!(first["added"], 1500);
    assert_eq!(first["password"].as_str().expect("shown once").len(), 20);
    let again = json(dir.path(), &["seed", "--users", "1600"], &variables);
    assert_eq!(again["added"], 100);
    assert_eq!(json(dir.path(), &["seed", "--users", "10"], &variables)["password"], Value::Null);
    let none = run(dir.path(), &["seed", "--users", "0"], &variables);
    assert_eq!(none.status.code(), Some(2), "{}", stderr(&none));

    assert_eq!(json(dir.path(), &["admin", "list"], &variables)["admins"], Value::Array(vec![]));
    let create = ["admin", "create", "--email", "ada@example.com", "--name", "Ada"];
    let created = json(dir.path(), &create, &variables);
    assert_eq!(created["password"].as_str().expect("shown once").len(), 20);
    let listed = json(dir.path(), &["admin", "list"], &variables);
    assert_eq!(listed["admins"][0]["email"], "ada@example.com");
    assert_eq!(listed["admins"][0]["roles"], serde_json::json!(["super-admin"]));
    let text = stdout(&run(dir.path(), &["admin", "list"], &variables));
    assert!(text.contains("ada@example.com") && text.contains("never"), "{text}");

    let output = run(dir.path(), &["migrate", "status", "--json"], &variables);
    let status: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(status["migrations"][0]["applied"], true);
}

#[test]
fn a_database_that_is_not_there_is_69() {
    let dir = dir();
    let variables = [("DATABASE_URL", "postgresql://u@127.0.0.1:1/d")];
    for args in [&["migrate", "status"] as &[&str], &["serve"]] {
        let mut all = vec![("TWOFOLD_SERVER__LISTEN", "127.0.0.1:0")];
        all.extend(variables);
        let output = run(dir.path(), args, &all);
        assert_eq!(output.status.code(), Some(69), "{args:?}: {}", stderr(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_tells_programs_where_it_is() {
    let (dir, db) = (dir(), TestDb::create().await);
    let mut serve = command(dir.path(), &["serve", "--json"]);
    serve.env("DATABASE_URL", &db.url).env("TWOFOLD_SERVER__LISTEN", "127.0.0.1:0");
    let mut serve = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(serve.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let ready: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(ready["embedded_database"], false);
    assert_eq!(ready["first_admin"]["email"], "admin@example.com");
    let health = ready["addresses"]["health"].as_str().expect("an address");
    let answer = reqwest::get(health).await.expect("it serves").status();
    let _ = serve.kill();
    let _ = serve.wait();
    assert_eq!(answer, 200);
}
