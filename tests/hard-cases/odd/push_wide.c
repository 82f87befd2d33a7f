// std: gnu17
// only: gcc
// L is no prefix in these pragmas either; clang refuses it.
#define X 1
#pragma push_macro(L"X")
#undef X
#pragma pop_macro("X")
#if X
#include "yes.h"
#else
#include "no.h"
#endif
