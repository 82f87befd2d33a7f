// std: gnu17
// gcc takes L for no prefix in pragmas, and makes nothing of strings with others; clang reads them all in _Pragma and
// none in push_macro.
#include "once_u8.h"
#include "once_u8.h"
#include "once_wide.h"
#include "once_wide.h"
#define X 1
#pragma push_macro(L"X")
#undef X
#pragma pop_macro("X")
#if X
#include "yes.h"
#else
#include "no.h"
#endif
