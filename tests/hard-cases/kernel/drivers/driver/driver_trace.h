// Events of a driver: beside the driver, so it says where and under which name.
#undef TRACE_SYSTEM
#define TRACE_SYSTEM driver

#if !defined(DRIVER_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define DRIVER_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(started, PARAMS(int number), int number;);

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH ../../drivers/driver
#define TRACE_INCLUDE_FILE driver_trace
#include <trace/define_trace.h>
