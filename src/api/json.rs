//! Reads JSON that a stranger has written.
//!
//! A value in memory takes up to eighty times its text, so the values are counted while they are
//! read. Names that come twice, of which parsers take the one or the other (RFC 8259, 4), and
//! texts that PostgreSQL can't hold are found on the way.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::validation::{self, MAX_FAULTS};
use crate::services::{Code, FieldError, ServiceError};

/// How many values a body may have, those inside others included: some megabytes of memory.
const MAX_VALUES: usize = 10_000;

/// Reads a whole text.
///
/// # Errors
/// [`Code::Malformed`] if it isn't JSON or is nested more than 127 deep, [`Code::TooLarge`] with too
/// many values, [`Code::ValidationFailed`] with names that come twice and texts with U+0000.
pub(super) fn read(text: &[u8]) -> Result<Value, ServiceError> {
    let mut reader = Reader { left: MAX_VALUES + 1, faults: Vec::new() };
    let mut json = serde_json::Deserializer::from_slice(text);
    let read = Seed { reader: &mut reader, place: Place::Root }.deserialize(&mut json);
    match read.and_then(|value| json.end().map(|()| value)) {
        Ok(value) if reader.faults.is_empty() => Ok(value),
        Ok(_) => Err(ServiceError::invalid(reader.faults)),
        Err(_) if reader.left == 0 => Err(Code::TooLarge.into()),
        Err(error) => Err(ServiceError::from(Code::Malformed).caused_by(error)),
    }
}

struct Reader {
    /// How many values may still come; the last one is never read, so 0 says why reading ended.
    left: usize,
    faults: Vec<FieldError>,
}

impl Reader {
    fn fault(&mut self, fault: impl FnOnce() -> FieldError) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault());
        }
    }

    fn text(&mut self, text: &str, place: Place<'_>) {
        if text.contains('\0') {
            self.fault(|| validation::nul(&place.to_string()));
        }
    }
}

/// Where a value stands. Written out for faults only: names may be long, and many below them.
#[derive(Clone, Copy)]
enum Place<'a> {
    Root,
    Member(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Self::Root, name) => f.write_str(name),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// One value that is about to be read.
struct Seed<'a> {
    reader: &'a mut Reader,
    place: Place<'a>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        self.reader.left = self.reader.left.saturating_sub(1);
        if self.reader.left == 0 {
            return Err(D::Error::custom("too many values"));
        }
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        self.reader.text(text, self.place);
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let Self { reader, place } = self;
        let mut items = Vec::new();
        loop {
            let place = Place::Item(&place, items.len());
            match access.next_element_seed(Seed { reader: &mut *reader, place })? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let Self { reader, place } = self;
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let place = Place::Member(&place, &name);
            reader.text(&name, place);
            if members.contains_key(&name) {
                let message = "is given more than once";
                reader.fault(|| FieldError::new(place.to_string(), "repeated", message));
            }
            let value = access.next_value_seed(Seed { reader: &mut *reader, place })?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<(String, &'static str)> {
        let error = read(text.as_bytes()).expect_err("faults");
        error.fields.into_iter().map(|fault| (fault.field, fault.rule)).collect()
    }

    fn code(text: &str) -> Code {
        read(text.as_bytes()).expect_err("a failure").code
    }

    #[test]
    fn what_is_read_is_what_serde_json_reads() {
        let text = r#" {"b": [1, -2, 3.5, 1e3, 18446744073709551615, true, null, "\u00e9\n"],
            "a": {"": {}, "x": []}} "#;
        let expected: Value = serde_json::from_str(text).expect("JSON");
        let found = read(text.as_bytes()).expect("JSON");
        assert_eq!(found, expected);
        assert_eq!(found.to_string(), expected.to_string(), "in the same order");
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for text in ["", "{", "nul", "{} {}", "[1,]", "{\"a\":1,}", "1e999", "\u{0}", "\"\u{1}\""] {
            assert_eq!(code(text), Code::Malformed, "{text:?}");
        }
        assert_eq!(code(&"[".repeat(200)), Code::Malformed);
        let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(deep(127).as_bytes()).is_ok());
        assert_eq!(code(&deep(128)), Code::Malformed);
    }

    #[test]
    fn values_are_counted() {
        let list = |count: usize, item: &str| format!("[{}]", vec![item; count].join(","));
        // The list is a value as well.
        assert!(read(list(MAX_VALUES - 1, "0").as_bytes()).is_ok());
        for item in ["0", "[]", "{}", "\"\"", "null"] {
            assert_eq!(code(&list(MAX_VALUES, item)), Code::TooLarge, "{item}");
        }
        let members: Vec<String> = (0..MAX_VALUES).map(|n| format!("\"{n}\":{{}}")).collect();
        assert_eq!(code(&format!("{{{}}}", members.join(","))), Code::TooLarge);
    }

    #[test]
    fn names_that_come_twice_are_found_everywhere() {
        let text = r#"{"a": 1, "b": [0, {"c": {"d": 1, "d": 1}}], "a": 2, "\u0061": 3}"#;
        let repeated = ["b[1].c.d", "a", "a"].map(|field| (field.to_owned(), "repeated"));
        assert_eq!(faults(text), repeated);
    }

    #[test]
    fn nul_is_found_everywhere() {
        let text = r#"{"a": "x\u0000", "b": [{"c": "\u0000"}], "d\u0000": "fine"}"#;
        let found = ["a", "b[0].c", "d\0"].map(|field| (field.to_owned(), "invalid_character"));
        assert_eq!(faults(text), found);
    }

    #[test]
    fn a_small_body_gets_no_large_answer() {
        let name = "n".repeat(100_000);
        let many = vec!["\"\\u0000\""; 5000].join(",");
        let found = faults(&format!("{{\"{name}\": [{many}]}}"));
        assert_eq!(found.len(), MAX_FAULTS);
        assert!(found.iter().all(|(field, _)| field.len() < 1000));
    }
}
