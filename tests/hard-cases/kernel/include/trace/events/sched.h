// Events of a part of the kernel.
#undef TRACE_SYSTEM
#define TRACE_SYSTEM sched

#if !defined(TRACE_SCHED_H) || defined(TRACE_HEADER_MULTI_READ)
#define TRACE_SCHED_H

#include <linux/tracepoint.h>
#if defined(TRACE_STAGE) && TRACE_STAGE == 2
#include <trace/second_stage.h>
#endif

TRACE_EVENT(switched, PARAMS(int from, int to), int from; int to;);

#endif

#include <trace/define_trace.h>
