"""Reads and writes file streams, from docs/protocol.md alone: what agent.py runs for `put` and `get`.

    files.py put into|at PATH    standard input is a file stream; tells on standard output what it has written
    files.py get PATH…           standard output is a file stream

It trusts whoever sends it a stream as far as an agent may: modes and links are made as they are, but never written through.
"""
import glob, hashlib, json, os, re, stat, struct, sys

sys.dont_write_bytecode = True
from agent import pack, unpack

MAGIC = b"outpost-files/1\n"
LARGEST, BLOCK = 327680, 256 * 1024

class Broken(Exception): pass

def say(text): print(text, file=sys.stderr, flush=True)
def why(error): return (error.strerror or str(error)).lower()
def home(path): return os.path.expanduser("~") + path[1:] if path == "~" or path.startswith("~/") else path
def milliseconds(about): return about.st_mtime_ns // 1_000_000

# ---- reading

class Get:
    def __init__(self):
        self.digest, self.files, self.bytes, self.errors = hashlib.sha256(MAGIC), 0, 0, 0
        sys.stdout.buffer.write(MAGIC)

    def record(self, kind, **fields):
        body = pack({"type": kind, **fields})
        data = struct.pack(">I", len(body)) + body
        if kind != "data": self.digest.update(data)
        sys.stdout.buffer.write(data)

    def error(self, path, name, message):
        self.errors += 1
        say(f"{path}: {message}")
        self.record("error", path=name, message=message)

    def run(self, asked):
        many, tops, missing = len(asked) > 1, {}, []
        for path in map(home, asked):
            found = [path]
            if re.search(r"[*?[]", path) and not os.path.lexists(path): many, found = True, glob.glob(path)
            if not found: missing.append((path, "nothing matches that"))
            for one in found:
                content = os.path.basename(one.rstrip("/")) in ("", ".", "..")
                many = many or content
                try: names = [(os.path.join(one, name), name, False) for name in os.listdir(one)] if content else [
                    (one, os.path.basename(one.rstrip("/")), True)]
                except OSError as error: missing.append((one, why(error))); continue
                for path, name, follow in names:
                    if name in tops: missing.append((path, f"would have the same name as {tops[name][0]}"))
                    else: tops[name] = (path, follow)
        self.record("begin", many=many)
        for path, message in missing: self.error(path, path, message)
        for name in sorted(tops, key=os.fsencode): self.entry(tops[name][0], name, tops[name][1])
        end = self.digest.digest()
        self.record("end", files=self.files, bytes=self.bytes, errors=self.errors, sha256=end)
        return 1 if self.errors else 0

    def entry(self, path, name, follow=False):
        try:
            about = os.stat(path) if follow else os.lstat(path)
            same = {"path": name, "mtime": milliseconds(about)}
            if stat.S_ISLNK(about.st_mode): self.record("link", target=os.readlink(path), **same)
            elif stat.S_ISREG(about.st_mode): self.file(path, name, follow)
            elif not stat.S_ISDIR(about.st_mode): self.record("warning", path=name, message="is no file and is left out")
            else:
                names = sorted(os.listdir(path), key=os.fsencode)
                self.record("directory", mode=about.st_mode & 0o7777, **same)
                for each in names: self.entry(os.path.join(path, each), f"{name}/{each}")
        except OSError as error: self.error(path, name, why(error))

    def file(self, path, name, follow):
        digest, size = hashlib.sha256(), 0
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)), "rb") as file:
            about = os.fstat(file.fileno())
            self.record("file", path=name, mode=about.st_mode & 0o7777, mtime=milliseconds(about), size=about.st_size)
            try:
                for data in iter(lambda: file.read(BLOCK), b""):
                    digest.update(data)
                    size += len(data)
                    self.record("data", bytes=data)
            except OSError as error: return self.error(path, name, why(error))
        self.record("file-end", size=size, sha256=digest.digest())
        self.files, self.bytes = self.files + 1, self.bytes + size

# ---- writing

class Directory:
    """An open one: what is put into it stays in it, whatever becomes of its path."""

    def __init__(self, fd, record=None): self.fd, self.record, self.last = fd, record, b""

    def close(self):
        if self.record: os.fchmod(self.fd, self.record["mode"]); os.utime(self.fd, ns=(self.record["mtime"] * 1_000_000,) * 2)
        os.close(self.fd)

