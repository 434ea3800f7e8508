//! The one shape of every JSON answer.

use poem_openapi::{
    ApiResponse as OpenApiResponse, Object,
    payload::Json,
    types::{Example, ParseFromJSON, ToJSON, Type},
};
use serde::Serialize;

use super::error::ApiError;
use crate::services::{Code, cursors::Listed};

/// What a handler returns: data in the envelope, or a failure.
pub type Answer<T> = Result<Json<ApiResponse<T>>, ApiError>;

/// A successful answer with data.
#[derive(Debug, Object)]
#[oai(example)]
pub struct ApiResponse<T: ParseFromJSON + ToJSON + Type + Send + Sync + Example> {
    /// 200: the operation succeeded.
    pub code: u16,
    /// Safe to show to a person.
    pub message: String,
    /// What was asked for.
    pub data: T,
}

impl<T: ParseFromJSON + ToJSON + Type + Send + Sync + Example> ApiResponse<T> {
    /// Wraps the data of a successful answer.
    pub fn success(data: T) -> Json<Self> {
        Json(Self { code: 200, message: "Success".to_owned(), data })
    }
}

/// A successful answer without data.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Done {
    /// 200: the operation succeeded.
    pub code: u16,
    /// Safe to show to a person.
    pub message: String,
}

impl Done {
    /// Says in words what was done.
    #[must_use]
    pub fn with(message: &str) -> Json<Self> {
        Json(Self { code: 200, message: message.to_owned() })
    }
}

/// 204: done, and nothing to say about it.
#[derive(OpenApiResponse)]
pub enum NoContent {
    /// Done.
    #[oai(status = 204)]
    Done,
}

/// A field that is not valid.
#[derive(Debug, Object, Serialize)]
#[oai(example)]
pub struct InvalidField {
    /// Which field, as in `address.city` or `items[2].qty`.
    pub field: String,
    /// The rule that it breaks, for programs.
    pub error: String,
    /// The rule that it breaks, for people.
    pub message: String,
}

/// A failure.
#[derive(Debug, Object, Serialize)]
#[oai(example)]
pub struct ErrorResponse {
    /// The HTTP status, or a business code of four digits.
    pub code: u16,
    /// Safe to show to a person.
    pub message: String,
    /// A stable identifier to switch on.
    pub error: String,
    /// Every field that is not valid.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<InvalidField>>,
    /// Find the request in the log with it.
    pub request_id: String,
}

/// What the examples show as a cursor.
pub(super) const EXAMPLE_CURSOR: &str = "q2S8mFvN0cWJbXyTz41uRkDpLh7aE9Ug";

/// One page of a table.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Page<T: ParseFromJSON + ToJSON + Type + Send + Sync + Example> {
    /// What is on this page.
    pub items: Vec<T>,
    /// How many there are on all pages; absent when asked for by cursor.
    #[oai(skip_serializing_if_is_none)]
    pub total: Option<i64>,
    /// Whether there are more than `total`: no more than 2,000 are counted, and pages behind them are read best by
    /// cursor. Absent when asked for by cursor.
    #[oai(skip_serializing_if_is_none)]
    pub total_is_capped: Option<bool>,
    /// How many a page holds.
    pub per_page: u32,
    /// Which page this is, from 1; absent when asked for by cursor.
    #[oai(skip_serializing_if_is_none)]
    pub current_page: Option<u32>,
    /// The number of the last page, 1 when there is nothing; absent when asked for by cursor.
    #[oai(skip_serializing_if_is_none)]
    pub last_page: Option<i64>,
    /// Whether a page follows.
    pub has_more: bool,
    /// The `cursor` of the next page; absent on the last.
    #[oai(skip_serializing_if_is_none)]
    pub next_cursor: Option<String>,
}

/// One page of a feed.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CursorPage<T: ParseFromJSON + ToJSON + Type + Send + Sync + Example> {
    /// What is on this page.
    pub items: Vec<T>,
    /// The `cursor` of the next page; absent on the last.
    #[oai(skip_serializing_if_is_none)]
    pub next_cursor: Option<String>,
    /// Whether a page follows.
    pub has_more: bool,
}

impl<R, T> From<Listed<R>> for Page<T>
where
    T: From<R> + ParseFromJSON + ToJSON + Type + Send + Sync + Example,
{
    fn from(listed: Listed<R>) -> Self {
        let per_page = i64::from(listed.limit.max(1));
        let last_page = |total: i64| (total.max(1) + per_page - 1) / per_page;
        Self {
            items: listed.items.into_iter().map(T::from).collect(),
            total: listed.numbered.map(|numbered| numbered.total.rows),
            total_is_capped: listed.numbered.map(|numbered| numbered.total.is_capped),
            per_page: listed.limit,
            current_page: listed.numbered.map(|numbered| numbered.page),
            last_page: listed.numbered.map(|numbered| last_page(numbered.total.rows)),
            has_more: listed.next_cursor.is_some(),
            next_cursor: listed.next_cursor,
        }
    }
}

impl<R, T> From<Listed<R>> for CursorPage<T>
where
    T: From<R> + ParseFromJSON + ToJSON + Type + Send + Sync + Example,
{
    fn from(listed: Listed<R>) -> Self {
        Self {
            items: listed.items.into_iter().map(T::from).collect(),
            has_more: listed.next_cursor.is_some(),
            next_cursor: listed.next_cursor,
        }
    }
}

impl<T: ParseFromJSON + ToJSON + Type + Send + Sync + Example> Example for ApiResponse<T> {
    fn example() -> Self {
        Self::success(T::example()).0
    }
}

impl<T: ParseFromJSON + ToJSON + Type + Send + Sync + Example> Example for Page<T> {
    fn example() -> Self {
        Self {
            items: vec![T::example()],
            total: Some(41),
            total_is_capped: Some(false),
            per_page: 20,
            current_page: Some(1),
            last_page: Some(3),
            has_more: true,
            next_cursor: Some(EXAMPLE_CURSOR.to_owned()),
        }
    }
}

impl<T: ParseFromJSON + ToJSON + Type + Send + Sync + Example> Example for CursorPage<T> {
    fn example() -> Self {
        let next_cursor = Some(EXAMPLE_CURSOR.to_owned());
        Self { items: vec![T::example()], next_cursor, has_more: true }
    }
}

impl Example for Done {
    fn example() -> Self {
        Self::with("Done.").0
    }
}

impl Example for InvalidField {
    fn example() -> Self {
        Self {
            field: "email".to_owned(),
            error: "required".to_owned(),
            message: "is required".to_owned(),
        }
    }
}

impl Example for ErrorResponse {
    fn example() -> Self {
        Self {
            code: Code::ValidationFailed.number(),
            message: Code::ValidationFailed.message().to_owned(),
            error: Code::ValidationFailed.identifier().to_owned(),
            errors: Some(vec![InvalidField::example()]),
            request_id: "01975b2e-7c40-7000-8000-000000000001".to_owned(),
        }
    }
}
