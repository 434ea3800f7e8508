//! Finishes the schemas: closed requests, bounds, patterns, examples.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::{Value, json};

/// Any text that PostgreSQL can keep: it has none with U+0000.
const NO_NUL: &str = r"^[^\x00]*$";

/// Says what is enforced, and returns all patterns, compiled, by their text.
pub(super) fn finish(json: &mut Value) -> BTreeMap<String, Regex> {
    close_requests(json);
    for parameter in parameters(json) {
        refuse_nul(&mut parameter["schema"]);
    }
    share_examples(json);
    let mut patterns = BTreeMap::new();
    bound_numbers(json, &mut patterns);
    patterns
}

/// The parameters of all operations.
fn parameters(json: &mut Value) -> impl Iterator<Item = &mut Value> {
    let items = json["paths"].as_object_mut().into_iter().flatten();
    let operations = items.flat_map(|(_, item)| item.as_object_mut().into_iter().flatten());
    operations
        .filter_map(|(_, operation)| operation.get_mut("parameters")?.as_array_mut())
        .flatten()
}

/// The names of all schemas that `value` refers to.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                found.extend(reference.rsplit('/').next().map(str::to_owned));
            }
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// Requests refuse unknown fields and U+0000, and take `null` where a field may be left out.
fn close_requests(json: &mut Value) {
    let mut todo = Vec::new();
    for item in json["paths"].as_object().into_iter().flatten().map(|(_, item)| item) {
        for operation in item.as_object().into_iter().flatten().map(|(_, operation)| operation) {
            references(&operation["requestBody"], &mut todo);
        }
    }
    let types: BTreeMap<String, Value> = json["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, schema)| (format!("#/components/schemas/{name}"), schema["type"].clone()))
        .collect();
    let mut done = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if !done.insert(name.clone()) {
            continue;
        }
        let Some(schema) = json.pointer_mut(&format!("/components/schemas/{name}")) else {
            continue;
        };
        references(schema, &mut todo);
        if schema["type"] != "object" {
            continue;
        }
        schema["additionalProperties"] = false.into();
        let required = schema["required"].clone();
        let is_required =
            |name: &str| required.as_array().is_some_and(|names| names.iter().any(|n| n == name));
        for (name, property) in schema["properties"].as_object_mut().into_iter().flatten() {
            if !is_required(name) {
                if property.get("$ref").is_some() {
                    *property = json!({ "allOf": [property.take()] });
                }
                property["nullable"] = true.into();
                // Without a type beside it, `nullable` means nothing (OpenAPI 3.0.3, Schema Object).
                let of = property.pointer("/allOf/0/$ref").and_then(Value::as_str);
                if let Some(found) = of.and_then(|of| types.get(of)) {
                    property["type"] = found.clone();
                }
            }
            refuse_nul(property);
        }
    }
}

/// Says that a text can't hold U+0000, unless its format or pattern says so already.
fn refuse_nul(schema: &mut Value) {
    let says_so = ["pattern", "enum", "allOf"].iter().any(|key| schema.get(key).is_some())
        || schema["format"].as_str().is_some_and(|format| format != "password");
    match schema["type"].as_str() {
        Some("string") if !says_so => schema["pattern"] = NO_NUL.into(),
        Some("array") => refuse_nul(&mut schema["items"]),
        _ => {}
    }
}

/// Collects the patterns, and says how large the numbers of each format may be.
fn bound_numbers(value: &mut Value, patterns: &mut BTreeMap<String, Regex>) {
    match value {
        Value::Object(members) => {
            if let Some(pattern) = members.get("pattern").and_then(Value::as_str)
                && let Ok(regex) = Regex::new(pattern)
            {
                patterns.insert(pattern.to_owned(), regex);
            }
            let largest = match members.get("format").and_then(Value::as_str) {
                Some("uint16") => Some(u32::from(u16::MAX)),
                Some("uint32") => Some(u32::MAX),
                _ => None,
            };
            if let Some(largest) = largest {
                members.entry("minimum").or_insert(0.into());
                members.entry("maximum").or_insert(largest.into());
            }
            members.values_mut().for_each(|member| bound_numbers(member, patterns));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| bound_numbers(item, patterns)),
        _ => {}
    }
}

/// Each field gets its example from that of its object, which goes: tools put them together
/// again, while validators take an `id` inside an example for the name of a schema.
fn share_examples(json: &mut Value) {
    for (_, schema) in json["components"]["schemas"].as_object_mut().into_iter().flatten() {
        let Some(members) = schema.as_object_mut() else { continue };
        let Some(example) = members.shift_remove("example") else { continue };
        for (name, property) in members["properties"].as_object_mut().into_iter().flatten() {
            let mut others = Vec::new();
            references(property, &mut others);
            match example.get(name) {
                // Objects with a schema have their examples there.
                Some(value) if others.is_empty() || !holds_objects(value) => {
                    property["example"] = value.clone();
                }
                _ => {}
            }
        }
    }
}

fn holds_objects(value: &Value) -> bool {
    value.is_object() || value.as_array().is_some_and(|items| items.iter().any(holds_objects))
}
