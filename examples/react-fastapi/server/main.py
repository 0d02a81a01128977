"""The API of the examples: sign-in, refresh with rotation, who am I, and some items.

Tokens are in SQLite, so that a restart loses none and all workers know them; only their hashes
are, so that a copy of the file signs nobody in.
"""

import hashlib
import hmac
import os
import secrets
import sqlite3
import time
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

ACCESS_SECONDS = int(os.environ.get("ACCESS_SECONDS", "900"))
REFRESH_SECONDS = 30 * 24 * 3600
PASSWORDS = {"ada": "lovelace"}  # yours are hashed, and in a database
BOOT = secrets.token_hex(8)

app = FastAPI()


def database() -> sqlite3.Connection:
    db = sqlite3.connect(os.environ.get("DATABASE", "example.db"), isolation_level=None)
    db.execute("PRAGMA busy_timeout = 5000")
    return db


with database() as db:
    db.executescript("""
        CREATE TABLE IF NOT EXISTS tokens (
            hash TEXT PRIMARY KEY, kind TEXT, session TEXT, username TEXT, until REAL, attempt TEXT);
        CREATE TABLE IF NOT EXISTS secret (id INTEGER PRIMARY KEY CHECK (id = 1), value TEXT);
    """)
    db.execute("INSERT OR IGNORE INTO secret VALUES (1, ?)", [secrets.token_hex(32)])
    SECRET = db.execute("SELECT value FROM secret").fetchone()[0].encode()


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def rejected() -> HTTPException:
    challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    return HTTPException(401, {"code": "invalid_token", "boot": BOOT}, challenge)


def find(db: sqlite3.Connection, token: str, kind: str):
    query = "SELECT session, username, attempt FROM tokens WHERE hash = ? AND kind = ? AND until > ?"
    return db.execute(query, [digest(token), kind, time.time()]).fetchone()


def issue(db: sqlite3.Connection, session: str, username: str, access: str, refresh: str) -> dict:
    now = time.time()
    for token, kind, seconds in (
        (access, "access", ACCESS_SECONDS),
        (refresh, "refresh", REFRESH_SECONDS),
    ):
        row = [digest(token), kind, session, username, now + seconds]
        db.execute("INSERT OR IGNORE INTO tokens VALUES (?, ?, ?, ?, ?, NULL)", row)
    return {
        "access_token": access,
        "refresh_token": refresh,
        "expires_in": ACCESS_SECONDS,
        "user": {"username": username},
    }


def current_session(authorization: Annotated[str, Header()] = ""):
    with database() as db:
        row = find(db, authorization.removeprefix("Bearer "), "access")
    if row is None:
        raise rejected()
    return row


Session = Annotated[tuple, Depends(current_session)]


class Login(BaseModel):
    username: str
    password: str


class Refresh(BaseModel):
    refresh_token: str
    attempt: str


@app.post("/auth/login")
def login(given: Login):
    expected = PASSWORDS.get(given.username, secrets.token_hex())
    if not hmac.compare_digest(given.password.encode(), expected.encode()):
        raise HTTPException(403, "Wrong name or password")
    with database() as db:
        tokens = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        return issue(db, secrets.token_hex(16), given.username, *tokens)


@app.post("/auth/refresh")
def refresh(given: Refresh):
    with database() as db:
        db.execute("BEGIN IMMEDIATE")
        row = find(db, given.refresh_token, "refresh")
        if row is None:
            raise rejected()
        session, username, attempt = row
        if attempt not in (None, given.attempt):
            # Used before, by somebody else: one of the two has stolen it.
            db.execute("DELETE FROM tokens WHERE session = ?", [session])
            db.execute("COMMIT")
            raise rejected()
        update = "UPDATE tokens SET attempt = ? WHERE hash = ?"
        db.execute(update, [given.attempt, digest(given.refresh_token)])

        # The same attempt gets the same successor, so that a lost answer costs nobody the session.
        def successor(kind: str) -> str:
            text = f"{kind}:{given.refresh_token}:{given.attempt}"
            return hmac.new(SECRET, text.encode(), "sha256").hexdigest()

        return issue(db, session, username, successor("access"), successor("refresh"))


@app.get("/auth/me")
def me(session: Session):
    return {"username": session[1], "boot": BOOT}


@app.post("/auth/logout", status_code=204)
def logout(session: Session):
    with database() as db:
        db.execute("DELETE FROM tokens WHERE session = ?", [session[0]])


@app.get("/api/health")
def health():
    return {"status": "ok", "boot": BOOT}


@app.get("/api/items")
def items(session: Session):
    return [f"{session[1]}'s first item", f"{session[1]}'s second item"]


# The built page, where there is one; Vite serves it while you develop.
if os.environ.get("PAGE"):
    app.mount("/", StaticFiles(directory=os.environ["PAGE"], html=True))
