// std: c++98 c++11 c++20
// Variant, Any and Optional.
#include <boost/variant.hpp>
#include <boost/variant/multivisitors.hpp>
#include <boost/any.hpp>
#include <boost/optional.hpp>
