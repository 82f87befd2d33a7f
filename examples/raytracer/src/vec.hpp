// Three-component vectors, for points, directions and colours alike.
#pragma once

#include <cmath>
#include <ostream>

namespace rt {

struct Vec3 {
    double x = 0;
    double y = 0;
    double z = 0;

    constexpr double operator[](int axis) const { return axis == 0 ? x : axis == 1 ? y : z; }

    constexpr Vec3 operator-() const { return {-x, -y, -z}; }

    constexpr Vec3& operator+=(const Vec3& o) {
        x += o.x;
        y += o.y;
        z += o.z;
        return *this;
    }
};

using Point = Vec3;
using Colour = Vec3;

constexpr Vec3 operator+(const Vec3& a, const Vec3& b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
constexpr Vec3 operator-(const Vec3& a, const Vec3& b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
constexpr Vec3 operator*(const Vec3& a, double s) { return {a.x * s, a.y * s, a.z * s}; }
constexpr Vec3 operator*(double s, const Vec3& a) { return a * s; }
constexpr Vec3 operator/(const Vec3& a, double s) { return a * (1 / s); }

// Componentwise, as light is filtered by a surface.
constexpr Vec3 operator*(const Vec3& a, const Vec3& b) { return {a.x * b.x, a.y * b.y, a.z * b.z}; }

constexpr double dot(const Vec3& a, const Vec3& b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

constexpr Vec3 cross(const Vec3& a, const Vec3& b) {
    return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

inline double length(const Vec3& a) { return std::sqrt(dot(a, a)); }
inline Vec3 normalised(const Vec3& a) { return a / length(a); }

constexpr Vec3 reflect(const Vec3& v, const Vec3& normal) { return v - normal * (2 * dot(v, normal)); }

inline std::ostream& operator<<(std::ostream& out, const Vec3& a) {
    return out << a.x << ' ' << a.y << ' ' << a.z;
}

}  // namespace rt
