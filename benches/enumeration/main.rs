//! Whether the time of an answer tells if an address has an account: `cargo bench --bench enumeration`.
//!
//! Starts the release build on a private database and asks it about addresses that have an account and others that
//! have none, in turns and in pairs whose order is left to chance. Prints for each operation both medians, also to
//! `target/enumeration.txt`, and fails where they are more than 5 % apart.

#![expect(clippy::expect_used, reason = "a bench that can't run says why and ends")]

#[path = "../edge/load.rs"]
#[expect(dead_code, reason = "the bench of the edge uses the rest")]
mod load;
#[path = "../../tests/it/support/program.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod program;
#[path = "../support/report.rs"]
mod report;

use std::time::Duration;

use load::{Exchange, request};
use program::Program;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use report::Report;
use serde_json::{Value, json};

/// How many answers of each kind there are.
const SAMPLES: usize = 1000;
/// How many pairs come before those that count.
const WARM_UP: usize = 50;
/// How far the medians may be apart.
const MOST_APART: f64 = 0.05;

/// What is asked about an address, and how it is answered whether or not there is an account.
struct Question {
    path: &'static str,
    /// By somebody else who is signed in; all others by nobody.
    is_signed_in: bool,
    status: u16,
    body: fn(&str) -> Value,
    /// The address with this number that has an account.
    known: fn(usize) -> String,
}

const QUESTIONS: [Question; 6] = [
    Question {
        path: "auth/login",
        is_signed_in: false,
        status: 401,
        body: |email| json!({"email": email, "password": "not the password"}),
        known: demo,
    },
    Question {
        path: "auth/register",
        is_signed_in: false,
        status: 200,
        body: |email| json!({"email": email, "password": "correct horse battery", "name": "Ada"}),
        known: demo,
    },
    Question {
        path: "auth/forgot-password",
        is_signed_in: false,
        status: 200,
        body: |email| json!({"email": email}),
        known: demo,
    },
    Question {
        path: "auth/resend-code",
        is_signed_in: false,
        status: 200,
        body: |email| json!({"email": email}),
        known: registered,
    },
    Question {
        path: "auth/verify-email",
        is_signed_in: false,
        status: 422,
        body: |email| json!({"email": email, "password": "not the password", "code": "000000"}),
        known: registered,
    },
    Question {
        path: "users/me/change-email",
        is_signed_in: true,
        status: 200,
        body: |email| json!({"email": email}),
        known: demo,
    },
];

/// A demo user who has verified the address and may sign in.
fn demo(number: usize) -> String {
    // Of 175 numbers 6 × 24 are of such users, those that neither 7 nor 25 divides.
    let fits = |number: &usize| !number.is_multiple_of(7) && !number.is_multiple_of(25);
    let number = (1..).filter(fits).nth(number).expect("endless");
    format!("user{number:06}@demo.example")
}

/// Somebody who has registered, and not yet verified the address.
fn registered(number: usize) -> String {
    unknown("auth/register", number)
}

/// An address that nobody has asked about before.
fn unknown(path: &str, number: usize) -> String {
    format!("somebody{number:06}@{}.example", path.replace('/', "-"))
}

/// A demo user whom no question is about.
const WHO_ASKS: &str = "user001999@demo.example";

/// An access token of [`WHO_ASKS`].
async fn sign_in(exchange: &mut Exchange, password: &str) -> String {
    let body = json!({"email": WHO_ASKS, "password": password}).to_string();
    let sent = request("POST", "/api/v1/auth/login", None, Some(&body));
    let answer = exchange.send(&sent).await.expect("answered");
    let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
    answer["data"]["access_token"].as_str().expect("a token").to_owned()
}

#[tokio::main]
async fn main() {
    let dir = program::dir();
    // With limits that this doesn't reach, and without a log of each statement.
    let variables = [("TWOFOLD_ENV", "test"), ("TWOFOLD_LOG__FILTER", "warn")];
    let program = Program::start(dir.path(), &variables);
    let seeded = program::run(dir.path(), &["seed", "--users", "2000", "--json"], &variables);
    assert!(seeded.status.success(), "{}", program::stderr(&seeded));
    let seeded: Value = serde_json::from_slice(&seeded.stdout).expect("JSON");
    let address = program.base.strip_prefix("http://").expect("http").parse().expect("address");
    let mut exchange = Exchange::connect(address).await.expect("it listens");
    let token = sign_in(&mut exchange, seeded["password"].as_str().expect("a password")).await;

    let mut report = Report::new("enumeration", "a server and one client, in turns");
    report.line(&format!("{:<64} {:>10} {:>10} {:>8}", "", "known", "unknown", "apart"));
    let mut random = StdRng::seed_from_u64(7);
    for question in QUESTIONS {
        let [mut known, mut unknown] = [const { Vec::new() }; 2];
        for number in 0..WARM_UP + SAMPLES {
            let mut ask = async |email: String| {
                let path = format!("/api/v1/{}", question.path);
                let body = (question.body)(&email).to_string();
                let token = question.is_signed_in.then_some(token.as_str());
                let sent = request("POST", &path, token, Some(&body));
                let (status, took) = exchange.sample(&sent).await;
                assert_eq!(status, question.status, "{} {email}", question.path);
                // What follows from an answer, such as a mail, is over before the next question.
                tokio::time::sleep(Duration::from_millis(random.random_range(5..15))).await;
                took
            };
            let is_known_first = number.is_multiple_of(2);
            let names = [(question.known)(number), self::unknown(question.path, number)];
            let [one, other] = names;
            let (one, other) = if is_known_first {
                let one = ask(one).await;
                (one, ask(other).await)
            } else {
                let other = ask(other).await;
                (ask(one).await, other)
            };
            if number >= WARM_UP {
                known.push(one);
                unknown.push(other);
            }
        }
        let (known, unknown) = (median(known), median(unknown));
        let apart = (known - unknown).abs() / known.min(unknown);
        let seen = format!("{known:7.2} ms {unknown:7.2} ms {:6.1} %", apart * 100.0);
        report.condition(question.path, &seen, apart <= MOST_APART);
    }
    report.finish();
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1000.0
}
