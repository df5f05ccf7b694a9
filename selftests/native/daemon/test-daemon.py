#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""vmbeamd and vmbeam themselves, with agents and a host module that are made up: the order of the steps, the ends of
a migration, and what a restarted daemon makes of a dead one's journal. TAP."""
import json, os, shutil, socket, struct, subprocess, sys, tempfile, threading, time, traceback, zlib

daemon, cli = sys.argv[1:3]
UUID = "4ae1b2f0-0000-4000-8000-0123456789ab"
MAGIC = b"VMBEAM\r\n"
ALIVE = {"domid": 5, "name": "u1", "uuid": UUID, "paused": False, "shutdown": False, "suspended": False, "dying": False}


def stream(bad=False):
    rec = lambda t, body=b"": struct.pack("<II", t, len(body)) + body + b"\0" * (-len(body) % 8)
    pages = lambda words, content: rec(1, struct.pack("<II", len(words), 0) + b"".join(struct.pack("<Q", w) for w in words)
                                       + bytes(4096 * content))
    head = b"Xen saved domain, xl format\n \0 \r" + struct.pack("<IIII", 0x01020304, 3, 0, 4) + b"conf"
    head += struct.pack(">QII", 0x4c6962786c466d74, 2, 0) + struct.pack("<II", 1, 0)
    head += struct.pack("<Q", 2**64 - 1) + struct.pack(">II", 0x58454e46, 3) + bytes(8) + struct.pack("<IIII", 1, 12, 4, 20)
    first = head + pages([pfn | 0xe << 60 for pfn in range(100)], 0)
    second = pages([3 | 1 << 60, 4 | 4 << 60, 50], 3) + rec(0) + rec(2, b"x") + rec(0)
    return first, (b"garbage!" * 9 if bad else second)


