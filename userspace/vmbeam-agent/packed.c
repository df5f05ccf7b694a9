// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>

#include "pack.h"
#include "packed.h"

int packed_put(struct request *r)
{
	uint32_t packed_len;
	uint8_t *packed;
	int rc = pack(r->out_blob, r->out_len, &packed, &packed_len);

	if (rc == -E2BIG)
		return 0;
	if (rc)
		return fail(r, rc, "out of memory");
	put_number(r, "unpacked", r->out_len);
	free(r->out_blob);
	r->out_blob = packed;
	r->out_len = packed_len;
	return 0;
}

int packed_get(struct request *r, size_t max, uint8_t **unpacked, const uint8_t **piece, size_t *len)
{
	uint64_t full = r->blob_len;
	int rc;

	*unpacked = NULL;
	*piece = r->blob;
	if (has_key(r, "unpacked")) {
		rc = get_number(r, "unpacked", max, &full);
		if (rc)
			return rc;
		rc = unpack(r->blob, r->blob_len, full, unpacked);
		if (rc)
			return fail(r, rc, rc == -ENOMEM ? "out of memory" : "a packed blob cannot be unpacked");
		*piece = *unpacked;
	}
	*len = full;
	return 0;
}
