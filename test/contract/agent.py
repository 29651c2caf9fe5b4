"""A small Outpost agent, written from docs/protocol.md alone, with Python's standard library and the openssl program.

    agent.py join URL TOKEN NAME DIRECTORY     enrols this host
    agent.py run DIRECTORY                     connects once and serves until the connection ends

It proves that the document is enough. It keeps its jobs' output and their ends in files, but does less than a full
agent: it takes the end of a job's main process for the job's, keeps no timeline, and adopts nothing when it is started
again: such jobs are lost, and it says so. Files are copied by files.py. Python 3.9 or later.
"""
import base64, hashlib, json, os, platform, re, signal, socket, ssl, struct, subprocess, sys, tempfile, time
from urllib.parse import urlparse

# ---- MessagePack

def pack(value):
    if value is None: return b"\xc0"
    if value is True: return b"\xc3"
    if value is False: return b"\xc2"
    if isinstance(value, int):
        if 0 <= value < 0x80: return struct.pack("B", value)
        if -32 <= value < 0: return struct.pack("b", value)
        forms = ((0, 0xFF, "cc", "B"), (0, 0xFFFF, "cd", ">H"), (0, 2**32 - 1, "ce", ">I")) if value > 0 else (
            (-(2**7), 0, "d0", "b"), (-(2**15), 0, "d1", ">h"), (-(2**31), 0, "d2", ">i"))
        for low, high, head, form in forms:
            if low <= value <= high: return bytes.fromhex(head) + struct.pack(form, value)
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float): return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        text = value.encode()
        head = bytes([0xA0 | len(text)]) if len(text) < 32 else header(len(text), 0xD9, 0xDA, 0xDB)
        return head + text
    if isinstance(value, (bytes, bytearray)): return header(len(value), 0xC4, 0xC5, 0xC6) + bytes(value)
    if isinstance(value, (list, tuple)):
        head = bytes([0x90 | len(value)]) if len(value) < 16 else header(len(value), None, 0xDC, 0xDD)
        return head + b"".join(map(pack, value))
    head = bytes([0x80 | len(value)]) if len(value) < 16 else header(len(value), None, 0xDE, 0xDF)
    return head + b"".join(pack(key) + pack(entry) for key, entry in value.items())

def header(length, short, middle, long):
    if short is not None and length < 2**8: return struct.pack(">BB", short, length)
    if length < 2**16: return struct.pack(">BH", middle, length)
    return struct.pack(">BI", long, length)

class Reader:
    NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
               0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
    LENGTHS = {0: ">B", 1: ">H", 2: ">I"}

    def __init__(self, data): self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data): raise ValueError("cut off")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, form): return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self, depth=0):
        if depth > 32: raise ValueError("nested too deeply")
        kind = self.take(1)[0]
        if kind < 0x80: return kind
        if kind >= 0xE0: return kind - 256
        if kind < 0x90: return self.map(kind & 15, depth)
        if kind < 0xA0: return self.list(kind & 15, depth)
        if kind < 0xC0: return self.take(kind & 31).decode()
        if kind in (0xC0, 0xC2, 0xC3): return {0xC0: None, 0xC2: False, 0xC3: True}[kind]
        if kind in self.NUMBERS: return self.number(self.NUMBERS[kind])
        if 0xC4 <= kind <= 0xC6: return self.take(self.number(self.LENGTHS[kind - 0xC4]))
        if 0xD9 <= kind <= 0xDB: return self.take(self.number(self.LENGTHS[kind - 0xD9])).decode()
        if kind in (0xDC, 0xDD): return self.list(self.number(self.LENGTHS[kind - 0xDB]), depth)
        if kind in (0xDE, 0xDF): return self.map(self.number(self.LENGTHS[kind - 0xDD]), depth)
        raise ValueError("an extension or an unused type")

    def list(self, count, depth): return [self.value(depth + 1) for _ in range(count)]
    def map(self, count, depth): return {self.value(depth + 1): self.value(depth + 1) for _ in range(count)}

