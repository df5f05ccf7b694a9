// SPDX-License-Identifier: GPL-2.0
/* Raw swaps, straight on the host module: for tests. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "js.h"
#include "vmbeam.h"

static const char help[] =
	"usage: vmbeam swap [OPTIONS] DOMID_A DOMID_B GFN_A:GFN_B[:COUNT]...\n"
	"       vmbeam swap [--json] --outcome ID\n\n"
	"Swaps frames of two HVM domains in one transaction, in the host management VM. Without --commit the frames\n"
	"are swapped back at the end. For tests: it stops nobody from using the memory meanwhile.\n\n"
	"  --commit     keep the swaps\n"
	"  --exchange   exchange the contents of pairs that are busy\n"
	"  --hold       after the swap, wait for the end of standard input\n"
	"  --status     with --json: the status of each pair\n"
	"  --outcome    say what became of a transaction\n"
	"  --json       the counts as JSON; with --hold twice, before and after\n\n"
	"A GFN_A:... of \"-\" reads more of them from standard input (not together with --hold).\n"
	"Exits with 0 when every pair was swapped or exchanged, with 2 when some were not, with 3 on an error, with 4\n"
	"when pairs could not be put back: see vmbeam transaction.\n";

static bool parse_pair(char *text, struct vmbeam_pairs *pairs)
{
	char *b = strchr(text, ':'), *nr = b ? strchr(b + 1, ':') : NULL;
	uint64_t gfn_a, gfn_b, count = 1;

	if (!b)
		return false;
	*b++ = 0;
	if (nr)
		*nr++ = 0;
	return cli_number(text, ~0ULL, &gfn_a) && cli_number(b, ~0ULL, &gfn_b) &&
	       (!nr || cli_number(nr, 1U << 31, &count)) && !vmbeam_pairs_add(pairs, gfn_a, gfn_b, count);
}

static bool read_pairs(struct vmbeam_pairs *pairs)
{
	char word[96];

	while (scanf("%95s", word) == 1)
		if (!parse_pair(word, pairs))
			return false;
	return true;
}

static void add_outcome(struct json_object *o, const struct vmbeam_txn_outcome *out)
{
	struct json_object *pauses = json_object_new_array();

	for (int i = 0; i < VMBEAM_PAUSES; i++)
		json_object_array_add(pauses, json_object_new_int64(out->pauses[i]));
	js_add_u64(o, "transaction", out->id);
	js_add_str(o, "state", cli_txn_state(out->state));
	js_add_u64(o, "domid_a", out->domid_a);
	js_add_u64(o, "domid_b", out->domid_b);
	js_add_u64(o, "swapped", out->nr_swapped);
	js_add_u64(o, "exchanged", out->nr_exchanged);
	js_add_u64(o, "busy", out->nr_busy);
	js_add_u64(o, "refused", out->nr_refused);
	js_add_u64(o, "rolled_back", out->nr_rolled_back);
	js_add_u64(o, "stuck", out->nr_stuck);
	js_add_u64(o, "swap_ns", out->swap_ns);
	js_add_u64(o, "rollback_ns", out->rollback_ns);
	js_add_u64(o, "large", out->nr_large);
	js_add_u64(o, "flushes", out->nr_flushes);
	js_add_u64(o, "max_pause_ns", out->max_pause_ns);
	json_object_object_add(o, "pauses", pauses);
}

static void print(struct json_object *o, bool json)
{
	if (json) {
		cli_print(o);
		return;
	}
	json_object_object_foreach(o, key, value)
		printf("%s %s\n", key, json_object_get_string(value));
	fflush(stdout);
}

static int print_outcome(int dev, uint64_t id, struct json_object *more, bool json)
{
	struct json_object *o = more ? more : json_object_new_object();
	struct vmbeam_txn_outcome out;
	int rc = vmbeam_txn_outcome(dev, id, &out);

	if (rc) {
		fprintf(stderr, "vmbeam: transaction %llu: %s\n", (unsigned long long)id, strerror(-rc));
		json_object_put(o);
		return CLI_ROLLED_BACK;
	}
	add_outcome(o, &out);
	print(o, json);
	json_object_put(o);
	return out.state == VMBEAM_TXN_STUCK ? CLI_STUCK : CLI_OK;
}

/* One call of the module for as much of the list as it takes. */
static int swap_list(int dev, int txn, uint32_t flags, const struct vmbeam_pairs *pairs, struct json_object *statuses,
		     struct vmbeam_txn_swap *sum)
{
	struct vmbeam_query q;
	uint8_t *status;
	int rc = vmbeam_query(dev, &q);