class Agent(threading.Thread):
    """One host VM. The domains outlive the connections, as they do for a real agent."""

    def __init__(self, test, name):
        super().__init__(daemon=True)
        self.test, self.name, self.log = test, name, []
        self.domains, self.exports, self.broken, self.mute, self.late = [], {}, {}, set(), {}
        self.free = 1 << 20
        self.save = self.bad = None
        self.crowd, self.cut, self.refused = 0, False, []
        self.path = f"{test.dir}/{name}.sock"
        self.listen = socket.socket(socket.AF_UNIX)
        self.listen.bind(self.path)
        self.listen.listen(4)

    def run(self):
        while True:
            conn, _ = self.listen.accept()
            try:
                conn.sendall(b"tail of a dead agent's message VMBEAM\r\nxx")
                self.serve(conn)
            except (OSError, EOFError):
                pass
            conn.close()

    def exact(self, conn, n):
        data = b""
        while len(data) < n:
            part = conn.recv(n - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def serve(self, conn):
        while True:
            head = self.exact(conn, 24)
            session, jlen, blen, crc = struct.unpack("<IIII", head[8:])
            assert head[:8] == MAGIC and zlib.crc32(head[:20]) == crc
            req = json.loads(self.exact(conn, jlen))
            blob = self.exact(conn, blen)
            op = req["op"]
            self.log.append(op)
            if op in self.mute:
                continue
            out, data = {}, b""
            if op in self.broken:
                reply = {"seq": req["seq"], "ok": False, "error": self.broken[op], "code": "EIO"}
            elif op in ("resume", "unpause") and not self.domain(req["domid"]):
                reply = {"seq": req["seq"], "ok": False, "error": "there is no such domain", "code": "ESRCH"}
            else:
                if op in self.late and not req.get("again"):
                    # The work is done once; the repetition only fetches what came of it.
                    self.ready = self.do(op, req, blob)
                    reply = {"again": True}
                else:
                    reply, data = self.ready if req.get("again") else self.do(op, req, blob)
                reply = {"seq": req["seq"], "ok": True, **reply}
            text = json.dumps(reply).encode()
            head = MAGIC + struct.pack("<III", session, len(text), len(data))
            conn.sendall(head + struct.pack("<I", zlib.crc32(head)) + text + data)

    def domain(self, domid=None):
        return next((d for d in self.domains if d["uuid"] == UUID and not d["dying"] and domid in (None, d["domid"])), None)

    def do(self, op, req, blob):
        d = self.domain(req.get("domid"))
        if op == "hello":
            all_domains, all_exports = self.domains, [{"id": i, "domid": e[0], "armed": e[1]} for i, e in self.exports.items()]
            if self.crowd:
                all_domains = [{**ALIVE, "uuid": "other", "domid": 1000 + i} for i in range(self.crowd)] + all_domains
                all_exports = [{"id": 1000 + i, "domid": 1000 + i, "armed": True} for i in range(self.crowd)] + all_exports
            domains = [x for x in all_domains if req.get("uuid") in (None, x["uuid"])]
            exports = [e for e in all_exports if "uuid" not in req or e["domid"] == req.get("domid")
                       or e["domid"] in [x["domid"] for x in domains]]
            more = {"more": True} if self.cut or len(domains) > 256 or len(exports) > 64 else {}
            return {"version": "x", "hostvm_xen": "4.20", "domains": [] if self.cut else domains[:256],
                    "exports": [] if self.cut else exports[:64], **more}, b""
        if op == "guest-check":
            return {"domid": d["domid"], "uuid": UUID, "frames": 100, "max_kib": 400, "vcpus": 2, "problems": [],
                    "backends": [{"kind": "vbd", "target": "/dev/vdb"}]}, b""
        if op == "guest-frames":
            return {"frames": 100, "large": 64}, b""
        if op == "dest-check":
            assert req["targets"] == ["/dev/vdb"] and req["uuid"] == UUID
            return {"problems": [f"only {self.free} KiB are free"] if self.free < req["max_kib"] else []}, b""
        if op == "save-begin":
            self.save, self.went = list(stream(self.bad)), False
        if op == "save-go":
            self.went = True
            d["suspended"] = d["shutdown"] = True
        if op == "save-read":
            part = self.save[self.went][:1000]
            self.save[self.went] = self.save[self.went][1000:]
            over = not self.save[self.went]
            return {"state": ("end" if self.went else "prepared") if over else "stream"}, part
        if op == "save-status":
            return {"suspended": d["suspended"]}, b""
        if op == "restore-begin":
            self.got = b""
            self.domains.append({**ALIVE, "domid": 9, "paused": True})
        if op == "restore-write" and blob:
            self.got += blob
        if op == "restore-populated":
            assert self.got == stream()[0] and req["frames"] == 100
            return {"domid": 9}, b""
        if op == "restore-end":
            assert self.got == b"".join(stream())
            return {"domid": 9}, b""
        if op == "restore-abort" or op == "destroy":
            if op == "restore-abort" and 9 not in [x["domid"] for x in self.domains]:
                return {}, b""
            if d and d["domid"] in [e[0] for e in self.exports.values()]:
                d["dying"] = True
            elif d:
                self.domains.remove(d)
        if op == "export-begin":
            self.exports[len(self.exports) + 70] = [req["domid"], False]
            return {"export": len(self.exports) + 69, "frames": 100, "extents": 2, "refused": len(self.refused)}, b""
        if op == "export-sync":
            return {"added": 0, "removed": 0}, b""
        if op == "export-read":
            base = 1000 if self.name == "hv1" else 5000
            v = [(0, base, 60), (60, base + 200, 45)] if self.name == "hv1" else [(0, base, 30), (30, base + 77, 70)]
            for pfn in self.refused:
                v = [part for p, g, n in v for part in
                     ([(p, g, pfn - p), (pfn + 1, g + pfn + 1 - p, p + n - pfn - 1)] if p <= pfn < p + n else [(p, g, n)])]
            data = b"".join(struct.pack("<QQQ", *e) for e in v)[req["offset"]:]
            return {"eof": len(data) <= 24}, data[:24]
        if op == "export-arm":
            self.exports[req["export"]][1] = True
        if op == "export-release":
            del self.exports[req["export"]]
            self.domains = [x for x in self.domains if not x["dying"]]
        if op == "resume":
            d["suspended"] = d["shutdown"] = False
        if op == "unpause":
            assert d["paused"]
            d["paused"] = False
        return {}, b""


class Test:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="vmbeam-daemon-")
        os.mkdir(f"{self.dir}/hold")
        self.a, self.b = Agent(self, "hv1"), Agent(self, "hv2")
        self.a.domains.append(dict(ALIVE))
        self.a.start()
        self.b.start()
        self.conf = {"hostvms": [{"name": x.name, "socket": x.path} for x in (self.a, self.b)],
                     "journal": f"{self.dir}/journal", "control": f"{self.dir}/control"}
        with open(f"{self.dir}/conf", "w") as f:
            json.dump(self.conf, f)
        self.env = {**os.environ, "FAKE_DIR": self.dir, "VMBEAM_HOLD_DIR": f"{self.dir}/hold",
                    "VMBEAM_SOCKET": self.conf["control"]}
        self.proc = None

    def start(self, **env):
        self.err = open(f"{self.dir}/stderr", "a")
        self.proc = subprocess.Popen([daemon, "-c", f"{self.dir}/conf"], env={**self.env, **env}, stderr=self.err)
        self.until(lambda: os.path.exists(self.conf["control"]))

    def until(self, what, limit=60):
        end = time.time() + limit
        while not what():
            assert time.time() < end, "waited in vain"
            time.sleep(0.02)

    def cli(self, *args):
        p = subprocess.run([cli, *args], env=self.env, capture_output=True, text=True, timeout=100)
        return p.returncode, p.stdout, p.stderr

    def migrate(self):
        rc, out, err = self.cli("migrate", "--json", "hv1/u1", "hv2")
        return rc, json.loads(out) if out else {}, err

    def hold(self, name):
        open(f"{self.dir}/hold/{name}", "w").close()

    def let_go(self, name):
        os.unlink(f"{self.dir}/hold/{name}")

    def held(self, name):
        self.until(lambda: os.path.exists(f"{self.dir}/hold/{name}.held"))

    def kill(self):
        self.proc.kill()
        self.proc.wait()
        for f in os.listdir(f"{self.dir}/hold"):
            os.unlink(f"{self.dir}/hold/{f}")
        os.path.exists(self.conf["control"]) and os.unlink(self.conf["control"])

    def records(self):
        with open(f"{self.dir}/journal") as f:
            return [json.loads(line[9:]) for line in f]

    def journal(self):
        return [r["state"] for r in self.records()]

    def on_a(self):
        d = self.a.domain()
        assert d and not d["suspended"] and not d["shutdown"], self.a.domains
        assert not self.b.domains and not self.a.exports and not self.b.exports, (self.b.domains, self.b.exports)

    def on_b(self):
        d = self.b.domain()
        assert d and not d["paused"], self.b.domains
        assert not self.a.domains and not self.a.exports and not self.b.exports

    def background(self):
        """A migration in a thread; its result is in the list when the thread has ended."""
        result = []
        thread = threading.Thread(target=lambda: result.append(self.migrate()))
        thread.start()
        return thread, result

    def lost(self, where, export):
        rc, out, err = self.cli("status", "--json")
        last = json.loads(out)["last"]
        assert rc == 4 and last["outcome"] == last["state"] == "lost" and where in last["lost"], (rc, last)
        assert export in last["lost"] and self.journal()[-1] == "lost", last

    def end(self):
        if self.proc:
            self.proc.kill()
            self.proc.wait()
        shutil.rmtree(self.dir)


