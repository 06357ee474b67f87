"""Requests for the fuzzer: good ones, good ones with something changed, ones made of the model's shapes, and noise."""

from __future__ import annotations

import copy
import json
import random
import string
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from benchmarks.service_store import tuning_request
from tunewright.aws.sagemaker.protocol import OPERATIONS, service

TEXTS = (
    "", "1", "-1", "1e999", "nan", "0.1", "9" * 300, "x" * 3000, "s3://bucket/key", "s3://bucket/../../etc",
    "file:///tmp/none", "file://relative", "https://s3.amazonaws.com/b/k", "(", "loss=([0-9.]+)", "(?P<a>x){1000}",
    "é\u2028", "\0", "\ud800", "arn:aws:iam::123456789012:role/Role", '{"cpus": 2}', "true", "null", "../x", "%00",
)  # fmt: skip
NUMBERS = (-1, 0, 1, 3, 120, 750, 10**6, 2**31, 2**40, 2**63, 10**40, 1.5, -0.0, 1e308, True)
GROUP = "/aws/sagemaker/TrainingJobs"
KEPT = 300
"""Names that are remembered, so that most of what is asked for is there."""


@dataclass
class Made:
    """One request.

    Args:
        head_only: whether no body belongs to its answer.
        whole: whether an answer is due; noise may be left without one.
    """

    kind: str
    data: bytes
    head_only: bool = False
    whole: bool = True


@dataclass
class Known:
    """What the server should have, as far as requests went through."""

    tuning: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    training: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    keys: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))


