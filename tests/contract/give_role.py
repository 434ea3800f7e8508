"""Leaves a member of the staff one of the roles that come with the product: address, role."""

import sys

import hooks
import requests

ADMINS = f"{hooks.BASE}/api/v1/backoffice/admins"
ROLES = f"{hooks.BASE}/api/v1/backoffice/roles"
address, role = sys.argv[1:]
session = requests.Session()
session.headers["Authorization"] = f"Bearer {hooks.login_as_staff()}"


def one(url, name, value):
    """The identifier of what has this value."""
    answer = session.get(url, params={"q": value}, timeout=10)
    answer.raise_for_status()
    return next(item["id"] for item in answer.json()["data"]["items"] if item[name] == value)


change = {"role_ids": [one(ROLES, "name", role)]}
session.patch(f"{ADMINS}/{one(ADMINS, 'email', address)}", json=change, timeout=10).raise_for_status()
