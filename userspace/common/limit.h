/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long the daemon and the agent wait for what others do. An emulated or overloaded machine may need more than the
 * defaults give: vmbeamd takes them from "limits" in its configuration, vmbeam-agent from --limit NAME=SECONDS.
 */
#ifndef VMBEAM_LIMIT_H
#define VMBEAM_LIMIT_H

#include <stdint.h>

enum limit {
	LIMIT_CHECK_CONNECT,	/* an agent to answer, before anything is touched */
	LIMIT_CONNECT,		/* an agent to answer, while a migration is finished */
	LIMIT_HELLO,		/* an agent's hello, before it is said again */
	LIMIT_REPLY,		/* any reply of an agent; longer than the 20 s after which it says "again" */
	LIMIT_CHECK,		/* a check */
	LIMIT_COUNT,		/* a guest VM's frames to be counted */
	LIMIT_SHORT,		/* what an agent does by itself */
	LIMIT_LONG,		/* what takes a toolstack or a driver */
	LIMIT_STALL,		/* a stream that stands still */
	LIMIT_SUSPEND,		/* the guest VM to suspend */
	LIMIT_LATE_SUSPEND,	/* the same, when it is no longer wanted */
	LIMIT_QUIESCE,		/* a guest VM's backends to let go, while it stands still */
	LIMIT_REBIND,		/* and to be bound again, before it runs without */
	LIMIT_PAUSE,		/* a guest VM that stands still, before the commit */
	LIMIT_MIGRATION,	/* a migration, before the commit */
	LIMIT_STOP,		/* what is under way, when vmbeamd is stopped */
	LIMIT_FINISH,		/* the end, before the command is told that it takes longer */
	LIMIT_DRAIN,		/* a backend's ring to be empty */
	LIMIT_PORT,		/* a device that was taken off its driver to let go of its event channel */
	LIMIT_RECONNECT,	/* a backend that is bound again to connect to its frontend */
	LIMIT_SCRIPT,		/* a network card's hotplug script, before the guest VM is resumed without it */
	LIMIT_FREEZE,		/* a guest VM that has taken a suspend request to carry it out or to give up */
	LIMIT_SHUTDOWN,		/* a guest VM that cannot be moved to shut down */
	LIMIT_PROBE,		/* a guest VM that was started to see whether its system is sound to get time */
	LIMIT_HOOK,		/* a hook */
	LIMIT_RUN,		/* the command that a maintenance runs while the host VM is down */
	LIMIT_SYSTEM,		/* a host VM to shut down, and to be up with its agent after its start */
	LIMIT_XL,		/* xl, which may wait for a device model or a hotplug script of a host VM, but for no boot or shutdown */
	LIMIT_LOOK,		/* no wait: how long after a look at all host VMs that nobody asked for the next one comes */
	LIMIT_CLOCK,		/* no wait: how far the clocks of two systems may be apart */
	NR_LIMITS
};

int limit_s(enum limit limit);

static inline int64_t limit_ms(enum limit limit)
{
	return limit_s(limit) * 1000LL;
}

/* 0; -ENOENT: no limit has that name; -ERANGE: not 1 s to a day. */
int limit_set(const char *name, int64_t seconds);

#endif
