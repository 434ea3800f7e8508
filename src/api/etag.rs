//! Entity tags (RFC 9110, 8.8.3), and the conditions that name them (13.1).

use std::fmt;

use poem::{
    Request, RequestBody, Result,
    http::{HeaderMap, HeaderName, HeaderValue, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef},
    types::{Example, ParseFromJSON, ToJSON, Type},
};
use ring::digest::{SHA256, digest};

use super::{envelope::ApiResponse, error::ApiError};
use crate::{
    adapters::random::hex,
    services::{Code, Expected},
};

/// What our compression appends to a tag, inside its quotes: another encoding is another
/// representation (RFC 9110, 8.8.3.3), but of the same state.
pub(super) const GZIP_SUFFIX: &str = "-gzip";
/// The same, and what proxies append.
const ENCODINGS: [&str; 4] = [GZIP_SUFFIX, "-br", "-zstd", "-deflate"];

/// As documents name the header.
pub(super) const IF_MATCH: &str = "If-Match";
/// What documents say of lists of tags; `Condition` reads a little more.
pub(super) const PATTERN: &str = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#;
/// What the examples show as a tag.
pub(super) const EXAMPLE: &str = "\"5f0ad2c4e1b04c8f9a7d3b6e2c1f8a90\"";

/// The strong tag of an answer: 128 bits of the SHA-256 of its body, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag(String);

impl EntityTag {
    /// Of the bytes that are sent.
    #[must_use]
    pub fn of_body(body: &[u8]) -> Self {
        Self::of_sha256(digest(&SHA256, body).as_ref())
    }

    /// Of bytes with this checksum.
    #[must_use]
    pub fn of_sha256(sha256: &[u8]) -> Self {
        Self(hex(&sha256[..sha256.len().min(16)]))
    }

    /// What an answer states as its tag.
    pub fn stated(headers: &HeaderMap) -> Option<Self> {
        let opaque = headers.get(header::ETAG)?.to_str().ok()?.strip_prefix('"')?;
        Some(Self(opaque.strip_suffix('"')?.to_owned()))
    }

    /// Of the answer that reading this would give.
    pub fn of<T>(data: T) -> Self
    where
        T: ParseFromJSON + ToJSON + Type + Send + Sync + Example,
    {
        Self::of_body(ApiResponse::success(data).0.to_json_string().as_bytes())
    }

    /// For the `ETag` header.
    pub fn header(&self) -> Option<HeaderValue> {
        quoted(&self.0)
    }
}

/// As in the `ETag` header.
impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

fn quoted(opaque: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{opaque}\"")).ok()
}

/// What `If-Match` or `If-None-Match` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `*`: whatever there is.
    Any,
    Tags(Vec<Tag>),
}

/// A tag as a caller sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    is_weak: bool,
    opaque: String,
}

impl Tag {
    fn is_of(&self, state: &EntityTag) -> bool {
        let encoding = ENCODINGS.iter().find_map(|encoding| self.opaque.strip_suffix(encoding));
        encoding.unwrap_or(&self.opaque) == state.0
    }
}

impl Condition {
    /// All lines of the header together; `None` where there are none.
    ///
    /// # Errors
    /// What is no list of tags.
    pub fn read(headers: &HeaderMap, name: HeaderName) -> Result<Option<Self>, ApiError> {
        let lines = headers.get_all(name).iter();
        let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
        if lines.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self::parse(&lines.join(",")).ok_or(Code::Malformed)?))
    }

    fn parse(text: &str) -> Option<Self> {
        /// RFC 9110, 5.6.1: empty elements are no mistake.
        const BETWEEN: [char; 3] = [',', ' ', '\t'];
        if text.trim() == "*" {
            return Some(Self::Any);
        }
        let mut tags = Vec::new();
        let mut rest = text.trim_start_matches(BETWEEN);
        while !rest.is_empty() {
            let strong = rest.strip_prefix("W/");
            let (opaque, behind) = strong.unwrap_or(rest).strip_prefix('"')?.split_once('"')?;
            if opaque.chars().any(|c| c <= ' ' || c == '\u{7f}') {
                return None;
            }
            tags.push(Tag { is_weak: strong.is_some(), opaque: opaque.to_owned() });
            rest = behind.trim_start_matches(BETWEEN);
            let separated = &behind[..behind.len() - rest.len()];
            if !rest.is_empty() && !separated.contains(',') {
                return None;
            }
        }
        (!tags.is_empty()).then_some(Self::Tags(tags))
    }

    /// The strong comparison (8.8.3.2), for changes.
    #[must_use]
    pub fn is_met_by(&self, state: &EntityTag) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|tag| !tag.is_weak && tag.is_of(state)),
        }
    }

    /// The weak comparison, for reading: the tag that a caller already has of this state.
    #[must_use]
    pub fn held(&self, state: &EntityTag) -> Option<HeaderValue> {
        match self {
            Self::Any => state.header(),
            Self::Tags(tags) => {
                tags.iter().find(|tag| tag.is_of(state)).and_then(|tag| quoted(&tag.opaque))
            }
        }
    }
}

