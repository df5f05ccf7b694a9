// SPDX-License-Identifier: GPL-2.0
/*
 * vmbeam-agent: the daemon's arm in a guest management VM. One thread, one request at a time: a request comes in on
 * the port, its op runs, the reply goes out. Here are the port, the loop, and the table of ops.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel.h"
#include "export.h"
#include "guard.h"
#include "hold.h"
#include "installed.h"
#include "limit.h"
#include "log.h"
#include "memory.h"
#include "ops.h"
#include "system.h"
#include "watch.h"

#define PORT		"/dev/virtio-ports/org.vmbeam.agent"
#define RETRY_US	200000
#define SEND_MS		30000
/* As long as a predecessor's message can pause in its middle, and no longer than the daemon waits for an answer. */
#define QUIET_MS	500
#define DRAIN_MS	10000

static int op_hello(struct request *r);

static const struct op {
	const char *name;
	int (*run)(struct request *r);
} ops[] = {
	{ "hello", op_hello },
	{ "system", op_system },
	{ "guest-check", op_guest_check },
	{ "guest-frames", op_guest_frames },
	{ "dest-check", op_dest_check },
	{ "disk-blocks", op_disk_blocks },
	{ "needs", op_needs },
	{ "save-begin", op_save_begin },
	{ "save-read", op_save_read },
	{ "save-go", op_save_go },
	{ "save-status", op_save_status },
	{ "save-abort", op_save_abort },
	{ "restore-begin", op_restore_begin },
	{ "restore-write", op_restore_write },
	{ "restore-populated", op_restore_populated },
	{ "restore-end", op_restore_end },
	{ "restore-abort", op_restore_abort },
	{ "export-begin", op_export_begin },
	{ "export-sync", op_export_sync },
	{ "export-read", op_export_read },
	{ "export-arm", op_export_arm },
	{ "export-release", op_export_release },
	{ "quiesce", op_quiesce },
	{ "rebind", op_rebind },
	{ "resume", op_resume },
	{ "unpause", op_unpause },
	{ "destroy", op_destroy },
	{ "guest-shutdown", op_guest_shutdown },
	{ "guest-start", op_guest_start },
	{ "probe", op_probe },
	{ "power-off", op_power_off },
	{ "guard-back", op_guard_back },
	{ "guard-adopt", op_guard_adopt },
};

#define NR_OPS (sizeof(ops) / sizeof(ops[0]))

static int op_hello(struct request *r)
{
	struct json_object *features = json_object_new_array();

	put_string(r->out, "version", VMBEAM_VERSION);
	system_put_xen(r->out);
	for (size_t i = 0; i < NR_OPS; i++)
		json_object_array_add(features, json_object_new_string(ops[i].name));
	/* save-read and restore-write take "pack" and "unpacked" */
	json_object_array_add(features, json_object_new_string("pack-runs"));
	if (installed_helper())
		json_object_array_add(features, json_object_new_string("save-helper"));
	if (exports_available())
		json_object_array_add(features, json_object_new_string("export-device"));
	json_object_object_add(r->out, "features", features);
	return list_all(r);
}

static void run_op(struct request *r)
{
	const char *name;
	char hold[64];

	if (get_string(r, "op", 32, false, &name))
		return;
	for (size_t i = 0; i < NR_OPS; i++) {
		if (strcmp(ops[i].name, name))
			continue;
		snprintf(hold, sizeof(hold), "agent:%s", name);
		hold_point(hold);
		ops[i].run(r);
		if (*r->error)
			log_warn("%s: %s", name, r->error);
		return;
	}
	fail(r, -EOPNOTSUPP, "this agent knows no operation \"%s\": is it older than vmbeamd?", name);
}

/* A reply without the blob and the op's values: the sequence number, and what went wrong. */
static void reply_error(struct request *r, struct json_object *seq)
{
	json_object_put(r->out);
	r->out = json_object_new_object();
	json_object_object_add(r->out, "seq", json_object_get(seq));
	put_bool(r, "ok", false);
	put_string(r->out, "error", r->error);
	put_string(r->out, "code", r->code ? r->code : "EIO");
	r->out_len = 0;
}

static int serve(struct channel *ch, struct message *m)
{
	struct request r = { .in = m->json, .blob = m->blob, .blob_len = m->blob_len };
	struct json_object *seq = NULL;
	int rc;

	r.out = json_object_new_object();
	if (m->json)
		json_object_object_get_ex(m->json, "seq", &seq);
	if (!m->json)
		fail(&r, -EBADMSG, "a request is no JSON object in UTF-8: is vmbeamd of another version than this agent?");
	else if (json_object_is_type(seq, json_type_int))
		run_op(&r);
	else
		fail(&r, -EINVAL, "the request lacks the number \"seq\"");
	if (!seq)
		log_warn("%s", r.error);

	if (*r.error) {
		reply_error(&r, seq);
	} else {
		json_object_object_add(r.out, "seq", json_object_get(seq));
		put_bool(&r, "ok", true);
		if (r.again)
			put_bool(&r, "again", true);
	}
	rc = channel_send(ch, m->session, r.out, r.out_blob, r.out_len, SEND_MS);
	if (rc == -EMSGSIZE || rc == -EILSEQ) {
		fail(&r, rc, rc == -EMSGSIZE ? "the answer is too large" : "a text in the answer is not UTF-8");
		log_err("%s", r.error);
		reply_error(&r, seq);
		rc = channel_send(ch, m->session, r.out, NULL, 0, SEND_MS);
	}
	json_object_put(r.out);
	free(r.out_blob);
	return rc;
}

