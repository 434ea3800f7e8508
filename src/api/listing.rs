//! What lists have in common: their parameters, and what these ask for.
//!
//! A table takes `page`, `per_page`, `cursor` and `sort` and answers a `Page`; a feed takes
//! `cursor`, `limit` and `sort` and answers a `CursorPage`.

use std::{borrow::Cow, marker::PhantomData};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;

use crate::{
    db::keyset::{Sort, Sortable},
    services::{
        FieldError, Result, ServiceError,
        cursors::{ListRequest, Start},
    },
};

/// How many items a page holds unless callers say.
const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// Which page, from 1.
#[derive(Debug, Clone, Copy)]
pub struct PageNumber(pub u32);

/// How many items a page holds.
#[derive(Debug, Clone, Copy)]
pub struct PageSize(pub u32);

/// Where a page starts, as the one before it has told.
#[derive(Debug, Clone)]
pub struct Cursor(pub String);

/// The columns that a list is sorted by, as in `-created_at,email`.
#[derive(Debug, Clone)]
pub struct SortText<S>(String, PhantomData<S>);

impl Default for PageSize {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

impl<S: Sortable> Default for SortText<S> {
    fn default() -> Self {
        Self(S::DEFAULT.to_owned(), PhantomData)
    }
}

/// What a table asks for: a page by its number, or by cursor.
///
/// # Errors
/// When both are given, or a column is named twice.
pub fn table_request<S: Sortable>(
    page: Option<PageNumber>,
    per_page: PageSize,
    cursor: Option<Cursor>,
    sort: &SortText<S>,
) -> Result<ListRequest<S>> {
    let start = match (page, cursor) {
        (page, None) => Start::Page(page.map_or(1, |page| page.0)),
        (None, Some(cursor)) => Start::Cursor(cursor.0),
        (Some(_), Some(_)) => {
            let fault = FieldError::new("page", "conflict", "must not be given with a cursor");
            return Err(ServiceError::invalid(vec![fault]));
        }
    };
    Ok(ListRequest { start, limit: per_page.0, sort: parse_sort(sort)? })
}

/// What a feed asks for: its beginning, or where the cursor says.
///
/// # Errors
/// When a column is named twice.
pub fn feed_request<S: Sortable>(
    cursor: Option<Cursor>,
    limit: PageSize,
    sort: &SortText<S>,
) -> Result<ListRequest<S>> {
    let start = cursor.map_or(Start::First, |cursor| Start::Cursor(cursor.0));
    Ok(ListRequest { start, limit: limit.0, sort: parse_sort(sort)? })
}

fn parse_sort<S: Sortable>(sort: &SortText<S>) -> Result<Sort<S>> {
    Sort::parse(&sort.0).ok_or_else(|| {
        let names: Vec<_> = S::COLUMNS.iter().map(|column| column.name).collect();
        let names = names.join(", ");
        let message = format!("must name each of {names} at most once, with - for descending");
        ServiceError::invalid(vec![FieldError::new("sort", "sort", message)])
    })
}

/// Makes a type that a parameter can have: its schema, and how it is read and written.
macro_rules! parameter_type {
    ($name:ident $(<$list:ident>)?, $schema_name:literal, $schema:expr, $parse:expr, $json:expr) => {
        impl $(<$list: Sortable>)? Type for $name $(<$list>)? {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $schema_name.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(self.as_raw_value().into_iter())
            }
        }

        impl $(<$list: Sortable>)? ParseFromParameter for $name $(<$list>)? {
            fn parse_from_parameter(text: &str) -> ParseResult<Self> {
                let parse: fn(&str) -> Option<Self> = $parse;
                parse(text).ok_or_else(|| ParseError::custom("not valid"))
            }
        }

        impl $(<$list: Sortable>)? ToJSON for $name $(<$list>)? {
            fn to_json(&self) -> Option<Value> {
                let json: fn(&Self) -> Value = $json;
                Some(json(self))
            }
        }
    };
}

parameter_type!(
    PageNumber,
    "page_number",
    MetaSchema {
        minimum: Some(1.0),
        example: Some(1.into()),
        ..MetaSchema::new_with_format("integer", "uint32")
    },
    |text| text.parse().ok().filter(|page| *page >= 1).map(Self),
    |page| page.0.into()
);
parameter_type!(
    PageSize,
    "page_size",
    MetaSchema {
        minimum: Some(1.0),
        maximum: Some(MAX_LIMIT.into()),
        example: Some(DEFAULT_LIMIT.into()),
        ..MetaSchema::new_with_format("integer", "uint32")
    },
    |text| text.parse().ok().filter(|size| (1..=MAX_LIMIT).contains(size)).map(Self),
    |size| size.0.into()
);
parameter_type!(
    Cursor,
    "cursor",
    MetaSchema {
        max_length: Some(2048),
        pattern: Some("^[A-Za-z0-9_-]+$".to_owned()),
        example: Some(super::envelope::EXAMPLE_CURSOR.into()),
        ..MetaSchema::new("string")
    },
    |text| Some(Self(text.to_owned())),
    |cursor| cursor.0.as_str().into()
);
parameter_type!(
    SortText<S>,
    "sort",
    MetaSchema {
        pattern: Some(Sort::<S>::pattern()),
        example: Some(S::DEFAULT.into()),
        ..MetaSchema::new("string")
    },
    |text| Some(Self(text.to_owned(), PhantomData)),
    |sort| sort.0.as_str().into()
);
