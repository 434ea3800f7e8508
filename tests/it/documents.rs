//! The OpenAPI documents: committed, closed, and separate.

use std::{collections::BTreeSet, fs, path::Path};

use reqwest::Method;
use serde_json::{Value, json};
use twofold::api;

use crate::support::{
    TestApp,
    contract::{example, validator},
};

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

fn documents() -> [(&'static str, Value); 2] {
    let documents = api::documents(None).into_iter().map(|document| {
        (document.surface.name(), serde_json::from_str(&document.text).expect("JSON"))
    });
    documents.collect::<Vec<_>>().try_into().expect("two documents")
}

/// Path, method and operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("a path") {
            if METHODS.contains(&method.as_str()) {
                found.push((path.clone(), method.clone(), operation.clone()));
            }
        }
    }
    assert!(found.len() >= 5);
    found
}

fn path_in_repository(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi").join(format!("{name}.json"))
}

#[test]
fn the_committed_documents_are_true() {
    for document in api::documents(None) {
        let name = document.name();
        let committed = fs::read_to_string(path_in_repository(&name)).unwrap_or_default();
        assert!(
            committed == document.text,
            "docs/openapi/{name}.json differs; look at what changes for callers, then run\n\
             cargo run -- openapi export {} --api-version {} -o docs/openapi/{name}.json",
            document.surface.name(),
            document.version
        );
    }
}

#[test]
fn neither_document_names_anything_of_the_other() {
    let [(_, client), (_, backoffice)] = documents();
    let ids = |document: &Value| -> BTreeSet<String> {
        let operations = operations(document).into_iter();
        operations.map(|(_, _, o)| o["operationId"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(&client).intersection(&ids(&backoffice)).count(), 0);
    let schemas = |document: &Value| -> BTreeSet<String> {
        document["components"]["schemas"].as_object().expect("schemas").keys().cloned().collect()
    };
    let (client_schemas, backoffice_schemas) = (schemas(&client), schemas(&backoffice));
    let shared: Vec<_> = client_schemas.intersection(&backoffice_schemas).collect();
    assert_eq!(shared, ["Done", "ErrorResponse", "InvalidField"], "the envelope only");
    for (path, ..) in operations(&client) {
        assert!(path.starts_with("/api/v1/") && !path.starts_with("/api/v1/backoffice"), "{path}");
    }
    for (path, ..) in operations(&backoffice) {
        assert!(path.starts_with("/api/v1/backoffice/"), "{path}");
    }
}

#[test]
fn every_operation_says_what_callers_need() {
    for (name, document) in documents() {
        for (path, method, operation) in operations(&document) {
            let at = format!("{name} {method} {path}");
            assert!(operation["summary"].is_string(), "{at}: summary");
            assert!(operation["tags"][0].is_string(), "{at}: tag");
            let id = operation["operationId"].as_str().expect("an id");
            assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{at}: {id}");
            let responses = operation["responses"].as_object().expect("responses");
            let guarded = !operation["security"].as_array().expect("said in any case").is_empty();
            let checks = id.starts_with("login_") || id.starts_with("refresh_");
            assert_eq!(responses.contains_key("401"), guarded || checks, "{at}: 401");
            for status in ["400", "422", "500", "503", "default"] {
                assert!(responses.contains_key(status), "{at}: {status}");
            }
            let has_body = operation.get("requestBody").is_some();
            assert_eq!(responses.contains_key("415"), has_body, "{at}: 415");
            assert_eq!(responses.contains_key("404"), path.contains('{'), "{at}: 404");
        }
    }
}

#[test]
fn every_field_has_a_description_and_an_example_and_request_bodies_are_closed() {
    for (name, document) in documents() {
        for (schema_name, schema) in document["components"]["schemas"].as_object().expect("schemas")
        {
            for (field, property) in schema["properties"].as_object().into_iter().flatten() {
                let at = format!("{name}: {schema_name}.{field}");
                // What refers to a schema is described and shown there.
                if property.get("$ref").is_none() && property.get("allOf").is_none() {
                    assert!(property["description"].is_string(), "{at} has no description");
                    let is_shown = property.get("example").or(property["items"].get("$ref"));
                    assert!(is_shown.is_some(), "{at} has no example");
                }
            }
            if schema_name.ends_with("Request") {
                assert_eq!(schema["additionalProperties"], false, "{name}: {schema_name}");
            }
        }
        for (path, method, operation) in operations(&document) {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let at = format!("{method} {path}: {}", parameter["name"]);
                assert!(parameter["description"].is_string(), "{at} has no description");
                assert!(!parameter["schema"]["example"].is_null(), "{at} has no example");
            }
        }
    }
}

#[test]
fn every_example_is_valid() {
    fn examples<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
        match value {
            Value::Object(members) => {
                let is_schema = members.contains_key("type") && members.contains_key("example");
                found.extend(is_schema.then_some(value));
                members.values().for_each(|member| examples(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| examples(item, found)),
            _ => {}
        }
    }
    for (name, document) in documents() {
        let mut schemas = Vec::new();
        examples(&document, &mut schemas);
        assert!(schemas.len() >= 20, "{name}: {}", schemas.len());
        for schema in schemas {
            let judged = validator(&document, schema).validate(&schema["example"]);
            assert!(judged.is_ok(), "{name}: {schema}: {judged:?}");
        }
        for schema in document["components"]["schemas"].as_object().expect("schemas").values() {
            let whole = example(&document, schema);
            let judged = validator(&document, schema).validate(&whole);
            assert!(judged.is_ok(), "{name}: {whole}: {judged:?}");
        }
    }
}

#[test]
fn the_catalogue_of_errors_is_listed() {
    for (name, document) in documents() {
        let text = document["info"]["description"].as_str().expect("a description");
        for code in twofold::services::Code::ALL {
            assert!(text.contains(&format!("`{}`", code.identifier())), "{name}: {code:?}");
        }
    }
}

/// What the document says is what the server does: bodies are closed.
#[tokio::test]
async fn every_operation_refuses_unknown_fields() {
    let mut app = TestApp::start().await;
    let admin = app.admin_token().await;
    let user = app.user_token("ada@example.com").await;
    for (name, document) in documents() {
        let token = if name == "client" { &user } else { &admin };
        let with_body = operations(&document).into_iter();
        let is_json = |o: &Value| o["requestBody"]["content"]["application/json"].is_object();
        for (path, method, _) in with_body.filter(|(_, _, o)| is_json(o)) {
            let at = format!("{method} {path}");
            let path = path.replace("{id}", "01975b2e-7c40-7000-8000-000000000001");
            let method: Method = method.to_uppercase().parse().expect("a method");
            let body = json!({"surely_unknown": 1});
            let answer = app.request(method, &path).bearer(token).json(body).send().await;
            let unknown = ("surely_unknown".to_owned(), "unknown".to_owned());
            assert!(answer.faults().contains(&unknown), "{at}: {}", answer.text);
        }
    }
}
