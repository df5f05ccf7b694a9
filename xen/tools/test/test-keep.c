// SPDX-License-Identifier: GPL-2.0
/*
 * Drives the real helpers over a fake Xen, as libxl does: the patched one saves a made-up PV domain, the stock one
 * restores it, then the patched one, too, and the memory of the two is compared. TAP on stdout.
 *
 *   test-keep SAVE_HELPER RESTORE_HELPER FAKE_XEN_SO DIR
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake-xen.h"

#define PFNS		3000
#define LEAVES		6	/* of 512 entries each */
#define MFN(pfn)	(FIRST_FREE + (uint64_t)(pfn) * 7 % 3001)
#define P2M_VADDR	0xffffc90000000000ULL
#define TIMEOUT_MS	20000

enum { LEAF = 10, L4 = 20, L3, L2, P2M_L1, DATA_L1, USER_L4, START_INFO = 30, STORE, CONSOLE, GDT0, GDT1,
       BALLOONED = 100, ALIAS = 200, DATA = 500, SCRIBBLED = 1200 };
enum { MSG_LOG = 1, MSG_PROGRESS, MSG_SUSPEND, MSG_STATIC_DATA_DONE = 8, MSG_RESULTS, MSG_COMPLETE };

static const char *save_helper, *restore_helper, *fake_so, *dir;
static char log_text[1 << 16];
static char stream_path[256], frames_path[256];
static int frames_full;		/* the file for the list takes no byte */

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static struct fake *machine(const char *name, char *path, size_t len)
{
	struct fake *f;
	int fd;

	snprintf(path, len, "%s/%s", dir, name);
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*f)))
		die(path);
	f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (f == MAP_FAILED)
		die("mmap");
	close(fd);
	for (int i = 0; i < FRAMES; i++) {
		f->type[i] = XEN_DOMCTL_PFINFO_XTAB;
		fake_m2p(f)[i] = NONE;
	}
	f->shinfo = FIRST_FREE - 1;
	f->next_free = FIRST_FREE;
	return f;
}

static uint64_t *p2m_entry(struct fake *a, int pfn)
{
	return (uint64_t *)a->ram[MFN(LEAF + pfn / 512)] + pfn % 512;
}

static shared_info_x86_64_t *shinfo(struct fake *f) { return (void *)f->ram[f->shinfo]; }
static start_info_x86_64_t *start_info(struct fake *f, uint64_t mfn) { return (void *)f->ram[mfn]; }

static void set_pte(struct fake *a, int table, int i, uint64_t mfn)
{
	((uint64_t *)a->ram[MFN(table)])[i] = mfn << 12 | 0x63;
}

static int is_table(int pfn) { return pfn >= L4 && pfn <= USER_L4; }

/* A guest that runs: mfns in start_info. */
static struct fake *guest(char *path, size_t len)
{
	struct fake *a = machine("a", path, len);

	for (int pfn = 0; pfn < PFNS; pfn++) {
		uint64_t mfn = MFN(pfn);

		if (pfn >= BALLOONED && pfn < BALLOONED + 20) {
			*p2m_entry(a, pfn) = NONE;
			continue;
		}
		*p2m_entry(a, pfn) = mfn;
		fake_m2p(a)[mfn] = pfn;
		a->type[mfn] = XEN_DOMCTL_PFINFO_NOTAB;
		if (!is_table(pfn) && (pfn < LEAF || pfn >= LEAF + LEAVES))
			memset(a->ram[mfn], 1 + pfn % 255, 4096);
	}
	for (int pfn = PFNS; pfn < LEAVES * 512; pfn++)
		*p2m_entry(a, pfn) = NONE;

	*p2m_entry(a, ALIAS) = MFN(ALIAS + 1);
	a->type[MFN(ALIAS)] = XEN_DOMCTL_PFINFO_XTAB;
	fake_m2p(a)[MFN(ALIAS)] = NONE;

