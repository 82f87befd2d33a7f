// std: c++98 c++11
// flags: -DPHOENIX_LIMIT=14 -DBOOST_PHOENIX_NO_VARIADICS
// Phoenix beyond what its preprocessed headers hold.
#include <boost/phoenix/core.hpp>
#include <boost/phoenix/operator.hpp>
#include <boost/phoenix/function.hpp>
#include <boost/phoenix/object.hpp>
