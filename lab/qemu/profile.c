// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU that counts the instructions of the machine by where they are, between two marks that a program in
 * it executes: long no-ops whose displacement says "begin" or "end". Counts, and not samples: the same every time.
 *
 * At the end it writes lines "ADDRESS INSTRUCTIONS", one for each block of translated code, to the file of its argument
 * out=.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <glib.h>
#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

/* nopl DISPLACEMENT(%rax,%rax,1): see selftests/tools/swap_cost.c */
static const uint8_t mark_begin[8] = { 0x0f, 0x1f, 0x84, 0x00, 'v', 'm', 'b', '1' };
static const uint8_t mark_end[8] = { 0x0f, 0x1f, 0x84, 0x00, 'v', 'm', 'b', '0' };

struct block {
	uint64_t addr;
	uint64_t insns;		/* of one execution */
	uint64_t total;
};

static char *out;
static GPtrArray *blocks;	/* of all translations; as long as QEMU runs */
static GMutex lock;		/* for blocks; with -icount all CPUs run in one thread, which alone counts */
static bool counting;

static void on_mark(unsigned int cpu, void *begin)
{
	counting = begin != NULL;
}

static void on_block(unsigned int cpu, void *data)
{
	struct block *b = data;

	if (counting)
		b->total += b->insns;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);
	struct block *b = g_new0(struct block, 1);

	b->addr = qemu_plugin_tb_vaddr(tb);
	b->insns = n;
	g_mutex_lock(&lock);
	g_ptr_array_add(blocks, b);
	g_mutex_unlock(&lock);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, b);

	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint8_t bytes[8];

		if (qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) < sizeof(bytes))
			continue;
		if (!memcmp(bytes, mark_begin, sizeof(bytes)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_PLUGIN_CB_NO_REGS, b);
		else if (!memcmp(bytes, mark_end, sizeof(bytes)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

static void at_exit(qemu_plugin_id_t id, void *data)
{
	FILE *f = fopen(out, "w");
	guint i;

	if (!f) {
		perror(out);
		return;
	}
	for (i = 0; i < blocks->len; i++) {
		const struct block *b = g_ptr_array_index(blocks, i);

		if (b->total)
			fprintf(f, "%016" PRIx64 " %" PRIu64 "\n", b->addr, b->total);
	}
	if (fclose(f))
		perror(out);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++)
		if (g_str_has_prefix(argv[i], "out="))
			out = g_strdup(argv[i] + 4);
	if (!out) {
		fprintf(stderr, "profile: out=FILE is missing\n");
		return -1;
	}
	blocks = g_ptr_array_new();
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}
