// The command line.
#pragma once

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace rt {

struct Options {
    std::filesystem::path scene;
    std::filesystem::path output = "out.ppm";
    unsigned threads = 0;  // 0: as many as there are processors
    bool quiet = false;
    bool help = false;
};

class UsageError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

const char* usage();
// Throws UsageError.
Options parse_options(const std::vector<std::string>& words);

}  // namespace rt