class Requests:
    """An endless mixture, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.known = Known()
        self._count = 0

    def __iter__(self) -> Iterator[Made]:
        makers = (self.good, self.changed, self.shaped, self.objects, self.around, self.noise)
        while True:
            (maker,) = self.rng.choices(makers, (40, 25, 10, 12, 6, 7))
            yield maker()

    # ---- SageMaker ----

    def good(self) -> Made:
        operation, body = self._valid()
        return Made("good", _json(f"SageMaker.{operation}", _dump(body)))

    def changed(self) -> Made:
        """A good request with one to three changes in its tree, or in its bytes."""
        operation, body = self._valid()
        if self.rng.random() < 0.2:
            return Made("bytes changed", _json(f"SageMaker.{operation}", self._scrambled(_dump(body))))
        body = copy.deepcopy(body)
        for _ in range(self.rng.randrange(1, 4)):
            self._change(body)
        return Made("changed", _json(f"SageMaker.{operation}", _dump(body)))

    def shaped(self) -> Made:
        """What the model says of an operation's input, right and wrong alike."""
        operation = self.rng.choice(OPERATIONS)
        shape = service().operation_model(operation).input_shape
        return Made("shaped", _json(f"SageMaker.{operation}", _dump(self._of_shape(shape, 0))))

    def _valid(self) -> tuple[str, dict[str, Any]]:
        rng, known = self.rng, self.known
        self._count += 1
        match rng.choices(range(9), (18, 8, 14, 10, 12, 14, 8, 6, 10))[0]:
            case 0:
                return "CreateHyperParameterTuningJob", self._tuning(f"t{self._count}-{rng.randrange(10**6)}")
            case 1:
                return "CreateTrainingJob", self._training(f"p{self._count}-{rng.randrange(10**6)}")
            case 2:
                return "DescribeHyperParameterTuningJob", {"HyperParameterTuningJobName": self._name(known.tuning)}
            case 3:
                return "DescribeTrainingJob", {"TrainingJobName": self._name(known.training)}
            case 4:
                verb = rng.choice(("Stop", "Delete"))
                if rng.random() < 0.6:
                    return f"{verb}HyperParameterTuningJob", {"HyperParameterTuningJobName": self._name(known.tuning)}
                return f"{verb}TrainingJob", {"TrainingJobName": self._name(known.training)}
            case 5:
                return self._list()
            case 6:
                name = {"HyperParameterTuningJobName": self._name(known.tuning)}
                return "ListTrainingJobsForHyperParameterTuningJob", {**name, **self._page(("Name", "Status"))}
            case 7:
                return "ListTags", {"ResourceArn": self._arn()}
            case _:
                tags = [{"Key": f"k{rng.randrange(40)}", "Value": rng.choice(("", "v", "é"))}]
                if rng.random() < 0.5:
                    return "AddTags", {"ResourceArn": self._arn(), "Tags": tags}
                return "DeleteTags", {"ResourceArn": self._arn(), "TagKeys": [tags[0]["Key"]]}

    def _tuning(self, name: str) -> dict[str, Any]:
        rng = self.rng
        request = tuning_request(name, rng.randrange(1, 500), strategy=rng.choice(("Random", "Bayesian")))
        if rng.random() < 0.2:
            request["TrainingJobDefinition"]["StaticHyperParameters"]["epochs"] = "27"
            request["HyperParameterTuningJobConfig"] |= {
                "Strategy": "Hyperband",
                "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 27}},
            }
        if rng.random() < 0.2 and self.known.tuning:
            parents = [{"HyperParameterTuningJobName": self._name(self.known.tuning)}]
            request["WarmStartConfig"] = {
                "WarmStartType": "TransferLearning",
                "ParentHyperParameterTuningJobs": parents,
            }
        self.known.tuning.append(name)
        return request

    def _training(self, name: str) -> dict[str, Any]:
        definition = tuning_request(name, 1)["TrainingJobDefinition"]
        static, resources = (
            definition.pop("StaticHyperParameters"),
            definition.pop("HyperParameterTuningResourceConfig"),
        )
        self.known.training.append(name)
        return {"TrainingJobName": name, "HyperParameters": static, "ResourceConfig": resources, **definition}

    def _list(self) -> tuple[str, dict[str, Any]]:
        if self.rng.random() < 0.5:
            return "ListHyperParameterTuningJobs", self._page(("Name", "Status", "CreationTime"))
        return "ListTrainingJobs", self._page(("Name", "Status", "CreationTime"))

    def _page(self, sorts: tuple[str, ...]) -> dict[str, Any]:
        rng = self.rng
        page: dict[str, Any] = {"MaxResults": rng.randrange(1, 101), "SortBy": rng.choice(sorts)}
        if rng.random() < 0.5:
            page["SortOrder"] = rng.choice(("Ascending", "Descending"))
        if rng.random() < 0.3:
            page["StatusEquals"] = rng.choice(("InProgress", "Completed", "Stopped", "Failed", "Stopping"))
        return page

    def _name(self, names: deque[str]) -> str:
        return self.rng.choice(names) if names and self.rng.random() < 0.95 else "nobody"

    def _arn(self) -> str:
        kind, names = self.rng.choice(
            (("hyper-parameter-tuning-job", self.known.tuning), ("training-job", self.known.training))
        )
        return f"arn:aws:sagemaker:us-east-1:000000000000:{kind}/{self._name(names)}"

    # ---- changes ----

    def _change(self, tree: Any) -> None:
        """Change something anywhere in a tree of lists and dictionaries."""
        rng, places = self.rng, list(_places(tree))
        if not places:
            return
        holder, key = rng.choice(places)
        match rng.randrange(4):
            case 0:
                del holder[key]
            case 1:
                holder[key] = self._value(0)
            case 2 if isinstance(holder, dict):
                holder[rng.choice(TEXTS)] = holder[key]
            case _:
                holder[key] = [holder[key]] if rng.random() < 0.3 else rng.choice((*TEXTS, *NUMBERS, None))

    def _value(self, depth: int) -> Any:
        rng = self.rng
        match rng.randrange(6 if depth < 4 else 4):
            case 0:
                return rng.choice(TEXTS)
            case 1:
                return rng.choice(NUMBERS)
            case 2:
                return "".join(rng.choices(string.printable, k=rng.randrange(20)))
            case 3:
                return None
            case 4:
                return [self._value(depth + 1) for _ in range(rng.randrange(4))]
            case _:
                return {rng.choice(TEXTS): self._value(depth + 1) for _ in range(rng.randrange(4))}

    def _scrambled(self, data: bytes) -> bytes:
        rng, body = self.rng, bytearray(data)
        for _ in range(rng.randrange(1, 6)):
            place = rng.randrange(len(body) + 1)
            match rng.randrange(3):
                case 0:
                    body[place:place] = rng.randbytes(rng.randrange(1, 5))
                case 1:
                    del body[place : place + rng.randrange(1, 30)]
                case _:
                    body[place : place + 1] = rng.choice((b"{", b"}", b'"', b"[", b"NaN", b"\\u0000", b"1e400", b"\\"))
        return bytes(body)

    def _of_shape(self, shape: Any, depth: int) -> Any:
        rng = self.rng
        if rng.random() < 0.01:
            return self._value(0)
        match shape.type_name:
            case "structure":
                share = 0.3 if depth < 5 else 0.0
                chosen = [n for n in shape.members if n in shape.required_members or rng.random() < share]
                return {name: self._of_shape(shape.members[name], depth + 1) for name in chosen}
            case "list":
                return [self._of_shape(shape.member, depth + 1) for _ in range(rng.randrange(3))]
            case "map":
                keys = rng.choices(("_tunewright", "epochs", "lr", "", "sagemaker_program"), k=rng.randrange(3))
                return {key: self._of_shape(shape.value, depth + 1) for key in keys}
            case "string" if shape.enum:
                return rng.choice(shape.enum)
            case "string" if shape.name.endswith("JobName"):
                return self._name(rng.choice((self.known.tuning, self.known.training)))
            case "string":
                return rng.choice(TEXTS)
            case "boolean":
                return rng.random() < 0.5
            case _:
                return rng.choice(NUMBERS)

    # ---- S3 ----

    def objects(self) -> Made:
        rng = self.rng
        fresh = rng.random() < 0.4 or not self.known.keys
        key = f"f/{rng.randrange(400)}/{rng.choice('ab')}" if fresh else rng.choice(self.known.keys)
        if rng.random() < 0.2:
            key = rng.choice((*TEXTS, "a//b", "a/./b", "a/", "/", ".s3/meta"))
        path = "/tunewright/" + quote(key.encode("utf-8", "surrogatepass"), safe="/%" if rng.random() < 0.1 else "/")
        method = rng.choices(("GET", "HEAD", "PUT", "POST", "DELETE"), (30, 10, 40, 5, 15))[0]
        if method == "PUT":
            self.known.keys.append(key)
        queries = ("", "", "", "?uploads", "?uploadId=.", "?list-type=2&max-keys=7", "?delete", "?acl", "?partNumber=1")
        query = rng.choice(queries) if rng.random() < 0.4 else ""
        listing = rng.random() < 0.2 and method == "GET"
        target = f"/tunewright?list-type=2&prefix=f/&max-keys={rng.randrange(1, 50)}" if listing else path + query
        headers = {"Range": rng.choice(("bytes=0-3", "bytes=-2", "bytes=9-", "x"))} if rng.random() < 0.2 else {}
        if rng.random() < 0.1:
            headers["x-amz-copy-source"] = quote(f"/tunewright/{key}".encode("utf-8", "surrogatepass"))
        body = rng.randbytes(rng.randrange(2000)) if method in ("PUT", "POST") else b""
        return Made("objects", _http(method, target, headers, body), head_only=method == "HEAD")

    # ---- the services around ----

    def around(self) -> Made:
        rng = self.rng
        match rng.randrange(4):
            case 0:
                form = {"Content-Type": "application/x-www-form-urlencoded"}
                actions = (b"Action=GetCallerIdentity", b"Action=GetRole&RoleName=x", b"Action=Nothing", b"%ff=&&=")
                return Made("around", _http("POST", "/", form, rng.choice(actions)))
            case 1:
                stream = f"{self._name(self.known.training)}/algo-1-1"
                names: dict[str, object] = {
                    "logGroupName": GROUP,
                    "logStreamName": stream,
                    "logStreamNamePrefix": stream,
                }
                names |= {"limit": rng.choice(NUMBERS), "nextToken": rng.choice(TEXTS)} if rng.random() < 0.5 else {}
                operation = rng.choice(("DescribeLogStreams", "GetLogEvents", "FilterLogEvents", "DescribeLogGroups"))
                return Made("around", _json(f"Logs_20140328.{operation}", _dump(names)))
            case 2:
                asked: dict[str, object] = {
                    "Namespace": GROUP,
                    "MetricName": "loss",
                    "StartTime": 0,
                    "EndTime": 2e9,
                    "Period": 60,
                }
                asked["Dimensions"] = [{"Name": "TrainingJobName", "Value": self._name(self.known.training)}]
                asked["Statistics"] = [rng.choice(("Average", "x"))]
                return Made("around", _json("GraniteServiceVersion20100801.GetMetricStatistics", _dump(asked)))
            case _:
                return Made("around", _http("GET", rng.choice(("/healthz", "/metrics", "/", "/ui", "/%ff")), {}, b""))

    def noise(self) -> Made:
        """Bytes that may be no HTTP at all."""
        rng = self.rng
        match rng.randrange(5):
            case 0:
                data = rng.randbytes(rng.randrange(1, 400))
            case 1:
                data = self._scrambled(self.good().data)
            case 2:
                data = b"GET / HTTP/1.1\r\n" + b"X: " + rng.randbytes(50).replace(b"\n", b"") + b"\r\n\r\n"
            case 3:
                chunks = b"".join(b"%x\r\n%b\r\n" % (rng.randrange(6), b"abc") for _ in range(3))
                data = b"PUT /tunewright/n HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
            case _:
                good = self.good().data
                data = good[: rng.randrange(1, len(good))]
        return Made("noise", data, whole=False)


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    items = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree))
    for key, value in items:
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _dump(body: object) -> bytes:
    return json.dumps(body).encode()


def _json(target: str, body: bytes) -> bytes:
    return _http("POST", "/", {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}, body)


def _http(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = {"Host": "127.0.0.1", **headers, "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1", "replace") + body
