// std: c++14 c++17 c++20
// Spirit X3.
#include <boost/spirit/home/x3.hpp>
#include <boost/spirit/home/x3/support/ast/variant.hpp>
