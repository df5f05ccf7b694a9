# SPDX-License-Identifier: GPL-2.0
"""What can go wrong with the lab itself."""


class LabError(Exception):
    """The lab cannot do what was asked; the text says why."""


class LabDied(LabError):
    """The machine ended, or a host VM died, while somebody waited for it."""


class Stalled(LabError):
    """What was waited for did not come, and nothing moved any more."""


class CommandFailed(LabError):
    """A command in a system of the lab ended with another status than 0."""

    def __init__(self, system: str, command: str, status: int, output: str, errors: str) -> None:
        self.status, self.output, self.errors = status, output, errors
        text = (errors + output).strip()
        super().__init__(f"{system}: status {status} of: {command}\n{text[-3000:]}")
