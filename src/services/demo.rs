//! Demo users: the same ones each time, in any number, so that lists and searches have something
//! to show.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;

use super::{Core, Result};
use crate::db::{
    Origin,
    users::{self, DemoUser, UserStatus},
};

const FIRST_NAMES: [&str; 20] = [
    "Ada",
    "Alan",
    "Barbara",
    "Claude",
    "Dennis",
    "Donald",
    "Edsger",
    "Evelyn",
    "Frances",
    "Grace",
    "Hedy",
    "Ida",
    "Jean",
    "John",
    "Katherine",
    "Ken",
    "Leslie",
    "Margaret",
    "Niklaus",
    "Radia",
];
const LAST_NAMES: [&str; 19] = [
    "Allen",
    "Berezin",
    "Clarke",
    "Dijkstra",
    "Engelbart",
    "Fang",
    "Goldberg",
    "Hamilton",
    "Hopper",
    "Iverson",
    "Johnson",
    "Knuth",
    "Lamarr",
    "Liskov",
    "Lovelace",
    "Perlman",
    "Rhodes",
    "Turing",
    "Wirth",
];

/// Rows in one statement: larger ones are no faster.
const BATCH: u32 = 1000;

/// The address of one demo user; `example` can't be anybody's (RFC 2606).
#[must_use]
pub fn email(number: u32) -> String {
    format!("user{number:06}@demo.example")
}

/// Adds those of the first `count` demo users that are missing, batch by batch, and tells
/// `progress` how many are done. Returns how many were added.
///
/// # Errors
/// When the database fails; the batches before stay.
pub async fn seed(
    core: &Core,
    count: u32,
    password: &SecretString,
    progress: impl Fn(u64),
) -> Result<usize> {
    let password_hash = core.passwords.hash(password).await?;
    let mut added = 0;
    for first in (1..=count).step_by(BATCH as usize) {
        let last = count.min(first.saturating_add(BATCH - 1));
        let mut tx = core.db.begin(&Origin::system("seed")).await?;
        let rows: Vec<DemoUser<'_>> =
            (first..=last).map(|number| row(core, number, tx.now, &password_hash)).collect();
        added += users::insert_demo(&mut tx, rows).await?;
        tx.commit().await?;
        progress(last.into());
    }
    Ok(added)
}

/// Spread over the last year; most have verified their address, a few are
/// suspended.
fn row<'a>(core: &Core, number: u32, now: DateTime<Utc>, password_hash: &'a str) -> DemoUser<'a> {
    let pick = |names: &[&'static str]| names[number as usize % names.len()];
    let created_at = now - TimeDelta::seconds(i64::from(number) * 6271 % (365 * 86_400));
    let is_suspended = number.is_multiple_of(25);
    DemoUser {
        id: core.random.id(created_at),
        email: email(number),
        name: format!("{} {}", pick(&FIRST_NAMES), pick(&LAST_NAMES)),
        password_hash,
        email_verified_at: (!number.is_multiple_of(7)).then_some(created_at),
        status: if is_suspended { UserStatus::Suspended } else { UserStatus::Active },
        status_reason: is_suspended.then_some("Demo data."),
        status_changed_at: is_suspended.then_some(now),
        created_at,
        updated_at: created_at,
    }
}
