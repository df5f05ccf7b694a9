# SPDX-License-Identifier: GPL-2.0
"""Host VMs of the lab: their restarts, and another build of Xen for them."""

from . import logs
from .lab import Lab
from .paths import TOP, entry_path


def new_build(lab: Lab, hostvm: str, variant: str = "") -> str:
    """An xl configuration in the host management VM that is the host VM's own but for its nested Xen: not Debian's
    build, but one of xen/build.sh; without a variant the one that the host hypervisor is, too, and that is there already.
    Its version ends with "+vmbeam"."""
    name = variant or "new"
    xen, config = f"/boot/xen-{name}", f"/etc/xen/{hostvm}.{name}.cfg"
    lab.write("host", xen, (entry_path(TOP / "xen/build.sh", *([variant] if variant else [])) / "xen").read_bytes())
    lab.run("host", f"""sed 's,"/boot/xen","{xen}",' /etc/xen/{hostvm}.cfg >{config}; grep -q {xen} {config}""")
    return config


def xen_version(lab: Lab, hostvm: str) -> str:
    return lab.run(hostvm, "xl info | sed -n 's/^xen_version *: //p'").strip()


def came_back(lab: Lab, hostvm: str) -> None:
    """Somebody has created it anew: it answers, and its logs can be searched for splats again."""
    lab.restarted(hostvm)
    lab.wait_hostvm(hostvm)
    logs.plant(lab, (hostvm,))


def restart(lab: Lab, hostvm: str, config: str = "") -> None:
    """As an operator would, from its configuration or another one. A stock Xen one level down reads no xenstore of the
    host: it is told by its power button (-F)."""
    def listed() -> str:
        return lab.run("host", f"xl list {hostvm}").splitlines()[1]

    lab.run("host", f"xl shutdown -F {hostvm}")
    lab.waiter.until(f"{hostvm} to be off", lambda: "s" in listed().split()[4], listed)
    lab.run("host", f"xl destroy {hostvm} && xl create {config or f'/etc/xen/{hostvm}.cfg'}")
    came_back(lab, hostvm)