def unpack(data):
    reader = Reader(data)
    value = reader.value()
    if reader.at != len(data): raise ValueError("bytes after the value")
    return value

# ---- TLS and WebSocket

class Closed(Exception): pass

class Connection:
    """WebSocket (RFC 6455) over TLS 1.3, binary messages only."""

    def __init__(self, url, path, authority, certificate=None):
        at = urlparse(url)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(cadata=authority)
        if certificate: context.load_cert_chain(*certificate)
        raw = socket.create_connection((at.hostname, at.port or 7443), timeout=10)
        self.socket = context.wrap_socket(raw, server_hostname=at.hostname)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((
            f"GET {path} HTTP/1.1\r\nHost: {at.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: outpost\r\n\r\n").encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer: self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        status, *lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
        if " 101 " not in status: raise Closed(f"{status}: {fields.get('x-outpost-reason', '')}")
        accept = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        if fields.get("sec-websocket-accept") != base64.b64encode(accept).decode(): raise Closed("not our handshake")
        if fields.get("sec-websocket-protocol") != "outpost": raise Closed("not the subprotocol outpost")

    def fill(self):
        data = self.socket.recv(65536)
        if not data: raise Closed("the connection was cut")
        self.buffer += data

    def need(self, count):
        while len(self.buffer) < count: self.fill()

    def send_frame(self, opcode, data):
        mask = b"\0\0\0\0"  # below TLS, the mask may be zero
        if len(data) < 126: head = struct.pack(">BB", 0x80 | opcode, 0x80 | len(data))
        elif len(data) < 65536: head = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, len(data))
        else: head = struct.pack(">BBQ", 0x80 | opcode, 0x80 | 127, len(data))
        self.socket.settimeout(30)
        self.socket.sendall(head + mask + data)

    def send(self, frame): self.send_frame(2, pack(frame))

    def receive(self, wait):
        """The next frame of the protocol, or None when none came within `wait` seconds."""
        message = b""
        while True:
            # Only the wait for the first byte of a message may end without one.
            self.socket.settimeout(wait if message == b"" and not self.buffer else 30)
            try: self.need(2)
            except socket.timeout: return None
            self.socket.settimeout(30)
            first, second = self.buffer[0], self.buffer[1]
            length, at = second & 127, 2
            if length == 126: self.need(4); length, at = struct.unpack(">H", self.buffer[2:4])[0], 4
            elif length == 127: self.need(10); length, at = struct.unpack(">Q", self.buffer[2:10])[0], 10
            if len(message) + length > 4 * 1024 * 1024: raise Closed("a message is too large")
            self.need(at + length)
            data, self.buffer = self.buffer[at : at + length], self.buffer[at + length :]
            opcode = first & 15
            if opcode == 8:
                self.send_frame(8, data[:2])
                raise Closed(data[2:].decode(errors="replace") or "closed without a reason")
            if opcode == 9: self.send_frame(10, data)
            elif opcode in (0, 2):
                message += data
                if first & 0x80: return unpack(message)
            elif opcode == 1: raise Closed("a text message")

    def ask(self, number, method, params):
        """Asks and waits for the answer, while nothing else is going on: for hello and enrol."""
        self.send([0, number, method, params])
        while True:
            frame = self.receive(30)
            if frame is None: raise Closed(f"no answer to {method}")
            if frame[0] == 1 and frame[1] == number:
                if frame[2] is not None: raise Closed(f"{method}: {frame[2]['code']}: {frame[2]['message']}")
                return frame[3]
            if frame[0] == 0 and frame[2] == "ping": self.send([1, frame[1], None, {}])

def hello(connection, facts=None):
    params = {"versions": {"min": 2, "max": 3}, "software": "agent.py 0.3", "maxMessageBytes": 4194304}
    if facts: params["facts"] = facts
    return connection.ask(1, "hello", params)

