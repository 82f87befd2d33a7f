// Reached by its own name and through links: the folder of what it includes is that of the name.
#if defined SECOND_TIME && !defined ONLY_BESIDE
#include "../beside.h"
#else
#define SECOND_TIME
#include "beside.h"
#endif
