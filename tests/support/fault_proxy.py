"""Stands between a client and the Hub, or another server, and makes go wrong what can go wrong between them."""

import random
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2

KINDS = ("drop", "lose", "cut", "slow", "429", "500", "503")
SHARE = 0.2  # of the requests, under chaos


class FaultProxy:
    """`faults` says what happens to the next commits; `chaos` is a source of chance for all requests, or None. `asked`
    has the path of every request.

    A number: the Hub answers it. drop: the request never arrives. lose: it does, and nobody hears the answer. cut: half
    of the answer is heard. slow: it takes its time. late: it arrives just before the next one. other: somebody else's
    commit (the function `other`) gets in before it.
    """

    def __init__(self, target: str) -> None:
        self.faults: deque[str] = deque()
        self.asked: list[str] = []
        self.chaos: random.Random | None = None
        self.late: list[tuple[str, bytes, dict[str, str]]] = []
        self.other = lambda: None
        proxy, client = self, httpx2.Client(base_url=target, trust_env=False, timeout=300)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def fault(self) -> str:
                if "/commit/" in self.path and proxy.faults:
                    return proxy.faults.popleft()
                return proxy.chaos.choice(KINDS) if proxy.chaos and proxy.chaos.random() < SHARE else ""

            def relay(self) -> None:
                fault, is_commit = self.fault(), "/commit/" in self.path
                proxy.asked.append(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
                if fault.isdigit():
                    return self.answer(int(fault), {"Retry-After": "7"}, b"")
                if fault == "late":
                    proxy.late.append((self.path, body, headers))
                if fault in ("drop", "late"):
                    self.close_connection = True
                    return None
                if is_commit:
                    for path, content, its_headers in proxy.late:
                        client.post(path, content=content, headers=its_headers)
                    proxy.late.clear()
                if fault == "other":
                    proxy.other()
                if fault == "slow":
                    threading.Event().wait(0.05)
                said = client.request(self.command, self.path, content=body, headers=headers)
                if fault == "lose":
                    self.close_connection = True
                    return None
                return self.answer(said.status_code, said.headers, said.content, cut=fault == "cut")

            def answer(self, status: int, headers, content: bytes, cut: bool = False) -> None:
                self.send_response(status)
                for key, value in headers.items():
                    if key.lower() not in ("content-length", "content-encoding", "transfer-encoding", "connection"):
                        self.send_header(key, value)
                length = headers.get("Content-Length") if self.command == "HEAD" else len(content)
                self.send_header("Content-Length", str(length or 0))
                self.end_headers()
                if self.command == "HEAD":
                    return
                self.wfile.write(content[: len(content) // 2] if cut else content)
                self.close_connection = self.close_connection or cut

            do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = relay

            def log_message(self, *arguments) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "FaultProxy":
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