def facts():
    boot = "/proc/sys/kernel/random/boot_id"
    return {"platform": sys.platform, "os": platform.platform()[:256], "kernel": platform.release(),
            "arch": platform.machine(), "hostname": socket.gethostname(), "cpus": os.cpu_count() or 0,
            "memoryBytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "agentVersion": "0.3",
            "bootId": open(boot).read().strip() if os.path.exists(boot) else "unknown"}

# ---- enrolment

def join(url, token, name, directory):
    prefix, _, body = token.strip().partition("_")
    data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    if prefix != "outpost2" or len(data) != 88: raise SystemExit("this is no token")
    fingerprint, operators = data[:32], data[32:64]
    secret = base64.urlsafe_b64encode(data[64:]).decode().rstrip("=")
    at = urlparse(url)
    shown = subprocess.run(["openssl", "s_client", "-showcerts", "-tls1_3", "-connect", f"{at.hostname}:{at.port or 7443}"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
    chain = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", shown, re.S)
    authority = next((pem for pem in chain if hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest() == fingerprint), None)
    if authority is None: raise SystemExit("another controller, or another CA; nothing was sent to it")
    os.makedirs(os.path.join(directory, "jobs"), exist_ok=True)
    path = lambda file: os.path.join(directory, file)
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256",
                    "-subj", f"/CN={name}", "-keyout", path("key.pem"), "-out", path("request.pem")],
                   check=True, stderr=subprocess.DEVNULL)
    connection = Connection(url, "/enrol", authority)
    hello(connection)
    answer = connection.ask(2, "enrol", {"secret": secret, "name": name, "labels": {"made-with": "python"}, "facts": facts(),
                                         "request": open(path("request.pem")).read()})
    if hashlib.sha256(ssl.PEM_cert_to_DER_cert(answer["operators"])).digest() != operators:
        raise SystemExit("the controller names another operators' authority than the token")
    about = {"url": url, "name": answer["name"], "labels": answer["labels"]}
    for file, text in (("certificate.pem", answer["certificate"]), ("ca.pem", answer["authority"]),
                       ("operators.pem", answer["operators"]), ("about.json", json.dumps(about))):
        open(path(file), "w").write(text)
    print(f"joined as {answer['name']} ({answer['host']})", flush=True)

# ---- signed requests

class Refusal(Exception):
    def __init__(self, code, message): super().__init__(message); self.code = code

def denied(message): return Refusal("denied", message)

def canonical(value):
    """The one form that is signed: keys in the order of their bytes."""
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value, key=str.encode) if value[key] is not None}
    return [canonical(entry) for entry in value] if isinstance(value, list) else value

def digest(value): return hashlib.sha256(pack(canonical(value))).digest()

def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

