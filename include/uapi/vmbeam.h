/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ioctl ABI of /dev/vmbeam, of both modules.
 *
 * vmbeam_host.ko serves it in the host management VM: a swap *transaction* is an anonymous fd; frames are swapped
 * through it; closing it without commit swaps everything back. A transaction that cannot be swapped back is *stuck*:
 * it belongs to the module, outlives the fd, and can be tried again.
 * vmbeam_guest.ko serves it in a guest management VM: an *export* is an anonymous fd that pins frames of a guest
 * VM; read() gives them as sorted extents. An *armed* export belongs to the module and outlives the fd.
 *
 * General ioctl format
 * --------------------
 * Every ioctl takes a pointer to a struct that begins with __u32 size, its size as the caller knows it, and
 * __u32 flags. A newer kernel takes a shorter struct and reads the missing fields as zero; an older kernel takes a
 * longer one if all that it does not know is zero. Sizes beyond a page are refused. Features are found with
 * VMBEAM_QUERY; there is no version number. Opening the device needs CAP_SYS_ADMIN.
 *
 * What each errno means, for all ioctls:
 *
 *   ENOTTY      no such ioctl on this kind of fd (VMBEAM_QUERY tells which module serves the device)
 *   EINVAL      size below the first published one; an unknown flag; a reserved field or a pad is not zero;
 *               a value makes no sense (an empty extent, first + count overflows, a domid that cannot be)
 *   E2BIG       size beyond what this kernel knows and not zero there, or beyond a page; a count beyond its limit
 *   EFAULT      a pointer is bad. Structs without a result are not written to, so COMMIT, ROLLBACK, FORGET, ARM and
 *               RELEASE are never done and EFAULT
 *   EPERM       the hypervisor does not allow it to this domain
 *   EACCES      the hypervisor's FLASK policy does not allow it to this domain
 *   ESRCH       there is no such domain, or it is dying
 *   ENXIO       there is nothing to hold a domain by, so that its domid stays its own
 *   ENOENT      there is no transaction or export of this id
 *   EBUSY       a domain is in another transaction that is open or stuck; or pairs could not be put back
 *   EOPNOTSUPP  the hypervisor refuses domains of this kind (no HAP, an IOMMU, log-dirty, ...)
 *   ENOSYS      the hypervisor lacks the op: it is not patched
 *   EBADFD      the transaction is over, or the export is in the wrong state for this
 *   EINTR       a fatal signal came; what was done by then is counted
 *   ENOMEM, EMFILE, ENFILE, ENOSPC   out of memory, fds, or of the module's own tables
 */
#ifndef _UAPI_VMBEAM_H
#define _UAPI_VMBEAM_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VMBEAM_IOC_TYPE 0xBE

/* On either device. */
#define VMBEAM_QUERY		_IO(VMBEAM_IOC_TYPE, 0x00)
/* On the device of vmbeam_host.ko. */
#define VMBEAM_TXN_BEGIN	_IO(VMBEAM_IOC_TYPE, 0x10)
#define VMBEAM_TXN_OUTCOME	_IO(VMBEAM_IOC_TYPE, 0x11)
#define VMBEAM_TXN_LIST		_IO(VMBEAM_IOC_TYPE, 0x12)
#define VMBEAM_TXN_REOPEN	_IO(VMBEAM_IOC_TYPE, 0x13)
/* On a transaction's fd. */
#define VMBEAM_TXN_SWAP		_IO(VMBEAM_IOC_TYPE, 0x18)
#define VMBEAM_TXN_COMMIT	_IO(VMBEAM_IOC_TYPE, 0x19)
#define VMBEAM_TXN_ROLLBACK	_IO(VMBEAM_IOC_TYPE, 0x1a)
#define VMBEAM_TXN_FORGET	_IO(VMBEAM_IOC_TYPE, 0x1b)
/* On the device of vmbeam_guest.ko. */
#define VMBEAM_EXPORT_CREATE	_IO(VMBEAM_IOC_TYPE, 0x20)
#define VMBEAM_EXPORT_LIST	_IO(VMBEAM_IOC_TYPE, 0x21)
#define VMBEAM_EXPORT_OPEN	_IO(VMBEAM_IOC_TYPE, 0x22)
/* On an export's fd. */
#define VMBEAM_EXPORT_ADD	_IO(VMBEAM_IOC_TYPE, 0x28)
#define VMBEAM_EXPORT_REMOVE	_IO(VMBEAM_IOC_TYPE, 0x29)
#define VMBEAM_EXPORT_ARM	_IO(VMBEAM_IOC_TYPE, 0x2a)
#define VMBEAM_EXPORT_RELEASE	_IO(VMBEAM_IOC_TYPE, 0x2b)
#define VMBEAM_EXPORT_INFO	_IO(VMBEAM_IOC_TYPE, 0x2c)

