# SPDX-License-Identifier: GPL-2.0
"""The shells' completion, by typing into a real bash and a real zsh on a terminal of their own: what counts is what the
command is run with in the end."""
import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path
from typing import Iterator

import pytest

from native_build import install

TOP = Path(__file__).parents[2]
COMPLETION = TOP / "userspace/vmbeam/completion"
PATIENCE_S = 60

# In the place of the command: its help as it is, the daemon's names, and else it writes down what it is run with.
FAKE = """#!/bin/sh
case "$*" in
--help) cat <<'H'
usage: vmbeam COMMAND [ARGUMENTS]

  check    can a guest VM be moved? touches nothing
  migrate  move a running guest VM to another host VM
  maintain empty a host VM, restart it, bring all home
  return   bring home what was evacuated

Each command takes --help and --json.
H
;;
"maintain --help") echo 'usage: vmbeam maintain [--json] [--no-return] [--no-probe] HOSTVM --via HOSTVM' ;;
"list --names hostvms") printf 'hv1\\nhv2\\nbig one\\n' ;;
"list --names away") echo 'db server' ;;
"list --names migrations") echo 20261127T0300-17 ;;
"transaction list") printf '77: domains 3 and 4, stuck\\n' ;;
"export list") printf '70: domain 5, armed, 9 frames in 1 extents\\n81: domain 6, armed, 9 frames in 1 extents\\n' ;;
"list --names guests") printf 'hv1/u1\\nhv2/web server\\nhv2/malm\u00e9\\n' ;;
*) for word; do printf '%s\\n' "$word"; done >"$SAID.new"; mv "$SAID.new" "$SAID" ;;
esac
"""


class Shell:
    """One that is interactive, on a terminal."""

    def __init__(self, directory: Path, command: list[str]) -> None:
        self._said = directory / "said"
        (directory / "bin").mkdir()
        fake = directory / "bin/vmbeam"
        fake.write_text(FAKE, encoding="utf-8")
        fake.chmod(0o755)
        self.shown = ""
        self._terminal, end = pty.openpty()
        env = {"PATH": f"{directory}/bin:/usr/bin:/bin", "TERM": "dumb", "HOME": str(directory), "LC_ALL": "C.UTF-8",
               "SAID": str(self._said), "PS1": "ready> "}
        self._process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=env, cwd=directory,
                                         start_new_session=True)
        os.close(end)

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def read(self) -> None:
        if select.select([self._terminal], [], [], 0.05)[0]:
            self.shown += os.read(self._terminal, 4096).decode(errors="replace")

    def wait_for(self, text: str) -> None:
        """Until it is shown, from what was waited for before on."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            assert time.monotonic() < end, f"{text} is not shown: {self.shown}"
            self.read()
        self.shown = self.shown.partition(text)[2]

    def runs(self, typed: str) -> list[str]:
        """What the command is run with, when that is typed."""
        self._said.unlink(missing_ok=True)
        self.type(typed + "\n")
        end = time.monotonic() + PATIENCE_S
        while not self._said.exists():
            assert time.monotonic() < end, f"it is not run: {self.shown}"
            self.read()
        return self._said.read_text(encoding="utf-8").splitlines()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)


def start(name: str, directory: Path) -> Shell:
    if name == "bash":
        shell = Shell(directory, ["bash", "--norc", "--noprofile", "-i"])
        shell.type(f"bind 'set bell-style none'; . {COMPLETION}/vmbeam.bash; echo load''ed\n")
    else:
        shell = Shell(directory, ["zsh", "-f", "-i"])
        shell.type(f"fpath=({COMPLETION} $fpath); autoload -Uz compinit; compinit -u -D; unsetopt zle_bracketed_paste; "
                   "echo load''ed\n")
    shell.wait_for("loaded")
    return shell


@pytest.fixture(params=["bash", "zsh"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    shell = start(request.param, tmp_path)
    yield shell
    shell.close()


def test_commands(shell: Shell) -> None:
    assert shell.runs("vmbeam mig\t") == ["migrate"]
    assert shell.runs("vmbeam c\t x") == ["check", "x"]
    # Two begin like that: both are shown, and nothing is chosen.
    shell.type("vmbeam m\t\t")
    shell.wait_for("maintain")
    shell.wait_for("migrate")


def test_guest_and_host_vms(shell: Shell) -> None:
    assert shell.runs("vmbeam migrate hv1/\t hv2") == ["migrate", "hv1/u1", "hv2"]
    assert shell.runs("vmbeam migrate hv1/u1 b\t") == ["migrate", "hv1/u1", "big one"]
    assert shell.runs("vmbeam migrate hv2/w\t hv1") == ["migrate", "hv2/web server", "hv1"]
    assert shell.runs("vmbeam migrate hv2/m\t hv1") == ["migrate", "hv2/malm\u00e9", "hv1"]
    assert shell.runs("vmbeam return b\t") == ["return", "big one"]


def test_options(shell: Shell) -> None:
    assert shell.runs("vmbeam maintain --no-r\t hv1 --via b\t") == ["maintain", "--no-return", "hv1", "--via", "big one"]
    # An option and its value do not count as arguments.
    assert shell.runs("vmbeam maintain --unmovable s\t b\t") == ["maintain", "--unmovable", "shutdown", "big one"]
    assert shell.runs("vmbeam maintain hv1 --only w\t") == ["maintain", "hv1", "--only", "web server"]
    assert shell.runs("vmbeam list --names g\t x") == ["list", "--names", "guests", "x"]


def test_what_commands_name(shell: Shell) -> None:
    """Those that are away, not any guest VM; the migration under way; transactions and exports by their ids."""
    assert shell.runs("vmbeam adopt \t") == ["adopt", "db server"]
    assert shell.runs("vmbeam cancel \t") == ["cancel", "20261127T0300-17"]
    assert shell.runs("vmbeam forget 2\t") == ["forget", "20261127T0300-17"]
    assert shell.runs("vmbeam transaction r\t\t") == ["transaction", "retry", "77"]
    assert shell.runs("vmbeam transaction --json forget \t") == ["transaction", "--json", "forget", "77"]
    assert shell.runs("vmbeam export rel\t 7\t 8\t") == ["export", "release", "70", "81"]
    assert shell.runs("vmbeam export create \t5") == ["export", "create", "5"]


def test_nothing_where_nothing_fits(shell: Shell) -> None:
    assert shell.runs("vmbeam migrate nowhere\t hv2") == ["migrate", "nowhere", "hv2"]
    assert shell.runs("vmbeam maintain --retries \t3") == ["maintain", "--retries", "3"]


def test_is_installed(tmp_path: Path) -> None:
    """Where each shell looks for it by itself."""
    install(tmp_path)
    for path, source in (("bash-completion/completions/vmbeam", "vmbeam.bash"), ("zsh/vendor-completions/_vmbeam", "_vmbeam")):
        assert (tmp_path / "usr/share" / path).read_bytes() == (COMPLETION / source).read_bytes()


@pytest.mark.parametrize("source", ["vmbeam.bash", "_vmbeam"])
def test_knows_all_options_that_take_a_value(programs: Path, source: str) -> None:
    """Else their value would be taken for an argument."""
    known = set(re.findall(r"--[a-z-]+", (COMPLETION / source).read_text(encoding="utf-8")))
    for command in ("evacuate", "return", "maintain", "history"):
        text = subprocess.run([programs / "vmbeam", command, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert set(re.findall(r"(--[a-z-]+) [A-Z]+(?=[] ])", text)) <= known
