// std: c99 gnu17
// flags: -include parts/value1.h -imacros parts/leaf1.h -DFIRST
// flags: @forced.rsp
// flags: -undef -nostdinc -include counting.h
// Includes from the command line, and from a file of words.
#ifdef LEAF_1
#include "parts/leaf2.h"
#endif
#ifdef FIRST
#include "parts/three.h"
#endif
