"""Go Listen's own server with a database in memory, and its client where that was built.

It needs tornado, pymongo 3 and mongomock, which are no part of this project.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MISSING = [
    name for name in ("tornado", "pymongo", "mongomock") if importlib.util.find_spec(name) is None
]
SERVER = """\
import os, pathlib, sys, mongomock, pymongo
store = mongomock.MongoClient()
pymongo.MongoClient = lambda *_: store
import handlers.file_handler
handlers.file_handler.calculate_user_storage = lambda *_: (0, set())  # mongomock has no $reduce
import server
server.before_starting()
client = pathlib.Path(os.environ.get("CLIENT", "."))
class Index(server.web.RequestHandler):
    def get(self):
        self.write((client / "index.html").read_text("utf-8"))
paths = [*server.path, ("/task/.*", Index),
         (r"/((?!api/|static2/).*)", server.web.StaticFileHandler, {"path": str(client)})]
app = server.httpserver.HTTPServer(server.web.Application(paths, **server.settings))
(socket,) = server.httpserver.TCPServer and __import__("tornado.netutil").netutil.bind_sockets(
    0, "127.0.0.1")
app.add_sockets([socket])
print(socket.getsockname()[1], flush=True)
server.ioloop.IOLoop.instance().start()
"""


@contextmanager
def serving(checkout: Path, folder: Path, client: Path | None = None) -> Iterator[str]:
    """The server of Go Listen, and its built client where a folder is named."""
    shutil.copytree(checkout / "listening-test-server", folder)
    (folder / "begin.py").write_text(SERVER, encoding="utf-8")
    paths = os.pathsep.join([str(folder), *sys.path])
    with subprocess.Popen(
        [sys.executable, "begin.py"], cwd=folder, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": paths, "PYTHONWARNINGS": "ignore",
                          "CLIENT": str(client or folder / "none")},
    ) as server:  # fmt: skip
        try:
            assert server.stdout is not None
            port = next(line for line in server.stdout if re.fullmatch(r"\d+\n", line))
            yield f"http://127.0.0.1:{int(port)}"
        finally:
            server.terminate()
