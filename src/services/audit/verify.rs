//! Finds out whether the log is as it was sealed.

use std::{collections::BTreeSet, fmt};

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::chain::leaf;
use crate::{
    adapters::random::hex,
    db::{
        ActorKind, Conn,
        audit_logs::{AuditLog, time_of},
        audit_seals::{self, Segment},
    },
    services::{Core, Result},
};

/// How many are named of rows that nobody has recorded.
const NAMED: i64 = 100;

/// Something that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Finding {
    /// An entry isn't what it was.
    Edited {
        id: Uuid,
    },
    /// It stands in the place of another one.
    Reordered {
        id: Uuid,
        place_of: Uuid,
    },
    Deleted {
        id: Uuid,
    },
    /// An entry that was not recorded by the program.
    Inserted {
        id: Uuid,
    },
    /// Its details are gone, though no account that it is about was erased.
    Erased {
        id: Uuid,
    },
    /// A segment is not what was sealed.
    SegmentChanged {
        number: i64,
    },
    SegmentDeleted {
        number: i64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edited { id } => write!(f, "entry {id} was edited"),
            Self::Reordered { id, place_of } => {
                write!(f, "entry {id} was reordered: it stands in the place of {place_of}")
            }
            Self::Deleted { id } => write!(f, "entry {id} was deleted"),
            Self::Inserted { id } => write!(f, "entry {id} was inserted"),
            Self::Erased { id } => write!(f, "the details of entry {id} were erased"),
            Self::SegmentChanged { number } => write!(f, "segment {number} was changed"),
            Self::SegmentDeleted { number } => write!(f, "segment {number} was deleted"),
        }
    }
}

/// The end of the chain. Who notes it elsewhere can tell later whether the chain still has it: an end that was cut
/// off leaves no other trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Head {
    pub number: i64,
    /// In hexadecimal digits.
    pub seal: String,
}

/// What was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    pub segments: u64,
    /// Entries that are as they were sealed.
    pub sealed: u64,
    /// Those of them whose details were erased with an account.
    pub erased: u64,
    /// Entries that wait to be sealed: changes of them are not found.
    pub unsealed: i64,
    /// Entries of before were dropped by the retention.
    pub since: Option<DateTime<Utc>>,
    pub head: Option<Head>,
    pub findings: Vec<Finding>,
}

/// Reads all of the log. Memory doesn't grow with it.
///
/// # Errors
/// When the database fails.
pub async fn verify(core: &Core, expected: Option<&Head>) -> Result<Report> {
    let mut conn = core.db.conn().await?;
    let mut report = Report::default();
    let (mut number, mut seal) = (0, Vec::new());
    if let Some(mark) = audit_seals::last_mark(&mut conn).await? {
        report.since = mark.dropped_before;
        (number, seal) =
            (mark.anchor_number.unwrap_or_default(), mark.anchor_seal.unwrap_or_default());
    }
    let mut has_expected = expected.is_none_or(|head| head.number <= number);
    while let Some(segment) = audit_seals::next(&mut conn, number).await? {
        let missing = (number + 1)..segment.number;
        let is_behind = missing.is_empty();
        report.findings.extend(missing.map(|number| Finding::SegmentDeleted { number }));
        // Behind a gap there is nothing to compare the seal with.
        if is_behind && core.audit.keys.seal(&seal, &segment) != segment.seal {
            report.findings.push(Finding::SegmentChanged { number: segment.number });
        }
        check_rows(core, &mut conn, &segment, &mut report).await?;
        report.segments += 1;
        (number, seal) = (segment.number, segment.seal);
        has_expected |=
            expected.is_some_and(|head| head.number == number && head.seal == hex(&seal));
    }
    if let Some(head) = expected.filter(|_| !has_expected) {
        report.findings.push(Finding::SegmentDeleted { number: head.number });
    }
    report.head = (number > 0).then(|| Head { number, seal: hex(&seal) });
    report.unsealed = audit_seals::count_unsealed(&mut conn).await?;
    let missing = audit_seals::missing_unsealed(&mut conn, NAMED).await?;
    report.findings.extend(missing.into_iter().map(|id| Finding::Deleted { id }));
    let unknown = audit_seals::unknown(&mut conn, NAMED).await?;
    report.findings.extend(unknown.into_iter().map(|id| Finding::Inserted { id }));
    Ok(report)
}

