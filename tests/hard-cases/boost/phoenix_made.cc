// std: c++98
// flags: -DBOOST_PHOENIX_DONT_USE_PREPROCESSED_FILES -DBOOST_PROTO_DONT_USE_PREPROCESSED_FILES
// Phoenix and Proto made by iteration.
#include <boost/phoenix/core.hpp>
#include <boost/phoenix/operator.hpp>
#include <boost/phoenix/bind.hpp>
#include <boost/phoenix/statement.hpp>
