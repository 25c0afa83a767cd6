"""The served captioner: overload, outages, garbage, time-outs, and pictures that do harm."""

import logging
import random
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from served_kit import assert_right, caption, picture, pictures, run, served

from trsllava.captioning.captioner import Captioned, CaptionerUnavailable, Failed
from trsllava.captioning.retry_after import retry_after
from trsllava.testing.answers import Answer, Effect, completion, error, record
from trsllava.testing.server import StubServer


def reasons(found):
    return {o.image: o.reason for o in found.values() if isinstance(o, Failed)}


def colour_calls(server, colour):
    return [call for call in server.calls if call["colour"] == colour]


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks():
    with StubServer("busy:1") as server:
        assert_right(caption(server))
        moments = [call["t"] for call in server.calls]
    assert min(moments[1:]) - moments[0] > 0.95
    assert len(moments) == 13


def test_retry_after_is_read_as_seconds_or_as_a_date():
    soon = datetime.now(UTC) + timedelta(seconds=30)
    assert retry_after({"retry-after": "7"}) == 7.0
    assert retry_after({"retry-after": "1.5"}) == 1.5
    assert 28 <= retry_after({"retry-after": format_datetime(soon, usegmt=True)}) <= 30
    past = format_datetime(soon - timedelta(days=1), usegmt=True)
    for odd in ("", "soon", "-5", "nan", "inf", "9" * 20, past):
        assert retry_after({"retry-after": odd}) == 0.0


def test_a_server_that_asks_for_more_than_the_budget_is_not_waited_for():
    with StubServer(lambda _: error(429, "slow down", retry_after="3600")) as server:
        began = time.monotonic()
        with pytest.raises(CaptionerUnavailable, match="asks for 3600 s more"):
            caption(server)
        assert time.monotonic() - began < 2


def test_a_loading_server_is_waited_for():
    with StubServer("load:4") as server:
        assert_right(caption(server))
        assert len(server.calls) == 16


def test_fewer_requests_run_after_a_429_and_more_again_after_successes():
    def answer(request):
        if 20 < request.number <= 30:
            return error(429, "slow down")
        return Answer(completion(record(request)).body, delay=0.1)

    with StubServer(answer) as server:
        assert_right(caption(server, 150, concurrency=16), 150)
        running = [call["running"] for call in server.calls]
    assert max(running[:20]) == 16
    assert max(running[30:40]) <= 9
    assert max(running[-30:]) >= 13
    assert max(running) <= 16


def test_the_slots_are_kept_busy():
    with StubServer(delay=0.5) as server:
        run(served(server), pictures(1))  # the library is loaded, the terms are known
        server.calls.clear()
        captioner = served(server, concurrency=32)
        began = time.monotonic()
        assert_right(run(captioner, pictures(160)), 160)
        took = time.monotonic() - began
        assert max(call["running"] for call in server.calls) == 32
    assert took < 5 * 0.5 * 1.7  # five rounds


def test_a_server_that_was_never_there_is_named_soon_and_nothing_is_blamed():
    with StubServer() as server:
        address = server.address
    began = time.monotonic()
    with pytest.raises(CaptionerUnavailable, match=address) as caught:
        caption(address, budget=100.0)
    assert time.monotonic() - began < 3
    assert "--base-url" in str(caught.value)


def test_a_server_killed_and_restarted_loses_nothing_and_quarantines_nobody():
    with StubServer(delay=0.1) as server:

        def kill():
            for _ in range(2):
                time.sleep(0.35)
                server.stop()
                time.sleep(0.2)
                server.start()

        killer = threading.Thread(target=kill)
        killer.start()
        found = caption(server, 80, concurrency=8)
        killer.join()
        assert server.deaths == 2
        assert_right(found, 80)
        assert len(server.calls) <= 80 + 2 * 8


def test_a_server_that_stays_away_leaves_the_rest_pending():
    outcomes = []

    def until_stopped(server):
        for outcome in served(server, budget=0.5, concurrency=4).caption(pictures(40)):
            outcomes.append(outcome)
            if len(outcomes) == 8:
                server.stop()

    with (
        StubServer(delay=0.05) as server,
        pytest.raises(CaptionerUnavailable, match="is it running"),
    ):
        until_stopped(server)
    assert 8 <= len(outcomes) <= 12
    assert all(isinstance(outcome, Captioned) for outcome in outcomes)


