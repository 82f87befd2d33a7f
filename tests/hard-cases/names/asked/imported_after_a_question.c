// std: c99 gnu17
// flags: -Wno-deprecated -Inear -iquotenear
// flags: -Wno-deprecated -Inear -iquotenear -iquote far
// flags: -Wno-deprecated -Inear -iquote far -iquotenear
// flags: -Wno-deprecated -Inear
// For gcc a file found in a quote folder is another one than the same found in a bracket folder.
#if __has_include(<imported.h>)
#endif
#import "imported.h"
#ifdef ONCE_MORE
#include "far/neighbour.h"
#endif
