// std: c++11 c++14 c++17 c++20
// flags: -isystem /usr/include/eigen3
// Eigen's sparse matrices.
#include <Eigen/Sparse>
#include <Eigen/SparseCholesky>
#include <Eigen/IterativeLinearSolvers>
