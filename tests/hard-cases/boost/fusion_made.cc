// std: c++98 c++11
// flags: -DFUSION_DISABLE_PREPROCESSED_FILES -DBOOST_FUSION_DONT_USE_PREPROCESSED_FILES -DFUSION_MAX_VECTOR_SIZE=30 -DFUSION_MAX_MAP_SIZE=25 -DBOOST_FUSION_DISABLE_VARIADICS
// Fusion made by iteration.
#include <boost/fusion/include/vector.hpp>
#include <boost/fusion/include/map.hpp>
#include <boost/fusion/include/deque.hpp>
#include <boost/fusion/include/invoke.hpp>
#include <boost/fusion/include/make_vector.hpp>
