# SPDX-License-Identifier: GPL-2.0
"""Collects and selects the tests of all levels, and gives them the lab. See docs/testing.md."""

import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped]

from kselftest import CFile, CTest, address, selects, without_group
from labs import WORK, Labs
from vmbeam_lab import deploy, snapshot
from vmbeam_lab.config import Config
from vmbeam_lab.lab import Lab, default_dir
from vmbeam_lab.paths import LAB, TOP, entry_path

LABS = pytest.StashKey[Labs]()
SUMMARY = pytest.StashKey[str]()
UNKNOWN = pytest.StashKey[str]()
# Of a process of pytest-xdist: "gw0", "gw1"; empty in the one that people start.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
HERE = Path(__file__).parent


# Collecting

class NativeFile(CFile):
    """Pure code, in this very system; under ASan and UBSan."""

    built = False

    def run_one(self, test: CTest) -> tuple[int, str]:
        if not NativeFile.built:
            linux = entry_path(LAB / "source.sh", "linux")
            subprocess.run(["make", "-s", "-j2", "-C", HERE / "native", "SAN=1", "all",
                            f"KSELFTEST={linux}/tools/testing/selftests"], check=True)
            NativeFile.built = True
        stream = TOP / "build/save-helper-test/in-place.stream"
        if self.path.stem == "test-savestream" and not stream.exists():
            subprocess.run([TOP / "xen/tools/test/run.sh"], check=True, stdout=subprocess.DEVNULL)
        env = os.environ | {"SAVED_STREAM": str(stream)}
        done = subprocess.run([TOP / "build/selftests/native-san" / self.path.stem, "-r", test.harness], env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        return done.returncode, done.stdout


class ModuleFile(NativeFile):
    """A module over a made-up kernel and hypervisor: it is listed in a table, in place of the harness's TEST()."""

    def tests(self) -> list[tuple[str, str]]:
        return [(name, name) for name in re.findall(r"\bTEST\((\w+)\)[,\n]", self.path.read_text(encoding="utf-8"))
                if name != "name"]


class LabFile(CFile):
    """A binary in a management VM. Its tests make their own domains, so they may share a lab as long as none fails."""

    state, system, level, environment = "", "", "", ""

    def prepare(self) -> tuple[tuple[str, str], ...]:
        """What makes a lab ready for these tests: systems, and a command for each."""
        return ((self.system, "/lab/stop"),)

    def run_one(self, test: CTest) -> tuple[int, str]:
        labs = self.config.stash[LABS]
        lab = labs.shared(Config.from_env().at(self.state), self.prepare())
        rc, out, err = lab.status(self.system, f"{self.environment}exec /lab/selftests/{self.level}/{self.path.stem} "
                                  f"-r {test.harness} 2>&1")
        return rc, (out + err).decode(errors="replace")


class HostFile(LabFile):
    state, system, level = "host", "host", "host"


class GuestFile(LabFile):
    state, system, level = "guests", "hv1", "guest"
    environment = "VMBEAM_TEST_DOMID=$(xl domid u1) "

    def prepare(self) -> tuple[tuple[str, str], ...]:
        if self.path.stem == "test_live":
            return super().prepare()
        # They need no guest VM and no second host VM, and are twice as fast when these do not run beside them.
        return (("hv1", "/lab/stop; xl pause u1"), ("host", "xl pause hv2"))


C_FILES: dict[str, type[CFile]] = {"native": NativeFile, "p2m-swap": NativeFile, "kmod-txn": ModuleFile,
                                  "kmod-guest": ModuleFile, "host": HostFile, "guest": GuestFile}


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    kind = C_FILES.get(file_path.parent.name)
    if kind and re.fullmatch(r"test[-_].*\.c", file_path.name):
        return kind.from_parent(parent, path=file_path)
    return None


# Selecting

def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", type=int, metavar="SEED", help="in an order of its own for each seed")
    parser.addoption("--list", action="store_true", help="print the addresses of the tests, run none")


FIXTURES = {"host_lab": "host", "systems_lab": "systems", "guests_lab": "guests", "guests_lab_shared": "guests"}


def needs(item: pytest.Item) -> str:
    """The lab that a test uses: those that use the same one follow each other."""
    if isinstance(item.parent, LabFile):
        return item.parent.state
    names = getattr(item, "fixturenames", ())
    return next((state for name, state in FIXTURES.items() if name in names), "")


def shares(item: pytest.Item) -> tuple[Any, ...]:
    """The same for tests that can share a lab; empty for those that want one of their own."""
    if isinstance(item.parent, LabFile):
        return item.parent.prepare()
    return ("guests_lab_shared",) if "guests_lab_shared" in getattr(item, "fixturenames", ()) else ()


ORDER = ("", "host", "systems", "guests")


# First: pytest-xdist looks at the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = os.environ.get("T", "").split()
    marked = bool(config.option.markexpr)
    for w in wanted:
        if not any(selects(w, address(i.nodeid)) for i in items):
            unknown = f"T={w} names no test; make check T=... takes the addresses that make tests lists"
            if not WORKER:
                raise pytest.UsageError(unknown)
            # The process that people see says so: an error here would be an internal one of pytest-xdist.
            config.stash[UNKNOWN] = unknown
            items.clear()
            return

    def chosen(item: pytest.Item) -> bool:
        if wanted:
            return any(selects(w, address(item.nodeid)) for w in wanted)
        return marked or not any(item.iter_markers(m) and item.get_closest_marker(m) for m in ("soak", "mutations"))

    dropped = [i for i in items if not chosen(i)]
    config.hook.pytest_deselected(items=dropped)
    items[:] = [i for i in items if chosen(i)]
    order = list(ORDER)
    if config.option.shuffle is not None:
        rng = random.Random(config.option.shuffle)
        rng.shuffle(items)
        rng.shuffle(order)
    # Those that share a lab follow each other, in one process: each start of one costs as much as ten of them. Those that
    # use none share the directory that they build in.
    groups: dict[Any, int] = {}
    for i in items:
        nr = groups.setdefault(shares(i), len(groups))
        if shares(i) or not needs(i):
            # Those of a few files would be too long a block.
            part = i.path.stem if "guests_lab_shared" in shares(i) else ""
            i.add_marker(pytest.mark.xdist_group(f"together{nr}{part}"))
    # What must have run in every run begins first of all that use a lab: it is not what a time that is over leaves out, and
    # the snapshots that take longest are made while another process runs what needs none.
    shuffled = config.option.shuffle is not None
    items.sort(key=lambda i: (bool(needs(i)) and not shuffled, not (shuffled or i.get_closest_marker("always")),
                              order.index(needs(i)), groups[shares(i)]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many labs are used at a time, each by a process of its own. None is: this process does it all."""
    given = os.environ.get("LAB_COUNT")
    if given:
        nr = int(given)
    else:
        # An emulated lab takes one CPU. What is measured, and what was chosen by its address, runs alone.
        alone = os.environ.get("T") or config.option.markexpr or config.option.list
        nr = 1 if alone else min(2, len(os.sched_getaffinity(0)))
    return nr if nr > 1 else 0


class InOrder(LoadGroupScheduling):     # type: ignore[misc]
    """Gives out groups in the order of the collection. pytest-xdist would begin with those that have the most tests,
    and end with the longest ones, which have one."""

    def _assign_work_unit(self, node: Any) -> None:
        self.workqueue.move_to_end(next(s for s in map(self._split_scope, self.collection) if s in self.workqueue), last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InOrder:
    return InOrder(config, log)


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.list:
        for item in session.items:
            print(address(item.nodeid))
        session.items.clear()
    if WORKER and any(needs(i) for i in session.items):
        # First of all, and once: the tests of another process build in the same directories.
        deploy.stage(Config.from_env())


# The lab

def pytest_configure(config: pytest.Config) -> None:
    config.stash[LABS] = Labs()
    if not WORKER:
        config.pluginmanager.register(Lines(config), "lines")
    elif WORKER != "gw0":
        os.environ["LAB_DIR"] = f"{default_dir()}-{WORKER}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    if WORKER:
        output: dict[str, Any] = session.config.workeroutput        # type: ignore[attr-defined]
        output["restarts"] = snapshot.restarts
        output["unknown"] = session.config.stash.get(UNKNOWN, "")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    output = getattr(node, "workeroutput", {})
    snapshot.restarts += output.get("restarts", [])
    if output.get("unknown"):
        node.config.stash[UNKNOWN] = output["unknown"]


@pytest.fixture
def labs(request: pytest.FixtureRequest) -> Iterator[Labs]:
    """For a test that asks for its lab itself; the fixtures below are made from it. The logs of whatever lab is up at the
    end are searched."""
    yield request.config.stash[LABS]
    request.config.stash[LABS].check_logs()


@pytest.fixture
def host_lab(labs: Labs) -> Lab:
    """The outer system alone."""
    return labs.fresh(Config.from_env().at("host"))


@pytest.fixture
def systems_lab(labs: Labs) -> Lab:
    """Both host VMs, no guest VM."""
    return labs.fresh(Config.from_env().at("systems"))


@pytest.fixture
def guests_lab(labs: Labs) -> Lab:
    """Both host VMs; u1 runs on hv1, u2 on hv2, their checkers run."""
    return labs.fresh(Config.from_env().at("guests"))


@pytest.fixture
def guests_lab_shared(labs: Labs) -> Lab:
    """The same, for tests that leave it as they found it, and see to that themselves."""
    return labs.shared(Config.from_env().at("guests"), ())


NOT_BEGUN = "not begun: the time that LAB_UNTIL gives was over"


def pytest_runtest_setup(item: pytest.Item) -> None:
    until = int(os.environ.get("LAB_UNTIL") or 0)
    if until and time.time() > until:
        if item.get_closest_marker("always"):
            pytest.fail(f"{NOT_BEGUN}, and a run without this test says nothing", pytrace=False)
        pytest.skip(NOT_BEGUN)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    try:
        yield
        if isinstance(item.parent, LabFile):
            # The whole of the logs costs more than most of these tests do: it is searched when their file ends, and if one
            # of them fails.
            whole = not nextitem or nextitem.parent is not item.parent
            item.config.stash[LABS].check_logs(only=tuple({"host", item.parent.system}), whole=whole)
    except BaseException:
        item.config.stash[LABS].spoiled()
        raise


# Reporting

def log_path(nodeid: str) -> Path:
    return WORK / (re.sub(r"[^\w.\[\]-]", "-", address(nodeid)) + ".log")


def pytest_report_teststatus(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
    """The letters and words are ours, below."""
    if report.skipped and NOT_BEGUN in report.longreprtext:
        return "not begun", "", ""
    if isinstance(report, pytest.TestReport) and report.when == "call" or report.outcome != "passed":
        return ("error" if report.failed and getattr(report, "when", "") != "call" else report.outcome), "", ""
    return "", "", ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report: pytest.TestReport = yield
    labs = item.config.stash[LABS]
    if report.failed and labs.lab:
        # What the logs say about the failure stays beside the test's own output.
        kept = log_path(item.nodeid).with_suffix("")
        try:
            labs.check_logs(kept)
        except Exception as e:  # pylint: disable=broad-except
            report.sections.append(("lab", str(e)))
        if labs.lab.machine.serial.exists():
            kept.mkdir(parents=True, exist_ok=True)
            shutil.copy(labs.lab.machine.serial, kept / "serial.log")
        labs.spoiled()
    return report


# What is printed at once of a test that failed; all of it follows at the end, and is in its log.
TAIL_LINES = 20


class Lines:
    """A line for each test, past what keeps the output of a test until it is over."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = address(report.nodeid)
        if report.when == "call" or report.outcome != "passed":
            word = {"passed": "ok", "failed": "not ok", "skipped": "skip"}[report.outcome]
            if report.skipped and NOT_BEGUN in report.longreprtext:
                word = "not begun"
            when = "" if report.when == "call" else f" ({report.when})"
            tail = report.longreprtext.rstrip().splitlines()[-TAIL_LINES:] if report.failed else []
            self.config.get_terminal_writer().write("".join(f"{line}\n" for line in (
                f"{word:6} {report.duration:7.1f} s  {name}{when}", *(f"       | {line}" for line in tail))), flush=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if WORKER:
        return      # the process that people see does
    report.nodeid = without_group(report.nodeid)
    if report.when == "call" or report.failed:
        WORK.mkdir(parents=True, exist_ok=True)
        with log_path(report.nodeid).open("a", encoding="utf-8") as f:
            f.write(f"{report.when}: {report.outcome}\n{report.longreprtext}\n")
            f.writelines(f"--- {title}\n{text}\n" for title, text in report.sections)


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    if config.option.list:
        return
    stats = terminalreporter.stats
    failed = {r.nodeid for kind in ("failed", "error") for r in stats.get(kind, ())}
    passed = {r.nodeid for r in stats.get("passed", ())} - failed
    # Nothing was collected, or a file could not be: that is a failure, too.
    nr_failed = len(failed) or int(exitstatus != 0)
    late = len(stats.get("not begun", ()))
    config.stash[SUMMARY] = "\n".join([*([config.stash[UNKNOWN]] if UNKNOWN in config.stash else []),
                                       *(f"the lab had to be started once more: {r}" for r in snapshot.restarts),
                                       f"restarts of the lab: {len(snapshot.restarts)}",
                                       *([f"{late} {NOT_BEGUN}"] if late else []),
                                       f"{len(passed)} passed, {nr_failed} failed, {len(stats.get('skipped', ()))} skipped"])


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[LABS].down()
    if SUMMARY in config.stash:
        print(config.stash[SUMMARY], flush=True)
