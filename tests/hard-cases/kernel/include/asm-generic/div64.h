// For any processor.
#ifndef ASM_GENERIC_div64
#define ASM_GENERIC_div64
#include <linux/types.h>
#if BITS_PER_LONG == 64
#define generic_div64 64
#elif BITS_PER_LONG == 32
#include <linux/config32.h>
#else
#error "BITS_PER_LONG is neither"
#endif
#endif
