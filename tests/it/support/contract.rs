//! Answers and examples against the published documents, judged by the `jsonschema` library
//! instead of our own walk.

use std::{collections::BTreeMap, sync::LazyLock};

use jsonschema::{Draft, Validator};
use reqwest::Method;
use serde_json::{Value, json};
use twofold::api;

use super::http::Answer;

static SURFACES: LazyLock<Vec<Surface>> = LazyLock::new(|| {
    let documents = api::documents(None);
    let read = |text: &str| serde_json::from_str(text).expect("JSON");
    documents.iter().map(|document| Surface::new(read(&document.text))).collect()
});

/// Reads the documents, which takes seconds. Whoever checks an answer first would do it else, while the server of the same
/// test holds locks.
pub fn prepare() {
    LazyLock::force(&SURFACES);
}

struct Surface {
    document: Value,
    /// By the name of the schema.
    validators: BTreeMap<String, Validator>,
}

impl Surface {
    fn new(document: Value) -> Self {
        let names = document["components"]["schemas"].as_object().expect("schemas").keys();
        let reference = |name| json!({"$ref": format!("#/components/schemas/{name}")});
        let validators =
            names.map(|name| (name.clone(), validator(&document, &reference(name)))).collect();
        Self { document, validators }
    }

    /// The operation at a path, of which those without parameters come first.
    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let fits = |template: &str| {
            let (words, parts) = (path.split('/'), template.split('/'));
            words.clone().count() == parts.clone().count()
                && words.zip(parts).all(|(word, part)| word == part || part.starts_with('{'))
        };
        let paths = self.document["paths"].as_object().expect("paths").iter();
        let found = paths.filter(|(template, _)| fits(template));
        let (_, item) = found.min_by_key(|(template, _)| template.matches('{').count())?;
        item.get(method.as_str().to_lowercase())
    }
}

/// Holds a value against a schema of a document. Objects are closed: what the document doesn't
/// name must not be there, even in answers, where callers have to expect new fields.
pub fn validator(document: &Value, schema: &Value) -> Validator {
    let mut root =
        json!({"components": {"schemas": document["components"]["schemas"]}, "allOf": [schema]});
    to_json_schema(&mut root);
    let options = jsonschema::options().with_draft(Draft::Draft4);
    options.should_validate_formats(true).build(&root).expect("a schema")
}

/// OpenAPI 3.0 says `nullable` where JSON Schema has a type of its own.
fn to_json_schema(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(to_json_schema);
            if members.get("properties").is_some_and(Value::is_object)
                && members.get("type").is_some_and(|kind| kind == "object")
            {
                members.entry("additionalProperties").or_insert(false.into());
            }
            if members.get("nullable") == Some(&true.into()) {
                *schema = json!({"anyOf": [schema.take(), {"type": "null"}]});
            }
        }
        Value::Array(items) => items.iter_mut().for_each(to_json_schema),
        _ => {}
    }
}

/// The example of a schema, put together from those of its fields as tools do it.
pub fn example(document: &Value, schema: &Value) -> Value {
    let reference = schema["$ref"].as_str().or(schema["allOf"][0]["$ref"].as_str());
    if let Some(reference) = reference {
        let pointer = reference.trim_start_matches('#');
        return example(document, document.pointer(pointer).expect("a schema"));
    }
    match (schema.get("example"), schema["properties"].as_object()) {
        (Some(example), _) => example.clone(),
        (None, Some(properties)) => properties
            .iter()
            .map(|(name, field)| (name.clone(), example(document, field)))
            .collect(),
        (None, None) if schema["items"].is_object() => json!([example(document, &schema["items"])]),
        (None, None) => schema["enum"][0].clone(),
    }
}

/// Fails unless the document says of this operation that it may answer so: its status, its
/// headers, and every field of its body.
#[track_caller]
pub fn check(method: &Method, path: &str, answer: &Answer) {
    let found = SURFACES.iter().find_map(|s| Some((s, s.operation(method, path)?)));
    let Some((surface, operation)) = found else { return };
    let at = format!("{method} {path}: {} {}", answer.status, answer.text);
    let response = &operation["responses"][answer.status.to_string()];
    assert!(response.is_object(), "the document does not know this status: {at}");
    for (name, header) in response["headers"].as_object().into_iter().flatten() {
        let pointer = header["$ref"].as_str().unwrap_or_default().trim_start_matches('#');
        let header = surface.document.pointer(pointer).unwrap_or(header);
        let is_there = answer.headers.contains_key(name);
        assert!(is_there || header["required"] != true, "{name} is missing: {at}");
    }
    let types = response["content"].as_object().into_iter().flatten();
    if let Some((other, _)) = types.into_iter().find(|(name, _)| *name != "application/json") {
        return assert_eq!(answer.header("content-type"), other, "another type: {at}");
    }
    let schema = &response["content"]["application/json"]["schema"]["$ref"];
    let Some(name) = schema.as_str().and_then(|reference| reference.rsplit('/').next()) else {
        return assert!(answer.text.is_empty(), "the document knows no body: {at}");
    };
    let faults: Vec<String> =
        surface.validators[name].iter_errors(&answer.json()).map(|e| e.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}: {at}");
}
