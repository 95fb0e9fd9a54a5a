"""The JSON API: both apps' routers, bearer tokens, errors in words, and its plain page."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, ValidationError
from ninja.security import HttpBearer

import quality.api
from labeling.access import RoleNeededError
from labeling.api import answers, checks, datasets, items, jobs, rounds
from labeling.api.callers import in_words
from labeling.models import User
from labeling.services import members
from labeling.services.jobs import JobOpenError, Refused
from labeling.storage import DiskFullError

NO_TOKEN = (
    "Send a token of yours: Authorization: Bearer winnow_... Make one on your Account page; "
    "this one is missing, revoked or wrong."
)


class Bearer(HttpBearer):
    """A token from the Account page; it may do what its person may do."""

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        user = members.user_of_token(text=token, now=timezone.now())
        if user is not None:
            request.user = user
        return user


api = NinjaAPI(
    title="Winnow",
    version="1",
    description="Label together, find what is wrong, prove what it bought.",
    auth=Bearer(),
    docs_url=None,
)
for part in (datasets, items, rounds, answers, checks, jobs, quality.api):
    api.add_router("", part.router)


def _in_words(request: HttpRequest, words: str, *, status: int) -> HttpResponse:
    return api.create_response(request, {"detail": words}, status=status)


@api.exception_handler(AuthenticationError)
def no_token(request: HttpRequest, error: Any) -> HttpResponse:
    response = _in_words(request, NO_TOKEN, status=401)
    response["WWW-Authenticate"] = "Bearer"
    return response


@api.exception_handler(Http404)
def not_there(request: HttpRequest, error: Any) -> HttpResponse:
    return _in_words(request, f"There is {error}." if str(error) else "Not found.", status=404)


@api.exception_handler(RoleNeededError)
def role_needed(request: HttpRequest, error: Any) -> HttpResponse:
    return _in_words(request, str(error), status=403)


@api.exception_handler(ValidationError)
def wrong(request: HttpRequest, error: Any) -> HttpResponse:
    return _in_words(request, in_words(error.errors), status=422)


@api.exception_handler(JobOpenError)
@api.exception_handler(Refused)
def refused(request: HttpRequest, error: Any) -> HttpResponse:
    return _in_words(request, str(error), status=409)


@api.exception_handler(DiskFullError)
def full(request: HttpRequest, error: Any) -> HttpResponse:
    return _in_words(request, str(error), status=507)


def docs(request: HttpRequest) -> HttpResponse:
    """Show the API as a page; no script of somebody else's, as our policy wants it."""
    schema = api.get_openapi_schema(path_prefix="/api/")
    operations = [
        _operation(method, path, described, schema)
        for path, methods in schema["paths"].items()
        for method, described in methods.items()
    ]
    return render(request, "api_docs.html", {"operations": operations, "section": "api"})


def _operation(method: str, path: str, described: Any, schema: Any) -> dict[str, Any]:
    body = described.get("requestBody", {}).get("content", {})
    return {
        "id": described["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": described.get("summary", ""),
        "description": described.get("description", ""),
        "asked": [
            _field(part["name"], part["schema"], required=part.get("required", False))
            for part in described.get("parameters", [])
        ],
        "bodies": [
            {"type": kind, "fields": _fields(_resolved(part["schema"], schema))}
            for kind, part in body.items()
        ],
        "answers": [
            {"status": status, "fields": _answer(answer, schema)}
            for status, answer in described["responses"].items()
        ],
    }


def _answer(answer: Any, schema: Any) -> list[dict[str, Any]]:
    content = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return _fields(_resolved(content, schema))


def _resolved(part: Any, schema: Any) -> Any:
    """Follow a reference, the items of a list, or the one real choice beside null."""
    if "anyOf" in part:
        part = next(one for one in part["anyOf"] if one.get("type") != "null")
    if part.get("type") == "array":
        part = part["items"]
    if "$ref" in part:
        return schema["components"]["schemas"][part["$ref"].rsplit("/", 1)[1]]
    return part


def _fields(part: Any) -> list[dict[str, Any]]:
    needed = part.get("required", [])
    return [
        _field(name, described, required=name in needed)
        for name, described in part.get("properties", {}).items()
    ]


def _field(name: str, described: Any, *, required: bool) -> dict[str, Any]:
    return {
        "name": name,
        "type": _type(described),
        "words": described.get("description", ""),
        "default": described.get("default"),
        "required": required,
    }


def _type(described: Any) -> str:
    if "enum" in described:
        return " | ".join(map(str, described["enum"]))
    if "anyOf" in described:
        return " | ".join(_type(one) for one in described["anyOf"])
    if described.get("type") == "array":
        return f"list of {_type(described.get('items', {}))}"
    if "$ref" in described:
        return str(described["$ref"].rsplit("/", 1)[1])
    return str(described.get("format") or described.get("type") or "anything")