class Operators:
    """Whether an operator has asked for something. Certificates and signatures are checked by the openssl program."""

    SKEW_MS = 5 * 60 * 1000

    def __init__(self, authority, name, labels):
        self.authority, self.name, self.labels, self.known = authority, name, labels, {}

    def verify(self, params, method, action, subject, **bound):
        authorization = params.get("authorization")
        if authorization is None: raise denied("the request is not signed")
        statement = unpack(authorization["statement"])
        operator, key = self.chain([bytes(der) for der in authorization["certificates"]])
        self.signature(key, authorization["statement"], authorization["signature"])
        now = time.time() * 1000
        if statement["expiresAt"] <= now - self.SKEW_MS: raise denied("the request has expired")
        if statement["issuedAt"] > now + self.SKEW_MS: raise denied("the request was signed in the future")
        same = (statement["operator"] == operator == params.get("operator", operator) and statement["action"] == action
                and statement["subject"] == subject and statement["digest"] == digest({"method": method, **bound}))
        if not same: raise denied(f"the request is not what {operator} has signed")
        if "targets" in statement and not self.selected(statement["targets"]): raise denied(f"{operator} has not asked this of {self.name}")

    def chain(self, certificates):
        found = self.known.get(tuple(certificates))
        if found and found[2] > time.monotonic(): return found[:2]
        with tempfile.TemporaryDirectory() as folder:
            files = [os.path.join(folder, f"{at}.pem") for at in range(len(certificates))]
            for file, der in zip(files, certificates): open(file, "w").write(ssl.DER_cert_to_PEM_cert(der))
            between = ["-untrusted", files[1]] if len(files) == 2 else []
            checked = openssl("verify", "-purpose", "sslclient", "-CAfile", self.authority, *between, files[0])
            if checked.returncode != 0 or len(files) > 2: raise denied("the certificate is not of an operator: " + checked.stdout.decode().strip())
            owners = [self.owner(file) for file in files]
            # openssl has no opinion on this: an invitation is for one operator, and the last certificate is no CA.
            if len(set(owners)) != 1: raise denied(f"the invitation is for {owners[-1][0]}")
            if b"CA:TRUE" in openssl("x509", "-in", files[0], "-noout", "-ext", "basicConstraints").stdout: raise denied("an invitation signs no requests")
            key = openssl("x509", "-in", files[0], "-noout", "-pubkey").stdout
        self.known[tuple(certificates)] = (owners[0][0], key, time.monotonic() + 60)
        return owners[0][0], key

    @staticmethod
    def owner(file):
        text = openssl("x509", "-in", file, "-noout", "-subject", "-nameopt", "multiline", "-ext", "subjectAltName").stdout.decode()
        name, urn = re.search(r"commonName += (\S+)", text), re.findall(r"URI:(\S+?),?$", text, re.M)
        if not name or len(urn) != 1 or not urn[0].startswith("urn:outpost:operator:"): raise denied("the certificate names no operator")
        return name[1], urn[0]

    @staticmethod
    def signature(key, statement, signature):
        def integer(raw):
            raw = raw.lstrip(b"\0") or b"\0"
            raw = b"\0" + raw if raw[0] & 0x80 else raw
            return b"\x02" + bytes([len(raw)]) + raw
        body = integer(signature[:32]) + integer(signature[32:])
        with tempfile.NamedTemporaryFile() as keys, tempfile.NamedTemporaryFile() as signed:
            keys.write(key); keys.flush()
            signed.write(b"\x30" + bytes([len(body)]) + body); signed.flush()
            checked = openssl("dgst", "-sha256", "-verify", keys.name, "-signature", signed.name, data=bytes(statement))
        if checked.returncode != 0: raise denied("the signature is not the operator's")

    def selected(self, targets):
        def fits(pattern, text): return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text) is not None
        for term in (text.strip() for text in targets.split(",")):
            label, equals, value = term.partition("=")
            if fits(value, self.labels.get(label, "")) and label in self.labels if equals else fits(term, self.name): return True
        return False

# ---- jobs

WINDOW = 262144  # of a job's input