def moves(t):
    t.a.late = {"quiesce", "export-begin", "export-sync", "export-read"}
    t.b.late = {"restore-write", "restore-end", "export-release"}
    t.start()
    rc, r, err = t.migrate()
    assert rc == 0, err
    assert r["frames"] == {"total": 100, "swapped": 97, "kept": 3, "exchanged": 0, "superpages": 0}, r
    assert r["downtime_ms"] > 0 and set(r["phases_ms"]) == {"check", "prepare", "suspend", "state", "quiesce", "swap",
                                                          "commit", "resume"}
    assert t.a.log.index("quiesce") < t.a.log.index("export-arm") < t.a.log.index("destroy")
    # What does not need the guest to stand still is done while it runs.
    assert max(i for i, op in enumerate(t.a.log) if op in ("export-begin", "export-read")) < t.a.log.index("save-go")
    after = t.b.log[t.b.log.index("restore-end"):]
    assert not {"export-begin", "export-read"} & set(after) and after.index("unpause") < after.index("export-release")
    t.on_b()
    assert t.journal()[-4:] == ["committing", "committed", "committed", "done"], t.journal()
    assert t.cli("status")[0] == 0


def moves_among_many(t):
    t.a.crowd = t.b.crowd = 1000
    t.start()
    rc, r, err = t.migrate()
    assert rc == 0, err
    t.on_b()