/// A sealed row, and what is found of it.
struct Sealed<'a> {
    id: Uuid,
    details: &'a [u8],
    leaf: &'a [u8],
}

async fn check_rows(
    core: &Core,
    conn: &mut Conn,
    segment: &Segment,
    report: &mut Report,
) -> Result<()> {
    let rows = audit_seals::rows(conn, &segment.ids).await?;
    let sealed = segment.ids.iter().zip(&segment.details).zip(&segment.leaves);
    let sealed = sealed.map(|((id, details), leaf)| Sealed { id: *id, details, leaf });
    let (mut differ, mut erased) = (Vec::new(), Vec::new());
    for one in sealed {
        let Some(row) = rows.iter().find(|row| row.id == one.id) else {
            let was_dropped =
                time_of(one.id).is_some_and(|at| report.since.is_some_and(|since| at < since));
            if !was_dropped {
                report.findings.push(Finding::Deleted { id: one.id });
            }
            continue;
        };
        let is_erased = row.erased_at.is_some() && has_no_details(row);
        let is_same = leaf(row.id, row.created_at, row, one.details) == one.leaf
            && (is_erased || core.audit.keys.details(row) == one.details);
        if !is_same {
            differ.push((one, row));
            continue;
        }
        report.sealed += 1;
        if is_erased {
            erased.push(row);
        }
    }
    report.findings.extend(differ.iter().map(|(one, row)| find_place(core, one, row, &differ)));
    report.erased += erased.len() as u64;
    let about: Vec<Uuid> = erased.iter().flat_map(|row| users_of(row)).collect();
    let present: BTreeSet<Uuid> =
        audit_seals::users_among(conn, &about).await?.into_iter().collect();
    let is_wrong = |row: &&&AuditLog| users_of(row).all(|id| present.contains(&id));
    report
        .findings
        .extend(erased.iter().filter(is_wrong).map(|row| Finding::Erased { id: row.id }));
    Ok(())
}

/// Whether what a row holds now is what another one of its segment held.
fn find_place(
    core: &Core,
    one: &Sealed<'_>,
    row: &AuditLog,
    all: &[(Sealed<'_>, &AuditLog)],
) -> Finding {
    /// More are not compared with each other.
    const MOST: usize = 100;
    let is_of = |other: &&(Sealed<'_>, &AuditLog)| {
        let (sealed, found) = (&other.0, other.1);
        let is_moved_in_time = leaf(one.id, found.created_at, row, one.details) == one.leaf;
        let as_other = AuditLog { id: sealed.id, ..row.clone() };
        let has_content = [row.created_at, found.created_at].iter().any(|at| {
            leaf(sealed.id, *at, row, sealed.details) == sealed.leaf
                && (row.erased_at.is_some() || core.audit.keys.details(&as_other) == sealed.details)
        });
        sealed.id != one.id && (is_moved_in_time || has_content)
    };
    match all.iter().take(MOST).find(is_of) {
        Some((other, _)) => Finding::Reordered { id: one.id, place_of: other.id },
        None => Finding::Edited { id: one.id },
    }
}

fn has_no_details(row: &AuditLog) -> bool {
    let texts = [&row.ip_address, &row.user_agent, &row.reason];
    texts.iter().all(|text| text.is_none()) && row.before.is_none() && row.after.is_none()
}

/// The users whom a row is about.
fn users_of(row: &AuditLog) -> impl Iterator<Item = Uuid> {
    let actor = row.actor_id.filter(|_| row.actor_kind == ActorKind::User);
    let subject = row.subject_id.as_deref().filter(|_| row.subject_kind.as_deref() == Some("user"));
    actor.into_iter().chain(subject.and_then(|id| id.parse().ok()))
}
