// std: gnu89 c99 gnu17
// Headers that include themselves under changing macros; marks that end it.
#include "counting.h"
#include "counting.h"
#include "tree.h"
#include "once.h"
#include "./once.h"
#include "parts/../once.h"
#include "pragma_once.h"
#include "pragma_once.h"
#define value 1
#pragma push_macro("value")
#undef value
#define value 2
#include "by_value.h"
#pragma pop_macro("value")
#include "by_value.h"
_Pragma("push_macro(\"value\")")
#undef value
#define value 3
#include "by_value.h"
_Pragma("pop_macro(\"value\")")
#include "by_value.h"
