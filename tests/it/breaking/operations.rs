//! What a changed operation breaks.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    Break, Documents,
    schemas::{Schemas, Use},
};

/// Everything in `new` that breaks those who were written for `old`.
pub fn breaks(old: &Value, new: &Value) -> BTreeSet<Break> {
    let documents = Documents { old, new };
    let mut schemas = Schemas::new(documents);
    let had = operations(old);
    let has = operations(new);
    for (place, before) in had {
        let id = before["operationId"].as_str().unwrap_or(&place);
        match has.get(&place) {
            Some(now) => Operation { id, old: before, new: now, schemas: &mut schemas }.compare(),
            None => {
                schemas.breaks.insert(Break::new(id, format!("{place} is gone")));
            }
        }
    }
    schemas.breaks
}

/// By method and path.
fn operations(document: &Value) -> BTreeMap<String, &Value> {
    let items = document["paths"].as_object().into_iter().flatten();
    items
        .flat_map(|(path, item)| {
            item.as_object().into_iter().flatten().map(move |(m, o)| (path, m, o))
        })
        .map(|(path, method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
        .collect()
}

/// One operation of both documents.
struct Operation<'a, 'd> {
    id: &'a str,
    old: &'a Value,
    new: &'a Value,
    schemas: &'a mut Schemas<'d>,
}

impl Operation<'_, '_> {
    fn compare(mut self) {
        if self.old["operationId"] != self.new["operationId"] {
            self.add(format!("it is called {} now", self.new["operationId"]));
        }
        self.rights();
        self.parameters();
        self.body();
        self.responses();
    }

    fn add(&mut self, what: impl Into<String>) {
        self.schemas.breaks.insert(Break::new(self.id, what));
    }

    /// What was enough to be let in must be enough still.
    fn rights(&mut self) {
        let ways = |operation: &Value| match operation["security"].as_array() {
            Some(ways) if !ways.is_empty() => ways.clone(),
            _ => vec![json!({})],
        };
        let now = ways(self.new);
        if !ways(self.old).iter().all(|way| now.contains(way) || now.contains(&json!({}))) {
            self.add("it needs another token");
        }
        let permission = &self.new["x-permission"];
        if !permission.is_null() && *permission != self.old["x-permission"] {
            self.add(format!("it needs the permission {permission}"));
        }
    }

    fn parameters(&mut self) {
        let of = |operation: &Value| -> BTreeMap<(String, String), Value> {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let key = |p: &Value| {
                (p["in"].to_string(), p["name"].as_str().unwrap_or_default().to_owned())
            };
            parameters.into_iter().map(|parameter| (key(&parameter), parameter)).collect()
        };
        let (had, has) = (of(self.old), of(self.new));
        for (key, before) in &had {
            let name = &key.1;
            match has.get(key) {
                Some(now) => {
                    let (before, now) = (&before["schema"], &now["schema"]);
                    self.schemas.compare(Use::Sent, self.id, name, before, now);
                }
                None => self.add(format!("the parameter `{name}` is gone")),
            }
        }
        let is_required =
            |parameter: Option<&Value>| parameter.is_some_and(|p| p["required"] == true);
        for (key, now) in &has {
            if is_required(Some(now)) && !is_required(had.get(key)) {
                self.add(format!("the parameter `{}` is required now", key.1));
            }
        }
    }

    fn body(&mut self) {
        let (old, new) = (&self.old["requestBody"], &self.new["requestBody"]);
        if new["required"] == true && old["required"] != true {
            self.add("it needs a body now");
        }
        self.content(Use::Sent, "body", old, new);
    }

    fn responses(&mut self) {
        let none = Map::new();
        let of = |operation: &Value| operation["responses"].as_object().unwrap_or(&none).clone();
        let (had, has) = (of(self.old), of(self.new));
        for (status, before) in &had {
            let Some(now) = has.get(status) else {
                self.add(format!("it never answers {status} now"));
                continue;
            };
            self.content(Use::Read, status, before, now);
            for (name, _) in before["headers"].as_object().into_iter().flatten() {
                if now["headers"].get(name).is_none() {
                    self.add(format!("its {status} has no {name} now"));
                }
            }
        }
        for status in
            has.keys().filter(|status| status.starts_with('2') && !had.contains_key(*status))
        {
            self.add(format!("it may answer {status} now"));
        }
    }

    /// Bodies of one kind, by their content types.
    fn content(&mut self, way: Use, at: &str, old: &Value, new: &Value) {
        for (kind, before) in old["content"].as_object().into_iter().flatten() {
            match new["content"].get(kind) {
                Some(now) => {
                    self.schemas.compare(way, self.id, at, &before["schema"], &now["schema"]);
                }
                None => self.add(format!("its {at} is no {kind} now")),
            }
        }
    }
}
