"""`credit serve`: the REST door."""

import os
import socket
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import say
from cli.log.log_options import PiiKey, read_pii_key
from features.errors import SettingsError

if TYPE_CHECKING:
    from api import Settings

app = typer.Typer()


@app.command(epilog="Example: credit serve --bundle demo/bundles/current --no-auth --port 8000")
def serve(  # noqa: PLR0917 - typer takes options by name
    bundle: Annotated[
        Path | None, typer.Option("--bundle", help="The bundle's folder, or a link to it.", show_default=False)
    ] = None,
    framework: Annotated[str | None, typer.Option(help="fastapi (the default) or flask.", show_default=False)] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; default: 127.0.0.1.", show_default=False)
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port; default: 8000. 0 takes a free one.", show_default=False)
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; default: 1.", show_default=False)] = None,
    keys: Annotated[
        Path | None, typer.Option(help="File of API keys; default: credit-keys.json.", show_default=False)
    ] = None,
    no_auth: Annotated[bool | None, typer.Option("--no-auth", help="No keys; on loopback only.")] = None,
    rate_limit: Annotated[
        float | None,
        typer.Option(
            help="Applications a second for each key and worker; default: 5000, 0: no limit.", show_default=False
        ),
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", help="Decision log: each decision leaves a receipt.", show_default=False)
    ] = None,
    receipts: Annotated[
        str | None,
        typer.Option(help="What an answer waits for: durable (the disk; the default) or relaxed.", show_default=False),
    ] = None,
    pii_key: PiiKey = None,
    history: Annotated[
        str | None,
        typer.Option("--history", help="History store: applications may come without events.", show_default=False),
    ] = None,
    trust: Annotated[
        Path | None,
        typer.Option("--trust", help="Keys: serve only a bundle that one of them signed.", show_default=False),
    ] = None,
    challenger: Annotated[
        list[Path] | None,
        typer.Option(
            "--challenger", help="Another bundle: it decides the same, without effect. Repeatable.", show_default=False
        ),
    ] = None,
    challenger_share: Annotated[
        float | None,
        typer.Option("--challenger-share", help="For this share of the customers; default: 1.", show_default=False),
    ] = None,
) -> None:
    """Score applications over HTTP. More settings, and all of these, as CREDIT_API_* in the environment."""
    from api import make_settings

    given = {
        "bundle": bundle,
        "framework": framework,
        "host": host,
        "port": port,
        "workers": workers,
        "keys": keys,
        "no_auth": no_auth,
        "rate_limit": rate_limit,
        "log": log,
        "receipts": receipts,
        "pii_key": pii_key,
        "history": history,
        "trust": trust,
        "challenger": challenger,
        "challenger_share": challenger_share,
    }
    settings = make_settings(**{name: value for name, value in given.items() if value is not None})
    sys.exit(_serve(settings))


def _serve(settings: "Settings") -> int:
    from api import note_served, open_keys, run_worker
    from monitoring.live import SHARED_FOLDER
    from receipts.log import create_log
    from serving.json_log import JsonLog
    from serving.sealing import sealing
    from serving.supervisor import Supervisor

    open_keys(settings)
    key = read_pii_key(settings.pii_key)
    if settings.log is not None:
        create_log(settings.log)
    listener = _bind(settings.host, settings.port)
    bundle = settings.bundle.resolve()  # with which all workers start; then each follows the link
    log = JsonLog(sys.stderr, time.time)

    def on_ready() -> None:
        host, port = listener.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        log.write("ready", url=url, framework=settings.framework, workers=settings.workers, bundle=bundle.name)
        say(f"{url} serves bundle {bundle.name[:12]} ({settings.framework}); people read {url}/docs")
        sys.stdout.flush()

    with listener, sealing(settings.log, key):
        if settings.workers > 1:
            with tempfile.TemporaryDirectory(prefix="credit-metrics-") as folder:
                os.environ[SHARED_FOLDER] = folder  # of the workers that start from here on
                note_served(bundle)
                return Supervisor(
                    partial(run_worker, settings), settings.workers, settings.stop_seconds, listener, log, on_ready
                ).run()
        run_worker(settings, listener, log, on_ready)
        return 0


def _bind(host: str, port: int) -> socket.socket:
    """Take the address; nobody listens on it before a worker is ready."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise SettingsError(
            f"host {host}, port {port}: cannot listen there ({error.strerror}). Is another process on that port? "
            "--port 0 takes a free one."
        ) from error
    return listener
