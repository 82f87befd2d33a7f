// std: c++98 c++11 c++14
// Spirit's parsers.
#include <boost/spirit/include/qi.hpp>
#include <boost/spirit/include/qi_repeat.hpp>
#include <boost/spirit/repository/include/qi_kwd.hpp>
