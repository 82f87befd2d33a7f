#ifndef SEEN
#define SEEN
#if __has_include_next("neighbour_next.h")
#include_next "neighbour_next.h"
#endif
#endif
