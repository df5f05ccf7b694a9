/* SPDX-License-Identifier: GPL-2.0 */
/* What the guest module tells a tracer: each export's begin, arming and end, and what is pinned and unpinned. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vmbeam_guest

#if !defined(_VMBEAM_GUEST_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _VMBEAM_GUEST_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(vmbeam_export_create,
	    TP_PROTO(u64 id, u32 domid),
	    TP_ARGS(id, domid),
	    TP_STRUCT__entry(__field(u64, id)
			     __field(u32, domid)),
	    TP_fast_assign(__entry->id = id;
			   __entry->domid = domid;),
	    TP_printk("id=%llu domid=%u", __entry->id, __entry->domid)
);

/* One ADD or REMOVE: of @asked frames @done were pinned, or unpinned. */
TRACE_EVENT(vmbeam_export_pin,
	    TP_PROTO(u64 id, bool unpin, u32 asked, u32 done, long rc),
	    TP_ARGS(id, unpin, asked, done, rc),
	    TP_STRUCT__entry(__field(u64, id)
			     __field(u32, asked)
			     __field(u32, done)
			     __field(long, rc)
			     __field(bool, unpin)),
	    TP_fast_assign(__entry->id = id;
			   __entry->asked = asked;
			   __entry->done = done;
			   __entry->rc = rc;
			   __entry->unpin = unpin;),
	    TP_printk("id=%llu %s asked=%u done=%u rc=%ld", __entry->id, __entry->unpin ? "unpin" : "pin",
		      __entry->asked, __entry->done, __entry->rc)
);

TRACE_EVENT(vmbeam_export_arm,
	    TP_PROTO(u64 id, u64 frames),
	    TP_ARGS(id, frames),
	    TP_STRUCT__entry(__field(u64, id)
			     __field(u64, frames)),
	    TP_fast_assign(__entry->id = id;
			   __entry->frames = frames;),
	    TP_printk("id=%llu frames=%llu", __entry->id, __entry->frames)
);

TRACE_EVENT(vmbeam_export_release,
	    TP_PROTO(u64 id, u64 frames, bool armed),
	    TP_ARGS(id, frames, armed),
	    TP_STRUCT__entry(__field(u64, id)
			     __field(u64, frames)
			     __field(bool, armed)),
	    TP_fast_assign(__entry->id = id;
			   __entry->frames = frames;
			   __entry->armed = armed;),
	    TP_printk("id=%llu frames=%llu %s", __entry->id, __entry->frames, __entry->armed ? "armed" : "not armed")
);

#endif /* _VMBEAM_GUEST_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
