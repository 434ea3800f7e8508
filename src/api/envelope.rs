//! The one shape of every JSON answer.

use poem_openapi::{
    ApiResponse as OpenApiResponse, Object,
    payload::Json,
    types::{ParseFromJSON, ToJSON, Type},
};

use super::error::ApiError;

/// What a handler returns: data in the envelope, or a failure.
pub type Answer<T> = Result<Json<ApiResponse<T>>, ApiError>;

/// A successful answer with data.
#[derive(Debug, Object)]
pub struct ApiResponse<T: ParseFromJSON + ToJSON + Type + Send + Sync> {
    /// 200: the operation succeeded.
    pub code: u16,
    /// Safe to show to a person.
    pub message: String,
    /// What was asked for.
    pub data: T,
}

impl<T: ParseFromJSON + ToJSON + Type + Send + Sync> ApiResponse<T> {
    /// Wraps the data of a successful answer.
    pub fn success(data: T) -> Json<Self> {
        Json(Self { code: 200, message: "Success".to_owned(), data })
    }
}

/// A successful answer without data.
#[derive(Debug, Object)]
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
pub struct Page<T: ParseFromJSON + ToJSON + Type + Send + Sync> {
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

impl<T: ParseFromJSON + ToJSON + Type + Send + Sync> Page<T> {
    /// One page out of `total` items in all.
    #[must_use]
    pub fn new(items: Vec<T>, total: i64, current_page: u32, per_page: u32) -> Self {
        let last_page = (total.max(1) + i64::from(per_page) - 1) / i64::from(per_page);
        let has_more = i64::from(current_page) < last_page;
        Self { items, total, per_page, current_page, last_page, has_more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted() {
        let page = |total, current| {
            let page = Page::<String>::new(Vec::new(), total, current, 20);
            (page.last_page, page.has_more)
        };
        assert_eq!(page(0, 1), (1, false));
        assert_eq!(page(20, 1), (1, false));
        assert_eq!(page(21, 1), (2, true));
        assert_eq!(page(21, 2), (2, false));
        assert_eq!(page(21, 9), (2, false));
    }
}