class Job:
    STREAMS = ("stdout", "stderr")

    def __init__(self, directory, ident):
        self.id, self.path, self.process = ident, os.path.join(directory, "jobs", ident), None
        self.status = {"job": ident, "state": "pending", "output": {}}
        self.received = dict.fromkeys(self.STREAMS, 0)
        self.deadline = self.input = self.retry = self.again = None

    def file(self, name): return os.path.join(self.path, name)

    def start(self, params):
        os.makedirs(self.path)
        # Kept beside the status, so that it is known after a restart, too.
        if params.get("collect"): self.status["collect"] = True
        spec = params["spec"]
        command = spec["command"]
        self.save("pending")
        if params["expiresAt"] < time.time() * 1000: return self.end("failed", reason=("expired", "it came too late"))
        files = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "files.py"), command["kind"]]
        argv = {"exec": command.get("argv"), "shell": ["/bin/sh", "-c", command.get("text")], "get": files + command.get("paths", []),
                "put": files + ["into" if command.get("into") else "at", command.get("path")]}.get(command["kind"])
        if argv is None: return self.end("failed", reason=("refused", "this agent runs no scripts"))
        environment = {"PATH": os.defpath + ":/usr/local/bin", "HOME": os.path.expanduser("~"), "OUTPOST_JOB": self.id, **spec["env"]}
        stdin = subprocess.DEVNULL
        if spec["input"]["kind"] == "inline":
            open(self.file("stdin"), "wb").write(spec["input"]["bytes"])
            stdin = open(self.file("stdin"), "rb")
        elif spec["input"]["kind"] == "stream":
            open(self.file("stdin"), "wb").close()
            stdin, self.input = subprocess.PIPE, {"fed": 0, "whole": False}
        self.begin = lambda: subprocess.Popen(
            argv, stdin=stdin, stdout=open(self.file("stdout"), "ab"), stderr=open(self.file("stderr"), "ab"), bufsize=0,
            cwd=spec.get("cwd") or os.path.expanduser("~"), env=environment, start_new_session=True)
        self.retry = spec.get("retry")
        if self.retry: self.status["attempts"] = 1
        try: self.process = self.begin()
        except OSError as error: return self.end("failed", reason=("start_failed", str(error)))
        if self.input: os.set_blocking(self.process.stdin.fileno(), False)
        self.status["startedAt"] = int(time.time() * 1000)
        self.deadline = time.monotonic() + spec["timeoutMs"] / 1000 if "timeoutMs" in spec else None
        self.save("running")

    def store(self, data):
        with open(self.file("stdin"), "ab") as file: file.write(data)

    def feed(self):
        """Gives the process of its input what has come, as far as it takes it."""
        if not self.input or self.process.stdin.closed: return
        data = self.read("stdin", self.input["fed"], 65536)
        try:
            if data: self.input["fed"] += os.write(self.process.stdin.fileno(), data)
            elif self.input["whole"]: self.process.stdin.close()
        except BlockingIOError: pass
        except BrokenPipeError: self.process.stdin.close()

    def look(self):
        """Whether the state has changed since the last look."""
        if self.status["state"] != "running" or not self.process: return False
        self.feed()
        if self.again and not self.status.get("reason"):
            if time.monotonic() < self.again and not (self.deadline and time.monotonic() > self.deadline): return False
            self.again = None
            if self.deadline and time.monotonic() > self.deadline: self.status["reason"] = {"code": "timed_out", "message": "its time was over"}
            else:
                self.status["attempts"] += 1
                self.process = self.begin()
                return True
        code = self.process.poll()
        if code is None:
            if self.deadline and time.monotonic() > self.deadline:
                self.deadline, self.status["reason"] = None, {"code": "timed_out", "message": "its time was over"}
                os.killpg(self.process.pid, signal.SIGKILL)
            return False
        self.status["exit"] = {"code": code} if code >= 0 else {"signal": signal.Signals(-code).name}
        why = self.status.get("reason", {}).get("code")
        if code != 0 and not why and self.retry and self.status["attempts"] <= self.retry["times"]:
            del self.status["exit"]
            self.again = time.monotonic() + self.retry["delayMs"] / 1000
            return False
        self.end("stopped" if why == "stopped" else "completed" if code == 0 else "failed")
        return True

    def stop(self, operator):
        if self.status["state"] != "running": return
        self.status["reason"] = {"code": "stopped", "message": f"stopped by {operator}", "by": operator}
        # Between two runs there is nothing to kill.
        if not self.again: os.killpg(self.process.pid, signal.SIGTERM)

    def end(self, state, reason=None):
        self.status["endedAt"] = int(time.time() * 1000)
        if reason: self.status["reason"] = {"code": reason[0], "message": reason[1]}
        self.save(state)

    def save(self, state):
        self.status["state"] = state
        with open(self.file("status.json.new"), "w") as file: json.dump(self.status, file); file.flush(); os.fsync(file.fileno())
        os.replace(self.file("status.json.new"), self.file("status.json"))

    def ended(self): return self.status["state"] not in ("pending", "running")

    def length(self, name):
        try: return os.path.getsize(self.file(name))
        except OSError: return 0

    def read(self, name, offset, count):
        with open(self.file(name), "rb") as file: file.seek(offset); return file.read(count)

    def state(self):
        output = {name: {"written": self.length(name), "received": self.received[name]} for name in self.STREAMS}
        return {**self.status, "output": output}

    def tail(self, positions):
        """What is left, when it is short enough to travel in an answer."""
        left = {name: self.length(name) - at for name, at in positions.items()}
        if not self.ended() or sum(left.values()) > 16384: return None
        return {name: {"offset": at, "bytes": self.read(name, at, left[name]) if left[name] else b""} for name, at in positions.items()}

