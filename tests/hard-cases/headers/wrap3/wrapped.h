// Wrapper 3.
#ifndef WRAPPED_3
#define WRAPPED_3
#if __has_include_next(<wrapped.h>)
#include_next <wrapped.h>
#endif
#endif
