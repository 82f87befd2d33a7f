// For any processor.
#ifndef ASM_GENERIC_barrier
#define ASM_GENERIC_barrier
#include <linux/types.h>
#if BITS_PER_LONG == 64
#define generic_barrier 64
#elif BITS_PER_LONG == 32
#include <linux/config32.h>
#else
#error "BITS_PER_LONG is neither"
#endif
#endif
