"""Commands of the service: serve, env. What they do is in `do_serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunewright.cli.commands.shared import AsJson

PORT = 8080
BUCKET = "tunewright"

Bucket = Annotated[str, typer.Option("--bucket", help="The SDKs' default bucket.")]
Keys = Annotated[
    Path | None, typer.Option("--keys", metavar="FILE", help="Access keys and their secrets, as JSON or INI.")
]


def serve(
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 takes a free one.")] = PORT,
    endpoint: Annotated[
        str, typer.Option("--endpoint", metavar="URL", help="How clients and training programs reach it, if not so.")
    ] = "",
    store: Annotated[str | None, typer.Option("--store", help="The database, as an SQLAlchemy URL.")] = None,
    extended: Annotated[bool, typer.Option("--extended", help="Lift what AMT only limits.")] = False,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="A certificate (PEM): answer over TLS.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="The certificate's private key (PEM).")
    ] = None,
    keys: Keys = None,
    bucket: Bucket = BUCKET,
    loop: Annotated[
        bool, typer.Option("--loop/--no-loop", help="Run the jobs here, or leave them to another process.")
    ] = True,
    access_log: Annotated[
        bool, typer.Option("--access-log/--no-access-log", help="A line of JSON for each request on standard error.")
    ] = True,
    as_json: AsJson = False,
) -> int | None:
    """Serve SageMaker's API, S3 and what belongs to them.

    boto3, the SageMaker SDKs and the AWS CLI work against it unmodified; `tunewright env` says how.
    """
    from tunewright.cli.commands import do_serve

    wanted = do_serve.Wanted(
        host=host,
        port=port,
        endpoint=endpoint,
        store=store,
        certificate=tls_cert,
        key=tls_key,
        keys=keys,
        bucket=bucket,
        strict=not extended,
        loop=loop,
        access_log=access_log,
        as_json=as_json,
    )
    return do_serve.serve(wanted)


def env(
    endpoint: Annotated[str, typer.Option("--endpoint", help="The server's address.")] = f"http://127.0.0.1:{PORT}",
    bucket: Bucket = BUCKET,
    keys: Keys = None,
    key: Annotated[str | None, typer.Option("--key", help="The access key to use; the first that may write.")] = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", metavar="FILE", help="The authority that signed the server's certificate.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where the SDKs' configuration is written.")
    ] = None,
    as_json: AsJson = False,
) -> int | None:
    """Print what AWS's clients need to find the server.

    Use it as: eval "$(tunewright env)". Also writes the SageMaker SDKs' configuration file.
    """
    from tunewright.cli.commands import do_serve

    return do_serve.env(endpoint, bucket, (keys, key), ca, output, as_json=as_json)
