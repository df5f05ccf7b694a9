/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of finish(), which migration.h has. All of them can be repeated. A is the source, B the destination. Where an
 * int is returned it is 0, or -1: try again later, m->finishing says what it is waiting for.
 */
#ifndef VMBEAM_FINISH_H
#define VMBEAM_FINISH_H

#include "migration.h"

/* finish_back.c: the source, as it was before. It comes before anything on the destination: the guest is waiting. */
int finish_back_a(struct migration *m);
/* The destination, as it was before. */
int finish_back_b(struct migration *m);

/* finish_forward.c: lets the guest VM run on the destination, once. */
int finish_forward_b(struct migration *m);
/* What is left of it on the source. */
int finish_forward_a(struct migration *m);

/* finish_side.c: asks for something that may have nothing to do. -1 only when the agent is lost. */
int finish_ask(struct migration *m, struct agent *a, const char *op, struct json_object *args, int limit_s);
/* Those of @domid. @armed_too: else what is armed is left alone. */
int finish_release_exports(struct migration *m, struct agent *a, uint32_t domid, bool armed_too);
/* After its destruction. @domid may be 0: any domain of the guest VM. */
int finish_still_there(struct migration *m, struct agent *a, uint32_t domid);
/* The armed export of a domain that is gone: it alone keeps the frames. 0: there is none. From the last hello. */
uint64_t finish_armed_export(struct agent *a, uint32_t domid);
/*
 * Nobody can run the guest VM any more. An armed export of it is left alone: what it pins is the only copy of the
 * guest VM's memory, and whether somebody wants to look into that is not for the daemon to say.
 */
void finish_lose(struct migration *m, struct agent *a, uint32_t domid, const char *when);
/* The guest VM runs where it belongs. A later daemon, or try, must not take it for lost when it has ended since. */
void finish_resumed(struct migration *m);

#endif