def test_a_picture_that_kills_the_server_is_found_and_its_neighbours_are_captioned():
    with StubServer("crash:red", delay=0.02, revive=0.1) as server:
        images = [picture(f"{n}.png", "red" if n == 5 else "blue") for n in range(20)]
        found = run(served(server, concurrency=8), images)
        assert server.deaths == 3
        assert len(colour_calls(server, "red")) == 3
        assert all(call["running"] == 1 for call in colour_calls(server, "red")[1:])
    assert reasons(found) == {"5.png": "kills_server"}
    assert len(found) == 20
    assert all("blue" in o.variants[0].caption for i, o in found.items() if i != "5.png")


def test_a_server_that_dies_of_the_very_first_picture_is_waited_for_as_one_that_was_there():
    with StubServer("crash:red", revive=0.7) as server:  # longer than a first contact may take
        assert_right(run(served(server), pictures(4)), 4, but=("red",))


def test_a_server_that_breaks_every_connection_blames_no_picture():
    with StubServer("break") as server, pytest.raises(CaptionerUnavailable, match="broke"):
        caption(server, budget=0.5)


def test_connections_that_break_now_and_then_while_the_server_lives_blame_no_picture():
    breaks = random.Random(7)

    def answer(request):
        good = completion(record(request))
        return replace(good, effect=Effect.BREAK) if breaks.random() < 0.3 else good

    with StubServer(answer) as server:
        assert_right(caption(server, 100), 100)


def test_a_picture_at_which_the_server_always_hangs_up_is_given_up():
    with StubServer("break:red") as server:
        found = caption(server)
        assert_right(found, but=("red",))
    assert set(reasons(found).values()) == {"kills_server"}


def test_a_request_above_the_limit_of_a_minute_is_not_waited_for():
    words = "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 31000."

    def answer(request):
        return error(429, words) if request.colour == "red" else completion(record(request))

    with StubServer(answer) as server:
        captioner = served(server)
        run(captioner, [picture("a.png", "blue")])
        found = run(captioner, pictures())
        assert_right(found, but=("red",))
        assert len(colour_calls(server, "red")) == 2
    assert set(reasons(found).values()) == {"rejected"}
    assert all(words in outcome.detail for outcome in found.values() if isinstance(outcome, Failed))


def test_an_error_with_one_picture_is_that_picture_s_and_with_all_the_server_s():
    with StubServer("error:red") as server:
        found = caption(server)
        assert_right(found, but=("red",))
        assert set(reasons(found).values()) == {"server_error"}
    with StubServer("error") as server, pytest.raises(CaptionerUnavailable, match="CUDA error"):
        caption(server, budget=0.5)


def test_an_error_that_passes_is_no_failure():
    def answer(request):
        return error(500, "try again") if request.number % 9 == 0 else completion(record(request))

    with StubServer(answer) as server:
        assert_right(caption(server, 40), 40)


def test_a_rejected_picture_is_not_sent_again_and_the_server_s_words_are_kept():
    with StubServer("reject:red") as server:
        captioner = served(server)
        run(captioner, [picture("a.png", "blue")])
        found = run(captioner, [picture("b.png", "red"), picture("c.png", "blue")])
        assert len(colour_calls(server, "red")) == 1
    assert reasons(found) == {"b.png": "rejected"}
    assert "the image cannot be decoded" in found["b.png"].detail
    assert "the image cannot be decoded" in found["b.png"].raw


def test_a_server_that_rejects_even_a_plain_picture_quarantines_nobody():
    with StubServer("reject") as server:
        with pytest.raises(CaptionerUnavailable, match="cannot be decoded"):
            caption(server, 40)
        assert len(server.calls) < 30


@pytest.mark.parametrize("mode", ["html", "half", "error200", "nochoices"])
def test_garbage_for_one_colour_fails_those_pictures_after_one_retry(mode):
    with StubServer(f"{mode}:red") as server:
        found = caption(server)
        assert_right(found, but=("red",))
        assert len(colour_calls(server, "red")) == 4
    assert set(reasons(found).values()) == {"bad_reply"}
    assert all(o.raw for o in found.values() if isinstance(o, Failed))


@pytest.mark.parametrize(
    ("mode", "what"),
    [("html", "an HTML page"), ("half", "broken JSON"), ("error200", "upstream said no")],
)
def test_nothing_but_garbage_from_the_start_leaves_all_pending_and_says_what_came(mode, what):
    with StubServer(mode) as server, pytest.raises(CaptionerUnavailable, match=what):
        caption(server, 40)