/**
 * struct vmbeam_query - VMBEAM_QUERY: what serves this device, and what it can do
 * @size: sizeof(struct vmbeam_query)
 * @flags: must be 0
 * @role: out: VMBEAM_ROLE_*
 * @__reserved: must be 0
 * @features: out: VMBEAM_FEATURE_*
 * @max_extents: out: most extents that one VMBEAM_TXN_SWAP takes; 0 from the guest module
 * @max_frames: out: most frames that one VMBEAM_TXN_SWAP or one VMBEAM_EXPORT_ADD takes
 */
struct vmbeam_query {
	__u32 size;
	__u32 flags;
	__u32 role;
	__u32 __reserved;
	__aligned_u64 features;
	__aligned_u64 max_extents;
	__aligned_u64 max_frames;
};

#define VMBEAM_ROLE_HOST		1
#define VMBEAM_ROLE_GUEST		2

/*
 * Frames can be swapped: vmbeam_host.ko loads only where the hypervisor has the op, and lets domains of this kind use
 * it. Whether it swaps those of two given domains is asked with an empty VMBEAM_TXN_SWAP.
 */
#define VMBEAM_FEATURE_SWAP		(1ULL << 0)
/* Contents of busy pairs can be exchanged. */
#define VMBEAM_FEATURE_EXCHANGE		(1ULL << 1)
/* Frames can be pinned and exported (this is a PV dom0). */
#define VMBEAM_FEATURE_EXPORT		(1ULL << 2)
/* Superpages are swapped whole, and frames can be excluded. */
#define VMBEAM_FEATURE_SUPERPAGES	(1ULL << 3)
/* VMBEAM_SWAP_INVALIDATE is there. */
#define VMBEAM_FEATURE_INVALIDATE	(1ULL << 4)
/* A stuck transaction stays: VMBEAM_TXN_LIST, VMBEAM_TXN_REOPEN and VMBEAM_TXN_FORGET are there. */
#define VMBEAM_FEATURE_REOPEN		(1ULL << 5)
/* VMBEAM_TXN_SWAP takes an empty list. */
#define VMBEAM_FEATURE_SWAP_EMPTY	(1ULL << 6)

/**
 * struct vmbeam_extent_pair - a run of pairs of frames
 * @gfn_a: first frame of domain A
 * @gfn_b: first frame of domain B
 * @nr: frames of 4 KiB on each side; not 0
 * @__reserved: must be 0
 */
struct vmbeam_extent_pair {
	__aligned_u64 gfn_a;
	__aligned_u64 gfn_b;
	__u32 nr;
	__u32 __reserved;
};

/**
 * struct vmbeam_txn_begin - VMBEAM_TXN_BEGIN: open a transaction between two HVM domains
 * @size: sizeof(struct vmbeam_txn_begin)
 * @flags: must be 0
 * @domid_a: domain A
 * @domid_b: domain B; not A
 * @id: out: the transaction's id, never 0, never given twice while the module is loaded. The first one is random,
 *      below 2^52: an id from before the module was reloaded is not known any more, and is not another's
 * @out_fd: out: the transaction's fd, close-on-exec
 * @__reserved: must be 0
 *
 * The domains are those that have the domids now: if there is none, or it is destroyed, every swap is ESRCH, also when
 * another domain has got the domid. Until the transaction has ended, a domain that is destroyed stays as a dying one
 * and keeps its domid; one that has no page for xenstore, because no toolstack made it, is known by its domid alone.
 * A domain can be in one transaction that is open or stuck at a time: EBUSY.
 * ENOSPC when 4096 are open or stuck. ENXIO when the page for xenstore cannot be mapped, which keeps the domid; the
 * kernel log says why.
 *
 * On an error other than of @size and @flags, @id is 0 and @out_fd is -1.
 */
