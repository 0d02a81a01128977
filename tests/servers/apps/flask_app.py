"""Flask, as its tutorials have it; run by gunicorn. A refusal is JSON with status 401."""

import os

import tokens
import worker
from flask import Flask, request, send_from_directory

app = Flask(__name__, static_folder=os.environ["PAGES"], static_url_path="")


def bearer():
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


@app.post("/auth/login")
def login():
    return {"access_token": tokens.issue(request.json["username"]), "token_type": "bearer"}


@app.get("/auth/me")
def me():
    username = tokens.name_of(bearer())
    if username is None:
        return {"error": "Invalid or expired token"}, 401
    return {"username": username}


@app.post("/auth/logout")
def logout():
    tokens.revoke(bearer())
    return "", 204


@app.get("/api/health")
def health():
    return worker.health()


@app.get("/session-keeper/<path:name>")
def package(name):
    return send_from_directory(os.environ["PACKAGE"], name)


@app.after_request
def say_who_answered(response):
    response.headers["X-Worker"] = worker.PID
    return response


worker.is_up()
