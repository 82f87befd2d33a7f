// What an event declares when its header is read the first time.
#ifndef LINUX_TRACEPOINT_H
#define LINUX_TRACEPOINT_H
#include <linux/types.h>
#define PARAMS(args...) args
#endif
#ifndef TRACE_EVENT
#define TRACE_EVENT(name, proto, fields) void trace_##name(proto)
#endif
