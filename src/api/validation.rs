//! Finds every fault of a value by the published schema.
//!
//! Typed parsers stop at their first failure; callers want to know of all. Walking the document
//! that callers have keeps what is enforced the same as what is promised.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::document::Document;
use crate::services::{FieldError, email_address::EmailAddress};

/// More faults than anybody reads; without a limit a small body could ask for a large answer.
pub(super) const MAX_FAULTS: usize = 100;

/// Every fault of `value` against a schema of `document`.
pub(super) fn check(document: &Document, schema: &Value, value: &Value) -> Vec<FieldError> {
    let mut walk = Walk { document, faults: Vec::new() };
    walk.value(schema, value, "");
    walk.faults
}

/// The fault of a text that PostgreSQL can't hold.
pub(super) fn nul(at: &str) -> FieldError {
    FieldError::new(at, "invalid_character", "must not contain the character U+0000")
}

/// Every fault of a query by the operation's parameters.
pub(super) fn check_query(document: &Document, operation: &Value, query: &str) -> Vec<FieldError> {
    let mut walk = Walk { document, faults: Vec::new() };
    let query: Vec<(String, String)> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut names = Vec::new();
    for parameter in parameters.iter().filter(|parameter| parameter["in"] == "query") {
        let name = parameter["name"].as_str().unwrap_or_default();
        let mut given = query.iter().filter(|(key, _)| key == name).map(|(_, text)| text);
        match (given.next(), given.next()) {
            (_, Some(_)) => walk.fault(name, "repeated", "must be given once"),
            (Some(text), None) if text.contains('\0') => walk.push(nul(name)),
            (Some(text), None) => {
                let value = typed(document, &parameter["schema"], text);
                walk.value(&parameter["schema"], &value, name);
            }
            (None, None) if parameter["required"] == true => walk.required(name),
            (None, None) => {}
        }
        names.push(name);
    }
    for (name, _) in &query {
        if !names.contains(&name.as_str()) {
            names.push(name);
            walk.fault(name, "unknown", "is not a known parameter");
        }
    }
    walk.faults
}

