_Pragma(L"once")
#ifdef WIDE
#include "again_wide.h"
#endif
#define WIDE
