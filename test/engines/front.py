"""ClickHouse's HTTP interface in front of the engine of a Python wheel (chdb or chdb-core): development equipment.

  python3 front.py --wheel DIR --data DIR [--hold-bytes N]

Prints `listening on http://127.0.0.1:PORT` when it takes queries, and ends with its parent process. The engine runs one
query at a time. Bodies go through files: inline binary data is not safe in all of these engines, and an insert whose
request was cut must not reach the engine at all.
"""

import argparse
import contextlib
import ctypes
import importlib
import json
import os
import pickle
import re
import secrets
import sys
import threading
import time
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

# Servers from this version on frame an exception in the middle of a response.
TAGGED_SINCE = (25, 11)
# What the server's HTTP handler keeps for itself; the other URL parameters are settings.
RESERVED = {
    "query", "user", "password", "database", "default_format", "query_id", "wait_end_of_query", "buffer_size",
    "compress", "decompress", "stacktrace", "role", "quota_key", "client_protocol_version", "session_id",
    "session_timeout", "session_check", "close_session",
}  # fmt: skip
STATUS_OF_CODE = {60: 404, 81: 404, 115: 404, 62: 400, 117: 400, 159: 408, 164: 403, 497: 403, 516: 403}
CHUNK_BYTES = 1 << 18


class EngineError(Exception):
    def __init__(self, text):
        super().__init__(text)
        code = re.match(r"\s*Code: (\d+)\.", text)
        self.code = int(code[1]) if code else 1002
        self.text = text.strip() if code else f"Code: 1002. DB::Exception: {text.strip()} (UNKNOWN_EXCEPTION)"


def load_engine(wheel):
    """Imports the extension module without its package, which needs other packages."""
    package = os.path.join(wheel, "chdb")
    module = types.ModuleType("chdb")
    module.__path__ = [package]
    sys.modules["chdb"] = module
    with open(os.path.join(package, "__init__.py"), encoding="utf8") as init:
        binds_deeply = "RTLD_DEEPBIND" in init.read()
    if binds_deeply and sys.platform == "linux":
        ctypes.CDLL(os.path.join(package, "_chdb.abi3.so"), mode=sys.getdlopenflags() | 8)
    directory = os.getcwd()
    os.chdir(package)
    try:
        return importlib.import_module("chdb._chdb")
    finally:
        os.chdir(directory)


