// std: c++11 c++17 c++20
// flags: -pthread
// Asio: it asks for headers and features of the compiler.
#include <boost/asio.hpp>
