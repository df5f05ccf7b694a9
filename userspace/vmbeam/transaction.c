// SPDX-License-Identifier: GPL-2.0
/* Transactions of the host module that are open or stuck: list them, try a stuck one again, give it up. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "js.h"
#include "vmbeam.h"

#define LIST_MAX 4096

static const char help[] =
	"usage: vmbeam transaction [--json] list\n"
	"       vmbeam transaction [--json] retry ID\n"
	"       vmbeam transaction [--json] forget ID\n\n"
	"In the host management VM: the swap transactions that vmbeam_host.ko has not finished.\n\n"
	"  list      all that are open in some process, or stuck: frames could not be swapped back\n"
	"  retry     try to swap a stuck one's frames back once more\n"
	"  forget    give a stuck one up. The frames stay where they are, and nothing knows any more where they belong: the\n"
	"            guest VM is lost unless you can do without these frames. Needed only when a host VM was destroyed\n\n"
	"Exits with 0 when it is done, with 3 on an error, with 4 when frames are still stuck.\n";

const char *cli_txn_state(uint32_t state)
{
	static const char *const names[] = {
		[VMBEAM_TXN_OPEN] = "open",
		[VMBEAM_TXN_COMMITTED] = "committed",
		[VMBEAM_TXN_ROLLED_BACK] = "rolled-back",
		[VMBEAM_TXN_STUCK] = "stuck",
		[VMBEAM_TXN_FORGOTTEN] = "forgotten",
	};

	return state < sizeof(names) / sizeof(names[0]) && names[state] ? names[state] : "unknown";
}

/* What stands in the way, in words. */
static const char *reason(const struct vmbeam_txn_outcome *t)
{
	return t->stuck_error ? strerror(t->stuck_error) : vmbeam_pair_status(t->stuck_status);
}

static void print_one(const struct vmbeam_txn_outcome *t)
{
	printf("%llu: domains %u and %u, %s", (unsigned long long)t->id, t->domid_a, t->domid_b, cli_txn_state(t->state));
	if (t->nr_stuck) {
		printf(": %llu pairs of frames could not be swapped back, the first 0x%llx with 0x%llx (%s",
		       (unsigned long long)t->nr_stuck, (unsigned long long)t->stuck_gfn_a,
		       (unsigned long long)t->stuck_gfn_b, reason(t));
		if (!t->stuck_error && t->stuck_status & (VMBEAM_PAIR_SIDE_A | VMBEAM_PAIR_SIDE_B))
			printf("; domain %u's frame", t->stuck_status & VMBEAM_PAIR_SIDE_A ? t->domid_a : t->domid_b);
		putchar(')');
	}
	putchar('\n');
}

static struct json_object *one_json(const struct vmbeam_txn_outcome *t)
{
	struct json_object *o = json_object_new_object();

	js_add_u64(o, "transaction", t->id);
	js_add_str(o, "state", cli_txn_state(t->state));
	js_add_u64(o, "domid_a", t->domid_a);
	js_add_u64(o, "domid_b", t->domid_b);
	js_add_u64(o, "stuck", t->nr_stuck);
	if (t->nr_stuck) {
		js_add_u64(o, "gfn_a", t->stuck_gfn_a);
		js_add_u64(o, "gfn_b", t->stuck_gfn_b);
		js_add_str(o, "reason", reason(t));
	}
	return o;
}

static int failed(const char *what, int rc)
{
	fprintf(stderr, "vmbeam: %s: %s\n", what, strerror(-rc));
	return CLI_ROLLED_BACK;
}

static int do_list(int dev, bool json)
{
	struct vmbeam_txn_outcome *list = calloc(LIST_MAX, sizeof(*list));
	struct json_object *array = json_object_new_array();
	int nr = list ? vmbeam_txn_list(dev, list, LIST_MAX) : -ENOMEM;

	for (int i = 0; i < nr && i < LIST_MAX; i++) {
		if (json)
			json_object_array_add(array, one_json(&list[i]));
		else
			print_one(&list[i]);
	}
	if (nr >= 0 && json)
		cli_print(array);
	json_object_put(array);
	free(list);
	return nr < 0 ? failed("the list of transactions", nr) : CLI_OK;
}

static int do_one(int dev, const char *text, bool forget, bool json)
{
	struct vmbeam_txn_outcome out;
	uint64_t id;
	int rc, told;

	if (!cli_number(text, ~0ULL, &id))
		return cli_misuse("\"%s\" is not the id of a transaction", text);
	if (forget) {
		int txn = vmbeam_txn_reopen(dev, id);

		rc = txn < 0 ? txn : vmbeam_txn_forget(txn);
		if (txn >= 0)
			close(txn);
	} else {
		rc = vmbeam_txn_retry(dev, id);
	}
	if (rc == -EBADFD) {
		fprintf(stderr, "vmbeam: transaction %s is not stuck\n", text);
		return CLI_ROLLED_BACK;
	}
	if (rc && rc != -EBUSY)
		return failed(text, rc);
	told = vmbeam_txn_outcome(dev, id, &out);
	if (told)
		return failed(text, told);
	if (json) {
		struct json_object *o = one_json(&out);

		cli_print(o);
		json_object_put(o);
	} else {
		print_one(&out);
	}
	return rc ? CLI_STUCK : CLI_OK;
}

int cli_transaction(int argc, char **argv)
{
	const char *verb;
	bool json;
	int dev, rc;

	rc = cli_options(argc, argv, help, &json);
	if (rc >= 0)
		return rc;
	verb = optind < argc ? argv[optind++] : "";
	if (strcmp(verb, "list") && strcmp(verb, "retry") && strcmp(verb, "forget"))
		return cli_misuse("transaction takes list, retry or forget");
	if (argc - optind != !!strcmp(verb, "list"))
		return cli_misuse(strcmp(verb, "list") ? "%s takes the id of a transaction" : "%s takes no argument", verb);
	dev = vmbeam_open();
	if (dev < 0) {
		fprintf(stderr, "vmbeam: %s: %s: is vmbeam_host.ko loaded?\n", VMBEAM_DEVICE, strerror(-dev));
		return CLI_ROLLED_BACK;
	}
	rc = strcmp(verb, "list") ? do_one(dev, argv[optind], !strcmp(verb, "forget"), json) : do_list(dev, json);
	close(dev);
	return rc;
}
