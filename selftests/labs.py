# SPDX-License-Identifier: GPL-2.0
"""The lab that the tests of a session use: one at a time, in the state that a test asks for."""

from pathlib import Path

from vmbeam_lab import logs, snapshot
from vmbeam_lab.config import Config
from vmbeam_lab.lab import Lab
from vmbeam_lab.paths import TOP

WORK = TOP / "build/check"


class Labs:
    def __init__(self) -> None:
        self.lab: Lab | None = None
        self.clean = False          # nobody has used it since it was started
        self.prepared: tuple[tuple[str, str], ...] | None = None   # the commands that made it ready for tests that share it

    def _start(self, config: Config) -> Lab:
        self.down()
        ready = snapshot.deployed(config)
        lab = Lab(config)
        lab.down()
        snapshot.up(lab, ready)
        self.lab, self.clean = lab, True
        return lab

    def fresh(self, config: Config) -> Lab:
        """Just as the snapshot has it."""
        lab = self.lab if self.lab and self.clean and self.lab.config == config else self._start(config)
        self.clean, self.prepared = False, None
        return lab

    def shared(self, config: Config, prepare: tuple[tuple[str, str], ...]) -> Lab:
        """For tests that leave a lab as they found it: the one that the test before used, if that was such a one and
        passed. The commands, each with its system, prepare a new one for them."""
        if self.lab and self.lab.config == config and self.prepared == prepare:
            return self.lab
        lab = self.fresh(config)
        for system, command in prepare:
            lab.run(system, command)
        self.prepared = prepare
        return lab

    def check_logs(self, directory: Path | None = None, only: tuple[str, ...] = (), whole: bool = True) -> None:
        """The teardown of every test that used a lab: the logs of all levels hold no splat."""
        if self.lab:
            logs.check(self.lab, directory, only, whole)

    def spoiled(self) -> None:
        """Nothing more is built on this one."""
        self.down()

    def down(self) -> None:
        if self.lab:
            self.lab.down()
        self.lab, self.clean, self.prepared = None, False, None