	a->type[MFN(L4)] = XEN_DOMCTL_PFINFO_L4TAB | XEN_DOMCTL_PFINFO_LPINTAB;
	a->type[MFN(USER_L4)] = XEN_DOMCTL_PFINFO_L4TAB | XEN_DOMCTL_PFINFO_LPINTAB;
	a->type[MFN(L3)] = XEN_DOMCTL_PFINFO_L3TAB;
	a->type[MFN(L2)] = XEN_DOMCTL_PFINFO_L2TAB;
	a->type[MFN(P2M_L1)] = a->type[MFN(DATA_L1)] = XEN_DOMCTL_PFINFO_L1TAB;
	set_pte(a, L4, P2M_VADDR >> 39 & 511, MFN(L3));
	set_pte(a, L3, 0, MFN(L2));
	set_pte(a, L2, 0, MFN(P2M_L1));
	set_pte(a, L2, 8, MFN(DATA_L1));
	set_pte(a, USER_L4, 1, MFN(L3));
	for (int i = 0; i < LEAVES; i++)
		set_pte(a, P2M_L1, i, MFN(LEAF + i));
	for (int i = 0; i < 512; i++)
		set_pte(a, DATA_L1, i, MFN(DATA + i));

	shinfo(a)->arch.max_pfn = LEAVES * 512;
	shinfo(a)->arch.p2m_cr3 = MFN(L4) << 12;
	shinfo(a)->arch.p2m_vaddr = P2M_VADDR;
	shinfo(a)->arch.p2m_generation = 4;
	start_info(a, MFN(START_INFO))->store_mfn = MFN(STORE);
	start_info(a, MFN(START_INFO))->console.domU.mfn = MFN(CONSOLE);
	for (int i = 0; i < 2; i++) {
		a->vcpu[i].gdt_ents = 512;
		a->vcpu[i].gdt_frames[0] = MFN(GDT0 + i);
		a->vcpu[i].ctrlreg[3] = MFN(L4) << 12;
		a->vcpu[i].ctrlreg[1] = MFN(USER_L4) << 12 | 1;
	}
	return a;
}

enum change { NOTHING, BALLOON_OUT, BALLOON_IN, BALLOON_BOTH, GENERATION, STALE_START_INFO, FOREIGN_PTE, M2P, M2P_MAPPED };

static void suspend(struct fake *a, enum change what)
{
	start_info_x86_64_t *si = start_info(a, MFN(START_INFO));

	/* Only an mfn above the guest's pfns can be told from a pfn. */
	si->store_mfn = what == STALE_START_INFO ? LEAVES * 512 : STORE;
	si->console.domU.mfn = CONSOLE;
	a->vcpu[0].user_regs.rdx = MFN(START_INFO);
	a->suspended = 1;
	if (what == BALLOON_OUT || what == BALLOON_BOTH) {
		a->type[MFN(DATA + 600)] = XEN_DOMCTL_PFINFO_XTAB;
		*p2m_entry(a, DATA + 600) = NONE;
	}
	if (what == BALLOON_IN || what == BALLOON_BOTH) {
		a->type[MFN(BALLOONED)] = XEN_DOMCTL_PFINFO_NOTAB;
		fake_m2p(a)[MFN(BALLOONED)] = BALLOONED;
		*p2m_entry(a, BALLOONED) = MFN(BALLOONED);
	}
	switch (what) {
	case GENERATION:
		shinfo(a)->arch.p2m_generation += 2;
		break;
	case FOREIGN_PTE:
		set_pte(a, DATA_L1, 3, a->shinfo);
		break;
	case M2P:
		/* Another pfn, one that it cannot have, none at all. */
		fake_m2p(a)[MFN(SCRIBBLED)] = SCRIBBLED + 1;
		fake_m2p(a)[MFN(SCRIBBLED + 2)] = 1 << 20;
		fake_m2p(a)[MFN(SCRIBBLED + 3)] = NONE;
		break;
	case M2P_MAPPED:
		fake_m2p(a)[MFN(DATA + 3)] = NONE;
		break;
	default:
		break;
	}
}

static int read_all(int fd, void *buf, size_t len)
{
	for (size_t n = 0; n < len;) {
		struct pollfd p = { fd, POLLIN, 0 };
		ssize_t r;

		if (poll(&p, 1, TIMEOUT_MS) <= 0)
			return -1;
		r = read(fd, (char *)buf + n, len - n);
		if (r <= 0)
			return -1;
		n += r;
	}
	return 0;
}

