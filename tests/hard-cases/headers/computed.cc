// std: c++98 c++11 c++17 c++20
// flags: -DPLATFORM=three -DANGLED='<parts/value1.h>' -I. '-DQUOTED="parts/value2.h"'
// Computed includes: names by pasting, by strings, between brackets, from the command line; has_include.
#include ANGLED
#include QUOTED
#define CAT(a, b) CAT_(a, b)
#define CAT_(a, b) a##b
#define STRING(x) STRING_(x)
#define STRING_(x) #x
#define FOLDER parts
#define IN_FOLDER(name) <FOLDER/name.h>
#include IN_FOLDER(PLATFORM)
#include STRING(FOLDER/CAT(val, CAT(u, e3)).h)
#if __cplusplus >= 201703L
#if __has_include(IN_FOLDER(leaf2)) && __has_include("parts/none.h") == 0
#include IN_FOLDER(leaf2)
#endif
#endif
#ifdef __has_include
#if __has_include(ANGLED) && !__has_include(<parts/none.h>)
#include "parts/leaf1.h"
#endif
#endif
#define COUNT(...) COUNT_(__VA_ARGS__, 3, 2, 1, 0)
#define COUNT_(a, b, c, d, ...) d
#if COUNT(x, y) == 2 && CAT(0x, f) == 15 && (-1 >> 1) < 0u + 1 == 0
#include "parts/value1.h"
#endif
#if __cplusplus >= 202002L
#define WITH(x, ...) x __VA_OPT__(+ COUNT(__VA_ARGS__))
#if WITH(1) + WITH(2, 3) == 4
#include "counting.h"
#endif
#endif
