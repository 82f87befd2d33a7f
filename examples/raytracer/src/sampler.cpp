#include "sampler.hpp"

#include <array>

namespace rt {

namespace {

constexpr std::uint64_t multiplier = 6364136223846793005u;
constexpr std::uint64_t increment = 1442695040888963407u;

}  // namespace

Sampler::Sampler(std::uint64_t seed) {
    next();
    state_ += seed;
    next();
}

std::uint32_t Sampler::next() {
    const std::uint64_t old = state_;
    state_ = old * multiplier + increment;
    const auto shifted = static_cast<std::uint32_t>(((old >> 18) ^ old) >> 27);
    const auto rotation = static_cast<std::uint32_t>(old >> 59);
    return (shifted >> rotation) | (shifted << ((32 - rotation) & 31));
}

double Sampler::uniform() { return next() / 4294967296.0; }

Vec3 Sampler::on_unit_sphere() {
    for (;;) {
        // One by one: the order of evaluation within an initialiser call would be up to the compiler.
        std::array<double, 3> c{};
        for (double& v : c) v = 2 * uniform() - 1;
        const Vec3 candidate{c[0], c[1], c[2]};
        const double squared = dot(candidate, candidate);
        if (1e-12 < squared && squared <= 1) return candidate / std::sqrt(squared);
    }
}

Vec3 Sampler::in_unit_disc() {
    for (;;) {
        const double x = 2 * uniform() - 1;
        const double y = 2 * uniform() - 1;
        if (x * x + y * y < 1) return {x, y, 0};
    }
}

}  // namespace rt
