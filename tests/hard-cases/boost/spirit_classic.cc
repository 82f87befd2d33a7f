// std: c++98 c++14
// Spirit before version 2.
#include <boost/spirit/include/classic.hpp>
