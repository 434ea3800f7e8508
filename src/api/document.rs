//! Finishes an OpenAPI document: what poem-openapi enforces but can't say.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write,
};

use poem::http::{HeaderName, HeaderValue, Method};
use regex::Regex;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    error::DOCUMENTED,
    idempotency,
    version::{ApiVersion, Deprecation, Surface},
};
use crate::services::Code;

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];

/// A finished document, as it is published.
#[derive(Debug)]
pub struct Document {
    pub surface: Surface,
    /// Such as `v1`.
    pub version: &'static str,
    json: Value,
    /// The JSON text that is served, exported and committed.
    pub text: String,
    /// By the [`shape`] of the path.
    routes: BTreeMap<String, Route>,
    /// Compiled once, by their text.
    patterns: BTreeMap<String, Regex>,
}

/// What one method does at one path.
#[derive(Debug, Clone, Serialize)]
pub struct Operation {
    pub method: String,
    pub path: String,
    pub operation_id: String,
    /// Whether it is for those who have signed in.
    pub needs_token: bool,
}

#[derive(Debug)]
struct Route {
    /// As the document names it.
    path: String,
    /// Its methods, as the `Allow` header lists them.
    allow: String,
    /// What answers say of the methods that are on their way out.
    notices: HashMap<Method, Vec<(HeaderName, HeaderValue)>>,
}

impl Document {
    /// Takes what poem-openapi made; `public_url` is where the server is reached, if that is known.
    ///
    /// # Panics
    /// When a deprecation names no operation: a fault of the program that its first start shows.
    #[must_use]
    pub fn finish(made: &ApiVersion, public_url: Option<&str>) -> Self {
        let mut json: Value = serde_json::from_str(&made.spec).unwrap_or_default();
        json["servers"] = public_url.map(|url| json!({"url": url})).into_iter().collect();
        close_request_schemas(&mut json);
        let mut patterns = BTreeMap::new();
        finish_schemas(&mut json, &mut patterns);
        share_examples(&mut json);
        let mut routes = BTreeMap::new();
        for (path, item) in json["paths"].as_object_mut().into_iter().flatten() {
            let Some(item) = item.as_object_mut() else { continue };
            let mut methods = BTreeSet::from(["OPTIONS".to_owned()]);
            let mut notices = HashMap::new();
            for (method, operation) in
                item.iter_mut().filter(|(m, _)| METHODS.contains(&m.as_str()))
            {
                methods.insert(method.to_uppercase());
                leave_out_impossible_failures(operation);
                if operation.get("security").is_none() {
                    operation["security"] = json!([]);
                }
                let found =
                    made.deprecations.iter().find(|d| operation["operationId"] == d.operation_id);
                if let (Some(deprecation), Ok(method)) =
                    (found, method.to_uppercase().parse::<Method>())
                {
                    deprecate(operation, deprecation);
                    notices.insert(method, deprecation.headers());
                }
            }
            if methods.contains("GET") {
                methods.insert("HEAD".to_owned());
            }
            let allow = methods.into_iter().collect::<Vec<_>>().join(", ");
            routes.insert(shape(path), Route { path: path.clone(), allow, notices });
        }
        let announced: usize = routes.values().map(|route| route.notices.len()).sum();
        assert_eq!(announced, made.deprecations.len(), "each deprecation names an operation");
        let mut text = serde_json::to_string_pretty(&json).unwrap_or_default();
        text.push('\n');
        Self { surface: made.surface, version: made.version, json, text, routes, patterns }
    }

    /// What files and addresses call it: `client`, and `client-v2` from the second version on.
    #[must_use]
    pub fn name(&self) -> String {
        let surface = self.surface.name();
        if self.version == "v1" {
            surface.to_owned()
        } else {
            format!("{surface}-{}", self.version)
        }
    }

    /// The headers by which an operation says that it is on its way out.
    pub(super) fn notices(
        &self,
        method: &Method,
        pattern: &str,
    ) -> Option<&[(HeaderName, HeaderValue)]> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let route = self.routes.get(&shape(pattern))?;
        route.notices.get(method).map(Vec::as_slice)
    }

    /// What people call the API.
    pub(super) fn title(&self) -> &str {
        self.json["info"]["title"].as_str().unwrap_or_default()
    }

    /// The paths, with their parameters in braces.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.routes.values().map(|route| route.path.as_str())
    }

    /// Every operation, in the order of the document.
    pub fn operations(&self) -> impl Iterator<Item = Operation> {
        let paths = self.json["paths"].as_object().into_iter().flatten();
        paths.flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten();
            let operations = methods.filter(|(method, _)| METHODS.contains(&method.as_str()));
            operations.map(|(method, operation)| Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                operation_id: operation["operationId"].as_str().unwrap_or_default().to_owned(),
                needs_token: operation["security"].as_array().is_some_and(|all| !all.is_empty()),
            })
        })
    }

    /// The schema with this name.
    pub(super) fn schema(&self, name: &str) -> &Value {
        &self.json["components"]["schemas"][name]
    }

    /// Whether a text matches one of the document's patterns.
    pub(super) fn matches(&self, pattern: &str, text: &str) -> bool {
        self.patterns.get(pattern).is_some_and(|regex| regex.is_match(text))
    }

    /// The schema itself, where `schema` may be a reference.
    pub(super) fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => self.json.pointer(pointer).unwrap_or(&Value::Null),
            None => schema,
        }
    }

    /// What the `Allow` header of a 405 says for a route's pattern.
    pub(super) fn allow(&self, pattern: &str) -> Option<&str> {
        self.routes.get(&shape(pattern)).map(|route| route.allow.as_str())
    }

    /// The operation of a route's pattern.
    pub(super) fn operation(&self, method: &Method, pattern: &str) -> Option<&Value> {
        let route = self.routes.get(&shape(pattern))?;
        self.json["paths"][&route.path].get(method.as_str().to_lowercase())
    }
}