/* A Unix socket stands in for the port in tests without a host VM. */
static int port_open(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	int fd;

	if (stat(path, &st))
		return -errno;
	if (!S_ISSOCK(st.st_mode)) {
		fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		return fd < 0 ? -errno : fd;
	}
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd < 0 ? -errno : fd;
}

/*
 * Until the channel is of no use any more. What one daemon left half done the next one asks for: nothing is undone
 * here because a daemon has gone.
 */
static void serve_port(struct channel *ch, bool is_socket)
{
	struct message m;
	int rc = channel_drain(ch, QUIET_MS, DRAIN_MS);

	for (;;) {
		if (!rc) {
			memset(&m, 0, sizeof(m));
			rc = channel_recv(ch, &m, -1);
			if (!rc)
				rc = serve(ch, &m);
			message_clear(&m);
		}
		if (!rc)
			continue;
		/* Nobody is connected at the host's end: the port stays ours and comes back to life. */
		if (rc != -EPIPE || is_socket)
			break;
		decoder_clear(&ch->in);
		usleep(RETRY_US);
		rc = 0;
	}
	log_warn("the port is opened anew: %s", strerror(-rc));
}

/* What would start a guest VM that is away is moved aside, also what has come there since it left. 0 or -1. */
static int apply_guard(void)
{
	struct error err;

	if (guard_apply(&guard_here, &err) >= 0)
		return 0;
	log_err("what starts guest VMs by itself cannot be kept from those that are away: %s", err.text);
	return -1;
}

static int usage(FILE *f, int status)
{
	fprintf(f, "usage: vmbeam-agent [--port PATH] [--limit NAME=SECONDS]... [--probe-kernel PATH]\n"
		"       vmbeam-agent --guard\n"
		"Serves vmbeamd in the host management VM, over the virtio-serial port PATH\n"
		"(%s). Runs in a guest management VM, as root.\n"
		"With --guard it only keeps guest VMs that are away from being started here.\n", PORT);
	return status;
}

/* NAME=SECONDS */
static int take_limit(char *text)
{
	char *value = strchr(text, '='), *end;
	long seconds;

	if (!value || !value[1]) {
		fprintf(stderr, "vmbeam-agent: --limit %s: it takes NAME=SECONDS\n", text);
		return -1;
	}
	*value++ = '\0';
	seconds = strtol(value, &end, 10);
	switch (*end ? -ERANGE : limit_set(text, seconds)) {
	case 0:
		return 0;
	case -ENOENT:
		fprintf(stderr, "vmbeam-agent: no limit is called %s; vmbeam-agent(8) lists them\n", text);
		return -1;
	default:
		fprintf(stderr, "vmbeam-agent: --limit %s=%s: it takes 1 to 86400 seconds\n", text, value);
		return -1;
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "guard", no_argument, NULL, 'g' },
		{ "limit", required_argument, NULL, 'l' },
		{ "port", required_argument, NULL, 'p' },
		{ "probe-kernel", required_argument, NULL, 'k' },
		{ "watch", required_argument, NULL, 'w' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{},
	};
	const char *path = PORT;
	bool told = false, guard_only = false;
	const char *autostart, *saved;
	int opt;

	while ((opt = getopt_long(argc, argv, "gk:l:p:hV", options, NULL)) != -1) {
		switch (opt) {
		case 'g':
			guard_only = true;
			break;
		case 'k':
			probe_kernel(optarg);
			break;
		/* Not for people: see watch.h. */
		case 'w':
			return watch(strtoul(optarg, NULL, 10)) ? 1 : 0;
		case 'l':
			if (take_limit(optarg))
				return 2;
			break;
		case 'p':
			path = optarg;
			break;
		case 'h':
			return usage(stdout, 0);
		case 'V':
			puts("vmbeam-agent " VMBEAM_VERSION);
			return 0;
		default:
			return usage(stderr, 2);
		}
	}
	if (optind != argc)
		return usage(stderr, 2);
	log_init("vmbeam-agent");
	memory_keep();
	/* Where xendomains looks, if its configuration says otherwise: the units have it in the environment. */
	autostart = getenv("XENDOMAINS_AUTO");
	if (autostart && *autostart)
		guard_here.autostart = autostart;
	saved = getenv("XENDOMAINS_SAVE");
	if (saved && *saved)
		guard_here.saved = saved;
	if (guard_only)
		return apply_guard() ? 1 : 0;
	signal(SIGPIPE, SIG_IGN);
	apply_guard();
	probe_clear();

	for (;;) {
		struct channel ch;
		struct stat st;
		int fd = port_open(path);

		if (fd < 0) {
			if (!told)
				log_err("the port %s does not open: %s; trying on", path, strerror(-fd));
			told = true;
			usleep(5 * RETRY_US);
			continue;
		}
		told = false;
		if (!channel_init(&ch, fd) && !fstat(fd, &st)) {
			log_info("serving %s", path);
			serve_port(&ch, S_ISSOCK(st.st_mode));
		}
		channel_clear(&ch);
		usleep(RETRY_US);
	}
}
