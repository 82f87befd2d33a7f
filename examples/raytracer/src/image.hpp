// A picture in memory, and as a file.
#pragma once

#include "vec.hpp"

#include <cstddef>
#include <filesystem>
#include <vector>

namespace rt {

class Image {
public:
    Image(int width, int height);

    int width() const { return width_; }
    int height() const { return height_; }
    Colour& at(int x, int y) { return pixels_[static_cast<std::size_t>(y) * width_ + x]; }

    // Binary PPM with gamma 2. Throws std::runtime_error when the file cannot be written.
    void save(const std::filesystem::path& file) const;

private:
    int width_;
    int height_;
    std::vector<Colour> pixels_;
};

}  // namespace rt