# ---- serving

class Reading:
    """One job.read while it is open: sends what there is, as far as each stream's credit goes."""

    def __init__(self, agent, request, job, params):
        self.agent, self.request, self.job, self.follow = agent, request, job, params["follow"]
        self.streams = {}
        for name, offset in params["from"].items():
            if name not in Job.STREAMS: continue  # this agent keeps no timeline
            self.streams[name] = stream = {"number": agent.next_stream(), "at": offset, "credit": offset + params["window"]}
            agent.send([2, "read.opened", {"request": request, "stream": stream["number"], "name": name, "offset": offset}])

    def pump(self):
        """Sends one chunk per stream; True when the reading is over."""
        ended, behind = self.job.ended(), False
        for name, stream in self.streams.items():
            length = self.job.length(name)
            count = min(length, stream["credit"], stream["at"] + 262144) - stream["at"]
            if count > 0:
                self.agent.send([3, stream["number"], stream["at"], self.job.read(name, stream["at"], count)])
                stream["at"] += count
            behind = behind or stream["at"] < length
        if behind or (self.follow and not ended): return False
        for stream in self.streams.values(): self.agent.send([5, stream["number"], None])
        self.agent.answer(self.request, {"status": self.job.state()})
        return True

class Agent:
    def __init__(self, directory):
        path = lambda file: os.path.join(directory, file)
        self.directory, self.streams, self.jobs, self.readings, self.starting, self.inputs = directory, 0, {}, {}, {}, {}
        for ident in os.listdir(path("jobs")):
            job = self.jobs[ident] = Job(directory, ident)
            job.status = json.load(open(job.file("status.json")))
            if not job.ended(): job.end("lost", reason=("wrapper_vanished", "the agent was restarted, and adopts nothing"))
        about = json.load(open(path("about.json")))
        self.operators = Operators(path("operators.pem"), about["name"], about["labels"])
        self.connection = Connection(about["url"], "/agent", open(path("ca.pem")).read(),
                                     (path("certificate.pem"), path("key.pem")))

    def send(self, frame): self.connection.send(frame)
    def answer(self, request, result): self.send([1, request, None, result])

    def next_stream(self):
        self.streams += 1
        return self.streams

    def run(self):
        print(f"connected as {hello(self.connection, facts())['name']}", flush=True)
        # From here on the controller may ask at any time, also before it has answered this.
        self.send([0, 2, "inventory", {"jobs": [job.state() for job in self.jobs.values()], "last": True}])
        heard = asked = time.monotonic()
        while True:
            frame = self.connection.receive(0.02)
            now = time.monotonic()
            if frame is not None: heard = now; self.handle(frame)
            elif now - heard > 25: raise Closed("the controller went silent")
            elif now - heard > 10 and now - asked > 5: asked = now; self.send([0, 3, "ping", {}])
            for job in self.jobs.values():
                if job.look(): self.send([2, "job.changed", {"status": job.state()}])
            for request, (job, until) in list(self.starting.items()):
                if job.ended() or now >= until: del self.starting[request]; self.started(request, job)
            self.readings = {request: reading for request, reading in self.readings.items() if not reading.pump()}

    def handle(self, frame):
        kind = frame[0]
        if kind == 0:
            try: self.request(frame[1], frame[2], frame[3])
            except Refusal as error: self.send([1, frame[1], {"code": error.code, "message": str(error)}, None])
        elif kind == 2 and frame[1] == "goodbye": print(f"goodbye: {frame[2]['reason']}", flush=True)
        elif kind == 3 and frame[1] in self.inputs:
            job = self.inputs[frame[1]][1]
            if frame[2] != job.length("stdin"): raise Closed("a chunk does not follow the one before")
            job.store(frame[3])
            self.send([4, frame[1], job.length("stdin") + WINDOW])
        elif kind == 5 and frame[1] in self.inputs:
            request, job = self.inputs.pop(frame[1])
            if frame[2] is None: job.input["whole"] = True
            else: job.stop("whoever sent its input, which will never be whole")
            self.answer(request, {"size": job.length("stdin")})
        elif kind == 4:
            for reading in self.readings.values():
                for stream in reading.streams.values():
                    if stream["number"] == frame[1]: stream["credit"] = max(stream["credit"], frame[2])
        elif kind == 6:
            cancelled = {"code": "cancelled", "message": "the caller cancelled the request"}
            inputs = [stream for stream, (request, _) in self.inputs.items() if request == frame[1]]
            if frame[1] not in self.readings and not inputs: return
            for stream in inputs: del self.inputs[stream]
            reading = self.readings.pop(frame[1], None)
            for stream in reading.streams.values() if reading else (): self.send([5, stream["number"], cancelled])
            self.send([1, frame[1], cancelled, None])

    def started(self, request, job):
        tail = job.tail({"stdout": 0, "stderr": 0})
        self.answer(request, {"status": job.state(), **({"tail": tail} if tail else {})})

    def request(self, request, method, params):
        if method == "ping": return self.answer(request, {})
        if method == "job.start":
            if "secrets" in params: raise Refusal("invalid_argument", "this agent takes no secrets")
            if "configuration" in params["spec"] or "user" in params["spec"]: raise Refusal("invalid_argument", "this agent has no configurations")
            spec = params["spec"]
            if "retry" in spec and (spec["input"]["kind"] != "none" or spec["command"]["kind"] in ("put", "get")):
                raise Refusal("invalid_argument", "a job with an input, or that copies files, is not retried")
            self.operators.verify(params, method, "invoke", params["job"], spec=params["spec"], collect=params.get("collect", False))
            if params["job"] not in self.jobs:
                self.jobs[params["job"]] = job = Job(self.directory, params["job"])
                job.start(params)
            self.starting[request] = (self.jobs[params["job"]], time.monotonic() + params["inlineWaitMs"] / 1000)
            return None
        if method == "job.status": return self.answer(request, {"jobs": [self.jobs[ident].state() for ident in params["jobs"] if ident in self.jobs]})
        job = self.jobs.get(params["job"]) if method.startswith("job.") else None
        if method in ("job.read", "job.stop", "job.input") and job is None: raise Refusal("not_found", f"there is no job {params['job']} here")
        if method == "job.read" and not job.status.get("collect"): self.operators.verify(params, method, "job.read", job.id)
        if method == "job.stop": self.operators.verify(params, method, "job.stop", job.id, graceMs=params.get("graceMs"))
        if method == "job.read": self.readings[request] = Reading(self, request, job, params)
        elif method == "job.input":
            if not job.input or job.ended(): raise Refusal("conflict", "it takes no input, or has ended")
            self.inputs[params["stream"]] = (request, job)
            self.send([2, "input.ready", {"request": request, "offset": job.length("stdin"), "window": WINDOW}])
        elif method == "job.stop": job.stop(params["operator"]); self.answer(request, {"status": job.state()})
        elif method == "job.acknowledge":
            for name in Job.STREAMS if job else (): job.received[name] = max(job.received[name], params["received"].get(name, 0))
            self.answer(request, {})
        else: raise Refusal("method_not_found", f"unknown method {method}")


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["join"] and len(sys.argv) == 6: join(*sys.argv[2:])
        elif sys.argv[1:2] == ["run"] and len(sys.argv) == 3: Agent(sys.argv[2]).run()
        else: raise SystemExit(__doc__)
    except Closed as error: raise SystemExit(f"closed: {error}")
