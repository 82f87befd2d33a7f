// The first header of all.
#ifndef LINUX_TYPES_H
#define LINUX_TYPES_H
#include <asm/bitsperlong.h>
#include <stddef.h>
#ifndef __ASSEMBLY__
#include <stdarg.h>
typedef unsigned long word_t;
#endif
#endif
