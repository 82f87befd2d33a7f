/* The layout of both halves. */
#include <linux/types.h>
#if LAYOUT == BITS_PER_LONG
#include "notes.lds.h"
#endif
SECTIONS { . = SIZEOF_HEADERS; .note : { *(.note.*) } }
