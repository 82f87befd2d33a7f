// Wrapper 2.
#ifndef WRAPPED_2
#define WRAPPED_2
#if __has_include_next(<wrapped.h>)
#include_next <wrapped.h>
#endif
#endif
