# SPDX-License-Identifier: GPL-2.0
"""An agent that is made up: it answers vmbeamd on a socket as vmbeam-agent does, of a host VM that is a few objects
here, and goes wrong when it is told to."""
import ctypes
import json
import socket
import struct
import threading
import time
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterable, NamedTuple

Json = dict[str, Any]
Extent = tuple[int, int, int]   # pfn, gfn, number

GUEST = "u1"
UUID = "4ae1b2f0-0000-4000-8000-0123456789ab"
OTHER = "u2"
OTHER_UUID = "4ae1b2f0-0000-4000-8000-0123456789ac"
GUEST_DOMID = 5       # on the source
RESTORED_DOMID = 9    # on the destination
REBOOTED_DOMID = 6    # of whatever else has the guest VM's UUID
FIRST_EXPORT = 70
FRAMES = 100

# What may be asked outside a migration.
OF_NO_MIGRATION = ("hello", "system", "power-off", "probe", "guest-check", "guest-shutdown", "guest-start", "guard-adopt",
                   "guard-back")

MAGIC = b"VMBEAM\r\n"
HEADER_LEN = 24


def _runs(data: bytes) -> bytes:
    """As userspace/common/pack.c does it: a difference to the word before, and how many words have it."""
    runs: list[list[int]] = []
    last = 0
    for (word,) in struct.iter_unpack("<Q", data[:len(data) // 8 * 8]):
        if runs and runs[-1][0] == (word - last) % 2**64 and runs[-1][1] < 255:
            runs[-1][1] += 1
        else:
            runs.append([(word - last) % 2**64, 1])
        last = word
    return (struct.pack(f"<I{len(runs)}Q", len(runs), *(difference for difference, _ in runs)) +
            bytes(count for _, count in runs) + data[len(data) // 8 * 8:])


def _words(runs: bytes) -> bytes:
    """The reverse."""
    (nr,) = struct.unpack_from("<I", runs)
    counts, last, out = runs[4 + nr * 8:4 + nr * 9], 0, []
    for difference, count in zip(struct.unpack_from(f"<{nr}Q", runs, 4), counts):
        for _ in range(count):
            last = (last + difference) % 2**64
            out.append(last)
    return struct.pack(f"<{len(out)}Q", *out) + runs[4 + nr * 9:]


def _zstd(function: str, data: bytes, room: int, *level: int) -> bytes:
    lib, out = ctypes.CDLL("libzstd.so.1"), ctypes.create_string_buffer(room)
    call = getattr(lib, function)
    call.restype = ctypes.c_size_t
    size = call(out, ctypes.c_size_t(room), data, ctypes.c_size_t(len(data)), *level)
    assert size <= room, f"{function} of {len(data)} bytes failed"
    return out.raw[:size]


def pack(data: bytes) -> bytes:
    return _zstd("ZSTD_compress", _runs(data), len(data) * 2 + 1000, 1)


def unpack(data: bytes, size: int) -> bytes:
    words = _words(_zstd("ZSTD_decompress", data, size * 2 + 1000))
    assert len(words) == size, f"{len(words)} bytes were packed, and not {size}"
    return words


class SavedStream(NamedTuple):
    """A guest VM as `xl save` would write it: what comes before it is told to suspend, and what comes after."""
    before: bytes
    after: bytes


def saved_stream() -> SavedStream:
    """All frames announced, and of these two sent as content, besides the 50th: a page table and a plain one."""
    def record(kind: int, body: bytes = b"") -> bytes:
        return struct.pack("<II", kind, len(body)) + body + bytes(-len(body) % 8)

    def pages(words: list[int], content: int) -> bytes:
        return record(1, struct.pack(f"<II{len(words)}Q", len(words), 0, *words) + bytes(4096 * content))

    xl = b"Xen saved domain, xl format\n \0 \r" + struct.pack("<IIII", 0x01020304, 3, 0, 4) + b"conf"
    libxl = struct.pack(">QII", 0x4c6962786c466d74, 2, 0) + record(1)
    libxc = struct.pack("<Q", 2**64 - 1) + struct.pack(">II", 0x58454e46, 3) + bytes(8)
    libxc += struct.pack("<IIII", 1, 12, 4, 20)
    announced = pages([pfn | 0xe << 60 for pfn in range(FRAMES)], 0)
    content = pages([3 | 1 << 60, 4 | 4 << 60, 50], 3)
    return SavedStream(xl + libxl + libxc + announced, content + record(0) + record(2, b"x") + record(0))


@dataclass
class Domain:
    """As hello tells of it."""
    domid: int
    name: str = GUEST
    uuid: str = UUID
    paused: bool = False
    shutdown: bool = False
    suspended: bool = False
    dying: bool = False


@dataclass
class Export:
    domid: int
    armed: bool = False


@dataclass
class Disk:
    """A block device of a host VM. Its blocks have contents of their own but for those that are empty."""
    size: int = 1 << 30
    seed: int = 1                   # another: another disk
    ids: dict[str, str] = field(default_factory=dict)
    read_only: bool = False
    used: range = range(1 << 18)    # these blocks are not empty
    busy: range = range(0)          # these change at each look
    looks: int = 0

    def describe(self) -> Json:
        return {"bytes": self.size, "read_only": self.read_only, "ids": self.ids}

    def digest(self, block: int) -> str:
        if block not in self.used:
            return "0"
        self.looks += block in self.busy
        return f"{zlib.crc32(f'{self.seed} {block} {self.looks if block in self.busy else 0}'.encode()):x}"


KERNEL = "/boot/vmlinuz-of-u1"
DEVICES: tuple[Json, ...] = (
    {"kind": "vbd", "id": "51712", "backend_domid": 0, "dev": "xvda", "backend": "phy", "target": "/dev/vdb", "mode": "w",
     "state": "connected"},
    {"kind": "vif", "id": "0", "backend_domid": 0, "mac": "00:16:3e:01:02:03", "bridge": "xenbr0",
     "script": "/etc/xen/scripts/vif-bridge", "state": "connected", "tc": [], "behind": [], "vlan_filtering": False},
)
# SSE2 is bit 26 of word 0, AVX2 bit 5 of word 5.
FEATURES = [0x178bfbff, 0x80202001] + [0] * 3 + [0x20] + [0] * 13


class Reply(NamedTuple):
    json: Json
    blob: bytes = b""


class OpError(Exception):
    """The agent's refusal of a request."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class WrongRequest(Exception):
    """vmbeamd asks for what it must not ask for."""


def expect(right: bool, what: str) -> None:
    if not right:
        raise WrongRequest(what)


@dataclass
class Faults:
    """How the agent goes wrong. A test may change it at any time."""
    broken: dict[str, str] = field(default_factory=dict)    # these ops fail, with this text
    busy: dict[str, str] = field(default_factory=dict)      # likewise, with EBUSY
    mute: set[str] = field(default_factory=set)             # these are never answered
    late: set[str] = field(default_factory=set)             # these say "again" once
    slow: dict[str, float] = field(default_factory=dict)    # these take so many seconds
    waiting: dict[str, Callable[[], bool]] = field(default_factory=dict)    # these are at work until that is so
    forever: set[str] = field(default_factory=set)          # these say "again" at once, each time
    trickle_s: float = 0            # the stream's second part comes byte by byte, and so long apart
    instead: str = ""               # of suspending the guest VM: "reboot", "crash", "refuse"
    blind: bool = False             # save-status does not see that the domain has gone
    unlisted: bool = False          # hello's and system's lists had to be cut, and nothing is in them
    crowd: int = 0                  # so many domains and exports of others are there, too
    garbage: bool = False           # in the place of the stream's second part
    truncated: bool = False         # the stream lacks its last record
    unknown: set[str] = field(default_factory=set)          # an older agent: it does not have these ops
    dies_once: set[str] = field(default_factory=set)        # the agent dies when it is asked for these, the first time
    unparsable: set[str] = field(default_factory=set)       # the answers to these are no JSON
    deaf: set[str] = field(default_factory=set)             # these requests it cannot parse
    stale: bool = False             # each answer comes behind one to an earlier request
    silent_about: set[str] = field(default_factory=set)     # what it offers of these kinds it does not say
    free_kib: int = 1 << 20
    problems: list[str] = field(default_factory=list)       # what is wrong with this host VM as a destination
    left: str = ""                  # what guard-back could not put back
    unread: list[str] = field(default_factory=list)         # the problems that it tells of its own system
    chores: list[str] = field(default_factory=list)         # what an operator is to do; it stands in no way
    many: bool = False              # there is more of this host VM than fits into an answer
    unpacked: int = 0               # so long it says that each piece of the stream was
    xen: str = "4.20"               # the version of the host VM's
    refused_pfns: list[int] = field(default_factory=list)   # the module does not take these into an export


class MadeUpAgent(threading.Thread):
    """One host VM and its agent. Its domains outlive the connections, as they do for a real one."""

    def __init__(self, name: str, path: Path, gfns: Iterable[Extent]) -> None:
        """@gfns: where the guest VM's frames lie"""
        super().__init__(daemon=True, name=f"agent of {name}")
        self.hostvm = name
        self.path = path
        self.gfns = list(gfns)
        self.faults = Faults()
        self.domains: list[Domain] = []
        self.exports: dict[int, Export] = {}
        self.disks = {"/dev/vdb": Disk()}
        self.bridges = {"xenbr0"}
        self.files = {KERNEL}
        self.devices: list[Json] = [dict(device) for device in DEVICES]     # of the guest VM, once it is here
        self.pools = {"Pool-0": "0-1"}          # cpupools, and their CPUs
        self.features = list(FEATURES)          # of this host VM's CPU, and of the guest VM
        self.frames = FRAMES            # that the guest VM has, as its toolstack counts them
        self.max_kib = 4 * FRAMES       # that it may have
        self.target_kib = self.static_max_kib = 4 * FRAMES      # of the guest VM's memory, as its toolstack has it
        self.available = "0-1"                  # its vCPUs, likewise
        self.clock_s = 0.0                      # how much its clock is ahead
        self.settings: list[Json] = []          # what else the guest VM needs, once it is here
        self.boot = f"boot-1-of-{name}"         # another one when the host VM was restarted
        self.away: dict[str, str] = {}          # guest VMs that this system must not start: UUIDs and names
        self.since = 1764000000                 # when they left
        self.down: dict[str, Domain] = {}       # what was shut down and is to be started again, by its UUID
        self.system_file: Path | None = None    # what state the host VM is in; the last word of it counts
        self.asked: list[str] = []              # the ops of all requests
        self.wrong_requests: list[str] = []
        self._exports_made = 0
        self._sent: list[bytes] = []            # what is left of the stream's parts
        self._went = False
        self._saved = 0                         # the domid of the save
        self._restored = RESTORED_DOMID         # and of the restore
        self._received = b""
        self.packed = False                     # a piece of the stream went packed
        self._begun = ""                        # an op that was begun, and whose result is not asked for yet
        self._result = Reply({})                # of the work that a "late" op has begun
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(4)
        self._ops: dict[str, Callable[[Json, bytes], Reply]] = {
            "hello": self._hello, "system": self._system, "guest-check": self._guest_check, "guest-frames": self._guest_frames,
            "dest-check": self._dest_check, "disk-blocks": self._disk_blocks,
            "needs": self._needs,
            "save-begin": self._save_begin, "save-read": self._save_read, "save-go": self._save_go,
            "save-status": self._save_status, "save-abort": self._nothing,
            "restore-begin": self._restore_begin, "restore-write": self._restore_write,
            "restore-populated": self._restore_populated, "restore-end": self._restore_end,
            "restore-abort": self._restore_abort,
            "export-begin": self._export_begin, "export-sync": self._export_sync, "export-read": self._export_read,
            "export-arm": self._export_arm, "export-release": self._export_release,
            "quiesce": self._nothing, "rebind": self._nothing, "resume": self._resume, "unpause": self._unpause,
            "destroy": self._destroy, "guard-back": self._guard_back, "guard-adopt": self._guard_back,
            "guest-shutdown": self._guest_shutdown, "guest-start": self._guest_start, "probe": self._probe,
            "power-off": self._power_off,
        }

    def domain(self, domid: int | None = None) -> Domain | None:
        """The guest VM's domain, or any guest VM's with that domid. A dying one is gone."""
        return next((d for d in self.domains if not d.dying and (d.uuid == UUID if domid is None else d.domid == domid)), None)

    def the_domain(self, domid: int | None = None) -> Domain:
        """The same, where it has to be there."""
        domain = self.domain(domid)
        assert domain, f"{self.hostvm} does not have the guest VM: {self.domains}"
        return domain

    # The line

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.sendall(b"tail of a dead agent's message VMBEAM\r\nxx")
                    while True:
                        self._serve(connection)
                except (OSError, EOFError):
                    pass
                except WrongRequest as e:
                    self.wrong_requests.append(str(e))

    def stop(self) -> None:
        """Of a thousand tests nothing is to be left open."""
        # Another thread is in an accept() on it, which close() alone would not end.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    @staticmethod
    def _read(connection: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = connection.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def _serve(self, connection: socket.socket) -> None:
        """One request."""
        head = self._read(connection, HEADER_LEN)
        session, json_len, blob_len, crc = struct.unpack("<IIII", head[8:])
        expect(head[:8] == MAGIC and zlib.crc32(head[:20]) == crc, "the header of a message is wrong")
        request = json.loads(self._read(connection, json_len))
        blob = self._read(connection, blob_len)
        self.asked.append(request["op"])
        if request["op"] in self.faults.unparsable:
            self._send_text(connection, session, b'{"ok":true,"name":"malm\xe9"}')
            return
        if request["op"] in self.faults.deaf:
            self._send(connection, session, {"seq": None, "ok": False, "code": "EBADMSG", "error": "no JSON"})
            return
        if request["op"] in self.faults.mute:
            return
        if request["op"] in self.faults.dies_once:
            self.faults.dies_once.remove(request["op"])
            raise EOFError
        try:
            reply = self._answer(request, blob)
            answer: Json = {"ok": True, **reply.json}
        except OpError as e:
            reply = Reply({})
            answer = {"ok": False, "error": str(e), "code": e.code}
        if self.faults.stale:
            self._send(connection, session, {"seq": request["seq"] - 1, "ok": False, "error": "a stale answer"})
            self._send(connection, session ^ 1, {"seq": request["seq"], "ok": False, "error": "another's answer"})
        self._send(connection, session, {"seq": request["seq"], **answer}, reply.blob)

    @staticmethod
    def _send(connection: socket.socket, session: int, answer: Json, blob: bytes = b"") -> None:
        MadeUpAgent._send_text(connection, session, json.dumps(answer, ensure_ascii=False).encode(), blob)

    @staticmethod
    def _send_text(connection: socket.socket, session: int, text: bytes, blob: bytes = b"") -> None:
        head = MAGIC + struct.pack("<III", session, len(text), len(blob))
        connection.sendall(head + struct.pack("<I", zlib.crc32(head)) + text + blob)

    def _answer(self, request: Json, blob: bytes) -> Reply:
        op = request["op"]
        expect(op in self._ops, f"there is no op {op}")
        expect("migration" in request or op in OF_NO_MIGRATION, f"{op} does not tell of which migration it is")
        if op in self.faults.unknown:
            raise OpError("EOPNOTSUPP", f'this agent knows no operation "{op}": is it older than vmbeamd?')
        if request.get("begin"):
            # What comes of it, and how long it takes, is for the request that asks for its result.
            self._begun = op
            return Reply({})
        if op in self.faults.broken:
            raise OpError("EIO", self.faults.broken[op])
        if op in self.faults.busy:
            raise OpError("EBUSY", self.faults.busy[op])
        if op in self.faults.forever:
            return Reply({"again": True})
        if request.get("again") and self._begun != op:
            expect(not blob, f"{op} is asked for again, and sends its blob again")
            return self._result
        if self._begun == op:
            self._begun = ""
        self._take_time(op)
        reply = self._ops[op](request, blob)
        if op not in self.faults.late:
            return reply
        # The work is done once: the repetition only fetches what came of it.
        self._result = reply
        return Reply({"again": True})

    def _take_time(self, op: str) -> None:
        time.sleep(self.faults.slow.get(op, 0))
        end = time.monotonic() + 10
        while op in self.faults.waiting and not self.faults.waiting[op]():
            if time.monotonic() > end:
                raise OpError("ETIMEDOUT", f"{op} timed out waiting for what was to come first")
            time.sleep(0.01)

    # The ops

    def _nothing(self, _request: Json, _blob: bytes) -> Reply:
        return Reply({})

    def _named(self, request: Json) -> Domain:
        """The domain that a request is for, if it is there: one that says no domid means any."""
        domain = self.domain(request.get("domid"))
        if not domain:
            raise OpError("ESRCH", "there is no such domain")
        return domain

    def _hello(self, request: Json, _blob: bytes) -> Reply:
        others = range(1000, 1000 + self.faults.crowd)
        domains = [Domain(domid, uuid="other") for domid in others] + self.domains
        exports = {domid: Export(domid, armed=True) for domid in others} | self.exports
        if "uuid" in request:
            domains = [d for d in domains if d.uuid == request["uuid"]]
            wanted = {d.domid for d in domains} | {request.get("domid")}
            exports = {key: e for key, e in exports.items() if e.domid in wanted}
        more = self.faults.unlisted or len(domains) > 256 or len(exports) > 64
        if self.faults.unlisted:
            domains, exports = [], {}
        reply: Json = {
            "version": "x", "xen": f"{self.faults.xen}.{self._boots()}", "hostvm_xen": self.faults.xen,
            "features": [f for f in [*self._ops, "pack-runs"] if f not in self.faults.unknown],
            "domains": [asdict(d) for d in domains[:256]],
            "exports": [asdict(e) | {"id": key} for key, e in list(exports.items())[:64]],
        }
        return Reply({**reply, "more": True} if more else reply)

    def _boots(self) -> int:
        """How often the host VM was started, by the file that the test's xl writes."""
        return self.system_file.read_text().split().count("up") if self.system_file and self.system_file.exists() else 0

    def _power_off(self, _request: Json, _blob: bytes) -> Reply:
        assert self.system_file
        with self.system_file.open("a", encoding="ascii") as f:
            f.write("ended\n")
        return Reply({})

    def _system(self, _request: Json, _blob: bytes) -> Reply:
        boots = self._boots()
        return Reply({"version": "x", "boot": f"{self.boot}-{boots}", "xen": f"{self.faults.xen}.{boots}", "hostvm_xen": self.faults.xen,
                      "down": [{"uuid": d.uuid, "name": d.name} for d in self.down.values()],
                      "kernel": "6.12", "uptime_s": 100, "free_kib": self.faults.free_kib, "problems": self.faults.unread,
                      "chores": self.faults.chores,
                      "guests": [self._in_system(domain) for domain in self.domains if not self.faults.unlisted],
                      "more": self.faults.many or self.faults.unlisted,
                      "away": [{"uuid": uuid, "name": name, "since": self.since} for uuid, name in self.away.items()]})

    def _in_system(self, domain: Domain) -> Json:
        state = ("dying" if domain.dying else "suspended" if domain.suspended else "crashed" if domain.shutdown
                 else "paused" if domain.paused else "running")
        return {"name": domain.name, "uuid": domain.uuid, "domid": domain.domid, "state": state, "held_kib": 2 << 20,
                "max_kib": 3 << 20, "vcpus": 2, "disks": 1, "vifs": 1}

    def _guest_check(self, request: Json, _blob: bytes) -> Reply:
        """By UUID, by domid, by its name or by its name as it is shown, which is that of Domain."""
        meant = request["name"]
        names = (meant.replace("\\", "\\\\"), meant)
        domain = next((d for d in self.domains if not d.dying and (d.uuid == meant or f"#{d.domid}" == meant)), None)
        domain = domain or next((d for d in self.domains if not d.dying and d.name in names), None)
        if not domain:
            raise OpError("ESRCH", f"there is no guest VM called {meant} here")
        needs = [{"kind": "memory", "held_kib": 4 * FRAMES, "max_kib": 4 * FRAMES, "target_kib": 4 * FRAMES},
                 {"kind": "file", "id": "kernel", "path": KERNEL},
                 *(self._described(item) for item in self._needs_now(domain)), {"kind": "clock", "realtime_ns": self._realtime_ns()}]
        return Reply({"domid": domain.domid, "name": domain.name, "uuid": domain.uuid, "frames": self.frames, "max_kib": self.max_kib,
                      "problems": [], "needs": needs})

    def _described(self, item: Json) -> Json:
        return {**item, **(self.disks[item["target"]].describe() if "target" in item else {})}

    def _needs_now(self, domain: Domain) -> list[Json]:
        """What is listed again after the suspend."""
        return [{"kind": "name", "name": domain.name},
                {"kind": "target", "target_kib": self.target_kib, "static_max_kib": self.static_max_kib},
                {"kind": "available", "vcpus": self.available},
                {"kind": "vcpus", "number": 2, "online": 2}, {"kind": "cpupool", "name": "Pool-0"},
                {"kind": "cpu", "features": self.features}, *self.devices, *self.settings]

    def _realtime_ns(self) -> int:
        return time.time_ns() + int(self.clock_s * 1e9)

    def _needs(self, request: Json, _blob: bytes) -> Reply:
        domain = self._named(request)
        expect(domain.suspended or domain.paused, "what it needs is asked for while the guest VM runs")
        return Reply({"needs": self._needs_now(domain)})

    def _disk_blocks(self, request: Json, _blob: bytes) -> Reply:
        disk, blocks = self.disks[request["target"]], request["blocks"]
        expect(len(set(blocks)) == len(blocks), "a block is asked for twice")
        expect(all(0 <= block < disk.size // 4096 for block in blocks), "a block is beyond the end")
        return Reply({"digests": [disk.digest(block) for block in blocks]})

    def _guest_frames(self, _request: Json, _blob: bytes) -> Reply:
        return Reply({"frames": FRAMES, "large": 64})

    def _dest_check(self, request: Json, _blob: bytes) -> Reply:
        expect(request["uuid"] in (UUID, OTHER_UUID), f"dest-check of another: {request}")
        offers = [self._offer(need, request["needs"]) for need in request["needs"] if need["kind"] not in self.faults.silent_about]
        return Reply({"problems": self.faults.problems, "offers": offers, "home": request["uuid"] in self.away})

    def _offer(self, need: Json, needs: list[Json]) -> Json:
        offer = {key: need[key] for key in ("kind", "id") if key in need}
        match need["kind"]:
            case "memory":
                return {**offer, "free_kib": self.faults.free_kib}
            case "vcpus" | "cpupool" | "pin":
                pool = next(other["name"] for other in needs if other["kind"] == "cpupool")
                return {**offer, "name": pool, "cpus": self.pools[pool]} if pool in self.pools else offer
            case "cpu":
                return {**offer, "features": self.features}
            case "clock":
                return {**offer, "realtime_ns": self._realtime_ns()}
            case "file":
                return {**offer, **({"path": need["path"]} if need["path"] in self.files else {"missing": "No such file"})}
            case "vbd" if need.get("target") in self.disks:
                return {**offer, "target": need["target"], **self.disks[need["target"]].describe()}
            case "vbd":
                return {**offer, "problems": [f"the disk {need.get('target')} is not here"]}
            case "vif" if need["bridge"] in self.bridges:
                return {**offer, "bridge": need["bridge"], "vlan_filtering": False}
            case "vif":
                return {**offer, "problems": [f"the bridge {need['bridge']} is not here"]}
        return offer

    def _save_begin(self, request: Json, _blob: bytes) -> Reply:
        self._saved = request["domid"]
        before, after = saved_stream()
        if self.faults.garbage:
            after = b"garbage!" * 9
        if self.faults.truncated:
            after = after[:-8]
        self._sent = [before, after]
        self._went = False
        return Reply({})

    def _save_go(self, _request: Json, _blob: bytes) -> Reply:
        domain = self.domain(self._saved)
        self._went = True
        if self.faults.instead == "reboot" and domain:
            self.domains.remove(domain)
            self.domains.append(Domain(REBOOTED_DOMID))
        elif self.faults.instead == "crash" and domain:
            domain.shutdown = True
        elif not self.faults.instead and domain:
            domain.suspended = domain.shutdown = True
        return Reply({})

    def _save_read(self, request: Json, _blob: bytes) -> Reply:
        trickle = self._went and self.faults.trickle_s
        size = 1 if trickle else 1000
        time.sleep(trickle)
        part, rest = self._sent[self._went][:size], self._sent[self._went][size:]
        self._sent[self._went] = rest
        state = {"state": "stream" if part else "end" if self._went else "prepared"}
        if not (part and request.get("pack")):
            return Reply(state, part)
        self.packed = True
        unpacked = self.faults.unpacked or len(part)
        # A piece that is too large is what it says.
        return Reply({**state, "unpacked": unpacked}, pack(part.ljust(min(unpacked, 1 << 21), b"\0")))

    def _save_status(self, _request: Json, _blob: bytes) -> Reply:
        domain = self.domain(self._saved)
        if not domain and not self.faults.blind:
            raise OpError("ESRCH", f"domain {self._saved} has gone while it was asked to suspend")
        return Reply({"suspended": bool(domain and domain.suspended)})

    def _restore_begin(self, request: Json, _blob: bytes) -> Reply:
        self._received = b""
        self._restored = max([RESTORED_DOMID - 1, *(d.domid for d in self.domains)]) + 1
        self.domains.append(Domain(self._restored, request["name"], request["uuid"], paused=True))
        return Reply({})

    def _restore_write(self, request: Json, blob: bytes) -> Reply:
        self._received += unpack(blob, request["unpacked"]) if "unpacked" in request else blob
        return Reply({})

    def _restore_populated(self, request: Json, _blob: bytes) -> Reply:
        expect(self._received == saved_stream().before and request["frames"] == FRAMES,
               f"{len(self._received)} bytes of the stream's first part, {request['frames']} frames")
        return Reply({"domid": self._restored})

    def _restore_end(self, _request: Json, _blob: bytes) -> Reply:
        expect(self._received == b"".join(saved_stream()), f"{len(self._received)} bytes of the stream")
        return Reply({"domid": self._restored})

    def _restore_abort(self, _request: Json, _blob: bytes) -> Reply:
        self._end(self.domain(self._restored))
        return Reply({})

    def _destroy(self, request: Json, _blob: bytes) -> Reply:
        expect(request["uuid"] in (UUID, OTHER_UUID), f"destroy without the UUID: {request}")
        self._end(self.domain(request["domid"]))
        return Reply({})

    def _end(self, domain: Domain | None) -> None:
        """What an export pins keeps the domain from going."""
        if domain:
            domain.dying = True
            self._bury()

    def _bury(self) -> None:
        """The dying ones go that are not in an export."""
        pinned = {e.domid for e in self.exports.values()}
        self.domains = [d for d in self.domains if not d.dying or d.domid in pinned]

    def _resume(self, request: Json, _blob: bytes) -> Reply:
        domain = self._named(request)
        domain.suspended = domain.shutdown = False
        return Reply({})

    def _unpause(self, request: Json, _blob: bytes) -> Reply:
        domain = self._named(request)
        expect(domain.paused, "unpause of a domain that runs")
        domain.paused = False
        return Reply({})

    def _export_begin(self, request: Json, _blob: bytes) -> Reply:
        key = FIRST_EXPORT + self._exports_made
        self._exports_made += 1
        self.exports[key] = Export(request["domid"])
        return Reply({"export": key, "frames": FRAMES, "extents": 2, "refused": len(self.faults.refused_pfns)})

    def _export_sync(self, _request: Json, _blob: bytes) -> Reply:
        return Reply({"added": 0, "removed": 0})

    def _export_read(self, request: Json, _blob: bytes) -> Reply:
        """One extent at a time."""
        extents = self.gfns
        for refused in self.faults.refused_pfns:
            extents = [part for extent in extents for part in without(extent, refused)]
        data = b"".join(struct.pack("<QQQ", *extent) for extent in extents)[request["offset"]:]
        return Reply({"eof": len(data) <= 24}, data[:24])

    def _export_arm(self, request: Json, _blob: bytes) -> Reply:
        if "uuid" in request:
            self.away[request["uuid"]] = request["name"]
        self.exports[request["export"]].armed = True
        return Reply({})

    def _guard_back(self, request: Json, _blob: bytes) -> Reply:
        left = {"left": self.faults.left} if self.faults.left else {}
        self.away.pop(request["uuid"], None)
        return Reply(left)

    def _guest_shutdown(self, request: Json, _blob: bytes) -> Reply:
        """Also of one that is not the guest VM of a migration."""
        domain = next((d for d in self.domains if (d.domid, d.uuid) == (request["domid"], request["uuid"]) and not d.dying), None)
        if domain:
            self.down[domain.uuid] = domain
            self._end(domain)
        return Reply({})

    def _guest_start(self, request: Json, _blob: bytes) -> Reply:
        domain = next((d for d in self.domains if d.uuid == request["uuid"] and not d.dying), None)
        if domain and (domain.paused or domain.shutdown):
            raise OpError("EEXIST", f"it is here as domain {domain.domid}, and does not run")
        if not domain and request["uuid"] not in self.down:
            raise OpError("ENOENT", f"no configuration of {request['uuid']} is kept here")
        kept = self.down.pop(request["uuid"], None)
        if not domain:
            assert kept
            domain = Domain(max([50, *(d.domid for d in self.domains)]) + 1, kept.name, kept.uuid)
            self.domains.append(domain)
        return Reply({"domid": domain.domid})

    def _probe(self, _request: Json, _blob: bytes) -> Reply:
        return Reply({})

    def _export_release(self, request: Json, _blob: bytes) -> Reply:
        del self.exports[request["export"]]
        self._bury()
        return Reply({})


def without(extent: Extent, pfn: int) -> list[Extent]:
    """What is left of an extent when one of its frames is taken out."""
    first, gfn, nr = extent
    at = pfn - first
    if not 0 <= at < nr:
        return [extent]
    parts = [(first, gfn, at), (pfn + 1, gfn + at + 1, nr - at - 1)]
    return [part for part in parts if part[2]]
