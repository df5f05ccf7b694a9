# SPDX-License-Identifier: GPL-2.0
"""What the documents say that the code has, too, is what the code has."""
import os
import subprocess
from pathlib import Path

from native_build import make

TOP = Path(__file__).parents[2]


def test_table_of_a_maintenance(tmp_path: Path) -> None:
    table = tmp_path / "table"
    subprocess.run([make("test-maintain"), "-r", "global.the_table"], env=os.environ | {"TABLE_FILE": str(table)},
                   stdout=subprocess.DEVNULL, check=True)
    assert table.read_text(encoding="utf-8") in (TOP / "docs/architecture.md").read_text(encoding="utf-8")
