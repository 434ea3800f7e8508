//! One change at a time, as `changes.txt` lists them: each that breaks callers is found, and no other.

use serde_json::{Value, json};

use super::breaks;

fn document() -> Value {
    let answer = |schema: &str| {
        json!({
            "description": "",
            "headers": {"X-Request-Id": {"required": true}},
            "content": {"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}}
        })
    };
    json!({
        "paths": {
            "/things": {
                "get": {
                    "operationId": "list_things",
                    "security": [],
                    "parameters": [
                        {"in": "query", "name": "sort", "schema": {"type": "string", "enum": ["a", "b"]}},
                        {"in": "query", "name": "size", "schema": {"type": "integer", "minimum": 1, "maximum": 9}}
                    ],
                    "responses": {"200": answer("Things"), "default": answer("Failure")}
                },
                "post": {
                    "operationId": "create_thing",
                    "security": [{"Token": []}],
                    "requestBody": {"required": true, "content": {"application/json": {
                        "schema": {"$ref": "#/components/schemas/NewThing"}}}},
                    "responses": {"200": answer("Thing"), "409": answer("Failure"), "default": answer("Failure")}
                }
            },
            "/things/{id}": {"delete": {"operationId": "delete_thing", "responses": {"204": {}}}}
        },
        "components": {"schemas": {
            "NewThing": {
                "type": "object",
                "additionalProperties": false,
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 9},
                    "note": {"type": "string", "nullable": true},
                    "color": {"allOf": [{"$ref": "#/components/schemas/Color"}], "nullable": true},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/NewThing"}}
                }
            },
            "Thing": {
                "type": "object",
                "required": ["id", "size"],
                "properties": {
                    "id": {"type": "string", "format": "uuid"},
                    "size": {"type": "integer"},
                    "note": {"type": "string"},
                    "color": {"$ref": "#/components/schemas/Color"}
                }
            },
            "Things": {"type": "object", "required": ["items"], "properties": {
                "items": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}}}},
            "Color": {"type": "string", "enum": ["red", "blue"]},
            "Failure": {"type": "object", "properties": {"error": {"type": "string"}}}
        }}
    })
}

/// Puts a value at a place, or takes away what is there.
fn change(document: &mut Value, pointer: &str, value: Option<Value>) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let key = key.replace("~1", "/");
    match (document.pointer_mut(parent).expect("a place"), value) {
        (Value::Object(members), Some(value)) => drop(members.insert(key, value)),
        (Value::Object(members), None) => drop(members.remove(&key).expect("was there")),
        (Value::Array(items), Some(value)) => items.push(value),
        (Value::Array(items), None) => drop(items.remove(key.parse().expect("an index"))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_break_is_found_and_nothing_else() {
    let lines = include_str!("changes.txt").lines();
    let changes = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in changes {
        let [place, value, expected] =
            line.splitn(3, " | ").collect::<Vec<_>>().try_into().expect("three parts");
        let value = (value != "gone").then(|| serde_json::from_str(value).expect("JSON"));
        let (old, mut new) = (document(), document());
        change(&mut new, place, value);
        assert_ne!(old, new, "{line}");
        let found: Vec<_> = breaks(&old, &new).iter().map(ToString::to_string).collect();
        if expected == "nothing" {
            assert!(found.is_empty(), "{line}: {found:#?}");
        } else {
            assert!(found.contains(&format!("- {expected}.")), "{line}: {found:#?}");
            // One change breaks one thing, or one for each way in which the schema is used.
            assert!(found.len() <= 2, "{line}: {found:#?}");
        }
    }
}
