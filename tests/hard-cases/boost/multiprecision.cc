// std: c++11 c++14
// Numbers: headers chosen by what the compiler can do.
#include <boost/multiprecision/cpp_int.hpp>
#include <boost/multiprecision/cpp_dec_float.hpp>
#include <boost/math/special_functions.hpp>
#include <boost/math/distributions.hpp>
