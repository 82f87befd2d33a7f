// Which processor this is.
#if defined(CONFIG_64BIT) && !defined(FAKE_32BIT)
#define BITS_PER_LONG 64
#else
#define BITS_PER_LONG 32
#endif
#include <asm-generic/bitsperlong.h>
