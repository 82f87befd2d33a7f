// Scene files as words.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace rt {

struct Token {
    std::variant<std::string, double> value;
    int line = 0;
};

// A scene file that cannot be understood. The message begins with the line.
class SceneError : public std::runtime_error {
public:
    SceneError(int line, const std::string& what);
};

// Words and numbers, separated by blanks; `#` starts a comment.
std::vector<Token> tokenise(std::string_view text);

}  // namespace rt