struct vmbeam_txn_begin {
	__u32 size;
	__u32 flags;
	__u32 domid_a;
	__u32 domid_b;
	__aligned_u64 id;
	__s32 out_fd;
	__u32 __reserved;
};

/**
 * struct vmbeam_txn_swap - VMBEAM_TXN_SWAP: swap pairs of frames
 * @size: sizeof(struct vmbeam_txn_swap)
 * @flags: VMBEAM_SWAP_*
 * @pairs: user pointer to @nr_pairs of struct vmbeam_extent_pair
 * @nr_pairs: extents; 0 to vmbeam_query.max_extents. With 0 nothing is swapped, and the error is what the hypervisor
 *	has against these two domains: EPERM, EACCES, EINVAL (one is a control domain), EOPNOTSUPP, ESRCH, ENOMEM
 * @nr_excluded: extents; 0 to vmbeam_query.max_extents
 * @excluded: user pointer to @nr_excluded of struct vmbeam_extent_pair: pairs at which both sides keep the contents
 *	that they have. Each must be part of one of @pairs (the first, if there are several), and they must come in
 *	the same order: EINVAL.
 * @status: user pointer to one __u8 per pair of frames, in the order of @pairs, or 0: VMBEAM_PAIR_*
 * @nr_done: out: pairs of frames looked at
 * @nr_swapped: out: of these, pairs whose machine frames changed places
 * @nr_exchanged: out: pairs whose contents were exchanged
 * @nr_busy: out: pairs left alone because a frame was busy
 * @nr_refused: out: pairs left alone for any other reason
 * @nr_kept: out: excluded pairs
 * @nr_large: out: pairs, of the swapped and the excluded ones, that changed places as part of a superpage
 *
 * Where 512 pairs begin at a multiple of 512 on both sides, and both domains have a superpage there, the superpages
 * change places and stay whole. Excluded pairs do not hinder that: their contents are exchanged. One busy or refused
 * frame does: the superpages are split.
 *
 * A refused pair is no error: the call returns 0 and counts it. On an error the counts are still written, but not
 * if the struct itself was refused (@size, @flags), and the transaction stays open. May be called as often as wanted.
 */
struct vmbeam_txn_swap {
	__u32 size;
	__u32 flags;
	__aligned_u64 pairs;
	__u32 nr_pairs;
	__u32 nr_excluded;
	__aligned_u64 excluded;
	__aligned_u64 status;
	__aligned_u64 nr_done;
	__aligned_u64 nr_swapped;
	__aligned_u64 nr_exchanged;
	__aligned_u64 nr_busy;
	__aligned_u64 nr_refused;
	__aligned_u64 nr_kept;
	__aligned_u64 nr_large;
};

/* For a busy pair, exchange the 4 KiB of contents; the frames stay. */
#define VMBEAM_SWAP_EXCHANGE	(1U << 0)
/*
 * First ask the device models of both domains to drop the mappings that they only keep for later. It takes effect a
 * moment after the call, when the domains have run.
 */
#define VMBEAM_SWAP_INVALIDATE	(1U << 1)

/* Status of a pair: the values of XEN_P2M_SWAP_ST_*, <xen/p2m_swap.h>. */
#define VMBEAM_PAIR_SWAPPED	0x00
#define VMBEAM_PAIR_EXCHANGED	0x01
#define VMBEAM_PAIR_BUSY	0x02	/* someone else holds a reference to the frame */
#define VMBEAM_PAIR_TYPE	0x03	/* not plain RAM */
#define VMBEAM_PAIR_SPECIAL	0x04	/* a special page, or no valid machine frame */
#define VMBEAM_PAIR_OWNER	0x05	/* owned by another domain */
#define VMBEAM_PAIR_M2P		0x06	/* the hypervisor's M2P disagrees */
#define VMBEAM_PAIR_RANGE	0x07	/* beyond the domain's largest gfn */
#define VMBEAM_PAIR_DUPLICATE	0x08	/* the gfn occurs before, in what was swapped in one pause with it */
#define VMBEAM_PAIR_NOMEM	0x09	/* a superpage could not be split */
#define VMBEAM_PAIR_KEPT	0x0a	/* excluded */
#define VMBEAM_PAIR_SKIPPED	0x0f	/* never reached */
#define VMBEAM_PAIR_MASK	0x0f
#define VMBEAM_PAIR_SIDE_A	0x10	/* the refusal is domain A's frame */
#define VMBEAM_PAIR_SIDE_B	0x20	/* the refusal is domain B's frame */

