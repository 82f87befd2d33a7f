// Around the system's.
#ifndef WRAPPED_STDLIB
#define WRAPPED_STDLIB
#endif
#include_next <stdlib.h>