/// `If-Match`: the state that a change is meant for, as the tag of reading it.
pub struct IfMatch(Option<Condition>);

impl IfMatch {
    /// For a service; `T` is what reading answers of a row on this surface.
    #[must_use]
    pub fn expected<T, R>(self) -> Expected<R>
    where
        T: From<R> + ParseFromJSON + ToJSON + Type + Send + Sync + Example,
        R: Clone,
    {
        match self.0 {
            None | Some(Condition::Any) => Expected::anything(),
            Some(condition) => Expected::when(move |row: &R| {
                condition.is_met_by(&EntityTag::of(T::from(row.clone())))
            }),
        }
    }
}

impl<'a> ApiExtractor<'a> for IfMatch {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];

    type ParamType = ();
    type ParamRawType = ();

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    /// See [`header_parameters`](super::header_parameters).
    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(MetaSchemaRef::Inline(Box::new(MetaSchema {
            title: Some(IF_MATCH.to_owned()),
            description: Some(
                "The `ETag` of what is to be changed, as you have read it: 412 if it has changed \
                 meanwhile.",
            ),
            pattern: Some(PATTERN.to_owned()),
            example: Some(EXAMPLE.into()),
            ..MetaSchema::new("string")
        })))
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Ok(Self(Condition::read(request.headers(), header::IF_MATCH)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(opaque: &str, is_weak: bool) -> Tag {
        Tag { is_weak, opaque: opaque.to_owned() }
    }

    #[test]
    fn lists_of_tags_are_read_as_the_standard_has_them() {
        for (text, tags) in [
            ("\"a\"", vec![tag("a", false)]),
            ("W/\"a\"", vec![tag("a", true)]),
            ("\"\"", vec![tag("", false)]),
            ("\"a,b\" , \"c\"", vec![tag("a,b", false), tag("c", false)]),
            (", \"a\",,\tW/\"b\" ,", vec![tag("a", false), tag("b", true)]),
        ] {
            assert_eq!(Condition::parse(text), Some(Condition::Tags(tags)), "{text}");
        }
        assert_eq!(Condition::parse(" * "), Some(Condition::Any));
        for text in ["", ",", "a", "\"a", "a\"", "*, \"a\"", "\"a\" \"b\"", "w/\"a\"", "\"a b\""] {
            assert_eq!(Condition::parse(text), None, "{text}");
        }
    }

    #[test]
    fn changes_compare_strongly_and_reading_weakly() {
        let state = EntityTag("ab".to_owned());
        let is_met = |text| Condition::parse(text).expect("tags").is_met_by(&state);
        let held = |text| Condition::parse(text).expect("tags").held(&state);
        for text in ["\"ab\"", "\"x\", \"ab\"", "\"ab-gzip\"", "\"ab-br\"", "*"] {
            assert!(is_met(text) && held(text).is_some(), "{text}");
        }
        assert!(!is_met("W/\"ab\"") && held("W/\"ab\"").is_some());
        for text in ["\"x\"", "\"ab-\"", "\"ab-other\"", "\"AB\""] {
            assert!(!is_met(text) && held(text).is_none(), "{text}");
        }
        assert_eq!(held("\"x\", W/\"ab-br\""), Some(HeaderValue::from_static("\"ab-br\"")));
    }
}
