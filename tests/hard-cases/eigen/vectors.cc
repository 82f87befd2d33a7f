// std: c++11 c++14 c++17
// flags: -isystem /usr/include/eigen3 -march=haswell
// Eigen for one processor: other headers for each instruction set.
#include <Eigen/Dense>
