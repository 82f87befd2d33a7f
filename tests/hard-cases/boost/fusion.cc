// std: c++98 c++11 c++17
// Fusion.
#include <boost/fusion/include/vector.hpp>
#include <boost/fusion/include/list.hpp>
#include <boost/fusion/include/set.hpp>
#include <boost/fusion/include/map.hpp>
#include <boost/fusion/include/adapted.hpp>
#include <boost/fusion/include/algorithm.hpp>
#include <boost/fusion/include/define_struct.hpp>
#include <boost/fusion/include/functional.hpp>
