// Includes itself under changing macros: counts to eight in three digits, then says so.
#if !defined COUNT_0
#define COUNT_0
#include "counting.h"
#elif !defined COUNT_1
#define COUNT_1
#undef COUNT_0
#include "counting.h"
#elif !defined COUNT_2
#define COUNT_2
#undef COUNT_1
#undef COUNT_0
#include "counting.h"
#else
#include "parts/counted.h"
#endif
