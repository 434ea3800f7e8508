//! Finishes an operation: who may call it, and every answer that it can give.

use serde_json::{Map, Value, json};

use crate::{
    api::{
        error::DOCUMENTED, etag, header_parameters, idempotency, middleware::rate_limits::COUNTED,
        version::Deprecation,
    },
    services::sessions::RECENT,
};

/// The headers that answers have, for all operations to refer to.
pub(super) fn headers() -> Value {
    let described = |required: bool, description: &str, schema: Value| json!({"description": description, "required": required, "schema": schema});
    let header = |description: &str, schema: Value| described(true, description, schema);
    json!({
        "X-Request-Id": header(
            "Finds the request in the log; a sane one of the caller is kept.",
            json!({"type": "string", "maxLength": 64, "pattern": "^[A-Za-z0-9._-]+$"}),
        ),
        "WWW-Authenticate": header(
            "How to sign in, and what is wrong with a token that came (RFC 6750, 3).",
            json!({"type": "string", "example": "Bearer error=\"invalid_token\""}),
        ),
        "Idempotency-Replayed": described(
            false,
            "`true` where this is the answer of the first request with the key.",
            json!({"type": "string", "enum": ["true"]}),
        ),
        "RateLimit": described(
            false,
            "What is left of each budget of tries (`r`), and in how many seconds there is one more (`t`). The \
             account's is told only where nothing is left of it. From draft-ietf-httpapi-ratelimit-headers-10.",
            json!({"type": "string", "example": "\"client\";r=99;t=9"}),
        ),
        "RateLimit-Policy": described(
            false,
            "What each budget holds (`q`), and in how many seconds all of it comes back (`w`).",
            json!({"type": "string", "example": "\"client\";q=100;w=900"}),
        ),
        "Retry-After": header(
            "When it is worth trying again, in seconds.",
            json!({"type": "integer", "minimum": 1}),
        ),
    })
}

/// What guards name beside their scheme when the session's last proof of who it is must be recent.
pub(in crate::api) const STEP_UP: &str = "step-up";

/// Of what the guard names (`api/auth.rs`) leaves the scheme, and says the rest: `x-permission`, and `x-step-up` with
/// the greatest age of the last proof in seconds (ASVS 5.0, 7.5).
fn name_needs(operation: &mut Value) {
    let listed = operation["security"].as_array().into_iter().flatten();
    let listed: Vec<_> = listed.filter_map(Value::as_object).cloned().collect();
    let mut named = listed.iter().flat_map(Map::keys).cloned();
    let Some(scheme) = named.next() else { return };
    operation["security"] = json!([{scheme: []}]);
    // `Reader`: it does without as well.
    if let (Some(without), Some(all)) =
        (listed.iter().find(|one| one.is_empty()), operation["security"].as_array_mut())
    {
        all.push(without.clone().into());
    }
    for need in named {
        if need == STEP_UP {
            operation["x-step-up"] = json!({"max_age_seconds": RECENT.num_seconds()});
        } else {
            let description = operation["description"].as_str().unwrap_or_default();
            operation["description"] =
                format!("{description}\n\nNeeds the permission `{need}`.").trim_start().into();
            operation["x-permission"] = need.into();
        }
    }
}

/// What can't be done where there is no storage.
const NEEDS_STORAGE: [&str; 12] = [
    "create_file",
    "upload_file",
    "complete_file",
    "get_file_download",
    "get_picture",
    "create_multipart_file",
    "sign_file_parts",
    "list_file_parts",
    "create_temporary_credentials",
    "create_staff_credentials",
    "preview_managed_file",
    "list_orphans",
];

/// What the state of a file, or of a user's room, decides about.
const OF_FILES: [&str; 4] = ["create_file", "get_file_download", "set_avatar", "list_file_parts"];

