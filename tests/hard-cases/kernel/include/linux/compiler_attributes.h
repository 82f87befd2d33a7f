// What the compiler can do.
#if __has_attribute(__fallthrough__)
#define fallthrough __attribute__((__fallthrough__))
#endif
#if __has_attribute(__assume_aligned__) && !__has_attribute(__no_such_attribute__)
#include <linux/compiler_assume.h>
#endif
#ifdef __has_builtin
#if __has_builtin(__builtin_mul_overflow)
#include <linux/overflow.h>
#endif
#endif