def test_garbage_for_a_while_is_waited_out_once_the_server_has_answered():
    def answer(request):
        if 10 < request.number < 30:
            return Answer("<html>maintenance</html>")
        return completion(record(request))

    with StubServer(answer) as server:
        assert_right(caption(server, 60, concurrency=4), 60)


def test_a_gigabyte_is_not_read():
    with StubServer("huge:red") as server:
        found = run(served(server), [picture("a.png", "blue"), picture("b.png", "red")])
        assert server.sent < 200 * 1024 * 1024
    assert reasons(found) == {"b.png": "bad_reply"}
    assert "8 MiB" in found["b.png"].detail


def test_a_gigabyte_as_an_error_or_compressed_is_not_read_either():
    def answer(request):
        if request.colour == "red":
            return Answer("x" * (9 << 20), status=500)
        if request.colour == "green":
            return Answer("", headers={"content-encoding": "gzip"})
        return completion(record(request))

    with StubServer(answer) as server:
        images = [picture(f"{c}.png", c) for c in ("blue", "red", "green")]
        found = run(served(server), images)
    assert reasons(found) == {"red.png": "bad_reply", "green.png": "bad_reply"}


def test_a_picture_that_is_never_answered_is_given_up_and_the_others_go_on():
    with StubServer("silent:red") as server:
        images = [picture(f"{n}.png", "red" if n == 2 else "blue") for n in range(12)]
        found = run(served(server, concurrency=4), images, read=0.4)
        assert len(colour_calls(server, "red")) == 2
    assert reasons(found) == {"2.png": "timed_out"}
    assert len(found) == 12


def test_a_server_that_says_nothing_leaves_all_pending():
    with (
        StubServer("silent") as server,
        pytest.raises(CaptionerUnavailable, match="no answer within"),
    ):
        run(served(server, budget=0.5), pictures(4), read=0.2)


def test_a_reply_that_drips_for_ever_ends():
    def answer(request):
        slow = Answer(completion(record(request)).body, delay=30)
        return slow if request.colour == "red" else completion(record(request))

    with StubServer(answer) as server:
        images = [picture("a.png", "blue"), picture("b.png", "red")]
        assert reasons(run(served(server), images, total=0.3)) == {"b.png": "timed_out"}


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("unauthorized", "OPENAI_API_KEY"),
        ("forbidden", "OPENAI_API_KEY"),
        ("quota", "paid"),
        ("nomodel", "it has: stub"),
    ],
)
def test_what_no_retry_can_mend_ends_the_run_at_once(mode, said):
    with StubServer(mode) as server:
        with pytest.raises(CaptionerUnavailable, match=said):
            caption(server, budget=100.0)
        assert len(server.calls) <= 18


def test_a_wrong_path_says_so():
    with StubServer() as server, pytest.raises(CaptionerUnavailable, match="ends with /v1"):
        run(served(server.address.removesuffix("/v1")), pictures(2))


def test_a_redirect_is_not_followed():
    def answer(_):
        return Answer("", status=307, headers={"location": "http://192.0.2.1/v1"})

    with StubServer(answer) as server, pytest.raises(CaptionerUnavailable, match=r"192\.0\.2\.1"):
        caption(server)


def test_closing_early_ends_the_thread_and_what_is_in_flight():
    before = threading.active_count()
    with StubServer(delay=0.2) as server:
        outcomes = served(server, concurrency=8).caption(pictures(100))
        next(outcomes)
        outcomes.close()
        assert threading.active_count() == before + 1  # the server's
        assert next(outcomes, None) is None
        assert len(server.calls) < 30


def test_an_error_of_the_pictures_comes_through_and_ends_the_thread():
    def broken():
        yield from pictures(3)
        raise OSError("the disk is gone")

    before = threading.active_count()
    with StubServer() as server, pytest.raises(OSError, match="the disk is gone"):
        run(served(server), broken())
    assert threading.active_count() == before


def test_no_pictures_need_no_server():
    assert run(served("http://127.0.0.1:1/v1"), iter(())) == {}


def test_an_outage_is_told_once(caplog):
    with StubServer("load:6") as server, caplog.at_level(logging.WARNING):
        caption(server)
    assert caplog.text.count("Loading model") == 1