/**
 * struct vmbeam_txn_end - VMBEAM_TXN_COMMIT, VMBEAM_TXN_ROLLBACK, VMBEAM_TXN_FORGET
 * @size: sizeof(struct vmbeam_txn_end)
 * @flags: must be 0
 *
 * COMMIT makes the swaps final. ROLLBACK swaps everything back now, with the exchange for pairs that became busy,
 * as close() without COMMIT does. Either ends the transaction, and a second one is EBADFD.
 *
 * ROLLBACK is EBUSY when pairs are stuck (vmbeam_txn_outcome.nr_stuck). From then on the transaction belongs to the
 * module: it stays, with the record of these pairs, whatever becomes of its fds; its domains can be in no other one;
 * the module cannot be unloaded. ROLLBACK may be repeated, also on a fd of VMBEAM_TXN_REOPEN, until it succeeds.
 * Closing the last copy of the fd of VMBEAM_TXN_BEGIN tries, too, up to five times within a tenth of a second; closing
 * one of VMBEAM_TXN_REOPEN does not.
 *
 * FORGET gives a stuck transaction up: its pairs stay where they are, and the record of them is lost. EBADFD if it is
 * not stuck.
 */
struct vmbeam_txn_end {
	__u32 size;
	__u32 flags;
};

#define VMBEAM_PAUSES	17

/**
 * struct vmbeam_txn_outcome - VMBEAM_TXN_OUTCOME: what became of a transaction; and an entry of VMBEAM_TXN_LIST
 * @size: sizeof(struct vmbeam_txn_outcome)
 * @flags: must be 0
 * @id: the transaction
 * @state: out: VMBEAM_TXN_*
 * @domid_a: out
 * @domid_b: out
 * @__reserved: must be 0
 * @nr_swapped: out: pairs swapped, counted when done; a rollback does not take it down
 * @nr_exchanged: out: likewise, pairs whose contents were exchanged
 * @nr_busy: out: refusals of busy pairs, each try counted
 * @nr_refused: out: other refusals
 * @nr_rolled_back: out: pairs put back
 * @nr_stuck: out: pairs that could not be put back
 * @swap_ns: out: nanoseconds in the hypercall, for swaps
 * @rollback_ns: out: nanoseconds in the hypercall, for the rollback
 * @nr_large: out: pairs swapped as part of a superpage, excluded ones among them
 * @max_pause_ns: out: the longest time for which both domains were paused
 * @nr_flushes: out: flushes of all TLBs
 * @pauses: out: pauses by length, both ways: @pauses[0] counts those shorter than 1024 ns, each further one those
 *	shorter than twice the bound of the one before, the last all that are longer
 * @stuck_gfn_a: out: with @nr_stuck, domain A's frame of the pair that goes back first; so is @stuck_gfn_b
 * @stuck_gfn_b: out
 * @stuck_error: out: the errno that the last try of a rollback ended with; 0 if pairs were refused one by one
 * @stuck_status: out: the status of a pair that was refused in it: VMBEAM_PAIR_*
 *
 * Readable after the fd is closed, until the table of 4096 outcomes needs its place for another transaction: of those
 * that have ended, the first to end goes first. That of an open or stuck one always is.
 */
struct vmbeam_txn_outcome {
	__u32 size;
	__u32 flags;
	__aligned_u64 id;
	__u32 state;
	__u32 domid_a;
	__u32 domid_b;
	__u32 __reserved;
	__aligned_u64 nr_swapped;
	__aligned_u64 nr_exchanged;
	__aligned_u64 nr_busy;
	__aligned_u64 nr_refused;
	__aligned_u64 nr_rolled_back;
	__aligned_u64 nr_stuck;
	__aligned_u64 swap_ns;
	__aligned_u64 rollback_ns;
	__aligned_u64 nr_large;
	__aligned_u64 max_pause_ns;
	__aligned_u64 nr_flushes;
	__aligned_u64 pauses[VMBEAM_PAUSES];
	__aligned_u64 stuck_gfn_a;
	__aligned_u64 stuck_gfn_b;
	__u32 stuck_error;
	__u32 stuck_status;
};

