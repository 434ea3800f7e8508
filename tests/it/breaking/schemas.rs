//! What a changed schema breaks: for those who send values of it, and for those who read them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Break, Documents, names};

/// Which way values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// What was sent must go on being accepted.
    Sent,
    /// What is read must go on being what it was.
    Read,
}

/// A comparison under way.
pub struct Schemas<'a> {
    pub documents: Documents<'a>,
    pub breaks: BTreeSet<Break>,
    /// The pairs of named schemas that have been compared, which may refer to themselves.
    done: BTreeSet<(Use, String, String)>,
}

/// Lower and upper limits, of which the new one must leave room for all that was sent.
const LIMITS: [(&str, bool); 6] = [
    ("minimum", true),
    ("minLength", true),
    ("minItems", true),
    ("maximum", false),
    ("maxLength", false),
    ("maxItems", false),
];

impl<'a> Schemas<'a> {
    pub fn new(documents: Documents<'a>) -> Self {
        Self { documents, breaks: BTreeSet::new(), done: BTreeSet::new() }
    }

    /// Compares two schemas; `subject` is the operation or schema that they are part of, `at` the
    /// place in it.
    pub fn compare(&mut self, way: Use, subject: &str, at: &str, old: &Value, new: &Value) {
        let ((old, old_name), (new, new_name)) =
            (resolve(self.documents.old, old), resolve(self.documents.new, new));
        let (mut subject, mut at) = (subject, at);
        if let (Some(old_name), Some(new_name)) = (old_name, new_name) {
            if !self.done.insert((way, old_name.to_owned(), new_name.to_owned())) {
                return;
            }
            (subject, at) = (old_name, "");
        }
        let before = self.breaks.len();
        self.value(way, subject, at, &old, &new);
        if self.breaks.len() > before && old["type"] != new["type"] {
            return;
        }
        self.properties(way, subject, at, &old, &new);
        if old["items"].is_object() && new["items"].is_object() {
            self.compare(way, subject, &format!("{at}[]"), &old["items"], &new["items"]);
        }
    }

    fn add(&mut self, way: Use, subject: &str, at: &str, what: &str) {
        let whose = match way {
            Use::Sent => "requests",
            Use::Read => "answers",
        };
        let place = if at.is_empty() { "it".to_owned() } else { format!("`{at}`") };
        self.breaks.insert(Break::new(subject, format!("in {whose} {place} {what}")));
    }

    /// The value itself: its type, whether it may be null, what it may be.
    fn value(&mut self, way: Use, subject: &str, at: &str, old: &Value, new: &Value) {
        // Whoever takes values must take as many as those who give them may give.
        let (given, taken) = match way {
            Use::Sent => (old, new),
            Use::Read => (new, old),
        };
        let is_whole = given["type"] == "integer" && taken["type"] == "number";
        if given["type"] != taken["type"] && !taken["type"].is_null() && !is_whole {
            self.add(way, subject, at, &format!("was {} and is {}", old["type"], new["type"]));
        }
        if given["nullable"] == true && taken["nullable"] != true {
            let what = match way {
                Use::Sent => "can't be null now",
                Use::Read => "may be null now",
            };
            self.add(way, subject, at, what);
        }
        let values = |schema: &Value| schema["enum"].as_array().cloned();
        let is_known = match (values(given), values(taken)) {
            (Some(given), Some(taken)) => given.iter().all(|value| taken.contains(value)),
            (None, Some(_)) => false,
            (_, None) => true,
        };
        if !is_known {
            self.add(way, subject, at, "has other values to choose from");
        }
        if taken["format"] != given["format"] && !taken["format"].is_null() {
            self.add(
                way,
                subject,
                at,
                &format!("had format {}, has {}", old["format"], new["format"]),
            );
        }
        for combination in ["allOf", "anyOf", "oneOf", "not"] {
            if old[combination] != new[combination] {
                self.add(way, subject, at, &format!("has another {combination}"));
            }
        }
        if way == Use::Sent {
            self.limits(subject, at, old, new);
        }
    }

    fn limits(&mut self, subject: &str, at: &str, old: &Value, new: &Value) {
        for (name, is_lower) in LIMITS {
            let Some(limit) = new[name].as_f64() else { continue };
            let fits = old[name]
                .as_f64()
                .is_some_and(|old| if is_lower { limit <= old } else { limit >= old });
            if !fits {
                self.add(Use::Sent, subject, at, &format!("has a narrower {name}: {limit}"));
            }
        }
        if !new["pattern"].is_null() && new["pattern"] != old["pattern"] {
            self.add(Use::Sent, subject, at, &format!("must match {}", new["pattern"]));
        }
    }

    fn properties(&mut self, way: Use, subject: &str, at: &str, old: &Value, new: &Value) {
        let none = Map::new();
        let of = |schema: &'_ Value| schema["properties"].as_object().unwrap_or(&none).clone();
        let (had, has) = (of(old), of(new));
        let (must, must_now) = (names(&old["required"]), names(&new["required"]));
        for (name, before) in &had {
            let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            match has.get(name) {
                Some(now) => self.compare(way, subject, &at, before, now),
                None => self.add(way, subject, &at, "is gone"),
            }
        }
        let (demanded, what) = match way {
            Use::Sent => (&must_now - &must, "is required now"),
            Use::Read => (&must - &must_now, "may be absent now"),
        };
        for name in demanded.iter().filter(|name| has.contains_key(*name)) {
            let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            self.add(way, subject, &at, what);
        }
    }
}

/// The schema itself, where it is a reference or wraps one, and the name that it goes by.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> (Value, Option<&'a str>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let found = document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
        let (found, _) = resolve(document, found);
        return (found, reference.rsplit('/').next());
    }
    let Some([wrapped]) = schema["allOf"].as_array().map(Vec::as_slice) else {
        return (schema.clone(), None);
    };
    let (mut found, name) = resolve(document, wrapped);
    if schema["nullable"] == true {
        found["nullable"] = json!(true);
    }
    (found, name)
}
