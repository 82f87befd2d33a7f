// std: c99 gnu17
// flags: -Ibridge -Inear
// A question meets a file by a link, an include by its own name: clang looks beside the link.
#if __has_include(<asked.h>)
#endif
#include "far/asked.h"
