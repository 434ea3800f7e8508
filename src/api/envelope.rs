//! The one shape of every JSON answer.

use poem_openapi::{
    ApiResponse as OpenApiResponse, Object,
    payload::Json,
    types::{Example, ParseFromJSON, ToJSON, Type},
};

use super::error::ApiError;
use crate::services::Code;

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
#[derive(Debug, Object)]
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
#[derive(Debug, Object)]
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
    pub errors: Option<Vec<InvalidField>>,
    /// Find the request in the log with it.
    pub request_id: String,
}

/// One page of a list.
#[derive(Debug, Object)]
#[oai(example)]
pub struct Page<T: ParseFromJSON + ToJSON + Type + Send + Sync + Example> {
    /// What is on this page.
    pub items: Vec<T>,
    /// How many there are on all pages.
    pub total: i64,
    /// How many a page holds.
    pub per_page: u32,
    /// Which page this is, from 1.
    pub current_page: u32,
    /// The number of the last page; 1 when there is nothing.
    pub last_page: i64,
    /// Whether a page follows.
    pub has_more: bool,
}

impl<T: ParseFromJSON + ToJSON + Type + Send + Sync + Example> Page<T> {
    /// One page out of `total` items in all.
    #[must_use]
    pub fn new(items: Vec<T>, total: i64, current_page: u32, per_page: u32) -> Self {
        let last_page = (total.max(1) + i64::from(per_page) - 1) / i64::from(per_page);
        let has_more = i64::from(current_page) < last_page;
        Self { items, total, per_page, current_page, last_page, has_more }
    }
}

impl<T: ParseFromJSON + ToJSON + Type + Send + Sync + Example> Example for ApiResponse<T> {
    fn example() -> Self {
        Self::success(T::example()).0
    }
}

impl<T: ParseFromJSON + ToJSON + Type + Send + Sync + Example> Example for Page<T> {
    fn example() -> Self {
        Self::new(vec![T::example()], 1, 1, 20)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted() {
        let page = |total, current| {
            let page = Page::<Done>::new(Vec::new(), total, current, 20);
            (page.last_page, page.has_more)
        };
        assert_eq!(page(0, 1), (1, false));
        assert_eq!(page(20, 1), (1, false));
        assert_eq!(page(21, 1), (2, true));
        assert_eq!(page(21, 2), (2, false));
        assert_eq!(page(21, 9), (2, false));
    }
}