/// The introduction of a document, with the catalogue of errors.
#[must_use]
pub fn description(purpose: &str) -> String {
    let mut text = format!(
        "{purpose}\n\nEvery JSON answer is an envelope: `code`, `message`, `data`; a failure adds \
         `error`, `errors` for fields and `request_id`. The HTTP status is always the true one.\n\n\
         <details>\n<summary>Errors</summary>\n\n| code | error | meaning |\n|---|---|---|\n"
    );
    for code in Code::ALL {
        let (number, identifier, message) = (code.number(), code.identifier(), code.message());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {number} | `{identifier}` | {message} |");
    }
    text + "\n</details>\n"
}

/// Says in the document what the operation's answers say by header.
fn deprecate(operation: &mut Value, deprecation: &Deprecation) {
    operation["deprecated"] = true.into();
    let described = [
        ("deprecation", "Since when this operation is deprecated (RFC 9745)."),
        ("sunset", "From when on it may be gone (RFC 8594)."),
        ("link", "A page that says what to use instead."),
    ];
    let sent = deprecation.headers();
    let headers = described.iter().filter(|(name, _)| sent.iter().any(|(one, _)| one == name));
    let headers: Map<String, Value> = headers
        .map(|(name, text)| {
            let described = json!({"description": text, "schema": {"type": "string"}});
            (titled(name), described)
        })
        .collect();
    for (_, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        let all = response["headers"].as_object().cloned().unwrap_or_default();
        response["headers"] = all.into_iter().chain(headers.clone()).collect::<Map<_, _>>().into();
    }
    if let Some(sunset) = deprecation.sunset {
        operation["x-sunset"] = sunset.to_string().into();
    }
}

/// As header names are usually written.
fn titled(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_uppercase() + rest
}

/// poem-openapi routes `:param0` where the document says `{id}`: only the shapes agree.
fn shape(path: &str) -> String {
    let segments = path.split('/');
    segments.map(|s| if s.starts_with([':', '{']) { ":" } else { s }).collect::<Vec<_>>().join("/")
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

/// Requests refuse unknown fields, and take `null` where a field may be left out.
fn close_request_schemas(json: &mut Value) {
    let mut todo = Vec::new();
    for item in json["paths"].as_object().into_iter().flatten().map(|(_, item)| item) {
        for operation in item.as_object().into_iter().flatten().map(|(_, operation)| operation) {
            references(&operation["requestBody"], &mut todo);
        }
    }
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
            }
        }
    }
}

/// Collects the patterns, and says how large the numbers of each format may be.
fn finish_schemas(value: &mut Value, patterns: &mut BTreeMap<String, Regex>) {
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
            members.values_mut().for_each(|member| finish_schemas(member, patterns));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| finish_schemas(item, patterns)),
        _ => {}
    }
}

/// Each field gets its example from the example of its object.
fn share_examples(json: &mut Value) {
    for (_, schema) in json["components"]["schemas"].as_object_mut().into_iter().flatten() {
        let Some(example) = schema["example"].as_object().cloned() else { continue };
        for (name, property) in schema["properties"].as_object_mut().into_iter().flatten() {
            if let (Some(value), None) = (example.get(name), property.get("$ref")) {
                property["example"] = value.clone();
            }
        }
    }
}

/// poem-openapi lists every failure of the error type on every operation.
fn leave_out_impossible_failures(operation: &mut Value) {
    let has_key = idempotency::name_header(operation);
    let has =
        |key: &str| operation.get(key).is_some_and(|v| v.as_array().is_none_or(|a| !a.is_empty()));
    let in_place = |place: &str| {
        operation["parameters"].as_array().is_some_and(|ps| ps.iter().any(|p| p["in"] == place))
    };
    let (body, security) = (has("requestBody"), has("security"));
    let (path, query) = (in_place("path"), in_place("query"));
    let is_called =
        |prefix: &str| operation["operationId"].as_str().is_some_and(|id| id.starts_with(prefix));
    let (login, refresh) = (is_called("login_"), is_called("refresh_"));
    let none = Map::new();
    let listed = operation["responses"].as_object().unwrap_or(&none).clone();
    let possible = |status: u16| match status {
        400 | 408 | 413 | 415 => body,
        422 => body || query || has_key,
        401 => security || login || refresh,
        403 => security || login,
        404 => path,
        409 => (body && path) || has_key,
        _ => true,
    };
    let documented = |status: &str| DOCUMENTED.iter().find(|(s, _)| s.to_string() == status);
    let kept: Map<String, Value> = listed
        .into_iter()
        .filter(|(status, _)| documented(status).is_none_or(|(s, _)| possible(*s)))
        .collect();
    let described = |(status, mut response): (String, Value)| {
        if response["description"] == "" {
            response["description"] = "Success.".into();
        }
        (status, response)
    };
    let kept: Map<String, Value> = kept.into_iter().map(described).collect();
    if !kept.is_empty() {
        operation["responses"] = Value::Object(kept);
    }
}
