#include "scene.hpp"

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace rt {

Scene load_scene(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + file.string());
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    return parse_scene(text);
}

}  // namespace rt
