// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "savestream.h"

/* tools/xl/xl.h: char magic[32], then byte order, mandatory flags, optional flags, length of optional data */
#define XL_MAGIC		"Xen saved domain, xl format\n \0 \r"
#define XL_HEADER_LEN		48
#define XL_BYTE_ORDER		0x01020304U
#define XL_FLAG_STREAM_V2	2U
#define XL_MAX_OPTIONAL		(1U << 20)

/* docs/specs/libxl-migration-stream.pandoc: the header is big endian, the records are the host's */
#define LIBXL_IDENT		0x4c6962786c466d74ULL
#define LIBXL_HEADER_LEN	16
#define LIBXL_END		0
#define LIBXL_LIBXC_CONTEXT	1

/* docs/specs/libxc-migration-stream.pandoc */
#define LIBXC_IMAGE_LEN		24
#define LIBXC_ID		0x58454e46U
#define LIBXC_DOMAIN_LEN	16
#define LIBXC_X86_PV		1
#define LIBXC_END		0
#define LIBXC_PAGE_DATA		1
#define RECORD_LEN		8
#define RECORD_MAX		(128U << 20)
#define PAGES_LEN		8
#define PAGE			4096

/* The type of a pfn in PAGE_DATA: XEN_DOMCTL_PFINFO_* >> 28, public/domctl.h */
#define PFN_MASK		0x000fffffffffffffULL
#define TYPE_PINNED		0x8
#define TYPE_BROKEN		0xd
#define TYPE_XALLOC		0xe
#define TYPE_XTAB		0xf

static uint32_t le32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t le64(const uint8_t *p)
{
	return le32(p) | (uint64_t)le32(p + 4) << 32;
}

static uint32_t be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static int __attribute__((format(printf, 2, 3))) bad(struct savestream *s, const char *fmt, ...)
{
	va_list ap;
	int n = snprintf(s->error, sizeof(s->error), "migration stream, before byte %llu: ",
			 (unsigned long long)s->offset);

	va_start(ap, fmt);
	vsnprintf(s->error + n, sizeof(s->error) - n, fmt, ap);
	va_end(ap);
	s->state = SAVESTREAM_BAD;
	return -EBADMSG;
}

static int pfn_set_add(struct pfn_set *set, uint64_t pfn)
{
	if (pfn >= set->room) {
		uint64_t room = set->room ? set->room : 1 << 16;
		uint64_t *bits;

		while (room <= pfn)
			room *= 2;
		bits = realloc(set->bits, room / 8);
		if (!bits)
			return -ENOMEM;
		memset((char *)bits + set->room / 8, 0, (room - set->room) / 8);
		set->bits = bits;
		set->room = room;
	}
	if (!pfn_set_has(set, pfn)) {
		set->bits[pfn / 64] |= 1ULL << pfn % 64;
		set->nr++;
	}
	return 0;
}

int pfn_set_has(const struct pfn_set *set, uint64_t pfn)
{
	return pfn < set->room && set->bits[pfn / 64] >> pfn % 64 & 1;
}

uint64_t pfn_set_end(const struct pfn_set *set)
{
	uint64_t end = set->room;

	while (end && !pfn_set_has(set, end - 1))
		end--;
	return end;
}

int pfn_set_extents(const struct pfn_set *set, struct vmbeam_extents *out)
{
	/* By whole words: the guest VM stands still. */
	for (uint64_t pfn = 0; pfn < set->room;) {
		uint64_t word = set->bits[pfn / 64] >> pfn % 64, nr;
		int rc;

		if (!word) {
			pfn = (pfn | 63) + 1;
			continue;
		}
		pfn += __builtin_ctzll(word);
		word >>= __builtin_ctzll(word);
		nr = ~word ? __builtin_ctzll(~word) : 64;
		rc = vmbeam_extents_add(out, pfn, pfn, nr);
		if (rc)
			return rc;
		pfn += nr;
	}
	return 0;
}

void savestream_clear(struct savestream *s)
{
	free(s->populated.bits);
	free(s->kept.bits);
	memset(s, 0, sizeof(*s));
}

int savestream_ended(const struct savestream *s)
{
	return s->state == SAVESTREAM_END;
}

static int xl_header(struct savestream *s)
{
	if (memcmp(s->head, XL_MAGIC, 32))
		return bad(s, "not an xl savefile");
	if (le32(s->head + 32) != XL_BYTE_ORDER)
		return bad(s, "byte order 0x%08x", le32(s->head + 32));
	if (!(le32(s->head + 36) & XL_FLAG_STREAM_V2))
		return bad(s, "not a stream of version 2");
	s->skip = le32(s->head + 44);
	if (s->skip > XL_MAX_OPTIONAL)
		return bad(s, "%llu bytes of configuration", (unsigned long long)s->skip);
	s->state = SAVESTREAM_LIBXL_HEADER;
	return 0;
}

static int libxl_header(struct savestream *s)
{
	if (((uint64_t)be32(s->head) << 32 | be32(s->head + 4)) != LIBXL_IDENT)
		return bad(s, "not a libxl stream");
	if (be32(s->head + 8) != 2 || be32(s->head + 12))
		return bad(s, "libxl stream of version %u, options 0x%x", be32(s->head + 8), be32(s->head + 12));
	s->state = SAVESTREAM_LIBXL_RECORD;
	return 0;
}