	if (rc)
		return rc;
	memset(sum, 0, sizeof(*sum));
	status = malloc(q.max_frames ? q.max_frames : 1);
	if (!status)
		return -ENOMEM;
	for (size_t i = 0; !rc && i < pairs->nr; i++) {
		for (uint32_t at = 0; !rc && at < pairs->v[i].nr;) {
			uint32_t left = pairs->v[i].nr - at;
			struct vmbeam_extent_pair part = {
				.gfn_a = pairs->v[i].gfn_a + at,
				.gfn_b = pairs->v[i].gfn_b + at,
				.nr = left < q.max_frames ? left : q.max_frames,
			};
			struct vmbeam_txn_swap r;

			rc = vmbeam_txn_swap(txn, flags, &part, 1, NULL, 0, status, &r);
			sum->nr_done += r.nr_done;
			sum->nr_swapped += r.nr_swapped;
			sum->nr_exchanged += r.nr_exchanged;
			sum->nr_busy += r.nr_busy;
			sum->nr_refused += r.nr_refused;
			for (uint64_t k = 0; statuses && k < r.nr_done && k < part.nr; k++)
				json_object_array_add(statuses, json_object_new_int(status[k]));
			at += part.nr;
		}
	}
	free(status);
	return rc;
}

int cli_swap(int argc, char **argv)
{
	static const struct option options[] = {
		{ "commit", no_argument, NULL, 'c' },
		{ "exchange", no_argument, NULL, 'x' },
		{ "hold", no_argument, NULL, 'H' },
		{ "status", no_argument, NULL, 's' },
		{ "outcome", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	bool commit = false, exchange = false, hold = false, status = false, json = false;
	uint64_t outcome = 0, dom_a, dom_b, id;
	struct vmbeam_pairs pairs = { 0 };
	struct vmbeam_txn_swap sum;
	struct json_object *o;
	int opt, dev, txn, rc, end_rc;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (opt) {
		case 'c': commit = true; break;
		case 'x': exchange = true; break;
		case 'H': hold = true; break;
		case 's': status = true; break;
		case 'j': json = true; break;
		case 'h': fputs(help, stdout); return CLI_OK;
		case 'o':
			if (!cli_number(optarg, ~0ULL, &outcome) || !outcome)
				return cli_misuse("\"%s\" is not the id of a transaction", optarg);
			break;
		default: return CLI_MISUSE;
		}
	}
	if (!outcome) {
		if (argc - optind < 3)
			return cli_misuse("swap takes two domids and pairs of frames");
		if (!cli_number(argv[optind], 0x7fef, &dom_a) || !cli_number(argv[optind + 1], 0x7fef, &dom_b))
			return cli_misuse("\"%s\" or \"%s\" is not a domid", argv[optind], argv[optind + 1]);
		for (int i = optind + 2; i < argc; i++)
			if (strcmp(argv[i], "-") ? !parse_pair(argv[i], &pairs) : !read_pairs(&pairs)) {
				vmbeam_pairs_free(&pairs);
				return cli_misuse("a pair of frames is GFN_A:GFN_B or GFN_A:GFN_B:COUNT, \"%s\" is not", argv[i]);
			}
	}
	dev = vmbeam_open();
	if (dev < 0) {
		fprintf(stderr, "vmbeam: %s: %s: is vmbeam_host.ko loaded?\n", VMBEAM_DEVICE, strerror(-dev));
		vmbeam_pairs_free(&pairs);
		return CLI_ROLLED_BACK;
	}
	if (outcome) {
		rc = print_outcome(dev, outcome, NULL, json);
		close(dev);
		return rc;
	}
	txn = vmbeam_txn_begin(dev, dom_a, dom_b, &id);
	if (txn < 0) {
		fprintf(stderr, "vmbeam: no transaction between domains %u and %u: %s\n", (unsigned int)dom_a,
			(unsigned int)dom_b, strerror(-txn));
		close(dev);
		vmbeam_pairs_free(&pairs);
		return CLI_ROLLED_BACK;
	}
	o = json_object_new_object();
	js_add_u64(o, "pairs", vmbeam_pairs_frames(&pairs));
	struct json_object *statuses = status ? json_object_new_array() : NULL;

	rc = swap_list(dev, txn, exchange ? VMBEAM_SWAP_EXCHANGE : 0, &pairs, statuses, &sum);
	if (statuses)
		json_object_object_add(o, "status", statuses);
	if (rc)
		fprintf(stderr, "vmbeam: the swap failed: %s\n", strerror(-rc));
	if (hold) {
		char drop[256];

		print_outcome(dev, id, json_object_new_object(), json);
		while (read(0, drop, sizeof(drop)) > 0)
			;
	}
	if (!rc && commit) {
		rc = vmbeam_txn_commit(txn);
		if (rc)
			fprintf(stderr, "vmbeam: the commit failed: %s\n", strerror(-rc));
	} else {
		int back = vmbeam_txn_rollback(txn);

		if (back)
			fprintf(stderr, "vmbeam: the rollback failed: %s\n", strerror(-back));
	}
	close(txn);
	end_rc = print_outcome(dev, id, o, json);
	close(dev);
	if (end_rc == CLI_OK && rc)
		end_rc = CLI_ROLLED_BACK;
	if (end_rc == CLI_OK && sum.nr_swapped + sum.nr_exchanged != vmbeam_pairs_frames(&pairs))
		end_rc = CLI_REFUSED;
	vmbeam_pairs_free(&pairs);
	return end_rc;
}
