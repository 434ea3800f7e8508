"""What schemathesis must know beyond the documents: see .ci/contract."""

import os
import re
import zlib

import requests
import schemathesis

BASE = os.environ["TWOFOLD_BASE"]
PASSWORD = os.environ["TWOFOLD_PASSWORD"]
STAFF = os.environ.get("TWOFOLD_STAFF", "grace@example.com")

# Failures that are right: what an operation, or any, may answer to a request that the document
# allows, and why the document can't say so.
EXCEPTIONS = {
    None: {
        "idempotency_key_reused": "which key is free is no matter of form",
        "invalid_cursor": "which cursors a list has given is no matter of form",
        "precondition_failed": "which tag is that of the present state is no matter of form",
        "sort": "a pattern can't say that no field may come twice",
        "conflict": "parameters can't say that another excludes them",
    },
    "create_post": {
        "too_complex": "a schema can't read Markdown",
        "unknown_file": "which files somebody has is no matter of form",
    },
    "update_post": {
        "too_complex": "a schema can't read Markdown",
        "unknown_file": "which files somebody has is no matter of form",
    },
    "create_comment": {"too_complex": "a schema can't read Markdown"},
    "schedule_post": {"past": "a schema can't tell the future"},
    "register_user": {
        "guessable": "a schema can't compare the password with name and address",
        "common": "a schema can't list all common passwords",
        "length": "the settings may ask for more characters than the document",
    },
    "create_file": {
        "not_allowed": "what a purpose allows is a matter of the settings",
        "too_large": "what a purpose allows is a matter of the settings",
        "needs_parts": "what a purpose allows is a matter of the settings",
    },
    "create_multipart_file": {
        "not_allowed": "what a purpose allows is a matter of the settings",
        "too_large": "what a purpose allows is a matter of the settings",
        "needs_parts": "what a purpose allows is a matter of the settings",
    },
    "upload_file": {"mismatch": "a schema can't tell the length of what follows"},
    "sign_file_parts": {"unknown_part": "which parts a file has is no matter of form"},
    "set_avatar": {"unknown_file": "which files somebody has is no matter of form"},
    "get_dashboard": {
        "order": "parameters can't be compared",
        "too_many": "parameters can't be compared",
    },
    "verify_email": {"invalid_code": "which code is right is no matter of form"},
    "update_current_user": {"time_zone": "a pattern can't list the time zones that there are"},
    "update_user": {"time_zone": "a pattern can't list the time zones that there are"},
    "suspend_user": {"past": "a schema can't tell the future"},
    "change_password": {"guessable": "a schema can't compare the password with name and address"},
    "change_email": {"unchanged": "a schema can't know the present address"},
    "confirm_email": {"invalid_code": "which code is right is no matter of form"},
    "confirm_totp": {"invalid_second_factor": "which code is right is no matter of form"},
    "step_up_user": {
        "invalid_second_factor": "which code is right is no matter of form",
        "required": "a closed schema without alternatives can't say that one of both is needed",
    },
    "accept_invitation": {
        "invalid_invitation": "which token is right is no matter of form",
        "common": "a schema can't list all common passwords",
        "length": "the settings may ask for more characters than the document",
    },
    "create_invitation": {"unknown_role": "which roles there are is no matter of form"},
    "update_admin": {"unknown_role": "which roles there are is no matter of form"},
    "confirm_admin_totp": {"invalid_second_factor": "which code is right is no matter of form"},
    "login_admin_with_second_factor": {
        "invalid_second_factor": "which code is right is no matter of form",
    },
    "step_up_admin": {
        "invalid_second_factor": "which code is right is no matter of form",
        "required": "a closed schema without alternatives can't say that one of both is needed",
    },
    "reset_admin_password": {
        "invalid_reset_token": "which token is right is no matter of form",
        "common": "a schema can't list all common passwords",
        "length": "the settings may ask for more characters than the document",
    },
    "change_release_settings": {
        "repeated": "a schema can't say that no two items may be of the same platform",
        "order": "a schema can't compare versions",
    },
    "reset_password": {
        "invalid_reset_token": "which token is right is no matter of form",
        "common": "a schema can't list all common passwords",
    },
}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure counts."""
    # What isn't set up on this machine is no fault.
    if failure.code == "ST101" and response.status_code == 501:
        return response.json()["error"] != "not_configured"
    if failure.code != "ST202":  # a request that the document allows was refused
        return True
    if not has_headers_in_form(context, case):
        return False
    operation_id = context.operation.definition.raw.get("operationId")
    accepted = {**EXCEPTIONS[None], **EXCEPTIONS.get(operation_id, {})}.keys()
    answer = response.json()
    reasons = {answer["error"], *(fault["error"] for fault in answer.get("errors", []))}
    return not accepted & reasons


def has_headers_in_form(context, case):
    """Whether headers match their patterns. The coverage phase calls some right that don't: the
    number 0, next to a body or another header that is right."""
    for parameter in context.operation.definition.raw.get("parameters", []):
        value = (case.headers or {}).get(parameter["name"])
        pattern = parameter["schema"].get("pattern", "")
        if parameter["in"] == "header" and value is not None and not re.search(pattern, str(value)):
            return False
    return True


def login(surface, email):
    """An access token of a new session; surface is the prefix of its paths."""
    body = {"email": email, "password": PASSWORD}
    answer = requests.post(f"{BASE}{surface}/auth/login", json=body, timeout=10)
    answer.raise_for_status()
    return answer.json()["data"]["access_token"]


def login_as_staff(email=STAFF):
    return login("/api/v1/backoffice", email)


class SignedIn:
    """Signs in, on the surface of the operation."""

    user = "ada@example.com"

    def get(self, case, context):
        if context.operation.path.startswith("/api/v1/backoffice/"):
            return login_as_staff()
        return login("/api/v1", self.user)

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


ENDING = ["logout_user", "delete_current_user", "logout_admin"]


@schemathesis.auth(refresh_interval=600).skip_for(operation_id=ENDING)
class SharedSession(SignedIn):
    """One session for many requests; its access token is good for 30 minutes."""


@schemathesis.auth(refresh_interval=None).apply_to(operation_id=ENDING)
class OwnSession(SignedIn):
    """Each request that ends its session has one to end, and ends nobody else's."""

    user = "eve@example.com"


