// std: c11 gnu17
// A carriage return alone ends a line.
//x#include "yes.h"
int a;#define X  5
#if 0 X#include "no.h"#else#define Y \ 5
#endif
#if Y == 5
#include "after.h"
#endif
