//! Arguments of handlers that read a header by a type of their own. poem-openapi would call the
//! parameter by the argument; documents take its name and description from title and description
//! of the type's schema.

use serde_json::Value;

/// Names and describes all such parameters of an operation.
pub(super) fn name_all(operation: &mut Value) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten().filter(|p| p["in"] == "header") {
        for (key, of_schema) in [("name", "title"), ("description", "description")] {
            let schema = parameter["schema"].as_object_mut();
            if let Some(text) = schema.and_then(|schema| schema.shift_remove(of_schema)) {
                parameter[key] = text;
            }
        }
    }
}

/// Whether an operation has a parameter with this name.
pub(super) fn has(operation: &Value, name: &str) -> bool {
    let mut parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.any(|parameter| parameter["in"] == "header" && parameter["name"] == name)
}
