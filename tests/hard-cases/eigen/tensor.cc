// std: c++11 c++14 c++17
// flags: -isystem /usr/include/eigen3 -DEIGEN_USE_THREADS
// Eigen's tensors, with threads.
#include <unsupported/Eigen/CXX11/Tensor>
#include <unsupported/Eigen/CXX11/ThreadPool>
