// std: c++98 c++14
// flags: -DFUSION_MAX_VECTOR_SIZE=20
// State machines: MPL, Fusion, Proto and Phoenix at once.
#include <boost/msm/back/state_machine.hpp>
#include <boost/msm/front/euml/euml.hpp>
