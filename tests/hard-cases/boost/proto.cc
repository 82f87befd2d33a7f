// std: c++98 c++11 c++20
// Proto.
#include <boost/proto/proto.hpp>
#include <boost/proto/context.hpp>