#define VMBEAM_TXN_OPEN		1
#define VMBEAM_TXN_COMMITTED	2
#define VMBEAM_TXN_ROLLED_BACK	3
#define VMBEAM_TXN_STUCK	4	/* rolled back but for nr_stuck pairs; can be tried again */
#define VMBEAM_TXN_FORGOTTEN	5	/* given up when nr_stuck pairs were stuck */

/**
 * struct vmbeam_txn_list - VMBEAM_TXN_LIST: the transactions that are open or stuck, by id
 * @size: sizeof(struct vmbeam_txn_list)
 * @flags: must be 0
 * @txns: user pointer to @nr entries
 * @nr: in: room; out: transactions there are, which can be more than there was room for. At most 4096 in.
 * @entry_size: sizeof(struct vmbeam_txn_outcome): entries are that far apart, so that it can grow. What the kernel
 *	does not know of an entry it fills with zeros. Less than the first published size (280) is EINVAL, more than a
 *	page E2BIG. The size in an entry says how much of it the kernel knows.
 */
struct vmbeam_txn_list {
	__u32 size;
	__u32 flags;
	__aligned_u64 txns;
	__u32 nr;
	__u32 entry_size;
};

/**
 * struct vmbeam_txn_reopen - VMBEAM_TXN_REOPEN: a further fd for a stuck transaction
 * @size: sizeof(struct vmbeam_txn_reopen)
 * @flags: must be 0
 * @id: the transaction
 * @out_fd: out: its fd, close-on-exec: good for VMBEAM_TXN_ROLLBACK and VMBEAM_TXN_FORGET
 * @__reserved: must be 0
 *
 * EBADFD if it is not stuck: an open one is its fd, and any other is over.
 */
struct vmbeam_txn_reopen {
	__u32 size;
	__u32 flags;
	__aligned_u64 id;
	__s32 out_fd;
	__u32 __reserved;
};

/**
 * struct vmbeam_export_create - VMBEAM_EXPORT_CREATE: begin an export of a guest VM's frames
 * @size: sizeof(struct vmbeam_export_create)
 * @flags: must be 0
 * @domid: the guest VM
 * @out_fd: out: the export's fd, close-on-exec
 * @id: out: the export's id, never 0, never given twice while the module is loaded. The first one is random, below
 *	2^52: an id from before the module was reloaded is not another's
 *
 * ENOSPC when there are 4096 exports.
 */
struct vmbeam_export_create {
	__u32 size;
	__u32 flags;
	__u32 domid;
	__s32 out_fd;
	__aligned_u64 id;
};

/**
 * struct vmbeam_frame - a frame of a guest VM, as the toolstack sees it
 * @pfn: the guest VM's pseudo-physical frame
 * @gfn: the host VM's frame behind it: what the nested Xen calls its mfn
 */
struct vmbeam_frame {
	__aligned_u64 pfn;
	__aligned_u64 gfn;
};

/**
 * struct vmbeam_export_add - VMBEAM_EXPORT_ADD: pin frames and add them to the export
 * @size: sizeof(struct vmbeam_export_add)
 * @flags: must be 0
 * @frames: user pointer to @nr of struct vmbeam_frame
 * @nr: 1 to vmbeam_query.max_frames
 * @nr_pinned: out: frames pinned by this call
 * @status: user pointer to @nr of __u8, VMBEAM_FRAME_*, or 0
 *
 * Each frame is mapped read-only from the domain, which takes a reference to it in the nested Xen; that Xen maps it
 * only if it is the domain's, or that of one which the domain is privileged over. Its M2P entry is compared with
 * @frames' pfn. A frame that fails is told in @status and is not in the export; that is no error. EBADFD once the
 * export is armed. On an error @status is not written; frames pinned by then stay in the export and are counted in
 * @nr_pinned. ENOSPC beyond VMBEAM_EXPORT_MAX_FRAMES.
 */
struct vmbeam_export_add {
	__u32 size;
	__u32 flags;
	__aligned_u64 frames;
	__u32 nr;
	__u32 nr_pinned;
	__aligned_u64 status;
};

/* Frames in one export: 64 GiB, the largest guest VM that can be moved. */
#define VMBEAM_EXPORT_MAX_FRAMES	(1U << 24)

#define VMBEAM_FRAME_PINNED	0
#define VMBEAM_FRAME_FOREIGN	1	/* not a frame of this domain, or not a frame at all */
#define VMBEAM_FRAME_M2P	2	/* the nested Xen's M2P names another pfn: keep it */
#define VMBEAM_FRAME_DUPLICATE	3	/* the pfn or the gfn is in the export already */

