// What is rendered.
#pragma once

#include "camera.hpp"
#include "shape.hpp"
#include "texture.hpp"

#include <filesystem>
#include <string_view>

namespace rt {

struct Scene {
    int width = 160;
    int height = 120;
    int samples = 16;
    int bounces = 8;
    CameraSettings camera;
    Gradient sky{{1, 1, 1}, {0.5, 0.7, 1}, -1, 1};
    ShapePtr world;
};

// Throws SceneError. The language is described in scenes/demo.scene.
Scene parse_scene(std::string_view text);
Scene load_scene(const std::filesystem::path& file);

}  // namespace rt
