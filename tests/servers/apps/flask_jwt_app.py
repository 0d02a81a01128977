"""Flask-JWT-Extended, as its documentation has it; run by gunicorn. The refresh token travels in
`Authorization` and stays the same; what is revoked is refused by its id."""

import os
from datetime import timedelta
from pathlib import Path

import worker
from flask import Flask, request, send_from_directory
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    create_refresh_token,
    get_jwt,
    get_jwt_identity,
    jwt_required,
)

app = Flask(__name__, static_folder=os.environ["PAGES"], static_url_path="")
app.config["JWT_SECRET_KEY"] = os.environ["SECRET_KEY"]
app.config["JWT_ACCESS_TOKEN_EXPIRES"] = timedelta(seconds=int(os.environ["ACCESS_SECONDS"]))
app.config["JWT_REFRESH_TOKEN_EXPIRES"] = timedelta(days=1)
jwt = JWTManager(app)
revoked = Path(os.environ["DATA"]) / "revoked"
revoked.mkdir(exist_ok=True)


@jwt.token_in_blocklist_loader
def is_revoked(header, payload):
    return (revoked / payload["jti"]).exists()


@app.post("/auth/login")
def login():
    name = request.json["username"]
    return {
        "access_token": create_access_token(identity=name),
        "refresh_token": create_refresh_token(identity=name),
    }


@app.post("/refresh")
@jwt_required(refresh=True)
def refresh():
    return {"access_token": create_access_token(identity=get_jwt_identity())}


@app.delete("/refresh")
@jwt_required(refresh=True)
def revoke():
    (revoked / get_jwt()["jti"]).touch()
    return {"msg": "Refresh token revoked"}


@app.get("/auth/me")
@jwt_required()
def me():
    return {"username": get_jwt_identity()}


@app.get("/api/health")
def health():
    return worker.health()


@app.get("/session-keeper/<path:name>")
def package(name):
    return send_from_directory(os.environ["PACKAGE"], name)


worker.is_up()
