// std: gnu17
// gcc takes L for no prefix in _Pragma, and makes nothing of strings with others; clang reads them all.
#include "once_u8.h"
#include "once_u8.h"
#include "once_wide.h"
#include "once_wide.h"
