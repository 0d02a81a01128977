"""Django REST framework with SimpleJWT, as its documentation has it; run by gunicorn. Refresh
tokens are good once: they are rotated, and the old one is blacklisted."""

import os
from datetime import timedelta
from pathlib import Path

import django
import worker
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path, re_path
from django.views.static import serve

settings.configure(
    SECRET_KEY=os.environ["SECRET_KEY"],
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework_simplejwt.token_blacklist",
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(os.environ["DATA"]) / "django.sqlite3",
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        }
    },
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "rest_framework_simplejwt.authentication.JWTAuthentication"
        ],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    },
    SIMPLE_JWT={
        "ACCESS_TOKEN_LIFETIME": timedelta(seconds=int(os.environ["ACCESS_SECONDS"])),
        "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
        "ROTATE_REFRESH_TOKENS": True,
        "BLACKLIST_AFTER_ROTATION": True,
    },
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from rest_framework.decorators import api_view  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework_simplejwt.views import (  # noqa: E402
    TokenBlacklistView,
    TokenObtainPairView,
    TokenRefreshView,
)


@api_view(["GET"])
def me(request):
    return Response({"username": request.user.username})


def health(request):
    return JsonResponse(worker.health())


urlpatterns = [
    path("auth/login", TokenObtainPairView.as_view()),
    path("api/token/refresh/", TokenRefreshView.as_view()),
    path("api/token/blacklist/", TokenBlacklistView.as_view()),
    path("auth/me", me),
    path("api/health", health),
    re_path(r"^session-keeper/(?P<path>.*)$", serve, {"document_root": os.environ["PACKAGE"]}),
    re_path(r"^(?P<path>.*)$", serve, {"document_root": os.environ["PAGES"]}),
]

call_command("migrate", verbosity=0)
if not User.objects.filter(username="demo").exists():
    User.objects.create_user("demo", password="demo")
application = get_wsgi_application()
worker.is_up()
