// std: c++11 c++14 c++17 c++20
// flags: -isystem /usr/include/eigen3
// Eigen's unsupported modules.
#include <unsupported/Eigen/AutoDiff>
#include <unsupported/Eigen/FFT>
#include <unsupported/Eigen/KroneckerProduct>
#include <unsupported/Eigen/MatrixFunctions>
#include <unsupported/Eigen/NonLinearOptimization>
#include <unsupported/Eigen/Polynomials>
#include <unsupported/Eigen/Splines>
#include <unsupported/Eigen/EulerAngles>