/* Runs a helper to its end as libxl would; the return value is what it reported to be complete with, -99 if nothing. */
static int run(const char *helper, const char *fake, char *const argv[], const char *env_fd, const char *env_frames,
	       int drop_fd, struct fake *a, enum change change)
{
	int in[2], out[2], reply, rc = -99, status;
	uint8_t msg[65536];
	uint16_t len, type;
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		setenv("FAKE_XEN", fake, 1);
		setenv("LD_PRELOAD", fake_so, 1);
		if (env_fd)
			setenv("VMBEAM_HELPER_FD", env_fd, 1);
		if (env_frames)
			setenv("VMBEAM_FRAMES_FD", env_frames, 1);
		execv(helper, argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	if (drop_fd >= 0)
		close(drop_fd);

	while (!read_all(out[0], &len, 2) && !read_all(out[0], msg, len)) {
		memcpy(&type, msg, 2);
		if (type == MSG_LOG) {
			uint32_t n;

			memcpy(&n, msg + 10, 4);
			strncat(log_text, (char *)msg + 14 + n + 4, sizeof(log_text) - strlen(log_text) - 2);
			strcat(log_text, "\n");
			if (getenv("VERBOSE"))
				fprintf(stderr, "# %s\n", msg + 14 + n + 4);
			continue;
		}
		if (type == MSG_PROGRESS || type == MSG_RESULTS)
			continue;
		reply = 0;
		if (type == MSG_SUSPEND) {
			suspend(a, change);
			reply = 1;
		}
		if (type == MSG_COMPLETE)
			memcpy(&rc, msg + 2, 4);
		if (write(in[1], &reply, sizeof(reply)) != sizeof(reply))
			break;
	}
	close(in[1]);
	close(out[0]);
	waitpid(pid, &status, 0);
	return rc;
}

/* The other side of the socket. What it answers to 'P'; 0: it hangs up. The exit status says what it saw. */
static pid_t peer(int fd, int other, char answer, struct fake *a)
{
	pid_t pid = fork();
	char byte = 0;

	if (pid)
		return pid;
	close(other);
	if (read_all(fd, &byte, 1) || byte != 'P')
		_exit(1);
	if (a->suspended)
		_exit(2);
	if (answer && write(fd, &answer, 1) != 1)
		_exit(3);
	_exit(0);
}

static int save(struct fake *a, const char *fake, const char *flags, int with_fd, char answer, enum change change,
		int *peer_status)
{
	int sock[2] = { -1, -1 }, out, frames, rc;
	char io[16], fdtext[16], framestext[16];
	char *argv[] = { "helper", "--save-domain", io, "-1", "7", (char *)flags, "136", "0", NULL };
	pid_t pid = -1;

	log_text[0] = 0;
	snprintf(stream_path, sizeof(stream_path), "%s/stream", dir);
	out = open(stream_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (out < 0)
		die(stream_path);
	snprintf(frames_path, sizeof(frames_path), "%s/frames", dir);
	frames = open(frames_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (frames_full) {
		close(frames);
		frames = memfd_create("frames", MFD_ALLOW_SEALING);
		fcntl(frames, F_ADD_SEALS, F_SEAL_GROW);
	}
	if (frames < 0)
		die(frames_path);
	snprintf(io, sizeof(io), "%d", out);
	snprintf(framestext, sizeof(framestext), "%d", frames);
	if (with_fd) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, sock))
			die("socketpair");
		fcntl(sock[0], F_SETFD, FD_CLOEXEC);
		snprintf(fdtext, sizeof(fdtext), "%d", sock[1]);
		pid = peer(sock[0], sock[1], answer, a);
		close(sock[0]);
	}
	rc = run(save_helper, fake, argv, with_fd ? fdtext : NULL, framestext, sock[1], a, change);
	close(out);
	close(frames);
	if (pid > 0)
		waitpid(pid, peer_status, 0);
	return rc;
}

static int restore(const char *helper, const char *fake)
{
	int in = open(stream_path, O_RDONLY), rc;
	char io[16];
	char *argv[] = { "helper", "--restore-domain", io, "-1", "7", "3", "0", "4", "0", "768", "0", NULL };

	log_text[0] = 0;
	snprintf(io, sizeof(io), "%d", in);
	rc = run(helper, fake, argv, NULL, NULL, -1, NULL, NOTHING);
	close(in);
	return rc;
}

