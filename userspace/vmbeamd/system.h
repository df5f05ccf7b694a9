/* SPDX-License-Identifier: GPL-2.0 */
/* Stops and starts a host VM, with the toolstack's own command. On the worker's thread; each can be repeated. */
#ifndef VMBEAM_SYSTEM_H
#define VMBEAM_SYSTEM_H

#include "agent.h"
#include "error.h"

/*
 * Shuts it down: its agent tells the management VM to power off, or, if that does not answer, the toolstack presses the
 * button. One that is still there after the limit "system" is destroyed: no guest VM is on it. 0: nothing runs in it any
 * more; or -1 with the reason. No error if it is gone already.
 */
int system_stop(const char *name, struct agent *a, struct error *err);
/*
 * Can @config be what it is created from? It is read, and xl makes a configuration of it, without creating anything. 0, or -1 with
 * what is wrong.
 */
int system_check(const char *name, const char *config, struct error *err);
/* Destroys what is preserved of it, and creates it from @config, a file of xl's. No error if it runs. */
int system_start(const char *name, const char *config, struct error *err);

#endif
