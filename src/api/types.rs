//! Kinds of text that requests bring, checked as they are read.

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{
        Example, MaybeUndefined, ParseError, ParseFromJSON, ParseFromParameter, ParseResult,
        ToJSON, Type,
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::{
    db::posts::PostKey,
    services::{email_address::EmailAddress, files::FileType, passwords, permissions::Permission},
};

/// A mail address.
#[derive(Debug, Clone)]
pub struct Email(pub EmailAddress);

/// A password that is to be set: its length is part of the document.
#[derive(Debug, Clone)]
pub struct NewPassword(pub SecretString);

/// A secret that is to be compared: a password in use, a code, a token.
#[derive(Debug, Clone)]
pub struct SecretText(pub SecretString);

/// A text to search for; PostgreSQL has no text with U+0000.
#[derive(Debug, Clone)]
pub struct SearchText(pub String);

/// What a post is named by: its identifier, or its slug.
#[derive(Debug, Clone)]
pub struct PostName(String);

/// A word that posts are found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagName(pub String);

/// Why staff do something, for the record: not blank.
#[derive(Debug, Clone)]
pub struct Reason(pub String);

/// The name of a permission of staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PermissionName(pub Permission);

/// The media type of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileTypeName(pub FileType);

impl FileTypeName {
    fn parse(text: &str) -> Option<Self> {
        FileType::parse(text).map(Self)
    }
}

impl SearchText {
    /// As long as an address may be.
    const MAX: usize = 254;

    fn parse(text: &str) -> Option<Self> {
        let fits = (1..=Self::MAX).contains(&text.chars().count()) && !text.contains('\0');
        fits.then(|| Self(text.to_owned()))
    }
}

/// Makes texts parameters as well.
macro_rules! parameters {
    ($($name:ident),+) => {
        $(impl ParseFromParameter for $name {
            fn parse_from_parameter(text: &str) -> ParseResult<Self> {
                Self::parse(text).ok_or_else(|| ParseError::custom("not valid"))
            }
        })+
    };
}
parameters!(FileTypeName, SearchText, PostName, TagName);

impl PostName {
    /// As long as slugs may become.
    const MAX: usize = 100;

    fn parse(text: &str) -> Option<Self> {
        let is_part = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let fits = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(is_part);
        fits.then(|| Self(text.to_owned()))
    }

    /// As the database looks for it.
    #[must_use]
    pub fn key(&self) -> PostKey {
        self.0.parse().map_or_else(|_| PostKey::Slug(self.0.clone()), PostKey::Id)
    }
}

impl TagName {
    const MAX: usize = 30;

    fn parse(text: &str) -> Option<Self> {
        let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(is_part);
        fits.then(|| Self(text.to_owned()))
    }
}

impl Reason {
    const MAX: usize = 1000;

    fn parse(text: &str) -> Option<Self> {
        let is_blank = text.chars().all(|c| c <= ' ');
        let fits = !is_blank && text.chars().count() <= Self::MAX && !text.contains('\0');
        fits.then(|| Self(text.to_owned()))
    }
}

/// A field of a partial change: `None` leaves alone, `Some(None)` clears.
#[must_use]
pub fn nullable<T>(field: MaybeUndefined<T>) -> Option<Option<T>> {
    match field {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// The longest secret that is compared, in characters; a token has about 500.
pub const MAX_SECRET: usize = 2048;

impl SecretText {
    /// The text, to compare it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Example for Email {
    #[expect(clippy::expect_used, reason = "a constant that a test reads")]
    fn example() -> Self {
        Self("ada@example.com".parse().expect("an address"))
    }
}

macro_rules! text_type {
    ($name:ident, $schema_name:literal, $schema:expr, $parse:expr, $text:expr) => {
        impl Type for $name {
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

        impl ParseFromJSON for $name {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                let parse: fn(&str) -> Option<Self> = $parse;
                match value.unwrap_or_default() {
                    Value::String(text) => {
                        parse(&text).ok_or_else(|| ParseError::custom("not valid"))
                    }
                    other => Err(ParseError::expected_type(other)),
                }
            }
        }

        impl ToJSON for $name {
            fn to_json(&self) -> Option<Value> {
                let text: fn(&Self) -> &str = $text;
                Some(text(self).into())
            }
        }
    };
}

text_type!(
    Email,
    "string_email",
    MetaSchema { max_length: Some(254), ..MetaSchema::new_with_format("string", "email") },
    |text| text.parse().ok().map(Self),
    |email| email.0.as_str()
);
text_type!(
    NewPassword,
    "string_new_password",
    MetaSchema {
        min_length: Some(passwords::MIN_LENGTH),
        max_length: Some(passwords::MAX_LENGTH),
        ..MetaSchema::new_with_format("string", "password")
    },
    |text| {
        let length = text.chars().count();
        let fits = (passwords::MIN_LENGTH..=passwords::MAX_LENGTH).contains(&length);
        fits.then(|| Self(text.into()))
    },
    |password| password.0.expose_secret()
);
text_type!(
    SecretText,
    "string_secret",
    MetaSchema {
        min_length: Some(1),
        max_length: Some(MAX_SECRET),
        ..MetaSchema::new_with_format("string", "password")
    },
    |text| (1..=MAX_SECRET).contains(&text.chars().count()).then(|| Self(text.into())),
    SecretText::expose
);
text_type!(
    PermissionName,
    "string_permission",
    MetaSchema {
        enum_items: Permission::ALL.iter().map(|permission| permission.text().into()).collect(),
        ..MetaSchema::new("string")
    },
    |text| Permission::parse(text).map(Self),
    |name| name.0.text()
);
text_type!(
    FileTypeName,
    "string_file_type",
    MetaSchema {
        enum_items: FileType::NAMES.iter().map(|name| (*name).into()).collect(),
        ..MetaSchema::new("string")
    },
    FileTypeName::parse,
    |name| name.0.text()
);
text_type!(
    SearchText,
    "string_search",
    MetaSchema {
        min_length: Some(1),
        max_length: Some(SearchText::MAX),
        ..MetaSchema::new("string")
    },
    SearchText::parse,
    |search| &search.0
);
text_type!(
    TagName,
    "string_tag",
    MetaSchema {
        pattern: Some("^[a-z0-9-]+$".to_owned()),
        min_length: Some(1),
        max_length: Some(TagName::MAX),
        ..MetaSchema::new("string")
    },
    TagName::parse,
    |tag| &tag.0
);
text_type!(
    PostName,
    "string_post",
    MetaSchema {
        pattern: Some("^[A-Za-z0-9-]+$".to_owned()),
        min_length: Some(1),
        max_length: Some(PostName::MAX),
        ..MetaSchema::new("string")
    },
    PostName::parse,
    |name| &name.0
);

impl Example for PostName {
    fn example() -> Self {
        Self("on-the-analytical-engine-0000000001".to_owned())
    }
}
text_type!(
    Reason,
    "string_reason",
    MetaSchema {
        min_length: Some(1),
        max_length: Some(Reason::MAX),
        pattern: Some(r"^[^\x00]*[^\x00-\x20][^\x00]*$".to_owned()),
        ..MetaSchema::new("string")
    },
    Reason::parse,
    |reason| &reason.0
);
