//! An OpenAPI document as it is published, and what the server itself reads in it.

mod operations;
mod schemas;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt::Write,
};

use poem::http::{HeaderName, HeaderValue, Method};
use poem_openapi::{ContactObject, LicenseObject, OpenApiService};
use regex::Regex;
use serde::Serialize;
use serde_json::{Value, json};

pub(super) use operations::STEP_UP;

use super::{
    header_parameters,
    middleware::conditional,
    version::{ApiVersion, Surface},
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
    /// The operations whose answers have a tag, by their ids.
    tagged: HashSet<String>,
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
    /// What its callers must be allowed to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
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
        // JSON is UTF-8 without saying so (RFC 8259, 8.1), and tools look for the plain type.
        let spec = made.spec.replace("application/json; charset=utf-8", "application/json");
        let mut json: Value = serde_json::from_str(&spec).unwrap_or_default();
        // A server that doesn't know its name is where its document is.
        json["servers"] = json!([{"url": public_url.unwrap_or("/")}]);
        json["components"]["headers"] = operations::headers();
        let patterns = schemas::finish(&mut json);
        let mut routes = BTreeMap::new();
        let mut tagged = HashSet::new();
        for (path, item) in json["paths"].as_object_mut().into_iter().flatten() {
            let Some(item) = item.as_object_mut() else { continue };
            let mut methods = BTreeSet::from(["OPTIONS".to_owned()]);
            let mut notices = HashMap::new();
            for (method, operation) in
                item.iter_mut().filter(|(m, _)| METHODS.contains(&m.as_str()))
            {
                methods.insert(method.to_uppercase());
                header_parameters::name_all(operation);
                if conditional::describe(method, operation) {
                    tagged.extend(operation["operationId"].as_str().map(str::to_owned));
                }
                operations::finish(method, operation);
                let found =
                    made.deprecations.iter().find(|d| operation["operationId"] == d.operation_id);
                if let (Some(deprecation), Ok(method)) =
                    (found, method.to_uppercase().parse::<Method>())
                {
                    operations::deprecate(operation, deprecation);
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
        Self { surface: made.surface, version: made.version, json, text, routes, tagged, patterns }
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
                needs_token: operation["security"]
                    .as_array()
                    .is_some_and(|all| !all.is_empty() && !all.contains(&json!({}))),
                permission: operation["x-permission"].as_str().map(str::to_owned),
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

    /// Whether answers of this operation have the tag of their body.
    pub(super) fn is_tagged(&self, operation_id: &str) -> bool {
        self.tagged.contains(operation_id)
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

/// Says in a document what it is for, whom to ask, and on which terms.
#[must_use]
pub fn introduce<T>(service: OpenApiService<T, ()>, purpose: &str) -> OpenApiService<T, ()> {
    service
        .description(description(purpose))
        .contact(ContactObject::new().name("Twofold"))
        .license(LicenseObject::new(env!("CARGO_PKG_LICENSE")).url("https://spdx.org/licenses/"))
}

/// The introduction, with the catalogue of errors.
fn description(purpose: &str) -> String {
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

/// poem-openapi routes `:param0` where the document says `{id}`: only the shapes agree.
pub(super) fn shape(path: &str) -> String {
    let segments = path.split('/');
    segments.map(|s| if s.starts_with([':', '{']) { ":" } else { s }).collect::<Vec<_>>().join("/")
}