def a_list_that_was_cut_is_no_proof(t):
    t.hold("vmbeamd:resume")
    t.start()
    th, result = t.background()
    t.held("vmbeamd:resume")
    t.kill()
    th.join()
    t.b.cut = True
    t.start()
    t.until(lambda: t.cli("status")[0] == 4)
    assert "had to cut" in t.cli("status")[1] and t.journal()[-1] == "committed" and t.a.domain(), t.journal()
    t.b.cut = False
    t.until(lambda: t.journal()[-1] == "done")
    t.on_b()


def refused_frames(t):
    # As a guest VM's own M2P would have it: the module refuses the frame, and the helper sends it as content.
    t.a.refused = [50]
    t.start()
    rc, r, err = t.migrate()
    assert rc == 0 and r["frames"] == {"total": 100, "swapped": 97, "kept": 3, "exchanged": 0, "superpages": 0}, (r, err)
    t.on_b()


def refused_frames_without_content(t):
    t.a.refused = [50, 61]
    t.start()
    rc, r, err = t.migrate()
    assert rc == 3 and "1 frames of u1 are not in the export, the first is pfn 0x3d" in r["error"], r
    t.on_a()


def busy_frames_are_exchanged(t):
    t.start(FAKE_BUSY="10")
    rc, r, err = t.migrate()
    assert rc == 0 and r["frames"]["swapped"] + r["frames"]["exchanged"] == 97 and r["frames"]["exchanged"] > 5, r
    t.on_b()


def check_refuses(t):
    t.b.free = 5
    t.start(FAKE_NOT_PRESERVED="1")
    rc, out, err = t.cli("check", "hv1/u1", "hv2")
    assert rc == 2 and "only 5 KiB" in err and "on_crash" in err, err
    rc, r, err = t.migrate()
    assert rc == 2 and r["outcome"] == "refused" and t.journal() == []
    t.on_a()
    assert t.cli("migrate", "hv1/u1", "hv3")[0] == 2 and t.cli("migrate", "hv1/u1", "hv1")[0] == 2
    assert t.cli("migrate", "u1")[0] == 1 and t.cli("--help")[0] == 0


def check_tells_how_frames_lie(t):
    t.start()
    rc, out, err = t.cli("check", "hv1/u1", "hv2")
    assert rc == 0 and "100 frames, of these 64 in pieces of 2 MiB" in out, out + err
    rc, out, err = t.cli("check", "--json", "hv1/u1", "hv2")
    assert rc == 0 and json.loads(out)["frames"]["superpages"] == 64, out
    t.on_a()


def journal_is_shortened(t):
    t.start()
    assert t.migrate()[0] == 0 and len(t.journal()) > 5
    t.kill()
    t.start()
    assert t.journal() == ["done"], t.journal()
    # Not while something is unfinished.
    t.a.domains, t.b.domains = [dict(ALIVE)], []
    t.hold("vmbeamd:quiesce")
    th, result = t.background()
    t.held("vmbeamd:quiesce")
    t.kill()
    th.join()
    t.start()
    t.until(lambda: t.journal()[-1] == "rolled-back")
    assert t.journal()[:2] == ["done", "prepare"], t.journal()


def no_daemon(t):
    assert t.migrate()[0] == 5


def agent_not_there(t):
    t.b.mute = {"hello"}
    t.start()
    rc, r, err = t.migrate()
    assert rc == 2 and "hv2: no agent answers" in r["error"], r
    t.on_a()