static int tests, failed;

static void check(int good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++tests, what);
	if (!good) {
		failed++;
		if (log_text[0])
			printf("# log:\n# %s\n", log_text);
	}
}

/* What the receiver has for a pfn; NONE if nothing. */
static uint64_t b_mfn(struct fake *b, uint64_t pfn)
{
	for (uint64_t mfn = FIRST_FREE; mfn < b->next_free; mfn++)
		if (fake_m2p(b)[mfn] == pfn)
			return mfn;
	return NONE;
}

/* Whose M2P entry names another pfn is refused by vmbeam_guest.ko, too: it cannot be swapped. */
static int must_travel(struct fake *a, int pfn)
{
	return is_table(pfn) || (pfn >= LEAF && pfn < LEAF + LEAVES) || (pfn >= START_INFO && pfn <= GDT1) ||
	       (int)fake_m2p(a)[*p2m_entry(a, pfn)] != pfn;
}

/* Compares A with B; @all: also the ordinary frames came as content. Prints the first difference. */
static int same(struct fake *a, struct fake *b, int all)
{
	static const uint8_t zero[4096];

	for (int pfn = 0; pfn < PFNS; pfn++) {
		uint64_t from = *p2m_entry(a, pfn), to = b_mfn(b, pfn), *x, *y;
		const char *why = NULL;

		if ((from == NONE) != (to == NONE)) {
			why = "is on one side only";
		} else if (from == NONE) {
			continue;
		} else if (is_table(pfn)) {
			x = (uint64_t *)a->ram[from];
			y = (uint64_t *)b->ram[to];
			for (int i = 0; i < 512; i++)
				if (!x[i] != !y[i] || (x[i] && (fake_m2p(a)[x[i] >> 12] != fake_m2p(b)[y[i] >> 12] ||
								(x[i] & 4095) != (y[i] & 4095))))
					why = "has a wrong page table entry";
		} else if (pfn == START_INFO) {
			start_info_x86_64_t *si = start_info(b, to);

			if (si->store_mfn != b_mfn(b, STORE) || si->console.domU.mfn != b_mfn(b, CONSOLE) ||
			    b->vcpu[0].user_regs.rdx != to)
				why = "is start_info and names wrong rings";
		} else if (pfn >= LEAF && pfn < LEAF + LEAVES) {
			y = (uint64_t *)b->ram[to];
			for (int i = 0; i < 512; i++)
				if (y[i] != b_mfn(b, (pfn - LEAF) * 512 + i))
					why = "is a P2M leaf and has a wrong entry";
		} else if (memcmp(b->ram[to], all || must_travel(a, pfn) ? a->ram[from] : zero, 4096)) {
			why = "has wrong content";
		}
		if (why) {
			printf("# pfn %d %s\n", pfn, why);
			return 0;
		}
	}
	return b->vcpu_set[0] == 1 && b->vcpu_set[1] == 1 && b->pins == 2 && b->grant_seeded == 1 &&
	       b->vcpu[1].gdt_frames[0] == b_mfn(b, GDT1) && b->vcpu[0].ctrlreg[3] >> 12 == b_mfn(b, L4);
}

/* Is what the last save left the list of its frames, pfn by pfn? Nothing, if it was not to leave any. */
static int frames_listed(struct fake *a, int wanted)
{
	static uint64_t list[LEAVES * 512 + 1];
	int fd = open(frames_path, O_RDONLY);
	ssize_t n = read(fd, list, sizeof(list));

	close(fd);
	if (!wanted)
		return n == 0;
	if (n != LEAVES * 512 * sizeof(*list)) {
		printf("# the list has %zd bytes\n", n);
		return 0;
	}
	for (int pfn = 0; pfn < LEAVES * 512; pfn++) {
		uint64_t mfn = *p2m_entry(a, pfn);

		if (list[pfn] != (mfn == NONE || a->type[mfn] == XEN_DOMCTL_PFINFO_XTAB ? ~0ULL : mfn)) {
			printf("# the list has 0x%llx for pfn %d\n", (unsigned long long)list[pfn], pfn);
			return 0;
		}
	}
	return 1;
}

