"""Styles and scripts: whole, without a warning, also when they change under a running server."""

import asyncio
import warnings
from pathlib import Path
from typing import Any

import pytest
from django.test import RequestFactory

from config.static_files import StaticFiles
from tests.test_web_server import status_of


def served(settings: Any, folder: Path) -> StaticFiles:
    settings.STATIC_ROOT = folder
    return StaticFiles(lambda request: None)


def test_a_file_that_changed_under_a_running_server_arrives_whole(settings, tmp_path):
    style = tmp_path / "look.css"
    style.write_text("a {}")
    server = served(settings, tmp_path)
    style.write_text("a {} b { color: red }")
    answer = server(RequestFactory().get("/static/look.css"))
    assert answer.content == style.read_bytes()
    assert answer["Content-Length"] == str(len(answer.content))
    assert answer["Content-Type"] == 'text/css; charset="utf-8"'


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ({}, 200, b"0123456789"),
        ({"range": "bytes=2-4"}, 206, b"234"),
        ({"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 304, b""),
    ],
)
def test_ranges_and_what_a_browser_keeps_are_answered(settings, tmp_path, asked, status, content):
    (tmp_path / "digits.txt").write_bytes(b"0123456789")
    get = RequestFactory().get("/static/digits.txt", headers=asked)
    answer = served(settings, tmp_path)(get)
    assert (answer.status_code, answer.content) == (status, content)


def test_who_has_a_style_already_is_told_of_no_other_type(settings, tmp_path):
    (tmp_path / "look.css").write_text("a {}")
    asked = {"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    answer = served(settings, tmp_path)(RequestFactory().get("/static/look.css", headers=asked))
    assert answer.status_code == 304
    assert not answer.has_header("Content-Type")


def test_only_reading_is_allowed_and_a_head_has_no_body(settings, tmp_path):
    (tmp_path / "digits.txt").write_bytes(b"0123456789")
    server = served(settings, tmp_path)
    assert server(RequestFactory().post("/static/digits.txt")).status_code == 405
    head = server(RequestFactory().head("/static/digits.txt"))
    assert (head.content, head["Content-Length"]) == (b"", "10")


@pytest.mark.django_db(transaction=True)
def test_the_web_process_serves_a_style_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert asyncio.run(status_of("/static/css/winnow.css")) == 200
