// std: c++98 c++11 c++14 c++17 gnu++17 gnu++98
// Lines and literals: splices, trigraphs, raw strings, separators, comments.
#inc\
lude "parts/val\
ue1.h"
/* #include "none.h" */ # /**/ include /* x
*/ "parts/value2.h"
%:include "parts/value3.h"
const char *a = "/*", *b = "\
#include none";
#if __cplusplus >= 201103L
const char *c = R"(
#include "none.h"
??/
)", *d = u8R"??!(
#error "within a raw string" ")" ??=
)??!";
#endif
#if __cplusplus >= 201402L
int e = 1'000'000 /*'*/;
#endif
??=define TRIGRAPH
#ifdef TRIGRAPH
??=include "parts/leaf1.h"
#else
#include "parts/leaf2.h"
#endif
#if 0
don't "worry
#include "none.h"
#elif '\377' < 0 && 'ab' == 24930
#include "parts/three.h"
#endif