static int libxl_record(struct savestream *s)
{
	uint32_t type = le32(s->head), len = le32(s->head + 4);

	if (len > RECORD_MAX)
		return bad(s, "libxl record of type %u and %u bytes", type, len);
	s->skip = (len + 7ULL) & ~7ULL;
	if (type == LIBXL_END || type == LIBXL_LIBXC_CONTEXT) {
		if (len)
			return bad(s, "libxl record of type %u that is not empty", type);
		s->state = type == LIBXL_END ? SAVESTREAM_END : SAVESTREAM_LIBXC_IMAGE;
	}
	return 0;
}

static int libxc_image(struct savestream *s)
{
	if (le64(s->head) != ~0ULL || be32(s->head + 8) != LIBXC_ID)
		return bad(s, "not a libxc image");
	if (be32(s->head + 12) != 3 || s->head[16] || s->head[17])
		return bad(s, "libxc image of version %u", be32(s->head + 12));
	s->state = SAVESTREAM_LIBXC_DOMAIN;
	return 0;
}

static int libxc_domain(struct savestream *s)
{
	if (le32(s->head) != LIBXC_X86_PV || s->head[4] != 12 || s->head[5])
		return bad(s, "the domain is not x86 PV");
	s->state = SAVESTREAM_LIBXC_RECORD;
	return 0;
}

static int libxc_record(struct savestream *s)
{
	uint32_t type = le32(s->head), len = le32(s->head + 4);
	uint64_t padded = (len + 7ULL) & ~7ULL;

	if (len > RECORD_MAX)
		return bad(s, "libxc record of type %u and %u bytes", type, len);
	if (type == LIBXC_PAGE_DATA) {
		if (len < PAGES_LEN)
			return bad(s, "PAGE_DATA of %u bytes", len);
		s->rec_left = len - PAGES_LEN;
		s->rec_pad = padded - len;
		s->state = SAVESTREAM_PAGES_HEADER;
		return 0;
	}
	if (type == LIBXC_END)
		s->state = SAVESTREAM_LIBXL_RECORD;
	s->skip = padded;
	return 0;
}

/* All pfns of a PAGE_DATA record are known: what follows is the pages of those that carry content, and no more. */
static int pages_content(struct savestream *s)
{
	if (s->rec_left != s->pages * PAGE)
		return bad(s, "PAGE_DATA announces %llu pages and has %llu bytes for them",
			   (unsigned long long)s->pages, (unsigned long long)s->rec_left);
	s->skip = s->rec_left + s->rec_pad;
	s->state = SAVESTREAM_LIBXC_RECORD;
	return 0;
}

static int pages_header(struct savestream *s)
{
	s->pfns_left = le32(s->head);
	s->pages = 0;
	if (!s->pfns_left || s->pfns_left > s->rec_left / 8)
		return bad(s, "PAGE_DATA of %u pfns in %llu bytes", s->pfns_left, (unsigned long long)s->rec_left);
	s->state = SAVESTREAM_PAGES_PFN;
	return 0;
}

static int pages_pfn(struct savestream *s)
{
	uint64_t word = le64(s->head), pfn = word & PFN_MASK;
	unsigned int type = word >> 60;
	int rc = 0;

	if (pfn >= SAVESTREAM_MAX_PFN)
		return bad(s, "pfn 0x%llx is beyond the limit", (unsigned long long)pfn);
	s->rec_left -= 8;
	if (type <= 4 || (type > TYPE_PINNED && type <= (TYPE_PINNED | 4))) {
		s->pages++;
		rc = pfn_set_add(&s->populated, pfn);
		if (!rc)
			rc = pfn_set_add(&s->kept, pfn);
	} else if (type == TYPE_XALLOC) {
		rc = pfn_set_add(&s->populated, pfn);
	} else if (type != TYPE_BROKEN && type != TYPE_XTAB) {
		return bad(s, "pfn 0x%llx has the unknown type %u", (unsigned long long)pfn, type);
	}
	if (!rc && !--s->pfns_left)
		rc = pages_content(s);
	return rc;
}

static const struct {
	size_t len;
	int (*done)(struct savestream *s);
} parts[] = {
	[SAVESTREAM_XL_HEADER] = { XL_HEADER_LEN, xl_header },
	[SAVESTREAM_LIBXL_HEADER] = { LIBXL_HEADER_LEN, libxl_header },
	[SAVESTREAM_LIBXL_RECORD] = { RECORD_LEN, libxl_record },
	[SAVESTREAM_LIBXC_IMAGE] = { LIBXC_IMAGE_LEN, libxc_image },
	[SAVESTREAM_LIBXC_DOMAIN] = { LIBXC_DOMAIN_LEN, libxc_domain },
	[SAVESTREAM_LIBXC_RECORD] = { RECORD_LEN, libxc_record },
	[SAVESTREAM_PAGES_HEADER] = { PAGES_LEN, pages_header },
	[SAVESTREAM_PAGES_PFN] = { 8, pages_pfn },
};

int savestream_feed(struct savestream *s, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		size_t n;
		int rc;

		if (s->state == SAVESTREAM_BAD)
			return -EBADMSG;
		if (s->skip) {
			n = len < s->skip ? len : s->skip;
			s->skip -= n;
		} else if (s->state == SAVESTREAM_END) {
			return bad(s, "%zu bytes behind the end", len);
		} else {
			size_t want = parts[s->state].len - s->have;

			n = len < want ? len : want;
			memcpy(s->head + s->have, p, n);
			s->have += n;
		}
		p += n;
		len -= n;
		s->offset += n;
		if (s->state < SAVESTREAM_END && s->have == parts[s->state].len) {
			s->have = 0;
			rc = parts[s->state].done(s);
			if (rc)
				return rc;
		}
	}
	return 0;
}
