"""A receiver of OpenLineage: a real HTTP server in a thread, which can be away, slow or out of order."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Keeps what it has accepted.

    Attributes:
        events: The events it has answered with 201, in order.
        answers: Statuses for the next requests; 201 once there are none left. ``"hang"`` is to answer nothing until `let_go`.
        asked: Requests that have come in.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.answers: list[int | str] = []
        self.asked = 0
        self._going = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        """Come (back) at the same port."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.asked += 1
                answer = receiver.answers.pop(0) if receiver.answers else 201
                if answer == "hang":
                    receiver._going.wait(60)
                    return
                if answer == 201:
                    receiver.events.append(body)
                self.send_response(int(answer))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def down(self) -> None:
        """Go away."""
        self._going.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
