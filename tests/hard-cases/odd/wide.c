// std: c11 gnu17
// Escapes in wide characters have all their bits, and a sign.
#if L'\x80000000' < 0 && L'\xffffffff' == -1 && U'\x80000000' > 0
#include "yes.h"
#else
#include "no.h"
#endif