def literal(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class SessionEngine:
    """One session, in which each request finds the settings and the database of the start."""

    def __init__(self, module, data):
        self.connection = module.connect(data)

    def query(self, sql, form):
        try:
            return self.connection.query(sql, form)
        except RuntimeError as error:
            raise EngineError(str(error)) from error

    def run(self, database, settings, params, sql, form):
        try:
            if database:
                self.query(f"USE `{database}`", "Null")
            for name, value in [*settings.items(), *((f"param_{name}", value) for name, value in params.items())]:
                self.query(f"SET {name} = {literal(value)}", "Null")
            result = self.query(sql, form)
            return bytes(result.bytes()), result.rows_read()
        finally:
            for name in settings:
                # A setting that it does not know failed the request.
                with contextlib.suppress(EngineError):
                    self.query(f"SET {name} = DEFAULT", "Null")
            self.query("USE default", "Null")


class ForkingEngine:
    """For chdb 2, which breaks for good with the first bad setting: a process per request."""

    def __init__(self, module, data):
        self.module = module
        self.data = data

    def run(self, database, settings, params, sql, form):
        statements = [f"USE `{database}`"] if database else []
        # It repeats each SET before the next query, and loses the quotes of texts; nobody has a profile here, so that texts that
        # are sent are the defaults.
        numbers = [f"{name} = {value}" for name, value in settings.items() if re.fullmatch(r"-?\d+", value)]
        statements += [f"SET {', '.join(numbers)}"] if numbers else []
        # It does not take parameters reliably.
        for name, value in params.items():
            value = literal(unescaped(value))
            sql = re.sub(rf"\{{\s*{name}\s*:\s*Identifier\s*\}}", lambda _, value=value: f"`{value[1:-1]}`", sql)
            pattern = rf"\{{\s*{name}\s*:([^}}]+)\}}"
            sql = re.sub(pattern, lambda found, value=value: f"_CAST({value}, {literal(found[1].strip())})", sql)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            with open(writer, "wb") as out:
                pickle.dump(self.outcome([*statements, sql], form), out)
            os._exit(0)
        os.close(writer)
        with open(reader, "rb") as file:
            content = file.read()
        os.waitpid(child, 0)
        # Where it keeps settings for later queries.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.data, "set_statements"))
        if not content:
            raise EngineError("The engine's process died")
        error, result, rows = pickle.loads(content)
        if error is not None:
            raise EngineError(error)
        return result, rows

    def outcome(self, statements, form):
        result = None
        for sql in statements:
            result = self.module.query(sql, form, path=self.data, udf_path="")
            if result.has_error():
                return result.error_message(), b"", 0
        return None, bytes(result.bytes()), result.rows_read()


def unescaped(text):
    meanings = {"t": "\t", "n": "\n", "r": "\r", "0": "\0", "\\": "\\"}
    return re.sub(r"\\(.)", lambda found: meanings.get(found[1], found[1]), text)


class Engine:
    """The engine of a wheel on a data directory, which runs one query at a time."""

    def __init__(self, wheel, data):
        module = load_engine(wheel)
        self.engine = SessionEngine(module, data) if hasattr(module, "connect") else ForkingEngine(module, data)
        self.lock = threading.Lock()
        self.files = os.path.join(data, "front-files")
        os.makedirs(self.files, exist_ok=True)
        content, _ = self.run(None, {}, {}, "SELECT version(), timezone()", "TabSeparated")
        self.version, self.timezone = content.decode().strip().split("\t")
        self.is_tagged = tuple(map(int, self.version.split(".")[:2])) >= TAGGED_SINCE

    def run(self, database, settings, params, sql, form):
        """Runs a request's statement; returns its output and how many rows it read, which an INSERT wrote."""
        for name in [*settings, *params]:
            if not re.fullmatch(r"\w+", name):
                raise EngineError(f"Code: 115. DB::Exception: Unknown setting '{name}' (UNKNOWN_SETTING)")
        with self.lock:
            return self.engine.run(database, settings, params, sql, form)

    def path(self):
        return os.path.join(self.files, secrets.token_hex(8))


def first_word(sql):
    text = re.sub(r"^(\s|\(|--[^\n]*\n|/\*.*?\*/)+", "", sql, flags=re.S)
    return re.match(r"\w*", text)[0].upper()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    engine = None
    hold_bytes = 0

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.do_POST()

    def do_POST(self):
        self.started = time.monotonic()
        url = urlsplit(self.path)
        search = parse_qsl(url.query, keep_blank_values=True)
        self.search = dict(search)
        body_path = None
        try:
            body_path = self.read_body()
            if url.path == "/ping" or (self.command == "GET" and "query" not in self.search):
                return self.respond(200, b"Ok.\n", {})
            self.settings = {name: value for name, value in search if self.is_setting(name)}
            self.params = {name[6:]: value for name, value in search if name.startswith("param_")}
            self.run(self.search.get("query", ""), body_path)
        except EngineError as error:
            text = f"{error.text} (version {self.engine.version})\n"
            self.respond(
                STATUS_OF_CODE.get(error.code, 500),
                text.encode(),
                {"X-ClickHouse-Exception-Code": str(error.code), "Content-Type": "text/plain; charset=UTF-8"},
            )
        except ConnectionError:
            # The client is gone.
            self.close_connection = True
        finally:
            if body_path is not None:
                os.unlink(body_path)

    @staticmethod
    def is_setting(name):
        return name not in RESERVED and not name.startswith("param_")

    def read_body(self):
        path = self.engine.path()
        try:
            with open(path, "wb") as out:
                if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                    while size := int(self.read_line().split(b";")[0], 16):
                        self.copy(out, size)
                        self.read_line()
                    while self.read_line().strip():
                        pass
                else:
                    self.copy(out, int(self.headers.get("Content-Length", 0)))
        except BaseException:
            os.unlink(path)
            raise
        return path

    def read_line(self):
        line = self.rfile.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("The request was cut")
        return line

    def copy(self, out, size):
        while size > 0:
            some = self.rfile.read(min(size, CHUNK_BYTES))
            if not some:
                raise ConnectionError("The request was cut")
            out.write(some)
            size -= len(some)

    def run(self, query, body_path):
        is_insert = re.match(r"\s*INSERT\b", query, re.I) and re.search(r"\bFORMAT\s+\w+\s*$", query, re.I)
        if is_insert:
            return self.insert(query, body_path)
        with open(body_path, encoding="utf8", errors="surrogateescape") as body:
            sql = (f"{query}\n" if query else "") + body.read()
        sql = sql.strip().rstrip(";")
        if not sql:
            raise EngineError("Code: 62. DB::Exception: Empty query (SYNTAX_ERROR)")
        if first_word(sql) in ("SELECT", "WITH"):
            return self.select(sql)
        form = self.default_format()
        content, _ = self.in_engine(sql, form)
        named = re.search(r"\bFORMAT\s+(\w+)\s*$", sql, re.I)
        self.respond(200, content, {"X-ClickHouse-Format": named[1] if named else form})

    def in_engine(self, sql, form):
        database = self.search.get("database") or self.headers.get("X-ClickHouse-Database")
        return self.engine.run(database, self.settings, self.params, sql, form)

    def default_format(self):
        return self.search.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated"

    def insert(self, query, body_path):
        at = re.search(r"\bFORMAT\s+\w+\s*$", query, re.I).start()
        encoding = self.headers.get("Content-Encoding", "none")
        source = f"FROM INFILE {literal(body_path)} COMPRESSION {literal(encoding)}"
        # A clause of settings comes after the file.
        settings_at = re.search(r"\bSETTINGS\b", query[:at], re.I)
        split = settings_at.start() if settings_at else at
        sql = f"{query[:split]} {source} {query[split:]}"
        _, rows = self.in_engine(sql, "Null")
        self.respond(200, b"", {}, rows)

    def select(self, sql):
        named = re.search(r"\bFORMAT\s+(\w+)\s*$", sql, re.I)
        form = named[1] if named else self.default_format()
        text = sql[: named.start()] if named else sql
        path = self.engine.path()
        statement = f"{text}\nINTO OUTFILE {literal(path)} COMPRESSION 'none' FORMAT {form}"
        error = None
        try:
            try:
                self.in_engine(statement, "Null")
            except EngineError as raised:
                error = raised
            size = os.path.getsize(path) if os.path.exists(path) else 0
            # Until its buffer is full a server fails with a clean status.
            if error is not None and (size <= self.hold_bytes or self.search.get("wait_end_of_query") == "1"):
                raise error
            self.stream(path, form, error)
        finally:
            if os.path.exists(path):
                os.unlink(path)

    def stream(self, path, form, error):
        tag = secrets.token_hex(8)
        headers = {"X-ClickHouse-Format": form, "Transfer-Encoding": "chunked"}
        if self.engine.is_tagged:
            headers["X-ClickHouse-Exception-Tag"] = tag
        self.head(200, headers, 0)
        if os.path.exists(path):
            with open(path, "rb") as file:
                while some := file.read(CHUNK_BYTES):
                    self.chunk(some)
        if error is not None:
            text = f"{error.text} (version {self.engine.version})\n".encode()
            if self.engine.is_tagged:
                length = len(text)
                frame = b"\r\n__exception__\r\n"
                self.chunk(frame + f"{tag}\r\n".encode() + text + f"{length} {tag}".encode() + frame)
                self.close_connection = True
                return
            self.chunk(text)
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, some):
        self.wfile.write(f"{len(some):x}\r\n".encode() + some + b"\r\n")

    def respond(self, status, content, headers, written_rows=0):
        self.head(status, {**headers, "Content-Length": str(len(content))}, written_rows)
        self.wfile.write(content)

    def head(self, status, headers, written_rows):
        elapsed = int((time.monotonic() - self.started) * 1e9)
        names = ("read_rows", "read_bytes", "written_bytes", "total_rows_to_read", "result_rows", "result_bytes")
        summary = {**dict.fromkeys(names, "0"), "written_rows": str(written_rows), "elapsed_ns": str(elapsed)}
        self.send_response(status)
        self.send_header("X-ClickHouse-Query-Id", self.search.get("query_id") or secrets.token_hex(8))
        self.send_header("X-ClickHouse-Timezone", self.engine.timezone)
        self.send_header("X-ClickHouse-Summary", json.dumps(summary))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def end_with_parent():
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--wheel", required=True)
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--hold-bytes", type=int, default=1 << 20)
    options = arguments.parse_args()
    threading.Thread(target=end_with_parent, daemon=True).start()
    Handler.engine = Engine(os.path.abspath(options.wheel), os.path.abspath(options.data))
    Handler.hold_bytes = options.hold_bytes
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
