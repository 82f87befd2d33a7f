// Wrapper 1.
#ifndef WRAPPED_1
#define WRAPPED_1
#if __has_include_next(<wrapped.h>)
#include_next <wrapped.h>
#endif
#endif
