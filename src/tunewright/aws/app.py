"""The application of a server: every service of the wire, health, figures and whatever pages are mounted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from tunewright.aws.cloudwatch import Monitoring
from tunewright.aws.figures import CONTENT_TYPE, Figures
from tunewright.aws.http.call import ASGIApp, Receive, Scope, Send
from tunewright.aws.http.gate import Gate
from tunewright.aws.http.keys import Key
from tunewright.aws.identity import Identity
from tunewright.aws.logs.service import Logs
from tunewright.aws.router import Router, Services
from tunewright.aws.s3.elsewhere import Elsewhere
from tunewright.aws.s3.service import S3
from tunewright.aws.s3.store import S3Store
from tunewright.aws.sagemaker.operations import Operations
from tunewright.control.recorder import Recorder
from tunewright.core.ports import Objects, Store
from tunewright.core.reads import Reads
from tunewright.objects.local import LocalObjects
from tunewright.settings import Settings

REGIONS = 64
"""Regions whose operations are kept; they differ in the ARNs alone."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a server stands on.

    Args:
        log_paths: where the streams of a training job's host lie, by the names of both and the attempt.
        wake: told the uid of a job for which something may be owed now.
    """

    recorder: Recorder
    store: Store
    reads: Reads
    objects: Objects
    log_paths: Callable[[str, str, int], Sequence[Path]]
    wake: Callable[[str], None]

    def now(self) -> float:
        return self.recorder.clock.now()


@dataclass(frozen=True, slots=True)
class Options:
    """How a server behaves.

    Args:
        bucket: made when the server starts, so that the SDKs' default bucket is there.
        keys: by access key; without any, requests need no signature.
        pages: applications by the first part of their paths, such as `ui`.
        endpoint: the server's own URL.
        dropped: how many log lines were dropped because nobody read them.
    """

    strict: bool
    bucket: str
    keys: Mapping[str, Key] = field(default_factory=dict)
    pages: Mapping[str, ASGIApp] = field(default_factory=dict)
    endpoint: str = ""
    dropped: Callable[[], int] = lambda: 0


def make_app(ports: Ports, settings: Settings, options: Options) -> ASGIApp:
    """An ASGI application. The loop is not its business: whoever starts it runs one, here or elsewhere."""
    figures = Figures(lambda: len(ports.store.versions()), ports.now, options.dropped)
    s3 = _s3(ports, settings)
    s3.open(options.bucket)

    @lru_cache(REGIONS)
    def operations(region: str) -> Operations:
        here = replace(settings, region=region)
        return Operations(
            ports.recorder,
            ports.store,
            ports.reads,
            ports.objects,
            here,
            strict=options.strict,
            wake=ports.wake,
            endpoint=options.endpoint,
            has_bucket=ports.objects.has_bucket,
        )

    services = Services(
        sagemaker=operations,
        s3=s3,
        logs=Logs(ports.reads, ports.log_paths, settings.account, ports.now),
        monitoring=Monitoring(ports.reads),
        identity=Identity(settings.account, not options.keys, ports.now),
        pages=_pages(figures, options.pages),
        page_roots=frozenset(("healthz", "metrics", *options.pages)),
        region=settings.region,
    )
    router = Router(services, Gate(options.keys, ports.now), figures)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # No framework stands between the server and the router: each of its layers is paid for by every request.
        if scope["type"] == "lifespan":
            await _live(receive, send, router)
        else:
            await router(scope, receive, send)

    return app


async def _live(receive: Receive, send: Send, router: Router) -> None:
    """The server's beginning and end as ASGI tells them."""
    while (await receive())["type"] != "lifespan.shutdown":
        await send({"type": "lifespan.startup.complete"})
    router.close()
    await send({"type": "lifespan.shutdown.complete"})


def _s3(ports: Ports, settings: Settings) -> S3 | Elsewhere:
    """The S3 on the object directory, or word of where objects lie."""
    if isinstance(ports.objects, LocalObjects):
        return S3(S3Store(ports.objects), settings.region, ports.now)
    return Elsewhere(settings.objects)


def _pages(figures: Figures, mounted: Mapping[str, ASGIApp]) -> Starlette:
    def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def metrics(_: Request) -> Response:
        return Response(figures.text(), media_type=CONTENT_TYPE)

    routes: list[BaseRoute] = [Route("/healthz", healthz), Route("/metrics", metrics)]
    return Starlette(routes=[*routes, *(Mount(f"/{name}", app=app) for name, app in mounted.items())])
