// only: gcc
// std: c99 gnu17
// flags: -iquote near -Inear
// flags: -iquote missing -iquote near -Inear
// flags: -iquote near -iquote missing -Inear
// flags: -iquote near -iquote near -Inear
// flags: -iquote missing -I near -I- -Inear
// flags: -I far -I near -I- -Inear
// flags: -iquote far -I near -I- -Inear
// The last quote folder and the first bracket folder are one, but not where the last that was named is missing or double.
#include "neighbour_next.h"
