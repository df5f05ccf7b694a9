/* SPDX-License-Identifier: GPL-2.0 */
/* What the host module tells a tracer: each transaction's begin and end, each hypercall, each rollback. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vmbeam_host

#if !defined(_VMBEAM_HOST_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _VMBEAM_HOST_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(vmbeam_txn_begin,
	    TP_PROTO(u64 id, u32 domid_a, u32 domid_b),
	    TP_ARGS(id, domid_a, domid_b),
	    TP_STRUCT__entry(__field(u64, id)
			     __field(u32, domid_a)
			     __field(u32, domid_b)),
	    TP_fast_assign(__entry->id = id;
			   __entry->domid_a = domid_a;
			   __entry->domid_b = domid_b;),
	    TP_printk("id=%llu domid_a=%u domid_b=%u", __entry->id, __entry->domid_a, __entry->domid_b)
);

/* One hypercall, for a swap or for a rollback. */
TRACE_EVENT(vmbeam_txn_batch,
	    TP_PROTO(u64 id, bool back, u32 pairs, u32 done, u64 ns, int rc),
	    TP_ARGS(id, back, pairs, done, ns, rc),
	    TP_STRUCT__entry(__field(u64, id)
			     __field(u64, ns)
			     __field(u32, pairs)
			     __field(u32, done)
			     __field(int, rc)
			     __field(bool, back)),
	    TP_fast_assign(__entry->id = id;
			   __entry->ns = ns;
			   __entry->pairs = pairs;
			   __entry->done = done;
			   __entry->rc = rc;
			   __entry->back = back;),
	    TP_printk("id=%llu %s pairs=%u done=%u ns=%llu rc=%d", __entry->id, __entry->back ? "rollback" : "swap",
		      __entry->pairs, __entry->done, __entry->ns, __entry->rc)
);

/* One try to swap all back; with @stuck pairs left the transaction is stuck. */
TRACE_EVENT(vmbeam_txn_rollback,
	    TP_PROTO(u64 id, u64 back, u64 stuck, int rc, u8 status),
	    TP_ARGS(id, back, stuck, rc, status),
	    TP_STRUCT__entry(__field(u64, id)
			     __field(u64, back)
			     __field(u64, stuck)
			     __field(int, rc)
			     __field(u8, status)),
	    TP_fast_assign(__entry->id = id;
			   __entry->back = back;
			   __entry->stuck = stuck;
			   __entry->rc = rc;
			   __entry->status = status;),
	    TP_printk("id=%llu back=%llu stuck=%llu rc=%d status=%#x", __entry->id, __entry->back, __entry->stuck,
		      __entry->rc, __entry->status)
);

TRACE_EVENT(vmbeam_txn_end,
	    TP_PROTO(u64 id, u32 state),
	    TP_ARGS(id, state),
	    TP_STRUCT__entry(__field(u64, id)
			     __field(u32, state)),
	    TP_fast_assign(__entry->id = id;
			   __entry->state = state;),
	    TP_printk("id=%llu %s", __entry->id,
		      __print_symbolic(__entry->state,
				       { VMBEAM_TXN_COMMITTED, "committed" },
				       { VMBEAM_TXN_ROLLED_BACK, "rolled back" },
				       { VMBEAM_TXN_FORGOTTEN, "forgotten" }))
);

#endif /* _VMBEAM_HOST_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
