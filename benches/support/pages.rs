//! The first page of a list beside one that is far behind it: both must cost the same.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;

use crate::{
    load::{Exchange, median},
    report::Report,
};

/// How often each page is asked for.
const SAMPLES: usize = 200;
/// How much longer than the first page a deep one may take.
const MOST_APART: f64 = 1.3;

/// Above the lines of [`compare`].
pub fn heading(report: &mut Report, page: usize) {
    let (first, behind) = ("page 1", format!("page {page}"));
    report.line(&format!("       {:<58} {first:>10} {behind:>10}  ratio", ""));
}

/// Goes to a page of a list by cursor, and compares it with the first one. `ask` makes the request, for the text of a cursor
/// or none.
pub async fn compare(
    report: &mut Report,
    address: SocketAddr,
    (list, page): (&str, usize),
    ask: impl Fn(Option<&str>) -> Vec<u8>,
) {
    let mut exchange = Exchange::connect(address).await.expect("it listens");
    let first = ask(None);
    let mut deep = first.clone();
    for _ in 1..page {
        let answer = exchange.send(&deep).await.expect("an answer");
        let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
        let cursor = answer["data"]["next_cursor"].as_str();
        deep = ask(Some(cursor.expect("there is more")));
    }
    let mut times = [const { Vec::new() }; 2];
    for _ in 0..SAMPLES {
        for (request, times) in [&first, &deep].into_iter().zip(&mut times) {
            let (status, took) = exchange.sample(request).await;
            assert_eq!(status, 200);
            times.push(millis(took));
        }
    }
    let [first, deep] = times.map(median);
    let apart = deep / first;
    let seen = format!("{first:7.2} ms {deep:7.2} ms {apart:6.2}");
    report.condition(list, &seen, apart <= MOST_APART);
}

pub fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
