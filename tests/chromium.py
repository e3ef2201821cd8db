"""A headless Chromium, driven by its own protocol: loads a page, says what the page says, measures and draws it."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import websocket

from tests.waiting import PATIENCE_S

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-allow-origins=*")
QUIET = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")
_LOUD = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")


class Page:
    """One tab. `complaints` are console messages, errors and exceptions; `requests` what it loaded."""

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, timeout=PATIENCE_S)
        self._numbers = itertools.count(1)
        self.complaints: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self._loaded = False
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = self._receive()
            if message.get("id") == number:
                assert "error" not in message, message
                return dict(message["result"])

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv())
        method = message.get("method", "")
        if method in _LOUD:
            self.complaints.append(message)
        elif method == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        elif method == "Page.loadEventFired":
            self._loaded = True
        return message

    def open(self, path: Path, width: int, *, dark: bool = False, medium: str = "screen") -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=medium, features=[scheme])
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        self._loaded = False
        self.call("Page.navigate", url=path.as_uri())
        while not self._loaded:
            self._receive()

    def evaluate(self, expression: str) -> Any:
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"]["value"]

    def screenshot(self) -> bytes:
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def pdf(self) -> bytes:
        return base64.b64decode(self.call("Page.printToPDF")["data"])

    def close(self) -> None:
        self._socket.close()


def browser() -> str:
    """Find Chromium; skips with a reason where it is absent, but not where the gate runs, which installs it."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None and os.environ.get("CREDIT_GATE"):
        pytest.fail("the gate installs chromium, but it is not on the PATH")
    if found is None:
        pytest.skip("no Chromium on this machine (Debian package chromium)")
    return found


@contextmanager
def headless(profile: Path) -> Iterator[Page]:
    """Start Chromium with a profile of its own and open a tab."""
    command = [browser(), *FLAGS, *QUIET, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = _port(profile / "DevToolsActivePort", process)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json", timeout=PATIENCE_S) as answer:
            tab = next(t for t in json.load(answer) if t["type"] == "page")
        page = Page(tab["webSocketDebuggerUrl"])
        yield page
        page.close()
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def _port(path: Path, process: "subprocess.Popen[bytes]") -> int:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        assert process.poll() is None, "Chromium ended by itself"
        if path.exists() and "\n" in (text := path.read_text()):
            return int(text.splitlines()[0])
        time.sleep(0.05)
    raise TimeoutError("Chromium opened no port")