def fails_at(which, op):
    def run(t):
        agent = t.a if which == "a" else t.b
        agent.broken = {op: "made to fail"}
        t.start()
        rc, r, err = t.migrate()
        assert rc == 3 and f"{op}: made to fail" in r["error"], (rc, r)
        t.on_a()
        assert t.journal()[-1] == "rolled-back"
        agent.broken = {}
        rc, r, err = t.migrate()
        assert rc == 0, err
        t.on_b()
    run.__name__ = f"fails_at_{which}_{op}"
    return run


def a_stream_of_garbage(t):
    t.a.bad = True
    t.start()
    rc, r, err = t.migrate()
    assert rc == 3 and "migration stream" in r["error"], r
    t.on_a()


def a_refused_pair(t):
    t.start(FAKE_REFUSE="1020")
    rc, r, err = t.migrate()
    assert rc == 3 and "gfn 0x3fc of hv1" in r["error"] and "not plain RAM" in r["error"], r
    t.on_a()


def stuck_touches_nothing(t):
    t.start(FAKE_REFUSE="1020", FAKE_STUCK="1")
    rc, r, err = t.migrate()
    assert rc == 4 and t.a.exports and t.b.exports and t.b.domain()["paused"] and t.a.domain()["suspended"], (rc, r)
    assert t.cli("status")[0] == 4 and t.migrate()[0] == 2
    t.kill()
    t.start()
    t.until(lambda: t.cli("status")[0] == 4)
    assert t.a.exports and t.b.exports


def an_operator_forgets(t):
    t.start()
    assert t.cli("forget", "20261125T000000-00000000")[0] == 2 and t.cli("forget")[0] == 1
    t.kill()
    t.start(FAKE_REFUSE="1020", FAKE_STUCK="1")
    rc, r, err = t.migrate()
    assert rc == 4 and r["id"] in t.cli("status")[1]
    rc, out, err = t.cli("forget", "20261125T000000-00000000")
    assert rc == 2 and r["id"] in err, err
    rc, out, err = t.cli("forget", r["id"])
    assert rc == 0 and t.journal()[-1] == "forgotten", (rc, err)
    rc, out, err = t.cli("status", "--json")
    assert rc == 0 and json.loads(out)["last"]["outcome"] == "forgotten", out
    # It did not touch a thing, and stands in nobody's way.
    assert t.a.exports and t.b.exports and t.b.domain()["paused"] and t.a.domain()["suspended"]
    assert t.cli("forget", r["id"])[0] == 2
    for side in t.a, t.b:
        side.exports.clear()
    t.b.domains.clear()
    t.a.domain().update(suspended=False, shutdown=False)
    t.kill()
    t.start()
    assert t.cli("status")[0] == 0
    rc, r, err = t.migrate()
    assert rc == 0 and r["outcome"] == "done", (r, err)
    t.on_b()


def an_operator_forgets_what_waits(t):
    t.start(FAKE_DIE="commit")
    t.migrate()
    t.proc.wait()
    t.b.broken = {"hello": "not yet"}
    t.kill()
    t.start()
    t.until(lambda: t.cli("status")[0] == 4)
    id = json.loads(t.cli("status", "--json")[1])["migration"]["id"]
    assert t.cli("forget", id)[0] == 0 and t.journal()[-1] == "forgotten"
    t.b.broken = {}
    assert t.cli("status")[0] == 0 and t.a.domain()["suspended"] and t.b.domain()["paused"]


def destination_destroyed_in_the_swap(t):
    t.hold("vmbeamd:swap-half")
    t.start()
    th, result = t.background()
    t.held("vmbeamd:swap-half")
    t.b.domain()["dying"] = True
    t.let_go("vmbeamd:swap-half")
    th.join()
    rc, r, err = result[0]
    assert rc == 3 and "gone or was tampered with" in r["error"], r
    t.on_a()


def lost_on_b_after_the_commit(t):
    t.hold("vmbeamd:resume")
    t.start()
    th, result = t.background()
    t.held("vmbeamd:resume")
    t.b.domain()["dying"] = True
    t.let_go("vmbeamd:resume")
    th.join()
    rc, r, err = result[0]
    assert rc == 4 and r["outcome"] == "lost" and "lost" in err and "downtime_ms" not in r, (rc, r, err)
    # A's domain holds scrap. B's export is all that is left of the guest VM.
    assert not t.a.domains and not t.a.exports and t.b.exports == {70: [9, True]}, (t.a.domains, t.b.exports)
    t.lost("hv2", "export 70")
    t.kill()
    t.start()
    t.lost("hv2", "export 70")
    assert t.b.exports
    # The operator lets go of it and starts the guest VM anew: the daemon is free for it.
    t.b.exports, t.b.domains = {}, []
    t.a.domains.append({**ALIVE, "domid": 6})
    rc, r, err = t.migrate()
    assert rc == 0 and t.cli("status")[0] == 0, err
    t.on_b()


