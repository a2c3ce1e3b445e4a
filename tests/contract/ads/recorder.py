"""An HTTP server on loopback that keeps what it is asked and answers what it was told to."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Recorder:
    """Running while the block is open; ``answers`` are (status, body, headers), the last one again and again."""

    def __init__(self, *answers: tuple[int, Any, dict[str, str]]) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        left = list(answers)
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            """Keeps and answers."""

            def do_POST(self) -> None:  # http.server's name
                """Take a request."""
                body = self.rfile.read(int(self.headers["content-length"]))
                headers_in = {name.lower(): text for name, text in self.headers.items()}
                recorder.asked.append((self.path, headers_in, body))
                status, answer, headers = left.pop(0) if len(left) > 1 else left[0]
                content = json.dumps(answer).encode()
                self.send_response(status)
                for name, text in {**headers, "content-length": str(len(content))}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
