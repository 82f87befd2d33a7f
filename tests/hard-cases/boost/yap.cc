// std: c++17 c++20
// Newer libraries.
#include <boost/yap/yap.hpp>
#include <boost/mp11.hpp>
