"""A server of Python's own library, which takes bodies with a Content-Length alone."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVENTS = [
    'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n',
    'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    "data: [DONE]\n\n",
]


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, body=b""):
        told = {name.lower(): value for name, value in self.headers.items()}
        answer = json.dumps(
            {"method": self.command, "headers": told, "body": body.decode("latin1")}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        for i in range(150):
            self.send_header("Set-Cookie", f"a{i}=" + "b" * 100)
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self):
        self.answer()

    do_DELETE = do_GET

    def do_POST(self):
        length = self.headers.get("Content-Length")
        if length is None:
            self.send_error(411)
            return
        body = self.rfile.read(int(length))
        if b'"stream":true' not in body:
            self.answer(body)
            return
        # HTTP/1.0: the end of the connection is the end of the answer.
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in EVENTS:
            self.wfile.write(event.encode())

    do_PUT = do_POST
    do_PATCH = do_POST


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