/// The text of a parameter as the type that its schema asks for, if it can be read so.
fn typed(document: &Document, schema: &Value, text: &str) -> Value {
    let schema = document.resolve(schema);
    let parsed = match schema["type"].as_str() {
        Some("integer") => text.parse::<i64>().ok().map(Value::from),
        Some("number") => text.parse::<f64>().ok().map(Value::from),
        Some("boolean") => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    parsed.unwrap_or_else(|| Value::from(text))
}

fn child(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

struct Walk<'a> {
    document: &'a Document,
    faults: Vec<FieldError>,
}

impl Walk<'_> {
    fn fault(&mut self, at: &str, rule: &'static str, message: impl Into<String>) {
        self.push(FieldError::new(at, rule, message));
    }

    fn push(&mut self, fault: FieldError) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }

    fn required(&mut self, at: &str) {
        self.fault(at, "required", "is required");
    }

    fn value(&mut self, schema: &Value, value: &Value, at: &str) {
        if self.faults.len() >= MAX_FAULTS {
            return;
        }
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        let schema = self.document.resolve(schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.value(part, value, at);
        }
        let expected = schema["type"].as_str().unwrap_or_default();
        let fits = match expected {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            _ => true,
        };
        if !fits {
            return self.fault(at, "type", format!("must be of type {expected}"));
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            let names: Vec<String> = allowed
                .iter()
                .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
                .collect();
            return self.fault(at, "enum", format!("must be one of {}", names.join(", ")));
        }
        match value {
            Value::String(text) => self.text(schema, text, at),
            Value::Number(number) => self.number(schema, number.as_f64().unwrap_or(f64::NAN), at),
            Value::Array(items) => self.array(schema, items, at),
            Value::Object(members) => self.object(schema, members, at),
            _ => {}
        }
    }

    fn text(&mut self, schema: &Value, text: &str, at: &str) {
        let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
        if let Some(min) = schema["minLength"].as_u64().filter(|min| length < *min) {
            self.fault(at, "too_short", format!("must have at least {min} characters"));
        } else if let Some(max) = schema["maxLength"].as_u64().filter(|max| length > *max) {
            self.fault(at, "too_long", format!("must have at most {max} characters"));
        } else if let Some(pattern) =
            schema["pattern"].as_str().filter(|p| !self.document.matches(p, text))
        {
            self.fault(at, "pattern", format!("must match {pattern}"));
        } else {
            match schema["format"].as_str() {
                Some("email") if text.parse::<EmailAddress>().is_err() => {
                    self.push(EmailAddress::fault(at));
                }
                Some("uuid") if text.parse::<uuid::Uuid>().is_err() => {
                    self.fault(at, "uuid", "must be a UUID");
                }
                Some("date-time") if chrono::DateTime::parse_from_rfc3339(text).is_err() => {
                    self.fault(at, "date_time", "must be a time as in RFC 3339");
                }
                _ => {}
            }
        }
    }

    fn number(&mut self, schema: &Value, number: f64, at: &str) {
        if let Some(min) = schema["minimum"].as_f64().filter(|min| number < *min) {
            self.fault(at, "too_small", format!("must be at least {min}"));
        } else if let Some(max) = schema["maximum"].as_f64().filter(|max| number > *max) {
            self.fault(at, "too_large", format!("must be at most {max}"));
        }
    }

    fn array(&mut self, schema: &Value, items: &[Value], at: &str) {
        let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
        if let Some(min) = schema["minItems"].as_u64().filter(|min| count < *min) {
            self.fault(at, "too_few", format!("must have at least {min} items"));
        } else if let Some(max) = schema["maxItems"].as_u64().filter(|max| count > *max) {
            self.fault(at, "too_many", format!("must have at most {max} items"));
        }
        let mut seen = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            let at = format!("{at}[{index}]");
            if schema["uniqueItems"] == true && !seen.insert(item.to_string()) {
                self.fault(&at, "repeated", "is there already".to_owned());
            }
            self.value(&schema["items"], item, &at);
        }
    }

    fn object(&mut self, schema: &Value, members: &Map<String, Value>, at: &str) {
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if members.get(name).is_none_or(Value::is_null) {
                self.required(&child(at, name));
            }
        }
        let is_required = |name: &str| {
            schema["required"].as_array().is_some_and(|names| names.iter().any(|n| n == name))
        };
        for (name, member) in members {
            match properties.get(name) {
                Some(_) if member.is_null() && is_required(name) => {}
                Some(property) => self.value(property, member, &child(at, name)),
                _ if self.faults.len() >= MAX_FAULTS => return,
                None if schema["additionalProperties"] == false => {
                    self.fault(&child(at, name), "unknown", "is not a known field");
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use poem::{EndpointExt, Route};
    use serde_json::json;

    use super::*;
    use crate::api::version::{ApiVersion, Surface};

    fn faults(schema: &Value, value: &Value) -> Vec<(String, &'static str)> {
        let document = json!({
            "paths": {},
            "components": {"schemas": {"Body": schema, "City": {"type": "string", "maxLength": 3}}}
        });
        let version = ApiVersion {
            surface: Surface::Client,
            version: "v1",
            spec: document.to_string(),
            endpoint: Route::new().map_to_response().boxed(),
            deprecations: Vec::new(),
        };
        let document = Document::finish(&version, None);
        let found = check(&document, document.schema("Body"), value);
        found.into_iter().map(|fault| (fault.field, fault.rule)).collect()
    }

    #[test]
    fn every_fault_is_named_with_its_path() {
        let schema = json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["email", "age", "name"],
            "properties": {
                "email": {"type": "string", "format": "email"},
                "age": {"type": "integer", "minimum": 18},
                "name": {"type": "string", "minLength": 2},
                "note": {"type": "string", "nullable": true},
                "address": {"type": "object", "properties": {"city": {"$ref": "#/components/schemas/City"}}},
                "items": {"type": "array", "maxItems": 2, "items": {
                    "type": "object", "required": ["qty"], "properties": {"qty": {"type": "integer", "maximum": 9}}}},
                "tags": {"type": "array", "uniqueItems": true},
                "color": {"type": "string", "enum": ["red", "blue"]},
                "id": {"type": "string", "format": "uuid"},
                "code": {"type": "string", "pattern": "^[0-9]{2}$"}
            }
        });
        let value = json!({
            "email": "nope", "age": 3, "note": null, "address": {"city": "Paris"},
            "items": [{"qty": 1}, {"qty": 10}, {}], "tags": [1, 2, 1], "color": "green", "id": "x", "code": "a1",
            "extra": true
        });
        assert_eq!(
            faults(&schema, &value),
            [
                ("name".to_owned(), "required"),
                ("email".to_owned(), "email"),
                ("age".to_owned(), "too_small"),
                ("address.city".to_owned(), "too_long"),
                ("items".to_owned(), "too_many"),
                ("items[1].qty".to_owned(), "too_large"),
                ("items[2].qty".to_owned(), "required"),
                ("tags[2]".to_owned(), "repeated"),
                ("color".to_owned(), "enum"),
                ("id".to_owned(), "uuid"),
                ("code".to_owned(), "pattern"),
                ("extra".to_owned(), "unknown"),
            ]
        );
    }

    #[test]
    fn a_wrong_type_is_named_once() {
        assert_eq!(faults(&json!({"type": "object"}), &json!([])), [(String::new(), "type")]);
        assert_eq!(faults(&json!({"type": "integer"}), &json!(1.5)), [(String::new(), "type")]);
    }

    #[test]
    fn a_small_body_gets_no_large_answer() {
        let many: Map<String, Value> = (0..5000).map(|n| (n.to_string(), json!("\0"))).collect();
        let schema = json!({"type": "object", "additionalProperties": false});
        let value = Value::Object(many);
        assert_eq!(faults(&schema, &value).len(), MAX_FAULTS);
    }
}
