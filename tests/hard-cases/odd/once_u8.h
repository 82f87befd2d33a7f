_Pragma(u8"once")
#ifdef U8
#include "again_u8.h"
#endif
#define U8