static void move(const char *name, int with_fd, enum change change)
{
	char pa[256], pb[256], what[128];
	struct fake *a = guest(pa, sizeof(pa)), *b = machine("b", pb, sizeof(pb));
	int status = 0, rc = save(a, pa, "0", with_fd, 'G', change, &status);

	snprintf(what, sizeof(what), "%s: saved", name);
	check(rc == 0, what);
	snprintf(what, sizeof(what), "%s: prepared before the suspend", name);
	check(status == 0, what);
	snprintf(what, sizeof(what), "%s: %s", name, with_fd && !frames_full ? "all frames listed" : "no list of frames");
	check(frames_listed(a, with_fd && !frames_full), what);
	rc = restore(restore_helper, pb);
	snprintf(what, sizeof(what), "%s: the stock helper restores it", name);
	check(rc == 0, what);
	snprintf(what, sizeof(what), "%s: memory as it must be", name);
	check(same(a, b, !with_fd), what);
	if (with_fd && change == NOTHING) {
		/* For selftests/native/test-savestream.c. */
		snprintf(what, sizeof(what), "%s/in-place.stream", dir);
		if (rename(stream_path, what))
			die(what);
	}
	munmap(a, sizeof(*a));
	munmap(b, sizeof(*b));
}

/* How many aligned runs of 512 pfns have frames that lie likewise. */
static unsigned int large_runs(struct fake *b)
{
	unsigned int nr = 0;

	for (int pfn = 0; pfn + 512 <= PFNS; pfn += 512) {
		uint64_t first = b_mfn(b, pfn);
		int i = 0;

		while (first % 512 == 0 && i < 512 && fake_m2p(b)[first + i] == (uint64_t)(pfn + i))
			i++;
		nr += i == 512;
	}
	return nr;
}

/* The patched helper restores, too: in pieces of 2 MiB, as far as there are any. */
static void restore_large(const char *name, uint32_t pieces, unsigned int expected)
{
	char pa[256], pb[256], what[128];
	struct fake *a = guest(pa, sizeof(pa)), *b = machine("b", pb, sizeof(pb));
	int status;

	save(a, pa, "0", 1, 'G', NOTHING, &status);
	b->large_left = pieces;
	snprintf(what, sizeof(what), "%s: restored", name);
	check(restore(save_helper, pb) == 0, what);
	snprintf(what, sizeof(what), "%s: memory as it must be", name);
	check(same(a, b, 0), what);
	snprintf(what, sizeof(what), "%s: %u runs are in one piece", name, expected);
	check(large_runs(b) == expected, what);
	munmap(a, sizeof(*a));
	munmap(b, sizeof(*b));
}

/* How long the stream is that there was by then. */
static off_t refused(const char *name, const char *flags, char answer, enum change change, int hvm, int suspended,
		     const char *says)
{
	char pa[256], what[128];
	struct fake *a = guest(pa, sizeof(pa));
	int status = 0, rc;
	struct stat st;

	a->hvm = hvm;
	rc = save(a, pa, flags, 1, answer, change, &status);
	snprintf(what, sizeof(what), "%s: fails and says why", name);
	check(rc == -1 && strstr(log_text, says), what);
	snprintf(what, sizeof(what), "%s: the guest is %ssuspended", name, suspended ? "" : "not ");
	check((int)a->suspended == suspended, what);
	munmap(a, sizeof(*a));
	return stat(stream_path, &st) ? -1 : st.st_size;
}

/* Without the variable the patched helper must not be told from the stock one (in this image: restore_helper). */
static void stock_stream(void)
{
	char pa[256], *text[2];
	size_t len[2];

	for (int i = 0; i < 2; i++) {
		const char *patched = save_helper;
		struct fake *a = guest(pa, sizeof(pa));
		int status, fd;

		if (i)
			save_helper = restore_helper;
		save(a, pa, "0", 0, 0, NOTHING, &status);
		save_helper = patched;
		fd = open(stream_path, O_RDONLY);
		len[i] = lseek(fd, 0, SEEK_END);
		text[i] = mmap(NULL, len[i], PROT_READ, MAP_PRIVATE, fd, 0);
		if (text[i] == MAP_FAILED)
			die(stream_path);
		/* The next save is to make a new file and leave this one's pages alone. */
		unlink(stream_path);
		close(fd);
		munmap(a, sizeof(*a));
	}
	check(len[0] > PFNS * 4000UL && len[0] == len[1] && !memcmp(text[0], text[1], len[0]),
	      "without the variable: the stream is the stock helper's, byte for byte");
}

