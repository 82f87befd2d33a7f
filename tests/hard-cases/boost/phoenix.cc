// std: c++98 c++11 c++17
// Phoenix, with its preprocessed headers.
#include <boost/phoenix/phoenix.hpp>
