// A computed include, not guarded.
#define TEXT_OF(x) TEXT_OF_(x)
#define TEXT_OF_(x) #x
#define HEADER_OF(v) TEXT_OF(parts/value##v.h)
#define HEADER(v) HEADER_OF(v)
#include HEADER(value)
