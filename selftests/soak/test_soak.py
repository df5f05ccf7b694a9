# SPDX-License-Identifier: GPL-2.0
"""What takes long: make soak, or make check T=soak/test_soak.py::NAME. Figures go to build/soak/*.json."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from labs import Labs
from vmbeam_lab import guests, snapshot, superpages
from vmbeam_lab.config import Config
from vmbeam_lab.errors import LabError
from vmbeam_lab.lab import Lab, at_once
from vmbeam_lab.migrate import migrate
from vmbeam_lab.paths import LAB, TOP

pytestmark = pytest.mark.soak
WORK = TOP / "build/soak"


def write(name: str, figures: Any) -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


@contextmanager
def busy_loops(rng: random.Random) -> Iterator[None]:
    """Something else that wants the processors, as much as chance has it."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(rng.randrange(3))]
    try:
        yield
    finally:
        for p in loops:
            p.kill()
            p.wait()


def test_demos_in_a_row(labs: Labs) -> None:
    """Ten, with random busy loops beside them."""
    labs.down()
    rng, done = random.Random(1), []
    for _ in range(10):
        began = time.monotonic()
        with busy_loops(rng):
            rc = subprocess.run([sys.executable, "-m", "vmbeam_lab", "demo"], cwd=TOP,
                                env=os.environ | {"PYTHONPATH": str(LAB)}).returncode
        done.append({"ok": rc == 0, "seconds": round(time.monotonic() - began)})
        write("demos", done)
    assert all(d["ok"] for d in done), done


SUMS = """SECONDS=0 n=0 wrong=0 first= f=/usr/bin/busybox; end=$(($(date +%%s) + %d))
while [ $(date +%%s) -lt $end ]; do
	now=$(sha256sum <$f; md5sum <$f; cksum <$f; xz -1c $f | sha256sum)
	[ -n "$first" ] || first=$now
	[ "$now" = "$first" ] || wrong=$((wrong + 1))
	n=$((n + 1))
done
echo $n $wrong"""


def checksums(lab: Lab, seconds: int) -> dict[str, tuple[int, int]]:
    """The same sums again and again, everywhere at once: a vector register that another vCPU's kernel has overwritten
    shows. For each system how many rounds, and how many of them wrong."""
    systems = ("host", *lab.config.hostvms)
    found = at_once([lambda s=s: lab.run(s, SUMS % seconds, patience=10 * seconds + 300) for s in systems])     # type: ignore[misc]
    return {s: (int(f.split()[0]), int(f.split()[1])) for s, f in zip(systems, found)}


@pytest.mark.parametrize("qemu", ["debian", "fixed"])
def test_cold_boots(labs: Labs, qemu: str) -> None:
    """None tried twice. After each, sums in all management VMs. LAB_SOAK_BOOTS says how many."""
    labs.down()
    lab = Lab(replace(Config.from_env(), qemu=qemu, state="systems"), TOP / "build/lab-boots")
    boots: list[dict[str, Any]] = []
    for _ in range(int(os.environ.get("LAB_SOAK_BOOTS", "30"))):
        began, boot = time.monotonic(), {"ok": False, "error": ""}
        try:
            snapshot.up_cold(lab)
            boot["seconds"] = round(time.monotonic() - began)
            boot["sums"] = checksums(lab, 10)
            boot["ok"] = not any(wrong for _, wrong in boot["sums"].values())   # type: ignore[attr-defined]
        except LabError as e:
            boot["error"] = str(e)
            shutil.copy(lab.machine.serial, WORK / f"boot-{qemu}-{len(boots)}.serial.log")
        lab.down()
        boots.append(boot)
        write(f"boots-{qemu}", {"tried": len(boots), "good": sum(b["ok"] for b in boots), "boots": boots})
    assert all(b["ok"] for b in boots)


def test_checksums(guests_lab: Lab) -> None:
    got = checksums(guests_lab, 600)
    write("checksums", got)
    assert all(rounds > 0 and wrong == 0 for rounds, wrong in got.values())


def test_races(labs: Labs) -> None:
    """Either domain destroyed in the middle of the swap of a million frames; the outer system alone."""
    lab = labs.fresh(replace(Config.from_env(), state="host", mib=11264))
    lab.run("host", "/lab/stop")
    for i in range(50):
        out = lab.run("host", "RACE_FRAMES=1048576 /lab/selftests/host/test_race -r race.a_is_destroyed "
                      "-r race.b_is_destroyed")
        assert "# PASSED: 2 / 2 tests passed" in out     # a name that selects nothing would pass, too
        write("races", {"frames": 1048576, "tried": 2 * (i + 1)})


def test_stale_translations(labs: Labs) -> None:
    """Thousands of swaps of frames that vCPUs are reading."""
    rounds = 2000
    out = labs.fresh(replace(Config.from_env(), state="host")).run("host", f"STALE_ROUNDS={rounds} /lab/selftests/host/test_stale")
    assert "# PASSED: 3 / 3 tests passed" in out
    write("stale", {"rounds": rounds})


@pytest.mark.parametrize("xen", ["debug", "4.17"])
def test_hypervisors(labs: Labs, xen: str) -> None:
    """The host selftests on a debug build, with all its assertions, and on Xen 4.17 under bookworm."""
    labs.down()
    env = os.environ | {"LAB_XEN": xen, "LAB_DIR": str(TOP / "build/lab-soak"), "T": "host", "PYTEST_ADDOPTS": ""}
    done = subprocess.run([sys.executable, "-m", "pytest", "-c", TOP / "selftests/pytest.ini", TOP / "selftests"],
                          env=env, stdout=subprocess.PIPE, text=True)
    print(done.stdout)
    assert done.returncode == 0
    assert re.search(r"^[1-9]\d* passed, 0 failed", done.stdout, re.M)


