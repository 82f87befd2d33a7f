// std: c++14 c++17 c++20
// Hana.
#include <boost/hana.hpp>
#include <boost/hana/ext/boost/mpl.hpp>
#include <boost/hana/ext/std/tuple.hpp>
