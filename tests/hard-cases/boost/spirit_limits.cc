// std: c++98 c++11
// flags: -DSPIRIT_ARGUMENTS_LIMIT=15 -DSPIRIT_ATTRIBUTES_LIMIT=15 -DPHOENIX_LIMIT=15 -DFUSION_MAX_VECTOR_SIZE=20
// Spirit, all of version 2, with raised limits.
#include <boost/spirit/include/support.hpp>
#include <boost/spirit/include/qi.hpp>
