"""A door before a provider's sandbox that can be closed: whoever calls then is answered
503, as by a provider that is down. It notes the calls that change something."""
import http.server
import json
import threading
import urllib.error
import urllib.request


class Door(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, behind):
        super().__init__(("127.0.0.1", 0), Through)
        self.behind = behind
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.left = None  # calls that are let through; None: all
        self.hides = False  # whether a list of users is answered empty
        self.writes = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close_after(self, calls):
        self.left = calls

    def open(self):
        self.left = None


class Through(http.server.BaseHTTPRequestHandler):
    def pass_on(self):
        door = self.server
        if door.left is not None:
            door.left -= 1
            if door.left < 0:
                return self.reply(503, [], b"{}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {k: v for k, v in self.headers.items() if k not in ("Connection", "Accept-Encoding")}
        request = urllib.request.Request(door.behind + self.path, data=body or None, method=self.command, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, kept, content = answer.status, answer.headers.items(), answer.read()
        except urllib.error.HTTPError as e:
            status, kept, content = e.code, e.headers.items(), e.read()
        if door.hides and self.command == "GET" and self.path.split("?")[0].endswith("/users"):
            content = json.dumps({k: [] if isinstance(v, list) else v for k, v in json.loads(content).items()}).encode()
        if self.command != "GET" and "token" not in self.path:
            door.writes.append(f"{self.command} {self.path}")
        self.reply(status, kept, content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

    def reply(self, status, headers, content):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Says nothing: what is asked is personal data."""
