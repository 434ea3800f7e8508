//! `doctor` and `health`, against what works and what doesn't.

use std::{fs, path::Path, process::Output};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    TestDb,
    cluster::connect,
    connection::Certificate,
    program::{Program, dir, run, stderr, stdout},
    redis::Redis,
    smtp::SmtpServer,
};

/// An address where nobody listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    listener.local_addr().expect("address").to_string()
}

fn doctor(dir: &Path, variables: &[(&str, &str)]) -> (Output, Value) {
    let output = run(dir, &["doctor", "--json"], variables);
    let report = serde_json::from_str(&stdout(&output)).unwrap_or_default();
    (output, report)
}

/// What was found of one thing, with its state.
#[track_caller]
fn finding<'a>(report: &'a Value, name: &str) -> (&'a str, &'a Value) {
    let findings = report["findings"].as_array().expect("a list");
    let found = findings.iter().find(|one| one["name"] == name);
    let found = found.unwrap_or_else(|| panic!("nothing on {name}: {report}"));
    (found["state"].as_str().expect("a state"), found)
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_is_well_it_says_so_and_leaves_nothing() {
    let (dir, db, smtp) = (dir(), TestDb::create().await, SmtpServer::start(&[]));
    let (url, listen) = (smtp.url(), nowhere());
    let variables = [
        ("DATABASE_URL", db.url.as_str()),
        ("SMTP_URL", &url),
        ("TWOFOLD_SERVER__LISTEN", &listen),
    ];
    let (output, report) = doctor(dir.path(), &variables);
    assert!(output.status.success(), "{report}");
    assert_eq!(report["healthy"], true);
    for name in ["settings", "address", "database", "rights", "clock", "schema", "storage", "mail"]
    {
        assert_eq!(finding(&report, name).0, "ok", "{report}");
    }
    assert!(!dir.path().join("logs").exists() && smtp.received().is_empty());
    let text = stdout(&run(dir.path(), &["doctor"], &variables));
    assert!(text.contains("ok       clock         0."), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_is_named_with_what_to_do() {
    let (dir, nowhere) = (dir(), nowhere());
    let variables = [
        ("DATABASE_URL", format!("postgresql://u:canary@{nowhere}/d")),
        ("SMTP_URL", format!("smtp://u:canary@{nowhere}")),
        ("TWOFOLD_STORAGE__ENDPOINT", format!("http://{nowhere}")),
        ("TWOFOLD_STORAGE__BUCKET", "b".to_owned()),
        ("TWOFOLD_STORAGE__ACCESS_KEY_ID", "canary".to_owned()),
        ("TWOFOLD_STORAGE__SECRET_ACCESS_KEY", "canary".to_owned()),
    ];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let (output, report) = doctor(dir.path(), &variables);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert_eq!(report["healthy"], false);
    for name in ["database", "storage", "mail"] {
        let (state, found) = finding(&report, name);
        assert_eq!(state, "failed", "{report}");
        assert!(!found["remedy"].as_str().unwrap_or_default().is_empty(), "{found}");
    }
    assert!(!report.to_string().contains("canary") && !stderr(&output).contains("canary"));
    assert!(stderr(&output).contains("3 things are missing or broken"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_asked_where_there_is_one() {
    let (dir, db, redis) = (dir(), TestDb::create().await, Redis::start().await);
    let (certificate, url) = (Certificate::make(), redis.url());
    let with_tls = Redis::url_with_tls(certificate.in_front_of(redis.port).await);
    let trusted = certificate.write(dir.path()).certificate;
    let trusted = ("SSL_CERT_FILE", trusted.to_str().expect("UTF-8"));
    let wrong = url.replace("only-for-tests", "canary");
    let nowhere = format!("redis://:canary@{}", nowhere());
    for (url, trust, expected) in [
        (&url, None, "ok"),
        (&with_tls, Some(trusted), "ok"),
        (&with_tls, None, "failed"),
        (&wrong, None, "failed"),
        (&nowhere, None, "failed"),
    ] {
        let mut variables = vec![
            ("DATABASE_URL", db.url.as_str()),
            ("TWOFOLD_SERVER__LISTEN", "127.0.0.1:0"),
            ("REDIS_URL", url),
        ];
        variables.extend(trust);
        let (output, report) = doctor(dir.path(), &variables);
        assert_eq!(finding(&report, "redis").0, expected, "{url}: {report}");
        assert_eq!(output.status.success(), expected == "ok", "{report}");
        assert!(!report.to_string().contains("canary") && !stderr(&output).contains("canary"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_lacks_something_is_found_out() {
    let (dir, db) = (dir(), TestDb::create().await);
    let variables = [("DATABASE_URL", db.url.as_str()), ("TWOFOLD_SERVER__LISTEN", "127.0.0.1:0")];
    assert!(run(dir.path(), &["migrate", "down"], &variables).status.success());
    let (output, report) = doctor(dir.path(), &variables);
    assert!(output.status.success(), "a warning only: {report}");
    let (state, schema) = finding(&report, "schema");
    assert_eq!(state, "warning");
    assert!(schema["remedy"].as_str().expect("what to do").contains("migrate up"));
    assert!(run(dir.path(), &["migrate", "up"], &variables).status.success());

    let client = connect(&db.url).await;
    let sql = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', \
               current_database()); END $$";
    client.batch_execute(sql).await.expect("set");
    let (output, report) = doctor(dir.path(), &variables);
    assert_eq!(
        (output.status.code(), finding(&report, "rights").0),
        (Some(1), "failed"),
        "{report}"
    );
}

#[test]
fn a_taken_address_and_a_folder_that_cannot_be_written_are_told() {
    let dir = dir();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("address").to_string();
    fs::write(dir.path().join("file"), "").expect("file");
    let database = format!("postgresql://u@{}/d", nowhere());
    let variables = [
        ("TWOFOLD_SERVER__LISTEN", address.as_str()),
        ("DATABASE_URL", database.as_str()),
        ("TWOFOLD_LOG__DIR", "file/logs"),
    ];
    let (_, report) = doctor(dir.path(), &variables);
    assert_eq!(finding(&report, "address").0, "failed", "{report}");
    let (state, folder) = finding(&report, "log folder");
    assert_eq!(state, "failed", "{report}");
    assert!(folder["remedy"].as_str().expect("what to do").contains("TWOFOLD_LOG__DIR"));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_asks_the_running_instance_however_it_listens() {
    let (dir, db) = (dir(), TestDb::create().await);
    let (certificate, folder) = (Certificate::make(), dir.path().join("tls"));
    fs::create_dir(&folder).expect("directory");
    let files = certificate.write(&folder);
    let tls = [
        ("TWOFOLD_SERVER__TLS_CERTIFICATE_FILE", files.certificate.to_str().expect("UTF-8")),
        ("TWOFOLD_SERVER__TLS_KEY_FILE", files.key.to_str().expect("UTF-8")),
    ];
    let ways: [(&str, &[(&str, &str)]); 3] =
        [("127.0.0.1:0", &[]), ("127.0.0.1:0", &tls), ("unix:socket", &[])];
    for (listen, more) in ways {
        let mut variables =
            vec![("DATABASE_URL", db.url.as_str()), ("TWOFOLD_SERVER__LISTEN", listen)];
        variables.extend(more);
        let mut program = Program::start(dir.path(), &variables);
        let port = program.base.rsplit(':').next().unwrap_or_default();
        let bound = if listen.starts_with("unix") {
            listen.to_owned()
        } else {
            format!("127.0.0.1:{port}")
        };
        variables[1] = ("TWOFOLD_SERVER__LISTEN", &bound);
        let healthy = run(dir.path(), &["health"], &variables);
        assert_eq!(stdout(&healthy), "ready\n", "{listen}: {}", stderr(&healthy));
        // A renewed certificate is not in use yet.
        Certificate::make().write(&folder);
        let renewed = run(dir.path(), &["health"], &variables);
        assert_eq!(stdout(&renewed), "ready\n", "{listen}: {}", stderr(&renewed));
        let (_, report) = doctor(dir.path(), &variables);
        let (state, address) = finding(&report, "address");
        assert_eq!(state, "ok", "{report}");
        assert!(address["found"].as_str().expect("text").contains("Twofold answers"), "{report}");

        program.signal(Signal::TERM);
        program.wait();
        let gone = run(dir.path(), &["health"], &variables);
        assert_eq!(gone.status.code(), Some(1));
        assert!(stderr(&gone).contains("not ready at"), "{}", stderr(&gone));
    }
}
