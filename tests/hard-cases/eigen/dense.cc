// std: c++98 c++11 c++14 c++17 c++20 gnu++14
// flags: -isystem /usr/include/eigen3
// Eigen's usual half. Raw strings, trigraphs and a pragma for each compiler.
#include <Eigen/Dense>