/**
 * struct vmbeam_export_remove - VMBEAM_EXPORT_REMOVE: unpin frames and take them out of the export
 * @size: sizeof(struct vmbeam_export_remove)
 * @flags: must be 0
 * @pfns: user pointer to @nr of __u64
 * @nr: 1 to vmbeam_query.max_frames
 * @nr_removed: out: frames removed; a pfn that is not in the export is passed over
 *
 * EBADFD once the export is armed.
 */
struct vmbeam_export_remove {
	__u32 size;
	__u32 flags;
	__aligned_u64 pfns;
	__u32 nr;
	__u32 nr_removed;
};

/**
 * struct vmbeam_export_end - VMBEAM_EXPORT_ARM, VMBEAM_EXPORT_RELEASE
 * @size: sizeof(struct vmbeam_export_end)
 * @flags: must be 0
 *
 * ARM hands the export to the module, before the first frame is swapped: from now on neither close() nor the death
 * of the process releases it; the module cannot be unloaded; ADD and REMOVE are EBADFD. Arming twice is EBADFD.
 * RELEASE unpins everything, armed or not, and takes the export off the list; the fd is then good for nothing but
 * close(). EINVAL to arm an export of no frames.
 */
struct vmbeam_export_end {
	__u32 size;
	__u32 flags;
};

/**
 * struct vmbeam_export_info - VMBEAM_EXPORT_INFO, and an entry of VMBEAM_EXPORT_LIST
 * @size: sizeof(struct vmbeam_export_info)
 * @flags: must be 0
 * @id: out
 * @domid: out
 * @state: out: VMBEAM_EXPORT_*
 * @nr_frames: out: pinned frames
 * @nr_extents: out: how many struct vmbeam_extent read() gives
 * @pin_ns: out: nanoseconds spent pinning
 */
struct vmbeam_export_info {
	__u32 size;
	__u32 flags;
	__aligned_u64 id;
	__u32 domid;
	__u32 state;
	__aligned_u64 nr_frames;
	__aligned_u64 nr_extents;
	__aligned_u64 pin_ns;
};

#define VMBEAM_EXPORT_FILLING	1
#define VMBEAM_EXPORT_ARMED	2

/**
 * struct vmbeam_export_list - VMBEAM_EXPORT_LIST: all exports of the module, by id
 * @size: sizeof(struct vmbeam_export_list)
 * @flags: must be 0
 * @exports: user pointer to @nr entries
 * @nr: in: room; out: exports there are, which can be more than there was room for. At most 4096 in.
 * @entry_size: sizeof(struct vmbeam_export_info): entries are that far apart, so that it can grow. What the kernel does
 *	not know of an entry it fills with zeros. Less than the first published size (48) is EINVAL, more than a page
 *	E2BIG. The size in an entry says how much of it the kernel knows.
 */
struct vmbeam_export_list {
	__u32 size;
	__u32 flags;
	__aligned_u64 exports;
	__u32 nr;
	__u32 entry_size;
};

/**
 * struct vmbeam_export_open - VMBEAM_EXPORT_OPEN: a further fd for an armed export
 * @size: sizeof(struct vmbeam_export_open)
 * @flags: must be 0
 * @id: the export
 * @out_fd: out: its fd, close-on-exec
 * @__reserved: must be 0
 *
 * EBADFD if it is not armed: such an export is its fd.
 */
struct vmbeam_export_open {
	__u32 size;
	__u32 flags;
	__aligned_u64 id;
	__s32 out_fd;
	__u32 __reserved;
};

/**
 * struct vmbeam_extent - what read() on an export's fd gives: runs of frames, ascending in pfn
 * @pfn: first pfn
 * @gfn: first gfn; pfn + i is behind gfn + i for i in [0, nr)
 * @nr: frames
 *
 * The file offset is in bytes and a multiple of sizeof(struct vmbeam_extent); whole extents are given. Two extents
 * that could be one never come. The list is that of the moment of the read at offset 0.
 */
struct vmbeam_extent {
	__aligned_u64 pfn;
	__aligned_u64 gfn;
	__aligned_u64 nr;
};

#endif /* _UAPI_VMBEAM_H */
