"""The served captioner: where pictures go, and that the key goes nowhere else."""

import contextlib
import json
import logging
import socket
import traceback

import pytest
from served_kit import NAMES, picture, pictures, run, served

from trsllava.captioning import load_captioner
from trsllava.captioning.address import read_address
from trsllava.captioning.captioner import CaptionerUnavailable, Failed
from trsllava.errors import UsageError
from trsllava.testing.answers import Answer, completion, error, record
from trsllava.testing.server import StubServer

KEY = "sk-very-secret-0123456789"


@pytest.mark.parametrize("url", [None, "", " "])
def test_the_address_must_be_given_whatever_the_environment_says(url, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with pytest.raises(UsageError, match="--base-url is missing"):
        load_captioner("openai", model="m", base_url=url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://me:hunter2@127.0.0.1/v1", "password"),
        ("http://hunter2@127.0.0.1/v1", "password"),
        ("127.0.0.1:8000", "http://"),
        ("ftp://127.0.0.1/v1", "http://"),
        ("http:///v1", "host"),
        ("http://127.0.0.1:port/v1", "no address"),
        ("http://127.0.0.1/v1?key=hunter2", "path"),
        ("http://127.0.0.1/v1/chat/completions", "before /chat/completions"),
    ],
)
def test_a_bad_address_is_refused_and_its_secrets_are_not_repeated(url, said):
    with pytest.raises(UsageError, match=said) as caught:
        served(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("options", [{"model": None}, {"concurrency": 0}, {"max_tokens": 0}])
def test_senseless_options_are_usage_errors(options):
    with pytest.raises(UsageError):
        served("http://127.0.0.1:1/v1", **options)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("api.localhost", True),
        ("[::1]", True),
        ("0.0.0.0", True),
        (socket.gethostname(), True),
        ("192.0.2.7", False),
        ("[2001:db8::7]", False),
        ("api.example.com", False),
        ("127.0.0.1.example.com", False),
        ("localhost.example.com", False),
    ],
)
def test_it_is_known_which_addresses_are_this_machine(host, here):
    assert read_address(f"http://{host}:8000/v1").is_here is here


def test_one_line_says_that_pictures_leave_the_machine(caplog):
    captioner = served("http://captions.invalid:9/v1", budget=0.2)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with pytest.raises(CaptionerUnavailable):
                run(captioner, pictures(2))
    assert caplog.text.count("pictures leave this machine") == 1
    assert "captions.invalid" in caplog.text


def test_no_line_says_so_where_they_do_not(caplog):
    with StubServer() as server, caplog.at_level(logging.DEBUG):
        run(served(server), pictures(2))
    assert "leave this machine" not in caplog.text


def test_a_proxy_of_the_environment_does_not_get_local_pictures(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with StubServer() as server:
        assert len(run(served(server), pictures(3))) == 3


def test_the_key_is_sent_and_appears_nowhere_else(monkeypatch, caplog, capfd):
    """A server that echoes it in replies, errors and models' names does not get it written."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    seen = set()

    def answer(request):
        key = request.headers["authorization"]
        seen.add(key)
        if request.colour == "red":
            return error(400, f"bad: {key}")
        if request.colour == "green":
            return Answer(f"<html>{key}</html>")
        if request.colour == "blue":
            return completion(f"Your key is {key}.")
        if request.colour == "white":
            return completion(None, refusal=f"not for {key}")
        if request.colour == "yellow":
            return error(500, f"oops {key}")
        if request.colour == "black":
            return completion(record(request).replace("black", f"black {KEY}"))
        return completion(record(request))

    shown = []
    with StubServer(answer) as server, caplog.at_level(logging.DEBUG):
        captioner = served(server)
        found = run(captioner, [picture(f"{n}.png", n) for n in (*NAMES, "brown")])
        assert seen == {f"Bearer {KEY}"}
        assert sum(isinstance(outcome, Failed) for outcome in found.values()) >= 5
        shown += [repr(found), json.dumps(captioner.identity()), repr(vars(captioner))]
        for status in (401, 404):
            server.mode = lambda request, status=status: error(
                status, f"The model does not exist for {request.headers['authorization']}"
            )
            try:
                run(captioner, pictures(2))
            except CaptionerUnavailable as unavailable:
                shown += traceback.format_exception(unavailable)
            else:
                pytest.fail("the server was taken for well")
    out, err = capfd.readouterr()
    for text in (*shown, caplog.text, out, err):
        assert KEY not in text


def test_a_server_without_key_gets_a_word_that_is_none(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    seen = []

    def answer(request):
        seen.append(request.headers["authorization"])
        return completion(record(request))

    with StubServer(answer) as server:
        run(served(server), pictures(1))
    assert seen == ["Bearer none"]


@pytest.mark.parametrize("key", ["sk-with\nline", "sk-schl\u00fcssel-123"])
def test_a_key_that_cannot_be_one_is_refused_without_repeating_it(key, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with StubServer() as server, pytest.raises(UsageError, match="OPENAI_API_KEY") as caught:
        run(served(server), pictures(1))
    shown = "".join(traceback.format_exception(caught.value))
    with contextlib.suppress(UnicodeEncodeError):
        assert key not in shown
    assert "sk-" not in str(caught.value)
