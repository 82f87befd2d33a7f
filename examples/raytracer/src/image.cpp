#include "image.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <stdexcept>
#include <string>

namespace rt {

namespace {

char to_byte(double linear) {
    const double gamma = std::sqrt(std::clamp(linear, 0.0, 1.0));
    return static_cast<char>(static_cast<unsigned char>(gamma * 255.999));
}

}  // namespace

Image::Image(int width, int height)
    : width_(width), height_(height), pixels_(static_cast<std::size_t>(width) * height) {}

void Image::save(const std::filesystem::path& file) const {
    std::string bytes = "P6\n" + std::to_string(width_) + ' ' + std::to_string(height_) + "\n255\n";
    bytes.reserve(bytes.size() + pixels_.size() * 3);
    for (const Colour& c : pixels_) {
        for (const double component : {c.x, c.y, c.z}) bytes.push_back(to_byte(component));
    }
    std::ofstream out(file, std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.close();
    if (!out) throw std::runtime_error("cannot write " + file.string());
}

}  // namespace rt
