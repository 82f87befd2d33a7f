// std: gnu89 c99 gnu11 gnu17
// flags: -UWITH_BLUE
// flags: -DWITH_BLUE
// X-macros: one list, included again and again with another meaning.
enum colour {
#define COLOUR(name, n) colour_##name = n,
#include "colours.def"
};
static const char *const names[] = {
#define COLOUR(name, n) #name,
#include "colours.def"
};
#define COLOUR(name, n) + 1
enum { count = 0
#include "colours.def"
};
#define LIST(X) X(one, 1) X(two, 2) X(three, 3)
#define SUM(name, n) + n
#if LIST(SUM) == 6
#define LAST(name, n) name
#define ONLY(which) which(three, 3)
#define AS_TEXT(x) AS_TEXT_(x)
#define AS_TEXT_(x) #x
#include AS_TEXT(parts/ONLY(LAST).h)
#endif
