// Included at the end of each header of events: when a unit asks for it, reads that header again and again, with
// another meaning of TRACE_EVENT each time.
#ifdef CREATE_TRACE_POINTS
#undef CREATE_TRACE_POINTS

#include <linux/stringify.h>

#ifndef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE TRACE_SYSTEM
#define UNDEF_TRACE_INCLUDE_FILE
#endif

#ifndef TRACE_INCLUDE_PATH
#define trace_include(system) <trace/events/system.h>
#define UNDEF_TRACE_INCLUDE_PATH
#else
#define trace_include(system) stringify(TRACE_INCLUDE_PATH/system.h)
#endif
#define TRACE_INCLUDE(system) trace_include(system)

#define TRACE_HEADER_MULTI_READ
#undef TRACE_EVENT
#define TRACE_EVENT(name, proto, fields) struct event_##name { fields };
#include TRACE_INCLUDE(TRACE_INCLUDE_FILE)

#ifdef CONFIG_TRACING
#include <trace/trace_stages.h>
#endif

#undef TRACE_EVENT
#undef TRACE_HEADER_MULTI_READ
#ifdef UNDEF_TRACE_INCLUDE_FILE
#undef UNDEF_TRACE_INCLUDE_FILE
#undef TRACE_INCLUDE_FILE
#endif
#ifdef UNDEF_TRACE_INCLUDE_PATH
#undef UNDEF_TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_PATH
#endif
#undef trace_include
#undef TRACE_INCLUDE

#define CREATE_TRACE_POINTS
#endif
