# SPDX-License-Identifier: GPL-2.0
"""The metrics as others read them: by the parser of Prometheus's own Python client."""
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import parser as text_format
from prometheus_client.openmetrics import parser as openmetrics

from native_build import make


@pytest.fixture
def metrics(tmp_path: Path) -> str:
    path = tmp_path / "vmbeam.prom"
    subprocess.run([make("test-metrics"), "-r", "global.written_at_once"], env=os.environ | {"METRICS_FILE": str(path)},
                   stdout=subprocess.DEVNULL, check=True)
    return path.read_text(encoding="utf-8")


def parse(text: str) -> list[Any]:
    return list(openmetrics.text_string_to_metric_families(text))   # type: ignore[no-untyped-call]


def test_openmetrics(metrics: str) -> None:
    families = {f.name: f for f in parse(metrics)}
    migrations = {s.labels["outcome"]: s.value for s in families["vmbeam_migrations"].samples}
    assert families["vmbeam_migrations"].type == "counter"
    assert migrations["done"] == 3 and migrations["lost"] == 1 and migrations["rolled-back"] == 0
    pauses = families["vmbeam_pause_seconds"]
    assert pauses.type == "histogram" and pauses.unit == "seconds"
    buckets = [s.value for s in pauses.samples if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets) and buckets[-1] == 3
    assert {s.labels["hostvm"]: s.value for s in families["vmbeam_agent_up"].samples} == \
        {"hv1": 1, 'a "quoted" \\ malm\u00e9': 0}
    # All of it has a help text.
    assert all(f.documentation for f in families.values())


def test_text_format(metrics: str) -> None:
    """The older format, which node_exporter's textfile collector takes: it passes over what it does not know."""
    samples = {(s.name, *sorted(s.labels.items())): s.value
               for f in text_format.text_string_to_metric_families(metrics) for s in f.samples}
    assert samples["vmbeam_frames_total", ("kind", "swapped")] == 98765432109
    assert samples["vmbeam_pause_seconds_sum",] == 1.75
    assert samples["vmbeam_stuck",] == 1


def test_the_parser_can_refuse(metrics: str) -> None:
    """What is wrong on purpose is noticed, so what it takes is worth something."""
    for wrong in (metrics.replace("# EOF\n", ""), metrics.replace('le="0.5"', 'le="half"'),
                  metrics.replace("vmbeam_migrations_total", "vmbeam_migrations")):
        with pytest.raises(ValueError):
            parse(wrong)
