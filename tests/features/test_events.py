"""Row 86: state changes are told in EventBridge's form, to a file and to a webhook."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path

import pytest

from tunewright.aws.sagemaker.announce import targets_of
from tunewright.core.errors import Invalid

from .ground import Real, Wire

TUNING = "SageMaker HyperParameter Tuning Job State Change"
TRAINING = "SageMaker Training Job State Change"


class Hook:
    """A webhook on this machine that keeps what it is sent."""

    def __init__(self) -> None:
        self.heard: list[Wire] = []
        self.news = threading.Condition()

    def take(self, event: Wire) -> None:
        with self.news:
            self.heard.append(event)
            self.news.notify_all()

    def until(self, count: int) -> list[Wire]:
        with self.news:
            assert self.news.wait_for(lambda: len(self.heard) >= count, 60), self.heard
            return list(self.heard)


ALWAYS = repeat(204)


@contextmanager
def listening(answers: Iterator[int] = ALWAYS) -> Iterator[tuple[Hook, str]]:
    """A hook and its address; what it answers it has heard all the same."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(next(answers))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the screen."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield hook, f"http://127.0.0.1:{server.server_address[1]}/hook"
        server.shutdown()


def test_row_86_events(tmp_path: Path) -> None:
    with listening() as (hook, url):
        real = Real(tmp_path, TUNEWRIGHT_EVENTS=f"events.jsonl, {url}")
        try:
            tags = {"Tags": [{"Key": "team", "Value": "red"}]}
            arn = real.create(real.tune("job", "print('acc=1;')", jobs=1, top=tags))
            described = real.end("job")
            [child] = real.children("job")
            lines = (real.settings.home / "events.jsonl").read_text().splitlines()
            told = [json.loads(line) for line in lines]
            assert hook.until(len(told)) == told
        finally:
            real.close()
    assert all(event["source"] == "aws.sagemaker" for event in told)
    tuning = [event for event in told if event["detail-type"] == TUNING]
    assert [event["detail"]["HyperParameterTuningJobStatus"] for event in tuning] == ["InProgress", "Completed"]
    assert told[0] in tuning and told[-1] in tuning, "it begins before its training jobs and ends after them"
    last = tuning[-1]
    assert last["resources"] == [arn]
    detail = last["detail"]
    assert detail["HyperParameterTuningJobName"] == "job"
    assert detail["HyperParameterTuningJobArn"] == arn
    assert detail["TrainingJobDefinition"]["RoleArn"] == described["TrainingJobDefinition"]["RoleArn"]
    assert detail["CreationTime"] == round(described["CreationTime"].timestamp() * 1000)
    assert detail["CreationTime"] < detail["LastModifiedTime"]
    assert detail["TrainingJobStatusCounters"]["Completed"] == detail["ObjectiveStatusCounters"]["Succeeded"] == 1
    assert detail["Tags"] == {"team": "red"}
    training = [event for event in told if event["detail-type"] == TRAINING]
    assert [event["detail"]["TrainingJobStatus"] for event in training] == ["InProgress", "Completed"]
    assert training[-1]["resources"] == [child["TrainingJobArn"]]
    assert training[-1]["detail"]["TuningJobArn"] == arn


def test_a_deaf_webhook_holds_nothing_up(tmp_path: Path) -> None:
    real = Real(tmp_path, TUNEWRIGHT_EVENTS="http://127.0.0.1:1/nobody")
    try:
        assert real.run(real.tune("job", "print('acc=1;')", jobs=1))["HyperParameterTuningJobStatus"] == "Completed"
    finally:
        real.close()


def test_a_webhook_that_stumbles_is_told_again_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.aws.sagemaker.announce.PAUSES", (0.0, 0.0, 0.0))
    with listening(chain([500, 429], repeat(204))) as (hook, url):
        [told] = targets_of(url, tmp_path)
        for number in (1, 2):
            told(json.dumps({"number": number}))
        assert [event["number"] for event in hook.until(4)] == [1, 1, 1, 2]


def test_the_end_of_a_process_waits_for_a_slow_webhook(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with listening() as (hook, url):
        [told] = targets_of(url, tmp_path)
        with hook.news:  # it cannot answer meanwhile
            for number in (1, 2, 3):
                told(json.dumps({"number": number}))
            told.close(0.0)
        assert "was not told 3 state changes before the end" in caplog.text
        told.close(60.0)
        assert [event["number"] for event in hook.heard] == [1, 2, 3]


def test_a_refusal_is_final_and_many_stumbles_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunewright.aws.sagemaker.announce.PAUSES", (0.0, 0.0, 0.0))
    with listening(chain([404], [500] * 4, repeat(204))) as (hook, url):
        [told] = targets_of(url, tmp_path)
        for number in (1, 2, 3):
            told(json.dumps({"number": number}))
        assert [event["number"] for event in hook.until(6)] == [1, 2, 2, 2, 2, 3]


def test_the_log_does_not_hold_a_webhooks_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever knows the address of a chat's webhook may write there."""
    monkeypatch.setattr("tunewright.aws.sagemaker.announce.PAUSES", ())
    with listening(chain([404], repeat(204))) as (hook, url):
        [told] = targets_of(f"{url}/secret?token=secret", tmp_path)
        told("{}")
        told("{}")
        hook.until(2)
    assert "the webhook at 127.0.0.1:" in caplog.text and "it answered 404" in caplog.text
    assert "secret" not in caplog.text


def test_other_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="neither a file's path nor an http"):
        targets_of("ftp://somewhere", tmp_path)


def test_an_address_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read as an address"):
        targets_of("http://[::1/hook", tmp_path)
