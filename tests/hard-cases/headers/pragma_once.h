_Pragma("once")
// Once, by the operator.
#include "parts/three.h"
#ifdef SEEN
#error "seen twice"
#endif
#define SEEN
