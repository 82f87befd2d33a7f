// Stage 1.
#undef TRACE_STAGE
#define TRACE_STAGE 1
#undef TRACE_EVENT
#define TRACE_EVENT(name, proto, fields) static int stage1_##name;
