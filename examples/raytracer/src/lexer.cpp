#include "lexer.hpp"

#include <regex>

namespace rt {

namespace {

const std::regex& token_pattern() {
    static const std::regex pattern(R"((\n)|(#[^\n]*)|(-?\d+(?:\.\d*)?(?:e-?\d+)?)(?=\s|#|$)|([a-z_][a-z0-9_]*)|(\S))",
                                    std::regex::ECMAScript | std::regex::optimize);
    return pattern;
}

// The group of `token_pattern` that matched.
enum Group { newline = 1, comment, number, word, stray };

}  // namespace

SceneError::SceneError(int line, const std::string& what)
    : std::runtime_error("line " + std::to_string(line) + ": " + what) {}

std::vector<Token> tokenise(std::string_view text) {
    std::vector<Token> tokens;
    int line = 1;
    const std::cregex_iterator end;
    for (std::cregex_iterator it(text.data(), text.data() + text.size(), token_pattern()); it != end; ++it) {
        const std::cmatch& match = *it;
        if (match[newline].matched) {
            ++line;
        } else if (match[number].matched) {
            tokens.push_back({std::stod(match.str()), line});
        } else if (match[word].matched) {
            tokens.push_back({match.str(), line});
        } else if (match[stray].matched) {
            throw SceneError(line, "unexpected '" + match.str() + "'");
        }
    }
    return tokens;
}

}  // namespace rt
