// Random numbers that are the same on every machine and with any number of threads.
//
// Each pixel seeds a generator of its own, and nothing here calls a function whose last bit
// differs between C libraries: a picture can be compared byte for byte.
#pragma once

#include "vec.hpp"

#include <cstdint>

namespace rt {

// PCG32 (www.pcg-random.org).
class Sampler {
public:
    explicit Sampler(std::uint64_t seed);

    // From 0 up to, not including, 1.
    double uniform();
    Vec3 on_unit_sphere();
    Vec3 in_unit_disc();

private:
    std::uint32_t next();

    std::uint64_t state_ = 0;
};

}  // namespace rt
