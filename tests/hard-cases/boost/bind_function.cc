// std: c++98 c++14
// flags: -DBOOST_FUNCTION_MAX_ARGS=20 -DBOOST_BIND_GLOBAL_PLACEHOLDERS
// Function iterates over numbers of arguments.
#include <boost/function.hpp>
#include <boost/bind.hpp>
#include <boost/lambda/lambda.hpp>
#include <boost/lambda/bind.hpp>
#include <boost/signals2.hpp>
