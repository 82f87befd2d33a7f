// Forced into every unit that is no assembler: the compiler's own header is a computed one.
#ifndef LINUX_COMPILER_TYPES_H
#define LINUX_COMPILER_TYPES_H
#ifndef __ASSEMBLY__
#ifdef __clang__
#define COMPILER clang
#else
#define COMPILER gcc
#endif
#ifdef __has_attribute
#include <linux/compiler_attributes.h>
#endif
#define compiler_path_(x) <linux/compiler_##x.h>
#define compiler_path(x) compiler_path_(x)
#include compiler_path(COMPILER)
#endif
#endif