def lost_on_b_with_the_daemon(t):
    t.hold("vmbeamd:resume")
    t.start()
    th, result = t.background()
    t.held("vmbeamd:resume")
    t.kill()
    th.join()
    t.b.domain()["dying"] = True
    # Somebody was quick: domains of that name, that are not the migration's.
    for x in (t.a, t.b):
        x.domains.append({**ALIVE, "domid": 6})
    t.start()
    t.until(lambda: t.journal()[-1] == "lost")
    t.lost("hv2", "export 70")
    assert [d["domid"] for d in t.a.domains] == [6] and t.b.domain()["domid"] == 6 and t.b.exports, t.a.domains


def ends_on_b_after_it_ran(t):
    t.b.broken = {"export-release": "not yet"}
    t.start()
    th, result = t.background()
    t.until(lambda: t.records() and t.records()[-1]["resumed"])
    t.kill()
    th.join()
    t.b.domain()["dying"] = True
    t.start()
    t.until(lambda: t.cli("status")[0] == 4)
    t.b.broken = {}
    t.until(lambda: t.journal()[-1] == "done")
    assert not t.b.domains and not t.b.exports and not t.a.domains and not t.a.exports


def lost_on_a(point):
    def run(t):
        t.hold(point)
        t.start()
        th, result = t.background()
        t.held(point)
        t.a.domain()["dying"] = True
        if point == "vmbeamd:suspend":
            t.a.broken = {"save-go": "there is no such domain"}
        t.let_go(point)
        th.join()
        rc, r, err = result[0]
        armed = point == "vmbeamd:commit"
        assert rc == 4 and r["outcome"] == "lost" and r["error"] and "lost: hv1" in err, (rc, r, err)
        assert not t.b.domains and not t.b.exports and "resume" not in t.a.log
        assert t.a.exports == ({70: [5, True]} if armed else {}), t.a.exports
        t.lost("hv1", "export 70" if armed else "no armed export")
        t.kill()
        t.start()
        t.lost("hv1", "export 70" if armed else "no armed export")
    run.__name__ = "lost_on_a_before_" + point.split(":")[1]
    return run


def ends_on_a_after_it_was_resumed(t):
    t.a.broken = {"quiesce": "made to fail"}
    t.b.broken = dict.fromkeys(("restore-abort", "destroy"), "not yet")
    t.start()
    th, result = t.background()
    t.until(lambda: t.records() and t.records()[-1]["resumed"] and not t.a.exports)
    t.kill()
    th.join()
    # It reboots by itself.
    t.a.domains = [{**ALIVE, "domid": 6}]
    t.b.broken = {}
    t.start()
    t.until(lambda: t.journal()[-1] == "rolled-back")
    t.on_a()


def source_dies_after_the_swap(dead):
    def run(t):
        t.hold("vmbeamd:commit")
        t.start(FAKE_DEAD="1" if dead else "0")
        th, result = t.background()
        t.held("vmbeamd:commit")
        t.a.broken = {"hello": "gone"}
        t.let_go("vmbeamd:commit")
        if dead:
            t.until(lambda: not t.b.domain()["paused"])
            t.a.domains, t.a.exports = [], {}
        else:
            time.sleep(2)
            assert t.b.domain() is None or t.b.domain()["paused"]
        t.a.broken = {}
        th.join()
        assert result[0][0] == (0 if dead else 3), result
        (t.on_b if dead else t.on_a)()
    run.__name__ = "source_dies_after_the_swap" if dead else "source_silent_after_the_swap"
    return run