def carry_compiler(lab: Lab) -> None:
    """A compiler, its libraries and something to compile, into u1."""
    cc1 = subprocess.check_output(["gcc", "-print-prog-name=cc1"], text=True).strip()
    libraries = re.findall(r"/\S+", subprocess.check_output(["ldd", cc1], text=True))
    source = subprocess.check_output(["gcc", "-E", "-O2", "-std=gnu11", "-D_GNU_SOURCE", LAB / "checkers/memcheck.c"])
    lab.run("u1", "mkdir -p /data/cc")
    for path in (cc1, *libraries):
        lab.write("u1", f"/data/cc/{Path(path).name}", Path(path).read_bytes(), executable=True)
    lab.write("u1", "/data/cc/source.i", source)


# Anonymous memory that comes and goes, many processes, a page cache as large as it gets.
USE = """set -e
for i in 1 2 3; do
	LD_LIBRARY_PATH=/data/cc /data/cc/ld-linux-x86-64.so.2 /data/cc/cc1 -quiet -O2 -fpreprocessed /data/cc/source.i -o /tmp/out.s
done
test -s /tmp/out.s
dd if=/dev/zero of=/data/large bs=1M count=500 2>/dev/null; cat /data/large >/dev/null
for i in $(seq 50); do /bin/busybox true; done"""


def test_large(guests_lab: Lab) -> None:
    """A guest VM of 1 GiB that was used for a while: nine frames of ten go at 2 MiB, and both host VMs have their
    superpages afterwards, within 2 %."""
    lab = guests_lab
    guests.guest_destroy(lab, "hv1", "u1")
    guests.guest_create(lab, "hv1", "u1", 1024, 2, 128)
    carry_compiler(lab)
    lab.run("u1", USE)
    before = {h: superpages.mapped(lab, h) for h in ("hv1", "hv2")}
    report = migrate(lab, "u1", "hv1", "hv2")
    after = {h: superpages.mapped(lab, h) for h in ("hv1", "hv2")}
    write("large", {"report": report, "before": {h: asdict(m) for h, m in before.items()},
                    "after": {h: asdict(m) for h, m in after.items()}})
    assert report["frames"]["superpages"] >= 0.9 * report["frames"]["total"]
    assert all(after[h].large_frames >= 0.98 * before[h].large_frames for h in before)


@pytest.fixture
def no_swiotlb(labs: Labs) -> Lab:
    """The device models map guest VMs' frames, and must be asked to let go."""
    return labs.fresh(replace(Config.from_env(), state="guests", swiotlb=False))


def device_model_mappings(lab: Lab) -> int:
    return int(lab.run("host", "cat $(grep -l privcmd /proc/[0-9]*/maps 2>/dev/null) | grep -c privcmd"))


def test_device_models_let_go(no_swiotlb: Lab) -> None:
    """A device model that has looked at a frame keeps the megabyte around it mapped, until it is asked."""
    lab = no_swiotlb
    before = device_model_mappings(lab)
    lab.run("host", "for vm in hv1 hv2; do for at in 0x10000000 0x18000000; do xl qemu-monitor-command $vm \"xp /1x $at\"; done; done")
    assert device_model_mappings(lab) >= before + 4
    lab.run("host", "/lab/selftests/tools/invalidate $(xl domid hv1) $(xl domid hv2)")
    lab.waiter.until("the device models to let go", lambda: device_model_mappings(lab) <= before)


def test_busy_disk(no_swiotlb: Lab) -> None:
    """It moves while its disk is busy; at most one frame in 200 may have to be exchanged."""
    lab = no_swiotlb
    lab.run("u1", 'setsid sh -c "while :; do dd if=/dev/zero of=/data/traffic bs=64k count=512 conv=fsync; '
            'echo 3 >/proc/sys/vm/drop_caches; cat /data/traffic; done" >/dev/null 2>&1 </dev/null & true')
    lab.waiter.until("the traffic", lambda: lab.succeeds("u1", "find /data -name traffic -size +8000k | grep -q ."))
    report = migrate(lab, "u1", "hv1", "hv2")
    write("devices", report)
    assert report["frames"]["exchanged"] <= report["frames"]["total"] / 200


def test_swap_cost(labs: Labs) -> None:
    """In instructions: no case has grown beyond its bound. In a lab of its own, with the emulator's clock."""
    labs.down()
    subprocess.run([TOP / "selftests/swap-cost.sh", "check"], check=True, env=os.environ | {"LAB_DIR": str(TOP / "build/lab-soak")})


def test_fuzz(tmp_path: Path) -> None:
    """The swap's lists and machines by libFuzzer, from the corpus on. An input that fails is kept in build/soak."""
    program, seconds = TOP / "build/p2m-swap/fuzz", int(os.environ.get("LAB_SOAK_FUZZ_SECONDS", 300))
    native = TOP / "selftests/native/p2m-swap"
    subprocess.run(["make", "-s", "-C", native, f"O={program.parent}", program], check=True)
    WORK.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([program, f"-max_total_time={seconds}", "-max_len=700", "-len_control=0", "-print_final_stats=1",
                           f"-artifact_prefix={WORK}/fuzz-", tmp_path, native / "corpus"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    figures = dict(re.findall(r"stat::(\w+):\s+(\d+)", done.stdout))
    write("fuzz", {"seconds": seconds, "ok": done.returncode == 0} | {name: int(value) for name, value in figures.items()})
    assert done.returncode == 0, done.stdout[-4000:]