/// Says whom it is for, all failures that a caller can provoke, and the headers of its answers.
pub(super) fn finish(method: &str, operation: &mut Value) {
    name_needs(operation);
    if operation.get("security").is_none() {
        operation["security"] = json!([]);
    }
    let mut responses = match operation["responses"].take() {
        Value::Object(listed) => possible(method, operation, listed),
        _ => Map::new(),
    };
    let takes_key = header_parameters::has(operation, idempotency::NAME);
    let is_counted = is_counted(operation);
    for (status, response) in &mut responses {
        if response["description"] == "" {
            response["description"] = "Success.".into();
        }
        add_headers(status, response, takes_key, is_counted);
    }
    operation["responses"] = responses.into();
}

/// poem-openapi lists every failure of the error type on every operation, and none on one that
/// makes its failures itself.
fn possible(method: &str, operation: &Value, mut listed: Map<String, Value>) -> Map<String, Value> {
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    let has = |key: &str| operation.get(key).is_some_and(|value| !is_empty(value));
    let (body, security) = (has("requestBody"), has("security"));
    let path = operation["parameters"]
        .as_array()
        .is_some_and(|parameters| parameters.iter().any(|parameter| parameter["in"] == "path"));
    let has_header = |name| header_parameters::has(operation, name);
    let id = operation["operationId"].as_str().unwrap_or_default();
    let (login, refresh) = (id.starts_with("login_"), id.starts_with("refresh_"));
    // What the account has or waits for decides about these.
    let of_account = ["confirm_totp", "confirm_admin_totp", "confirm_email", "cancel_deletion"];
    let of_account = operation.get("x-step-up").is_some() || of_account.contains(&id);
    let of_storage = NEEDS_STORAGE.contains(&id);
    let of_account = of_account || OF_FILES.contains(&id);
    let possible = |status: u16| match status {
        408 | 413 | 415 => body,
        401 => security || login || refresh,
        403 => security || login,
        404 => path,
        409 => (path && method != "get") || of_account || has_header(idempotency::NAME),
        412 => has_header(etag::IF_MATCH),
        429 => is_counted(operation),
        501 => of_storage,
        _ => true,
    };
    let numbers = DOCUMENTED.iter().map(|(status, text)| (status.to_string(), *text));
    let default = ("default".to_owned(), "Any other failure.");
    for (status, description) in numbers.chain([default]) {
        if status.parse().is_ok_and(|status| !possible(status)) {
            listed.shift_remove(&status);
        } else {
            listed.entry(status).or_insert_with(|| failure(description));
        }
    }
    listed
}

/// Whether tries of an operation are counted.
fn is_counted(operation: &Value) -> bool {
    operation["operationId"].as_str().is_some_and(|id| COUNTED.contains(&id))
}

fn failure(description: &str) -> Value {
    let schema = json!({"$ref": "#/components/schemas/ErrorResponse"});
    json!({"description": description, "content": {"application/json": {"schema": schema}}})
}

fn add_headers(status: &str, response: &mut Value, takes_key: bool, is_counted: bool) {
    let of_status = match status {
        "401" => Some("WWW-Authenticate"),
        "429" | "503" => Some("Retry-After"),
        "200" | "202" if takes_key => Some("Idempotency-Replayed"),
        _ => None,
    };
    if !response["headers"].is_object() {
        response["headers"] = json!({});
    }
    // Others come before anything is tried, or hardly ever.
    let of_counted: &[&str] = match status {
        "200" | "202" | "401" | "422" | "429" if is_counted => &["RateLimit", "RateLimit-Policy"],
        _ => &[],
    };
    for name in of_status.into_iter().chain(of_counted.iter().copied()).chain(["X-Request-Id"]) {
        let headers = response["headers"].as_object_mut();
        let Some(headers) = headers else { continue };
        headers.retain(|other, _| !other.eq_ignore_ascii_case(name));
        let reference = json!({"$ref": format!("#/components/headers/{name}")});
        headers.insert(name.to_owned(), reference);
    }
    if status == "409" && takes_key {
        response["headers"]["Retry-After"] = json!({
            "description": "With `idempotency_key_in_flight`: when to try again, in seconds.",
            "schema": {"type": "integer", "minimum": 1}
        });
    }
}

/// Says in the document what the operation's answers say by header.
pub(super) fn deprecate(operation: &mut Value, deprecation: &Deprecation) {
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
