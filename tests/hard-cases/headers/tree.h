// A tree of inclusions: two of itself on each level, told apart by what the levels above did.
#ifndef LEVEL
#define LEVEL 5
#define PATH 0
#endif
#if LEVEL == 5
#undef LEVEL
#define LEVEL 4
#include "tree.h"
#include "tree.h"
#undef LEVEL
#define LEVEL 5
#elif LEVEL == 4
#undef LEVEL
#define LEVEL 3
#include "tree.h"
#define SECOND
#include "tree.h"
#undef SECOND
#undef LEVEL
#define LEVEL 4
#elif LEVEL == 3
#ifdef SECOND
#ifdef LEAF_1
#include "parts/leaf2.h"
#else
#include "parts/leaf1.h"
#endif
#endif
#endif
