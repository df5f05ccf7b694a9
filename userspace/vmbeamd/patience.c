// SPDX-License-Identifier: GPL-2.0
#include <stdatomic.h>

#include "clock.h"
#include "limit.h"
#include "patience.h"

static atomic_int cancelled;

void patience_cancel(enum cancel why)
{
	atomic_store(&cancelled, why);
}

void patience_begin(struct patience *p)
{
	p->until_ms = clock_ms() + limit_ms(LIMIT_MIGRATION);
	p->pause_until_ms = 0;
}

void patience_pause(struct patience *p)
{
	p->pause_until_ms = clock_ms() + limit_ms(LIMIT_PAUSE);
}

void patience_end(struct patience *p)
{
	p->until_ms = p->pause_until_ms = 0;
}

int patience_over(const struct patience *p, struct error *err)
{
	int64_t now = clock_ms();

	if (!p->until_ms)
		return 0;
	if (now > p->until_ms)
		return error_set(err, "the migration has taken the %d s that the limit \"migration\" allows", limit_s(LIMIT_MIGRATION));
	if (p->pause_until_ms && now > p->pause_until_ms)
		return error_set(err, "the guest VM has stood still for the %d s that the limit \"pause\" allows", limit_s(LIMIT_PAUSE));
	switch (atomic_load(&cancelled)) {
	case CANCEL_BY_OPERATOR:
		return error_set(err, "cancelled by an operator");
	case CANCEL_BY_STOP:
		return error_set(err, "cancelled: vmbeamd is being stopped");
	default:
		return 0;
	}
}
