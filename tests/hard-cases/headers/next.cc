// std: c++98 c++17 c++20
// flags: -Iwrap1 -Iwrap2 -Iwrap3
// flags: -Iwrap3 -isystem wrap1 -idirafter wrap2 -idirafter last
// flags: -iquote wrap1 -Iwrap2 -Iwrap3
// flags: -iprefix wrap -iwithprefixbefore 1 -iwithprefix 2 -Iwrap3
// Wrappers by include_next, of our own headers and of the system's.
#include <wrapped.h>
#include "wrapped.h"
#include <limits.h>
#include <stdlib.h>
#include <cstdlib>