def killed_at(point):
    def run(t):
        t.hold(point)
        t.start()
        th, result = t.background()
        t.held(point)
        t.kill()
        th.join()
        t.start()
        t.until(lambda: t.journal()[-1] == "rolled-back" if t.journal() else True)
        t.on_a()
        rc, r, err = t.migrate()
        assert rc == 0, (r, err)
        t.on_b()
    run.__name__ = "killed_at_" + point.split(":")[1]
    return run


def killed_after_commit(t):
    t.start(FAKE_DIE="commit")
    rc = t.migrate()[0]
    assert rc == 5, rc
    t.proc.wait()
    assert t.journal()[-1] == "committing" and t.b.domain()["paused"]
    t.kill()
    t.start()
    t.until(lambda: t.journal()[-1] == "done")
    t.on_b()


def killed_before_resume_with_a_silent_agent(t):
    t.hold("vmbeamd:resume")
    t.start()
    th, result = t.background()
    t.held("vmbeamd:resume")
    t.b.broken = {"hello": "not yet"}
    t.kill()
    th.join()
    t.start()
    t.until(lambda: t.cli("status")[0] == 4)
    time.sleep(1)
    assert t.a.domain()["suspended"], "nothing on A before B runs"
    t.b.broken = {}
    t.until(lambda: t.journal()[-1] == "done")
    t.on_b()


def unknown_transaction_after_committing(t):
    t.start(FAKE_DIE="commit")
    t.migrate()
    t.proc.wait()
    for f in os.listdir(t.dir):
        f.startswith("txn-") and os.unlink(f"{t.dir}/{f}")
    t.kill()
    t.start()
    t.until(lambda: t.cli("status")[0] == 4)
    assert t.a.exports and t.b.exports and t.a.domain()["suspended"] and t.b.domain()["paused"]


def the_command_dies(t):
    t.hold("vmbeamd:state")
    t.start()
    p = subprocess.Popen([cli, "migrate", "hv1/u1", "hv2"], env=t.env, stdout=subprocess.DEVNULL)
    t.held("vmbeamd:state")
    p.kill()
    p.wait()
    t.let_go("vmbeamd:state")
    t.until(lambda: t.journal()[-1] == "done")
    t.on_b()


tests = [moves, moves_among_many, a_list_that_was_cut_is_no_proof, refused_frames, refused_frames_without_content,
         busy_frames_are_exchanged, check_refuses, check_tells_how_frames_lie, no_daemon, journal_is_shortened, agent_not_there, a_stream_of_garbage, a_refused_pair,
         stuck_touches_nothing, an_operator_forgets, an_operator_forgets_what_waits, destination_destroyed_in_the_swap, killed_after_commit,
         lost_on_b_after_the_commit, lost_on_b_with_the_daemon, ends_on_b_after_it_ran, ends_on_a_after_it_was_resumed,
         killed_before_resume_with_a_silent_agent, unknown_transaction_after_committing, the_command_dies]
tests += [fails_at("a", op) for op in ("save-begin", "save-read", "save-go", "export-begin", "export-sync", "quiesce", "export-arm")]
tests += [fails_at("b", op) for op in ("restore-begin", "restore-write", "restore-end", "export-begin", "export-arm")]
tests += [lost_on_a("vmbeamd:" + p) for p in ("suspend", "commit")]
tests += [source_dies_after_the_swap(dead) for dead in (True, False)]
tests += [killed_at("vmbeamd:" + p) for p in ("prepare", "suspend", "state", "quiesce", "swap", "swap-half", "commit")]
only = sys.argv[3:]
tests = [t for t in tests if not only or t.__name__ in only]
print(f"TAP version 13\n1..{len(tests)}")
bad = 0
for n, f in enumerate(tests, 1):
    t = Test()
    try:
        f(t)
        print(f"ok {n} {f.__name__}")
    except Exception:
        bad += 1
        for line in traceback.format_exc().splitlines():
            print("#", line)
        if os.path.exists(f"{t.dir}/stderr"):
            for line in open(f"{t.dir}/stderr"):
                print("#  ", line.rstrip())
        print("#  hv1:", t.a.log[-12:], "\n#  hv2:", t.b.log[-12:])
        print(f"not ok {n} {f.__name__}")
    finally:
        t.end()
    sys.stdout.flush()
sys.exit(bad != 0)