class Put:
    def __init__(self, path, into):
        self.path, self.into, self.only = path, into, None
        self.names, self.stack, self.writing = [], [], None
        self.files = self.bytes = self.failed = 0

    def records(self, source):
        digest = hashlib.sha256(MAGIC)
        if source.read(len(MAGIC)) != MAGIC: raise Broken("it is no file stream")
        while True:
            head = source.read(4)
            length = struct.unpack(">I", head)[0] if len(head) == 4 else 0
            if not 0 < length <= LARGEST: raise Broken("it ends before its end, or a record is too large")
            body = source.read(length)
            if len(body) != length: raise Broken("it ends before its end")
            try: record = unpack(body)
            except (ValueError, IndexError) as error: raise Broken(str(error))
            if record["type"] == "end":
                if record["sha256"] != digest.digest(): raise Broken("its digest is another one")
                if source.read(1): raise Broken("it goes on behind its end")
                return
            if record["type"] != "data": digest.update(head + body)
            yield record

    def run(self, source):
        try:
            for record in self.records(source):
                kind = record["type"]
                if (kind == "begin") == bool(self.stack): raise Broken(f"'{kind}' comes where it makes no sense")
                if bool(self.writing) != (kind in ("data", "file-end")) and not (self.writing and kind == "error"):
                    raise Broken(f"'{kind}' comes where it makes no sense")
                TAKEN[kind](self, record)
            if self.writing: raise Broken("a file has no end")
            self.leave(0)
        except (Broken, KeyError, TypeError, AttributeError) as error:
            self.discard()
            say(f"the file stream is broken: {error}")
            return 1
        except OSError as error:
            self.discard()
            say(f"{self.path}: {why(error)}")
            return 1
        self.tell(type="done", files=self.files, bytes=self.bytes)
        return 1 if self.failed else 0

    def tell(self, **line): print(json.dumps(line), flush=True)

    def problem(self, path, error): self.failed += 1; say(f"{path}: {why(error)}")

    def begin(self, record):
        path = home(self.path)
        if self.into: os.makedirs(path, exist_ok=True)
        elif not os.path.isdir(path):
            if record["many"]: raise NotADirectoryError(0, "is no directory, and several files need one")
            path, self.only = os.path.split(path)
        self.stack.append(Directory(os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY)))

    def place(self, path):
        """The directory that it goes into (None: that could not be made), and its name there."""
        names = path.split("/")
        if len(path.encode()) > 4096 or len(names) > 512: raise Broken("a path is too long")
        if any(name in ("", ".", "..") or "\0" in name or len(name.encode()) > 255 for name in names): raise Broken(f"{path!r} leads elsewhere")
        if self.names[: len(names) - 1] != names[:-1]: raise Broken(f"{path!r} comes without its directory")
        self.leave(len(names))
        parent, name = self.stack[-1], names[-1].encode()
        if name <= parent.last: raise Broken(f"{path!r} comes twice, or in no order")
        if len(names) == 1 and self.only and parent.last: raise Broken("it has several entries, and said that it has one")
        parent.last = name
        return (None if parent.fd is None else parent), self.only if len(names) == 1 and self.only else names[-1]

    def leave(self, count):
        while len(self.stack) > count:
            left = self.stack.pop()
            if self.names: self.names.pop()
            if left.fd is not None: left.close()

    def directory(self, record):
        parent, name = self.place(record["path"])
        fd = None
        if parent:
            try:
                try: os.mkdir(name, 0o700, dir_fd=parent.fd)
                except FileExistsError: pass
                fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent.fd)
            except OSError as error: self.problem(record["path"], error)
        self.stack.append(Directory(fd, record))
        self.names.append(record["path"].split("/")[-1])

    def link(self, record):
        parent, name = self.place(record["path"])
        if not parent: return
        try:
            temporary = self.temporary(name)
            os.symlink(record["target"], temporary, dir_fd=parent.fd)
            os.utime(temporary, ns=(record["mtime"] * 1_000_000,) * 2, dir_fd=parent.fd, follow_symlinks=False)
            os.replace(temporary, name, src_dir_fd=parent.fd, dst_dir_fd=parent.fd)
        except OSError as error: self.problem(record["path"], error)

    def temporary(self, name): return f".{name[:60]}.outpost-{os.urandom(4).hex()}"

    def file(self, record):
        parent, name = self.place(record["path"])
        self.writing = {"record": record, "name": name, "parent": parent, "fd": None, "size": 0, "digest": hashlib.sha256()}
        if not parent: return
        try:
            self.writing["temporary"] = self.temporary(name)
            self.writing["fd"] = os.open(self.writing["temporary"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=parent.fd)
        except OSError as error: self.problem(record["path"], error)

    def data(self, record):
        file = self.writing
        file["digest"].update(record["bytes"])
        file["size"] += len(record["bytes"])
        left = memoryview(record["bytes"])
        while file["fd"] is not None and left: left = left[os.write(file["fd"], left) :]

    def file_end(self, record):
        file = self.writing
        if (record["size"], record["sha256"]) != (file["size"], file["digest"].digest()): raise Broken("a file's digest is another one")
        about, fd, parent = file["record"], file["fd"], file["parent"]
        if fd is None: self.writing = None; return
        os.fchmod(fd, about["mode"])
        os.utime(fd, ns=(about["mtime"] * 1_000_000,) * 2)
        os.fsync(fd)
        try: os.replace(file["temporary"], file["name"], src_dir_fd=parent.fd, dst_dir_fd=parent.fd)
        except OSError as error: self.problem(about["path"], error); self.discard(); return
        os.close(fd)
        self.writing = None
        self.files, self.bytes = self.files + 1, self.bytes + file["size"]
        self.tell(type="file", path=about["path"], bytes=file["size"], sha256=record["sha256"].hex())

    def error(self, record): self.failed += 1; self.discard()
    def warning(self, record): pass

    def discard(self):
        """Leaves nothing of a file that did not come whole."""
        file, self.writing = self.writing, None
        if file and file["fd"] is not None: os.close(file["fd"]); os.unlink(file["temporary"], dir_fd=file["parent"].fd)

TAKEN = {"begin": Put.begin, "directory": Put.directory, "file": Put.file, "data": Put.data, "file-end": Put.file_end,
         "link": Put.link, "error": Put.error, "warning": Put.warning}

if __name__ == "__main__":
    if sys.argv[1:2] == ["put"] and len(sys.argv) == 4: sys.exit(Put(sys.argv[3], sys.argv[2] == "into").run(sys.stdin.buffer))
    if sys.argv[1:2] == ["get"] and len(sys.argv) > 2: sys.exit(Get().run(sys.argv[2:]))
    raise SystemExit(__doc__)
