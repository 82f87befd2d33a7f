// std: c99 gnu17
// flags: -Wno-deprecated -I.
// Import in C: an old word of gcc's, known to clang as well.
#import "parts/value1.h"
#import <parts/value1.h>
#include "parts/value1.h"
#include "counting.h"
#import "counting.h"
#import "parts/../parts/value2.h"
