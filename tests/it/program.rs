//! The program itself: first run, second run, signals, and every command.

use std::{
    io::Write,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Signal, geteuid, kill_process};
use serde_json::{Value, json};

use twofold::embedded::postgres::Postgres;

use crate::support::{
    TestDb, cluster,
    http::{Answer, Request},
    program::{
        NOBODY, Program, command, command_as, dir, postgres_pid, run, stderr, stdout,
        wait_until_gone,
    },
};

fn data_of(dir: &Path) -> PathBuf {
    dir.join(".data/postgres/data")
}

/// Runs a command that reads its standard input.
fn with_input(dir: &Path, args: &[&str], variables: &[(&str, &str)], input: &str) -> Output {
    let mut command = command(dir, args);
    command.envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    child.wait_with_output().expect("it ends")
}

async fn login(program: &Program, password: &str) -> Answer {
    let body = json!({"email": "admin@example.com", "password": password});
    let url = format!("{}/api/v1/backoffice/auth/login", program.base);
    Request::new(&reqwest::Client::new(), reqwest::Method::POST, url).json(body).send().await
}

/// First start, second start, `kill -9`, third start: as one account.
async fn life(uid: Option<u32>) {
    let dir = dir();
    if let Some(uid) = uid {
        chown(dir.path(), Some(uid), Some(uid)).expect("owner");
    }
    let mut program = Program::start_as(dir.path(), &[], uid);
    let banner = program.stdout();
    for part in [
        "embedded PostgreSQL",
        "/api/v1/backoffice",
        "/client/docs",
        "/backoffice/redoc",
        "/outbox",
        "/config/health",
    ] {
        assert!(banner.contains(part), "{part} is missing in: {banner}");
    }
    let password = program.first_password().expect("shown once");
    assert!(!program.stderr().contains(&password), "the password is in the log");
    login(&program, &password).await.data();

    // Ctrl-C stops all of it.
    let postgres = postgres_pid(&data_of(dir.path()));
    program.signal(Signal::INT);
    assert_eq!(program.wait().code(), Some(0), "{}", program.stderr());
    wait_until_gone(postgres);

    // The second start has the same data and shows no password.
    let mut program = Program::start_as(dir.path(), &[], uid);
    assert_eq!(program.first_password(), None);
    let token = login(&program, &password).await.data()["access_token"].clone();

    // `kill -9` loses nothing, and leaves nothing behind.
    let postgres = postgres_pid(&data_of(dir.path()));
    program.signal(Signal::KILL);
    program.wait();
    wait_until_gone(postgres);
    let mut program = Program::start_as(dir.path(), &[], uid);
    let url = format!("{}/api/v1/backoffice/auth/me", program.base);
    let me = Request::new(&reqwest::Client::new(), reqwest::Method::GET, url);
    let me = me.bearer(token.as_str().expect("a token")).send().await.data();
    assert_eq!(me["email"], "admin@example.com", "the session of before");
    program.signal(Signal::TERM);
    assert_eq!(program.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_lives_through_restarts_and_kills() {
    life(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_as_an_ordinary_user() {
    // Otherwise the test before has shown it.
    if geteuid().is_root() {
        life(Some(NOBODY)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postgresql_is_503_until_it_is_back() {
    let dir = dir();
    let program = Program::start(dir.path(), &[]);
    let password = program.first_password().expect("shown once");
    login(&program, &password).await.data();
    let before = postgres_pid(&data_of(dir.path()));
    kill_process(before, Signal::KILL).expect("it runs");
    let killed = Instant::now();
    loop {
        let asked = Instant::now();
        let answer = login(&program, &password).await;
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        if answer.status == 200 {
            break;
        }
        answer.assert_error(503, "service_unavailable");
        assert!(!answer.header("retry-after").is_empty());
        assert!(killed.elapsed() < Duration::from_secs(10), "no recovery: {}", program.stderr());
    }
    assert_ne!(postgres_pid(&data_of(dir.path())), before, "it was started again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_is_refused() {
    let dir = dir();
    let program = Program::start(dir.path(), &[]);
    let first =
        format!("(process {}) already serves this folder at {}", program.pid(), program.base);
    // On an address of its own, and on that of the first.
    let taken = program.base.strip_prefix("http://").expect("an address");
    for address in ["127.0.0.1:0", taken] {
        let second = run(dir.path(), &["serve"], &[("TWOFOLD_SERVER__LISTEN", address)]);
        assert!(!second.status.success());
        let text = stderr(&second);
        assert!(text.contains(&first) && text.contains("TWOFOLD_DATA_DIR"), "{address}: {text}");
    }
    // Commands use the database that runs.
    let status = run(dir.path(), &["migrate", "status"], &[]);
    assert!(stdout(&status).contains("applied"), "{}", stderr(&status));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_told_before_anything_starts() {
    let dir = dir();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("address").to_string();
    let output = run(dir.path(), &[], &[("TWOFOLD_SERVER__LISTEN", &address)]);
    assert!(!output.status.success());
    let text = stderr(&output);
    assert!(text.contains(&address) && text.contains("TWOFOLD_SERVER__LISTEN"), "{text}");
    assert!(!dir.path().join(".data").exists());
}

#[test]
fn without_binaries_the_error_tells_how_to_get_them() {
    let dir = dir();
    let output = run(dir.path(), &["migrate", "status"], &[("PG_BIN", "/nowhere")]);
    assert!(!output.status.success());
    let text = stderr(&output);
    assert!(text.contains("no PostgreSQL server 15") && text.contains("DATABASE_URL"), "{text}");
    assert!(text.contains("in /nowhere"), "{text}");
    assert!(text.contains("install"), "{text}");
}

#[test]
fn a_cluster_of_another_version_is_left_untouched() {
    let dir = dir();
    let data = data_of(dir.path());
    std::fs::create_dir_all(&data).expect("directory");
    std::fs::write(data.join("PG_VERSION"), "9\n").expect("file");
    let output = run(dir.path(), &["migrate", "status"], &[]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("made by PostgreSQL 9"), "{}", stderr(&output));
    assert_eq!(std::fs::read_dir(&data).expect("readable").count(), 1);
}

/// In a folder where nothing can be made: the arguments, as an account that isn't root.
fn run_in_a_barred_folder(dir: &Path, variables: &[(&str, &str)]) -> Output {
    let args = ["migrate", "status"];
    let mut command =
        if geteuid().is_root() { command_as(dir, &args, NOBODY) } else { command(dir, &args) };
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o555)).expect("mode");
    let output = command.envs(variables.iter().copied()).output().expect("it runs");
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).expect("mode");
    output
}

#[test]
fn where_the_folder_cannot_be_written_the_data_go_to_the_users_own() {
    let (checkout, home) = (dir(), dir());
    if geteuid().is_root() {
        chown(home.path(), Some(NOBODY), Some(NOBODY)).expect("owner");
    }
    let share = home.path().to_str().expect("UTF-8");
    let moved = run_in_a_barred_folder(checkout.path(), &[("XDG_DATA_HOME", share)]);
    assert!(stdout(&moved).contains("pending"), "{}", stderr(&moved));
    let folders = std::fs::read_dir(home.path().join("twofold")).expect("made");
    let folder = folders.flatten().next().expect("one").path();
    assert!(folder.join("postgres/data/PG_VERSION").exists());

    let other = [("XDG_DATA_HOME", share), ("TWOFOLD_DATA_DIR", "data")];
    let chosen = run_in_a_barred_folder(checkout.path(), &other);
    assert!(!chosen.status.success(), "a folder that was asked for isn't exchanged");
    let nowhere = run_in_a_barred_folder(checkout.path(), &[("XDG_DATA_HOME", "/proc")]);
    for refused in [chosen, nowhere] {
        assert!(stderr(&refused).contains("set TWOFOLD_DATA_DIR"), "{}", stderr(&refused));
    }
    std::fs::create_dir(checkout.path().join(".data")).expect("made");
    let foreign = run_in_a_barred_folder(checkout.path(), &[("XDG_DATA_HOME", share)]);
    if geteuid().is_root() {
        assert!(!foreign.status.success(), "another account's data aren't silently left out");
    }
}

#[test]
fn a_kill_while_the_cluster_is_made_is_no_obstacle_to_the_next_start() {
    for reached in ["", "base", "global"] {
        let dir = dir();
        let mut serve = command(dir.path(), &["serve"]);
        serve.env("TWOFOLD_SERVER__LISTEN", "127.0.0.1:0");
        let mut serve = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
        let (postgres, data) = (dir.path().join(".data/postgres"), data_of(dir.path()));
        let is_reached = || {
            let mut made =
                std::fs::read_dir(postgres.join("data.unfinished")).into_iter().flatten();
            made.any(|one| one.is_ok_and(|one| one.path().join(reached).exists()))
        };
        while !is_reached() && !data.exists() {
            std::thread::yield_now();
        }
        serve.kill().expect("it runs");
        serve.wait().expect("ended");
        let output = run(dir.path(), &["migrate", "status"], &[]);
        assert!(output.status.success(), "{reached}: {}", stderr(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_below_a_private_home_works_for_root_too() {
    if !geteuid().is_root() {
        return;
    }
    let private = std::fs::Permissions::from_mode(0o700);
    let home = tempfile::Builder::new().permissions(private).tempdir().expect("directory");
    let options = cluster::options(&[]);
    let folder = home.path().join(".data/postgres");
    let mut postgres = Postgres::start(&folder, &options).await.expect("it starts");
    let data = postgres.data().to_owned();
    assert!(data.starts_with("/var/lib/twofold"), "{data:?}");
    postgres.stop();
    let mut again = Postgres::start(&folder, &options).await.expect("it starts again");
    assert_eq!(again.data(), data);
    again.stop();
    std::fs::remove_dir_all(data.parent().expect("its own")).expect("removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_path_with_spaces_works() {
    let dir = dir();
    let deep = dir.path().join("with a 'quote' and spaces").join("x".repeat(120));
    std::fs::create_dir_all(&deep).expect("directory");
    let mut program = Program::start(&deep, &[]);
    let password = program.first_password().expect("shown once");
    login(&program, &password).await.data();
    program.signal(Signal::INT);
    assert_eq!(program.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_for_the_schema_and_the_staff() {
    let (dir, db) = (dir(), TestDb::create().await);
    let variables = [("DATABASE_URL", db.url.as_str())];
    let twofold = |args: &[&str]| run(dir.path(), args, &variables);

    let down = stdout(&twofold(&["migrate", "down"]));
    assert!(down.starts_with("reverted 2026"), "{down}");
    let status = stdout(&twofold(&["migrate", "status"]));
    assert!(status.contains("pending") && status.contains("applied"), "{status}");
    let up = stdout(&twofold(&["migrate", "up"]));
    assert!(up.contains("applied 2026") && up.contains("up to date"), "{up}");
    assert!(!stdout(&twofold(&["migrate", "status"])).contains("pending"));

    let create = ["admin", "create", "--email", "admin@example.com", "--name", "Grace"];
    let output = twofold(&create);
    let password = |text: &str| text.trim().rsplit(' ').next().expect("a word").to_owned();
    let first = password(&stdout(&output));
    assert!(output.status.success() && first.len() == 20, "{}", stderr(&output));
    let again = twofold(&create);
    assert!(
        !again.status.success() && stderr(&again).contains("Another account"),
        "{}",
        stderr(&again)
    );
    let bad = twofold(&["admin", "create", "--email", "nope", "--name", "x"]);
    assert!(!bad.status.success() && stderr(&bad).contains("must be an e-mail address"));

    let program = Program::start(dir.path(), &variables);
    assert!(!program.stdout().contains("embedded"), "{}", program.stdout());
    assert_eq!(program.first_password(), None, "there is staff");
    assert!(!dir.path().join(".data/postgres").exists());
    let tokens = login(&program, &first).await.data();
    let given = with_input(
        dir.path(),
        &["admin", "create", "--email", "b@example.com", "--name", "B", "--password-stdin"],
        &variables,
        "a given password\n",
    );
    assert!(given.status.success() && !stdout(&given).contains("password"), "{}", stderr(&given));
    let weak = with_input(
        dir.path(),
        &["admin", "reset-password", "--email", "b@example.com", "--password-stdin"],
        &variables,
        "short\n",
    );
    assert!(stderr(&weak).contains("password must have 12 to 256 characters"), "{}", stderr(&weak));
    let reset = twofold(&["admin", "reset-password", "--email", "admin@example.com"]);
    let second = password(&stdout(&reset));
    login(&program, &first).await.assert_error(401, "invalid_credentials");
    login(&program, &second).await.data();
    let url = format!("{}/api/v1/backoffice/auth/me", program.base);
    let me = Request::new(&reqwest::Client::new(), reqwest::Method::GET, url);
    let me = me.bearer(tokens["access_token"].as_str().expect("a token")).send().await;
    me.assert_error(401, "session_ended");
    let nobody = twofold(&["admin", "reset-password", "--email", "nobody@example.com"]);
    assert!(!nobody.status.success() && stderr(&nobody).contains("no admin"));
}

#[test]
fn documents_are_exported_without_a_database() {
    let dir = dir();
    // An address where nothing answers, and settings that are not even read.
    let variables = [("DATABASE_URL", "postgresql://u@127.0.0.1:1/d"), ("TWOFOLD_ENV", "nonsense")];
    for surface in ["client", "backoffice"] {
        let output = run(dir.path(), &["openapi", "export", surface], &variables);
        let document: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        assert_eq!(document["openapi"], "3.0.0");
        let file = dir.path().join("document.json");
        let to_file = ["openapi", "export", surface, "-o", file.to_str().expect("UTF-8")];
        assert!(run(dir.path(), &to_file, &variables).status.success());
        assert_eq!(std::fs::read_to_string(&file).expect("written"), stdout(&output));
    }
    assert!(!dir.path().join(".data").exists());
    let unknown = run(dir.path(), &["openapi", "export", "other"], &[]);
    assert_eq!(unknown.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_there_keeps_its_rights() {
    let (dir, db) = (dir(), TestDb::create().await);
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o1777)).expect("mode");
    let variables = [("DATABASE_URL", db.url.as_str()), ("TWOFOLD_DATA_DIR", ".")];
    drop(Program::start(dir.path(), &variables));
    let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o7777;
    assert_eq!(mode(dir.path()), 0o1777);
    assert_eq!(mode(&dir.path().join("secrets")), 0o700);
    assert_eq!(mode(&dir.path().join("secrets/client")), 0o600);
    assert_eq!(mode(&dir.path().join("outbox")), 0o700);
}

/// The README's walk-through, to the letter but for the address and the password.
#[tokio::test(flavor = "multi_thread")]
async fn the_walk_through_of_the_readme_works_as_printed() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let readme = readme.expect("readable");
    let walk = readme.split("## A walk through").nth(1).and_then(|t| t.split("\n## ").next());
    let blocks = walk.expect("the section").split("```sh\n").skip(1);
    let script: String = blocks.filter_map(|block| block.split("```").next()).collect();

    let dir = dir();
    let program = Program::start(dir.path(), &[]);
    let script = script
        .replace("http://127.0.0.1:8001", &program.base)
        .replace("put-the-printed-password-here", &program.first_password().expect("shown once"));
    let mut bash = std::process::Command::new("bash");
    let output = bash.args(["-euo", "pipefail", "-c", &script]).current_dir(dir.path()).output();
    let output = output.expect("bash and curl");
    assert!(output.status.success(), "{}", stderr(&output));
    let answers: Vec<Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let codes: Vec<_> =
        answers.iter().map(|answer| answer["code"].as_u64().expect("a code")).collect();
    assert_eq!(codes, [200, 200, 200, 200, 200, 200, 1103, 200, 200], "{answers:?}");
    assert_eq!(answers[3]["data"]["name"], "Countess of Lovelace");
    assert_eq!(answers[6]["error"], "account_suspended");
    assert_eq!(answers[8]["data"]["status"], "healthy");
    // What it prints as an example is an answer of this walk.
    let mut example = answers[6].clone();
    example["request_id"] = "…".into();
    assert!(readme.contains(&format!("```json\n{example}\n```")), "{example}");
}