def there(path, name, **query):
    """What a list holds under this name."""
    # A super-admin sees them all, whoever is to work with them.
    headers = {"Authorization": f"Bearer {login_as_staff('grace@example.com')}"}
    answer = requests.get(f"{BASE}/api/v1/backoffice/{path}", query, headers=headers, timeout=10)
    answer.raise_for_status()
    data = answer.json()["data"]
    return [item[name] for item in data.get("items") or data[path]]


# By the word of the path that comes before an identifier or a name.
THERE = {
    "users": there("users", "id", q="demo.example"),
    "jobs": there("jobs", "id"),
    "queues": there("queues", "name"),
    "schedules": there("schedules", "name"),
}


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Makes every second identifier or name one of something that is there."""
    known = THERE.get(context.operation.path.split("{")[0].strip("/").split("/")[-1])
    if not known or not path_parameters:
        return path_parameters
    name, value = next(iter(path_parameters.items()))
    number = zlib.crc32(str(value).encode(errors="replace"))
    if number % 2 == 0:
        return path_parameters
    return {**path_parameters, name: known[number // 2 % len(known)]}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Leaves the client API open, whose document is judged at the same time."""
    operation_id = context.operation.definition.raw.get("operationId")
    is_switched_on = isinstance(case.body, dict) and case.body.get("enabled") is True
    if operation_id == "change_maintenance_settings" and is_switched_on:
        case.body = {**case.body, "enabled": False}


# Which operation takes what from the answer of which: so there are sequences to play.
LINKS = [
    ("get_user", ["suspend_user", "reactivate_user"], "id"),
    ("suspend_user", ["get_user", "suspend_user", "reactivate_user"], "id"),
    ("reactivate_user", ["get_user", "suspend_user"], "id"),
    ("get_job", ["cancel_job", "retry_job", "discard_job"], "id"),
    ("cancel_job", ["retry_job", "discard_job"], "id"),
    ("retry_job", ["cancel_job", "get_job"], "id"),
    ("create_post", ["get_post", "update_post", "publish_post", "delete_post"], "id"),
    ("publish_post", ["get_post", "unpublish_post", "delete_post"], "id"),
    ("login_user", ["refresh_user_session"], "refresh_token"),
    ("refresh_user_session", ["refresh_user_session"], "refresh_token"),
    ("login_admin", ["refresh_admin_session"], "refresh_token"),
    ("refresh_admin_session", ["refresh_admin_session"], "refresh_token"),
]


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Adds the links of those operations that are in this document."""
    operations = {
        operation["operationId"]: operation
        for item in raw_schema["paths"].values()
        for operation in item.values()
    }
    for source, targets, pointer in LINKS:
        for target in targets if source in operations else []:
            value = f"$response.body#/data/{pointer}"
            if pointer == "refresh_token":
                link = {"operationId": target, "requestBody": {pointer: value}}
            else:
                link = {"operationId": target, "parameters": {"id": value}}
            operations[source]["responses"]["200"].setdefault("links", {})[target] = link