static void bad_fd(const char *variable, const char *text)
{
	int of_frames = !strcmp(variable, "VMBEAM_FRAMES_FD"), sock[2];
	char pa[256], what[128], io[16], good[16];
	struct fake *a = guest(pa, sizeof(pa));
	char *argv[] = { "helper", "--save-domain", io, "-1", "7", "0", "8", "0", NULL };
	int out = open("/dev/null", O_WRONLY), rc;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sock))
		die("socketpair");
	log_text[0] = 0;
	snprintf(io, sizeof(io), "%d", out);
	snprintf(good, sizeof(good), "%d", sock[1]);
	rc = run(save_helper, pa, argv, of_frames ? good : text, of_frames ? text : NULL, -1, a, NOTHING);
	snprintf(what, sizeof(what), "%s: ", variable);
	rc = rc == -1 && strstr(log_text, what) && !a->suspended;
	snprintf(what, sizeof(what), "%s=\"%s\" is refused", variable, text);
	check(rc, what);
	close(sock[0]);
	close(sock[1]);
	close(out);
	munmap(a, sizeof(*a));
}

int main(int argc, char **argv)
{
	off_t length;

	if (argc != 5)
		return 2;
	save_helper = argv[1];
	restore_helper = argv[2];
	fake_so = argv[3];
	dir = argv[4];
	setvbuf(stdout, NULL, _IONBF, 0);
	signal(SIGPIPE, SIG_IGN);

	printf("TAP version 13\n");
	move("without the variable", 0, NOTHING);
	stock_stream();
	move("memory in place", 1, NOTHING);
	move("a frame ballooned in", 1, BALLOON_IN);
	move("M2P entries overwritten", 1, M2P);
	frames_full = 1;
	move("the list cannot be written", 1, BALLOON_IN);
	frames_full = 0;
	restore_large("pieces of 2 MiB", 100, PFNS / 512 - 1);	/* not that with the ballooned pfns */
	restore_large("two pieces of 2 MiB left", 2, 2);
	restore_large("no piece of 2 MiB left", 0, 0);
	refused("M2P entry of a mapped frame overwritten", "0", 'G', M2P_MAPPED, 0, 1, "first at pfn 0x18,");
	length = refused("a frame ballooned out", "0", 'G', BALLOON_OUT, 0, 1, "Called off: pfn 0x44c of dom7");
	check(refused("and another one in", "0", 'G', BALLOON_BOTH, 0, 1, "Called off: pfn 0x44c of dom7") == length,
	      "and another one in: what calls the save off comes before any record of it");
	refused("P2M changed", "0", 'G', GENERATION, 0, 1, "p2m_generation 4 is now 6");
	refused("start_info holds mfns", "0", 'G', STALE_START_INFO, 0, 1, "the xenstore ring of dom7");
	refused("a foreign frame mapped", "0", 'G', FOREIGN_PTE, 0, 1, "first at pfn 0x18,");
	refused("other side hangs up", "0", 0, NOTHING, 0, 0, "the other side has gone");
	refused("other side says no", "0", 'N', NOTHING, 0, 0, "got byte 0x4e");
	refused("live", "1", 'G', NOTHING, 0, 0, "a live save was asked for");
	refused("HVM", "0", 'G', NOTHING, 1, 0, "it is not a PV domain");
	for (const char **t = (const char *[]){ "", "abc", "1", "-3", "3x", "999", "99999999999999999999", NULL }; *t; t++) {
		bad_fd("VMBEAM_HELPER_FD", *t);
		bad_fd("VMBEAM_FRAMES_FD", *t);
	}
	printf("1..%d\n", tests);
	return failed != 0;
}
