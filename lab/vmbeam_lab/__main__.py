# SPDX-License-Identifier: GPL-2.0
"""The command lab/lab."""

import argparse
import dataclasses
import json
import shutil
import sys
from pathlib import Path

from . import bench, demo, deploy, guests, logs, snapshot
from .config import ADDRESSES, Config
from .errors import LabError
from .lab import Lab, show
from .paths import CACHE, TOP


def _running(args: argparse.Namespace) -> Lab:
    lab = Lab(Config.from_env())
    if not lab.machine.pid():
        raise LabError(f"no lab is up in {lab.dir}: lab up")
    return lab


def up(args: argparse.Namespace) -> int:
    lab = Lab(Config.from_env().at(args.state) if args.state else Config.from_env())
    if args.cold:
        snapshot.up_cold(lab)
    else:
        snapshot.up(lab, snapshot.base(lab.config) if args.bare else snapshot.deployed(lab.config))
    return 0


def run(args: argparse.Namespace) -> int:
    data = None if sys.stdin.isatty() or not args.stdin else sys.stdin.buffer.read()
    return _running(args).status(args.system, " ".join(args.command), data, take=show)[0]


def put(args: argparse.Namespace) -> int:
    lab = _running(args)
    for file in map(Path, args.files):
        lab.write(args.system, f"{args.directory}/{file.name}", file.read_bytes(), bool(file.stat().st_mode & 0o100))
    return 0


def get(args: argparse.Namespace) -> int:
    Path(args.directory, Path(args.file).name).write_bytes(_running(args).read(args.system, args.file))
    return 0


def guest(args: argparse.Namespace) -> int:
    lab = _running(args)
    if args.action == "create":
        guests.guest_create(lab, args.hostvm, args.guest, args.mib, args.vcpus, args.checkers)
    elif args.action == "shutdown":
        guests.guest_shutdown(lab, args.hostvm, args.guest)
    else:
        guests.guest_destroy(lab, args.hostvm, args.guest)
    return 0


def state(args: argparse.Namespace) -> int:
    lab = _running(args)
    print(json.dumps(dataclasses.asdict(guests.guest_state(lab, args.guest))
                     | {"heartbeat": dataclasses.asdict(guests.heartbeat(lab, args.guest))}))
    return 0


def deploy_(args: argparse.Namespace) -> int:
    lab = _running(args)
    deploy.deploy(lab, deploy.stage(lab.config))
    logs.plant(lab)
    return 0


def logs_(args: argparse.Namespace) -> int:
    logs.write(logs.collect(_running(args)), Path(args.directory))
    return 0


def splats(args: argparse.Namespace) -> int:
    print(f"no splat in {logs.check(_running(args))} logs")
    return 0


def monitor(args: argparse.Namespace) -> int:
    print(_running(args).machine.monitor(" ".join(args.command)).replace("\r", ""), end="")
    return 0


def status(args: argparse.Namespace) -> int:
    pid = Lab(Config.from_env()).machine.pid()
    print(f"up, pid {pid}" if pid else "down")
    return 0 if pid else 3


def down(args: argparse.Namespace) -> int:
    Lab(Config.from_env()).down()
    return 0


def clean(args: argparse.Namespace) -> int:
    lab = Lab(Config.from_env())
    lab.down()
    shutil.rmtree(lab.dir, ignore_errors=True)
    for entry in CACHE.glob("lab-*"):
        shutil.rmtree(entry, ignore_errors=True)
    return 0


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="lab/lab", description="The whole nested system in one QEMU. See docs/lab.md.")
    p.add_argument("--version", action="version", version=f"vmbeam {(TOP / 'VERSION').read_text().strip()}")
    sub = p.add_subparsers(dest="what", required=True, metavar="COMMAND")

    def command(name: str, do: object, help_: str) -> argparse.ArgumentParser:
        c = sub.add_parser(name, help=help_, description=help_)
        c.set_defaults(do=do)
        return c

    c = command("up", up, "start it from a snapshot, which is made first if it is missing")
    c.add_argument("--cold", action="store_true", help="boot it, without a snapshot")
    c.add_argument("--bare", action="store_true", help="without this checkout's modules, daemons and tests")
    c.add_argument("--state", choices=("host", "systems", "guests"), help="how much of it; guests by default")
    c = command("run", run, "run a shell command in a system: its outputs, its status")
    c.add_argument("--stdin", "-i", action="store_true", help="with this command's standard input")
    c.add_argument("system", choices=ADDRESSES)
    c.add_argument("command", nargs=argparse.REMAINDER)
    c = command("put", put, "copy files into a system")
    c.add_argument("system", choices=ADDRESSES)
    c.add_argument("files", nargs="+")
    c.add_argument("directory")
    c = command("get", get, "copy a file out of a system")
    c.add_argument("system", choices=ADDRESSES)
    c.add_argument("file")
    c.add_argument("directory")
    c = command("guest", guest, "guest VMs")
    c.add_argument("action", choices=("create", "shutdown", "destroy"))
    c.add_argument("hostvm")
    c.add_argument("guest")
    for name, default in (("mib", 128), ("vcpus", 1), ("checkers", 32)):
        c.add_argument(name, nargs="?", type=int, default=default)
    c = command("state", state, "what the checkers of a guest VM tell, as JSON")
    c.add_argument("guest")
    command("deploy", deploy_, "build modules, daemons and tests, and replace them in the running lab")
    c = command("logs", logs_, "write all logs of all levels into a directory")
    c.add_argument("directory")
    command("splats", splats, "search all logs; fails on a splat, and on a log that is empty or missing")
    c = command("monitor", monitor, "ask QEMU's monitor")
    c.add_argument("command", nargs=argparse.REMAINDER)
    command("demo", demo.main, "what make demo does")
    bench.arguments(command("bench", bench.main, "what make bench does"))
    command("status", status, "whether it is up; status 3 if not")
    command("down", down, "end it")
    command("clean", clean, "end it, and delete its snapshots")
    return p


def main() -> int:
    args = parser().parse_args()
    try:
        return int(args.do(args))
    except LabError as e:
        print(f"lab: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

