"""An OAuth server and an API behind it, by Authlib: client credentials (RFC 6749 section 4.4).

Rule: the tokens, the grant, the client's authentication and the check of a token are Authlib's.
What is here is the list of clients and tokens, and a count of what was asked for.
"""

import os
import time

from authlib.integrations.flask_oauth2 import AuthorizationServer, ResourceProtector
from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
from authlib.oauth2.rfc6750 import BearerTokenValidator
from flask import Flask, jsonify, request
from werkzeug.serving import make_server

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
LIFE = int(os.environ.get("TOKEN_LIFE", "43200"))
METHODS = ["client_secret_basic", "client_secret_post"]
tokens = {}
seen = {"asked": 0, "issued": 0}


class Client(ClientMixin):
    def __init__(self, client_id, secret):
        self.client_id = client_id
        self.secret = secret

    def get_client_id(self):
        return self.client_id

    def get_allowed_scope(self, scope):
        return "nodes" if scope == "nodes" else ""

    def check_client_secret(self, client_secret):
        return client_secret == self.secret

    def check_endpoint_auth_method(self, method, endpoint):
        return method in METHODS

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials"


class Token(TokenMixin):
    def __init__(self, client, answer):
        self.client = client
        self.scope = answer.get("scope", "")
        self.expires_at = time.time() + answer["expires_in"]
        self.revoked = False

    def check_client(self, client):
        return self.client is client

    def get_scope(self):
        return self.scope

    def get_expires_in(self):
        return LIFE

    def is_expired(self):
        return self.expires_at < time.time()

    def is_revoked(self):
        return self.revoked


class Grant(grants.ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = METHODS


class Validator(BearerTokenValidator):
    def authenticate_token(self, token_string):
        return tokens.get(token_string)


# The second one has what must be escaped in a form. In Basic, Authlib takes it unescaped only,
# which RFC 6749 section 2.3.1 does not.
clients = {
    "backend": Client("backend", "s3cret-of-the-backend"),
    "back end": Client("back end", "s3cret: 100% & more"),
}


def save_token(answer, of):
    seen["issued"] += 1
    tokens[answer["access_token"]] = Token(of.client, answer)


app = Flask(__name__)
app.config["OAUTH2_TOKEN_EXPIRES_IN"] = {"client_credentials": LIFE}
server = AuthorizationServer(
    app,
    query_client=clients.get,
    save_token=save_token,
)
server.register_grant(Grant)
protect = ResourceProtector()
protect.register_token_validator(Validator())


@app.post("/oauth/token")
def issue():
    seen["asked"] += 1
    return server.create_token_response()


@app.route("/v2/<path:rest>", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
@protect("nodes")
def resource(rest):
    if rest == "missing":
        return jsonify(error="no such node"), 404
    body = request.get_json(silent=True)
    headers = sorted(name.lower() for name in request.headers.keys())
    # For a test that nothing of it comes back.
    answer = jsonify(path=request.full_path, method=request.method, body=body, headers=headers)
    answer.set_cookie("theirs", "1")
    return answer


@app.get("/seen")
def show_seen():
    return jsonify(seen)


@app.post("/revoke")
def revoke():
    for token in tokens.values():
        token.revoked = True
    return jsonify(len(tokens))


if __name__ == "__main__":
    listening = make_server("127.0.0.1", 0, app, threaded=True)
    print(f"listening on http://127.0.0.1:{listening.server_port}", flush=True)
    listening.serve_forever()
