//! One action on many things.

use poem_openapi::{Object, types::Example};
use uuid::Uuid;

use crate::{
    api::types::Reason,
    services::{
        Code,
        bulk::{Row, Rows},
    },
};

/// Which, and why.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
pub struct BulkRequest {
    /// Their identifiers.
    #[oai(validator(min_items = 1, max_items = 100, unique_items))]
    pub ids: Vec<Uuid>,
    /// Why; who is told of it, each operation says.
    pub reason: Reason,
}

/// What has become of one.
#[derive(Debug, Object)]
#[oai(example)]
pub struct BulkResult {
    /// Its identifier.
    pub id: Uuid,
    /// Whether it was done.
    pub is_done: bool,
    /// Why it was not: the identifier that the operation on this one alone would fail with.
    #[oai(skip_serializing_if_is_none)]
    pub error: Option<String>,
    /// The same for people.
    #[oai(skip_serializing_if_is_none)]
    pub message: Option<String>,
}

/// What has become of each.
#[derive(Debug, Object)]
#[oai(example)]
pub struct BulkResults {
    /// In the order of the request.
    pub results: Vec<BulkResult>,
}

impl From<Row> for BulkResult {
    fn from(row: Row) -> Self {
        let failed = row.outcome.err();
        Self {
            id: row.id,
            is_done: failed.is_none(),
            error: failed.map(|code: Code| code.identifier().to_owned()),
            message: failed.map(|code| code.message().to_owned()),
        }
    }
}

impl From<Rows> for BulkResults {
    fn from(rows: Rows) -> Self {
        Self { results: rows.0.into_iter().map(Into::into).collect() }
    }
}

fn an_id() -> Uuid {
    Uuid::from_u128(0x0197_5b2e_7c40_7000_8000_0000_0000_0001)
}

impl Example for BulkRequest {
    fn example() -> Self {
        Self { ids: vec![an_id()], reason: Reason("Sends spam to other users.".to_owned()) }
    }
}

impl Example for BulkResult {
    fn example() -> Self {
        let code = Code::NotFound;
        Self {
            id: an_id(),
            is_done: false,
            error: Some(code.identifier().to_owned()),
            message: Some(code.message().to_owned()),
        }
    }
}

impl Example for BulkResults {
    fn example() -> Self {
        Self { results: vec![BulkResult::example()] }
    }
}
