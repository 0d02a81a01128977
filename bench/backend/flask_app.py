"""The reference backend's routes in Flask, to be measured beside it; run by gunicorn.

Rule: as Flask's, redis-py's and psycopg's documentation write it, with what makes it fast: prepared
statements, pools, no log line for a request. It does less than the reference backend in each
request (no CORS, no log, no rotation), so the comparison errs in its favour.
"""

import hashlib
import json
import os
import secrets
import sqlite3
import threading
import time

from flask import Flask, request
from werkzeug.security import check_password_hash, generate_password_hash

STORE = os.environ["STORE"]
LIFE = 7 * 24 * 60 * 60
USER, PASSWORD = os.environ["BENCH_USER"], os.environ["BENCH_PASSWORD"]
TABLE = """CREATE TABLE IF NOT EXISTS bench_sessions
    (token TEXT PRIMARY KEY, username TEXT NOT NULL, expires DOUBLE PRECISION NOT NULL)"""


class Memory:
    def __init__(self):
        self.rows = {}

    def insert(self, key, username, expires):
        self.rows[key] = (username, expires)

    def find(self, key):
        return self.rows.get(key)


class Sqlite:
    """A connection for each thread; Python's module keeps the statements prepared."""

    def __init__(self, path):
        self.path, self.local = path, threading.local()

    def connection(self):
        if not hasattr(self.local, "connection"):
            self.local.connection = sqlite3.connect(self.path)
            self.local.connection.execute("PRAGMA journal_mode = WAL")
        return self.local.connection

    def prepare(self):
        with self.connection() as connection:
            connection.execute(TABLE)

    def insert(self, key, username, expires):
        with self.connection() as connection:
            values = (key, username, expires)
            connection.execute("INSERT INTO bench_sessions VALUES (?, ?, ?)", values)

    def find(self, key):
        query = "SELECT username, expires FROM bench_sessions WHERE token = ?"
        return self.connection().execute(query, (key,)).fetchone()


class Redis:
    def __init__(self, url):
        import redis

        self.redis = redis.Redis.from_url(url, decode_responses=True)

    def insert(self, key, username, expires):
        row = json.dumps([username, expires])
        self.redis.set(f"bench_session:{key}", row, exat=int(expires))

    def find(self, key):
        row = self.redis.get(f"bench_session:{key}")
        return json.loads(row) if row else None


class Postgres:
    """psycopg prepares a statement by itself when it was asked a few times."""

    def __init__(self, url):
        self.url, self.opened, self.lock = url, None, threading.Lock()

    def pool(self):
        with self.lock:
            # Not at import: gunicorn may fork after that.
            if self.opened is None:
                from psycopg_pool import ConnectionPool

                kwargs = {"autocommit": True}
                self.opened = ConnectionPool(self.url, min_size=4, max_size=4, kwargs=kwargs)
            return self.opened

    def prepare(self):
        with self.pool().connection() as connection:
            connection.execute(TABLE)
        self.pool().close()

    def insert(self, key, username, expires):
        with self.pool().connection() as connection:
            values = (key, username, expires)
            connection.execute("INSERT INTO bench_sessions VALUES (%s, %s, %s)", values)

    def find(self, key):
        query = "SELECT username, expires FROM bench_sessions WHERE token = %s"
        with self.pool().connection() as connection:
            return connection.execute(query, (key,)).fetchone()


def open_store():
    kind = STORE.partition(":")[0]
    if kind == "sqlite":
        return Sqlite(STORE.removeprefix("sqlite:"))
    if kind == "redis":
        return Redis(STORE)
    return Postgres(STORE) if kind in ("postgres", "postgresql") else Memory()


store = open_store()
app = Flask(__name__)
# Sign-ins are not what is measured: a cheap hash, so that nobody waits for them.
password_hash = generate_password_hash(PASSWORD, method="pbkdf2:sha256:1000")


def key_of(token):
    return hashlib.sha256(token.encode()).hexdigest()


def refused():
    return {"message": "Invalid or expired token"}, 401, {"WWW-Authenticate": "Bearer"}


@app.get("/api/health")
def health():
    return {"status": "ok", "now": int(time.time() * 1000)}


@app.post("/auth/login")
def login():
    given = request.get_json()
    is_right = check_password_hash(password_hash, given["password"])
    if given["username"] != USER or not is_right:
        return {"message": "wrong username or password"}, 401
    token = secrets.token_urlsafe(32)
    store.insert(key_of(token), USER, time.time() + LIFE)
    return {"access_token": token, "token_type": "Bearer", "expires_in": LIFE}


@app.get("/auth/me")
def me():
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    row = store.find(key_of(token)) if scheme == "Bearer" else None
    if row is None or row[1] <= time.time():
        return refused()
    return {"username": row[0], "expires_at": row[1]}


# Once, before the workers: two that made the table at the same time would be in each other's way.
if __name__ == "__main__" and hasattr(store, "prepare"):
    store.prepare()
