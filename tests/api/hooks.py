"""Signs in for schemathesis, and ends sessions that nobody else needs.

Rule: one token for what leaves its session alone; whatever ends sessions is asked by a user of its
own, in a session of its own. With AS=nobody nobody is signed in.
"""

import os

import requests
import schemathesis

ORIGIN = os.environ["ORIGIN"]
PASSWORD = os.environ["PASSWORD"]
ENDS_SESSIONS = {"/auth/logout", "/auth/logout-everywhere", "/auth/sessions/{id}"}
kept = None


def sign_in(username):
    body = {"username": username, "password": PASSWORD}
    answer = requests.post(f"{ORIGIN}/auth/login", json=body, timeout=30)
    answer.raise_for_status()
    tokens = answer.json()
    # The driver looks for them in the server's log.
    with open(os.environ["SECRETS"], "a", encoding="utf-8") as secrets:
        for name in ("access_token", "refresh_token"):
            secrets.write(tokens.get(name, "") + "\n")
    return tokens["access_token"]


def token_for(path):
    global kept
    if path in ENDS_SESSIONS:
        return sign_in("quitter")
    if kept is None:
        kept = sign_in("ada")
    return kept


if os.environ["AS"] == "ada":

    @schemathesis.auth(refresh_interval=None)
    class SignedIn:
        def get(self, case, context):
            # What the document leaves open needs no token, and signing in must not carry one.
            security = context.operation.definition.raw.get("security")
            return token_for(case.operation.path) if security else None

        def set(self, case, data, context):
            if data is not None:
                case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Ids that are made up lead to 404 only: every other one is the caller's own."""
    headers = case.headers or {}
    given = headers.get("Authorization", "")
    if case.operation.path != "/auth/sessions/{id}" or not given.startswith("Bearer "):
        return
    before_call.turn = not getattr(before_call, "turn", False)
    if not before_call.turn:
        return
    own = {"Authorization": given}
    listed = requests.get(f"{ORIGIN}/auth/sessions", headers=own, timeout=30)
    if listed.status_code == 200:
        case.path_parameters = {"id": listed.json()["sessions"][0]["id"]}
