"""Where the tokens are kept: rightly, and in the ways in which backends lose their users.

Rule: `TOKENS` names the way. Whatever the way, a token that was revoked is refused by every worker.
"""

import json
import os
import secrets
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import jwt

DATA = Path(os.environ["DATA"])
LIFE = 12 * 3600


class Memory:
    """Each worker knows the tokens that it issued itself, until it ends."""

    def __init__(self):
        self.names = {}

    def issue(self, name):
        token = secrets.token_urlsafe(24)
        self.names[token] = name
        return token

    def name_of(self, token):
        return self.names.get(token)


class FileOnce(Memory):
    """A file that each worker reads only at its start."""

    file = DATA / "tokens"

    def __init__(self):
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        self.names = dict(json.loads(line) for line in lines)

    def issue(self, name):
        token = super().issue(name)
        with self.file.open("a") as file:
            print(json.dumps([token, name]), file=file)
        return token


class Shared:
    """A table that all workers share, and that outlives them."""

    def __init__(self):
        self.ask("CREATE TABLE IF NOT EXISTS auth_tokens (token TEXT PRIMARY KEY, username TEXT)")

    def ask(self, *statement):
        with closing(sqlite3.connect(DATA / "tokens.sqlite", timeout=10)) as connection:
            with connection:
                return connection.execute(*statement).fetchone()

    def issue(self, name):
        token = secrets.token_urlsafe(24)
        self.ask("INSERT INTO auth_tokens VALUES (?, ?)", (token, name))
        return token

    def name_of(self, token):
        row = self.ask("SELECT username FROM auth_tokens WHERE token = ?", (token,))
        return row and row[0]

    def revoke(self, token):
        self.ask("DELETE FROM auth_tokens WHERE token = ?", (token,))


class Signed:
    """A signed token. Where the environment gives no key, each start silently makes a new one."""

    key = os.environ.get("SECRET_KEY") or secrets.token_hex(32)

    def issue(self, name):
        claims = {"sub": name, "exp": int(time.time()) + LIFE}
        return jwt.encode(claims, self.key, algorithm="HS256")

    def name_of(self, token):
        try:
            return jwt.decode(token, self.key, algorithms=["HS256"])["sub"]
        except jwt.InvalidTokenError:
            return None


WAYS = {"memory": Memory, "file-once": FileOnce, "shared": Shared, "signed": Signed}
kept = WAYS[os.environ["TOKENS"]]()


def issue(name):
    return kept.issue(name)


def name_of(token):
    revoked = DATA / "revoked"
    if revoked.exists() and token in revoked.read_text().splitlines():
        return None
    return kept.name_of(token)


def revoke(token):
    """Makes every worker forget the token; a list that all read reaches those without a store."""
    with (DATA / "revoked").open("a") as file:
        print(token, file=file)
    if hasattr(kept, "revoke"):
        kept.revoke(token)
