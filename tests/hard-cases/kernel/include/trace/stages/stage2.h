// Stage 2.
#undef TRACE_STAGE
#define TRACE_STAGE 2
#undef TRACE_EVENT
#define TRACE_EVENT(name, proto, fields) static int stage2_##name;
