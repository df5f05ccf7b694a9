# SPDX-License-Identifier: GPL-2.0
"""What vmbeamd knows of guest VMs that are away from their home, and of the host VMs when nobody asks."""
import pytest

from daemon_rig import DONE, UNFINISHED, wait_until
from made_up_agent import UUID, Domain, MadeUpAgent
from test_drive import House, house, third    # pylint: disable=unused-import # noqa: F401

STRANGER = "00000000-0000-4000-8000-000000000001"


def metric(house: House, name: str, hostvm: str) -> str | None:
    """Its value."""
    lines = house.metrics_file.read_text(encoding="utf-8").splitlines()
    return next((line.split()[-1] for line in lines if line.startswith(f'{name}{{hostvm="{hostvm}"')), None)


def evacuates(house: House) -> None:
    """u1 is on hv2 from now on, and away from hv1."""
    house.start()
    assert house.ask(cmd="evacuate", **{"from": "hv1"}, to="hv2")[0]["outcome"] == "done"


def test_version_of_xen_is_told_whole(house: House) -> None:
    """An update may change its last number alone."""
    house.start()
    assert " 4.20.0 " in house.command("status").out


def test_memory_is_what_a_guest_vm_has(house: House) -> None:
    """Not what it may have: the toolstack's limit is more after xl mem-set."""
    house.start()
    assert house.ask(cmd="list")[0]["hostvms"][0]["guests"][0]["memory_mib"] == 2048


@pytest.mark.parametrize("uuid", [UUID, STRANGER], ids=["same-uuid", "new-uuid"])
def test_started_twice(house: House, uuid: str) -> None:
    """Without uuid= in its configuration xl gives it a new one at each start."""
    evacuates(house)
    assert house.status_code() == DONE
    house.source.domains.append(Domain(8, uuid=uuid))
    ended = house.command("status")
    assert ended.code == UNFINISHED
    assert "u1 is on hv1, which it has left, and on hv2" in ended.out and f"xl destroy 8 in its management VM (UUID {uuid})" in ended.out
    assert house.status()["doubles"] == [{"guest": "u1", "uuid": uuid, "hostvm": "hv1", "domid": 8}]
    wait_until(lambda: metric(house, "vmbeam_guests_doubled", "hv1") == "1")
    house.source.domains.clear()
    assert house.status_code() == DONE
    wait_until(lambda: metric(house, "vmbeam_guests_doubled", "hv1") == "0")


def test_may_have_been_started_twice(house: House, third: MadeUpAgent) -> None:
    """A host VM that may have it does not answer."""
    house.source.away = {UUID: "u1"}
    third.faults.mute = {"hello"}
    house.start()
    ended = house.command("status")
    assert ended.code == UNFINISHED and "is not known, since no agent answers on hv3" in ended.out, ended
    (house.directory / "system-hv3").write_text("ended\n")
    assert house.status_code() == DONE and not house.source.away
