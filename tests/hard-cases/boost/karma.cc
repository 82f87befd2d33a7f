// std: c++98 c++11
// Spirit's generators.
#include <boost/spirit/include/karma.hpp>
#include <boost/spirit/repository/include/karma.hpp>
