//! What stands in the logs, and what never does.

use std::{collections::BTreeMap, fs, path::Path};

use chrono::{Days, Utc};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    TestDb, cluster,
    http::{Answer, Request},
    program::{Program, dir, run, stderr},
};

/// In no log of any test but by a leak.
const CANARY: &str = "canary7f3a9c";

/// The log files of a name, together.
fn log(dir: &Path, name: &str) -> String {
    let entries = fs::read_dir(dir.join("logs")).expect("readable").flatten();
    let files = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(name));
    files.map(|file| fs::read_to_string(file.path()).expect("read")).collect()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn request(program: &Program, method: Method, path: &str) -> Request {
    Request::new(&reqwest::Client::new(), method, format!("{}{path}", program.base))
}

async fn post(program: &Program, path: &str, body: Value) -> Answer {
    request(program, Method::POST, path).json(body).send().await
}

async fn stop(program: &mut Program) {
    program.signal(Signal::TERM);
    assert_eq!(program.wait().code(), Some(0), "{}", program.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn application_and_sql_are_apart_with_the_request_id_on_each_line() {
    let (dir, db) = (dir(), TestDb::create().await);
    let variables = [("DATABASE_URL", db.url.as_str()), ("TWOFOLD_LOG__FORMAT", "json")];
    let mut program = Program::start(dir.path(), &variables);
    let body = json!({"email": "nobody@example.com", "password": "long enough for it"});
    let login = request(&program, Method::POST, "/api/v1/auth/login").json(body);
    assert_eq!(login.header("x-request-id", "mine-1").send().await.status, 401);
    stop(&mut program).await;

    let of_request = |text: &str| {
        let mut lines = lines(text);
        lines.retain(|line| line["span"]["request_id"] == "mine-1");
        lines
    };
    let application = of_request(&log(dir.path(), "application"));
    assert_eq!(application.len(), 1, "{application:?}");
    assert_eq!(application[0]["path"], "/api/v1/auth/login");
    assert_eq!(
        (&application[0]["method"], &application[0]["status"]),
        (&json!("POST"), &json!(401))
    );
    assert!(application[0]["duration_ms"].is_u64());
    let without_time = |mut lines: Vec<Value>| {
        for line in &mut lines {
            line["timestamp"] = Value::Null;
        }
        lines
    };
    let terminal = of_request(&program.stderr());
    assert_eq!(without_time(terminal), without_time(application), "the same, as JSON");

    let sql = of_request(&log(dir.path(), "sql"));
    let selects = sql
        .iter()
        .filter(|line| line["statement"].as_str().is_some_and(|s| s.contains("FROM \"users\"")));
    assert_eq!(selects.count(), 1, "{sql:?}");
    assert!(
        sql.iter().all(|line| line["target"] == "twofold::sql" && line["duration_us"].is_u64())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_failed_statements_are_marked_and_others_left_out() {
    let (dir, db) = (dir(), TestDb::create().await);
    let login = json!({"email": "nobody@example.com", "password": "long enough for it"});
    let sql_of = async |slow_ms: &str| {
        let variables = [
            ("DATABASE_URL", db.url.as_str()),
            ("TWOFOLD_LOG__SQL", "slow"),
            ("TWOFOLD_LOG__SLOW_STATEMENT_MS", slow_ms),
        ];
        let mut program = Program::start(dir.path(), &variables);
        let status = post(&program, "/api/v1/auth/login", login.clone()).await.status;
        stop(&mut program).await;
        let lines = lines(&log(dir.path(), "sql"));
        fs::remove_dir_all(dir.path().join("logs")).expect("removed");
        (status, lines)
    };
    let (status, none) = sql_of("600000").await;
    assert_eq!((status, none), (401, vec![]));
    let (_, slow) = sql_of("0").await;
    assert!(!slow.is_empty() && slow.iter().all(|line| line["slow"] == true), "{slow:?}");
    assert!(slow.iter().all(|line| line["level"] == "WARN"), "{slow:?}");

    cluster::connect(&db.url)
        .await
        .batch_execute("DROP TABLE users CASCADE")
        .await
        .expect("dropped");
    let (status, failed) = sql_of("600000").await;
    assert_eq!((status, failed.len()), (500, 1), "{failed:?}");
    assert!(failed[0]["error"].as_str().expect("why").contains("does not exist"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_has_its_chain_and_in_development_a_backtrace() {
    let (dir, db) = (dir(), TestDb::create().await);
    cluster::connect(&db.url)
        .await
        .batch_execute("DROP TABLE users CASCADE")
        .await
        .expect("dropped");
    for (environment, shows) in [("development", true), ("test", false)] {
        let variables = [
            ("DATABASE_URL", db.url.as_str()),
            ("TWOFOLD_ENV", environment),
            ("TWOFOLD_LOG__SINKS", "stdout,file"),
            // The request's span is there even so.
            ("TWOFOLD_LOG__FILTER", "warn"),
        ];
        let mut program = Program::start(dir.path(), &variables);
        let body = json!({"email": "nobody@example.com", "password": "long enough for it"});
        let answer = post(&program, "/api/v1/auth/login", body).await;
        answer.assert_error(500, "internal_error");
        assert!(
            !answer.text.contains("relation") && !answer.text.contains("src/"),
            "{}",
            answer.text
        );
        stop(&mut program).await;
        let all = lines(&log(dir.path(), "application"));
        fs::remove_dir_all(dir.path().join("logs")).expect("removed");
        let faults: Vec<_> = all.iter().filter(|line| line["level"] == "ERROR").collect();
        assert_eq!(faults.len(), 1, "logged once: {faults:?}");
        let text = faults[0]["message"].as_str().expect("a message");
        let chain = "internal_error: a statement failed: relation \"users\" does not exist";
        assert!(text.starts_with(chain), "{text}");
        let frames = text.matches("\n    at src/services/sign_in.rs:").count();
        assert_eq!(frames > 0, shows, "{environment}: {text}");
        assert_eq!(faults[0]["span"]["request_id"].as_str(), Some(answer.header("x-request-id")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_older_than_seven_days_are_removed_and_others_kept() {
    let (dir, db) = (dir(), TestDb::create().await);
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).expect("directory");
    #[expect(clippy::disallowed_methods, reason = "the program has a clock of its own")]
    let today = Utc::now().date_naive();
    let file = |name: &str, back: u64| {
        logs.join(format!("{name}.{}.log", today.checked_sub_days(Days::new(back)).expect("a day")))
    };
    for back in 5..=9 {
        for name in ["application", "sql", "other"] {
            fs::write(file(name, back), "{}\n").expect("file");
        }
    }
    let mut program = Program::start(dir.path(), &[("DATABASE_URL", db.url.as_str())]);
    stop(&mut program).await;
    for back in 5..=9 {
        for name in ["application", "sql"] {
            assert_eq!(file(name, back).exists(), back < 7, "{name} of {back} days ago");
        }
        assert!(file("other", back).exists(), "not ours");
    }
}

#[test]
fn commands_write_no_files_and_a_folder_that_cannot_be_written_is_told() {
    let dir = dir();
    fs::write(dir.path().join("logs"), "a file").expect("file");
    let output = run(dir.path(), &["serve"], &[("TWOFOLD_LOG__DIR", "logs/x")]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("can't write logs to logs/x"), "{}", stderr(&output));
    fs::remove_file(dir.path().join("logs")).expect("removed");
    run(dir.path(), &["migrate", "status"], &[("DATABASE_URL", "postgresql://u@127.0.0.1:1/d")]);
    assert!(!dir.path().join("logs").exists());
}

/// A body for a schema, with a canary in every text; of other types the example.
fn body_of(document: &Value, schema: &Value) -> Value {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).expect("there"),
        None => schema,
    };
    if let Some(all) = schema["allOf"].as_array() {
        return body_of(document, &all[0]);
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties.map(|(name, inner)| (name.clone(), body_of(document, inner))).collect()
        }
        Some("array") => json!([body_of(document, &schema["items"])]),
        Some("string") if schema["format"] == "email" => json!(format!("{CANARY}@example.com")),
        Some("string") => json!(format!("{CANARY} and some more to be long enough")),
        Some("boolean") => json!(true),
        _ => json!(1),
    }
}

/// Every operation of a surface: method, path, parameters in the query, and a body if it has one.
fn operations(surface: &str) -> Vec<(Method, String, Vec<String>, Option<Value>)> {
    let path = format!("{}/docs/openapi/{surface}.json", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).expect("readable");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let query = parameters.filter(|p| p["in"] == "query");
            let names = query.map(|p| p["name"].as_str().expect("a name").to_owned()).collect();
            let content = &operation["requestBody"]["content"];
            let schema = content.as_object().and_then(|all| all.values().next());
            let body = schema.map(|media| body_of(&document, &media["schema"]));
            found.push((method, path.clone(), names, body));
        }
    }
    found
}

/// Sends canaries in every place that a caller fills.
async fn send_canaries(program: &Program, tokens: &BTreeMap<&str, String>, id: &str) -> usize {
    let client = reqwest::Client::new();
    let mut sent = 0;
    for (surface, token) in tokens {
        for (method, path, query, body) in operations(surface) {
            let query: Vec<String> = query.iter().map(|name| format!("{name}={CANARY}")).collect();
            let query = format!("?{CANARY}={CANARY}&{}", query.join("&"));
            let bodies = [
                body.clone(),
                body.clone().filter(Value::is_object).map(|mut body| {
                    body[CANARY] = json!(CANARY);
                    body
                }),
                body.map(|body| json!(format!("{{\"{CANARY}\": {body}"))),
            ];
            for with in [CANARY, id] {
                let url =
                    path.split('/').map(|part| if part.starts_with('{') { with } else { part });
                let url = url.collect::<Vec<_>>().join("/");
                for (url, bearer) in [(format!("{url}{query}"), CANARY), (url.clone(), token)] {
                    for body in &bodies {
                        let url = format!("{}{url}", program.base);
                        let mut request = Request::new(&client, method.clone(), url).bearer(bearer);
                        for name in [
                            "user-agent",
                            "cookie",
                            "referer",
                            "origin",
                            "accept",
                            "accept-language",
                            "x-forwarded-for",
                            "forwarded",
                            "traceparent",
                            "if-none-match",
                            "idempotency-key",
                            "x-api-key",
                            "x-anything",
                        ] {
                            request = request.header(name, CANARY);
                        }
                        // A short one would be kept, and be in the log on purpose.
                        request = request.header("x-request-id", &CANARY.repeat(6));
                        request = match body {
                            Some(Value::String(broken)) => request
                                .header("content-type", "application/json")
                                .body(broken.clone()),
                            Some(body) => request.json(body),
                            None => request,
                        };
                        request.send().await;
                        sent += 1;
                    }
                }
            }
        }
    }
    // What no route knows, and what the protocol lets through.
    for path in
        [format!("/{CANARY}"), format!("/api/v1/{CANARY}?{CANARY}"), format!("/outbox/{CANARY}")]
    {
        request(program, Method::GET, &path).send().await;
        request(program, Method::from_bytes(CANARY.as_bytes()).expect("a token"), &path)
            .send()
            .await;
        sent += 2;
    }
    // The form of the staff sign-in, which is no operation; the last one signs in.
    let password = program.first_password().expect("shown once");
    let canaries = ["email", "password", "return_to", CANARY].map(|name| (name, CANARY));
    let right = [("email", "admin@example.com"), ("password", &password), ("return_to", CANARY)];
    for (fields, origin) in [
        (&canaries[..], CANARY),
        (&canaries[..], &program.base),
        (&canaries[..3], &program.base),
        (&canaries[..1], &program.base),
        (&right[..], &program.base),
    ] {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        request(program, Method::POST, &format!("/backoffice/sign-in?{CANARY}"))
            .header("origin", origin)
            .header("cookie", &format!("__Host-twofold-staff={CANARY}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await;
        sent += 1;
    }
    sent
}

/// A user and an admin whose every word is a canary; their tokens by surface, and the user's id.
async fn canary_accounts(
    program: &Program,
    dir: &Path,
) -> (BTreeMap<&'static str, String>, String) {
    let (email, password) = (format!("{CANARY}@example.com"), format!("{CANARY} horse battery"));
    let credentials = json!({"email": email, "password": password});
    let mut registration = credentials.clone();
    registration["name"] = json!(CANARY);
    let registered = post(program, "/api/v1/auth/register", registration).await;
    assert_eq!(registered.status, 200, "{}", registered.text);
    let started = std::time::Instant::now();
    let code = loop {
        assert!(
            started.elapsed() < std::time::Duration::from_secs(30),
            "no mail: {}",
            program.stderr()
        );
        let outbox = fs::read_dir(dir.join(".data/outbox")).expect("readable").flatten();
        let mails = outbox.map(|mail| fs::read_to_string(mail.path()).unwrap_or_default());
        let code = mails.filter_map(|mail| {
            let line = mail.lines().find_map(|line| line.strip_prefix("your code is: "))?;
            Some(line.trim().to_owned())
        });
        match code.last() {
            Some(code) => break code,
            None => tokio::task::yield_now().await,
        }
    };
    let mut proof = credentials.clone();
    proof["code"] = json!(code);
    post(program, "/api/v1/auth/verify-email", proof).await;
    let client = post(program, "/api/v1/auth/login", credentials).await.data();
    let user = request(program, Method::GET, "/api/v1/users/me")
        .bearer(client["access_token"].as_str().expect("a token"));
    let id = user.send().await.data()["id"].as_str().expect("an id").to_owned();
    let password = program.first_password().expect("shown once");
    let admin = json!({"email": "admin@example.com", "password": password});
    let staff = post(program, "/api/v1/backoffice/auth/login", admin).await.data();
    let token = |answer: &Value| answer["access_token"].as_str().expect("a token").to_owned();
    ([("client", token(&client)), ("backoffice", token(&staff))].into(), id)
}

async fn canaries(environment: &str, filter: &str) {
    let (dir, db) = (dir(), TestDb::create().await);
    let variables = [
        ("DATABASE_URL", db.url.as_str()),
        ("TWOFOLD_ENV", environment),
        ("TWOFOLD_LOG__SINKS", "stdout,file"),
        ("TWOFOLD_LOG__FILTER", filter),
        ("TWOFOLD_LOG__SQL", "all"),
        ("TWOFOLD_PASSWORDS__MEMORY_KIB", "8"),
        ("TWOFOLD_PASSWORDS__ITERATIONS", "1"),
        ("TWOFOLD_DOCS__STAFF_SIGN_IN", "true"),
    ];
    let mut program = Program::start(dir.path(), &variables);
    let (tokens, id) = canary_accounts(&program, dir.path()).await;
    let sent = send_canaries(&program, &tokens, &id).await;
    let password = program.first_password().expect("shown once");
    stop(&mut program).await;

    let (application, sql) = (log(dir.path(), "application"), log(dir.path(), "sql"));
    let of_cluster = fs::read_to_string(cluster::folder("postgres").join("postgres.log"));
    let all = [
        ("the terminal", program.stderr()),
        ("the application's file", application.clone()),
        ("the SQL file", sql),
        ("PostgreSQL's own", of_cluster.unwrap_or_default()),
    ];
    for (name, text) in all {
        let found = text.lines().find(|line| line.contains(CANARY) || line.contains(&password));
        assert_eq!(found, None, "in {name}");
        for token in tokens.values() {
            assert!(!text.contains(token.as_str()), "a token in {name}");
        }
    }
    for table in ["jobs", "job_attempts"] {
        let sql = format!("SELECT count(*) FROM {table} AS row WHERE strpos(row::text, $1) > 0");
        let rows = cluster::connect(&db.url).await.query_one(&sql, &[&CANARY]).await;
        assert_eq!(rows.expect("asked").get::<_, i64>(0), 0, "in {table}");
    }
    // Names and reasons are for the audit log to tell, secrets aren't.
    let secrets = [format!("{CANARY} horse battery"), password].into_iter();
    for secret in secrets.chain(tokens.into_values()) {
        let sql = "SELECT count(*) FROM audit_logs AS row WHERE strpos(row::text, $1) > 0";
        let rows = cluster::connect(&db.url).await.query_one(sql, &[&secret]).await;
        assert_eq!(rows.expect("asked").get::<_, i64>(0), 0, "in audit_logs");
    }
    let answered = lines(&application).iter().filter(|line| line["message"] == "answered").count();
    assert!(sent > 200 && answered >= sent, "{answered} of {sent} requests are in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn c25_no_canary_of_any_input_is_in_any_log_at_the_finest_level() {
    canaries("test", "trace").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c25_no_canary_of_any_input_is_in_any_log_of_development() {
    canaries("development", "info,twofold=trace").await;
}
