#include "bvh.hpp"
#include "lexer.hpp"
#include "scene.hpp"

#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>

namespace rt {

namespace {

class Parser {
public:
    explicit Parser(std::string_view text) : tokens_(tokenise(text)) {}

    Scene parse() {
        while (next_ < tokens_.size()) statement();
        if (shapes_.empty()) throw SceneError(last_line(), "no shape in the scene");
        scene_.world = make_tree(std::move(shapes_));
        return std::move(scene_);
    }

private:
    using Statement = void (Parser::*)();

    void statement() {
        static const std::map<std::string, Statement, std::less<>> statements{
            {"size", &Parser::size},         {"quality", &Parser::quality}, {"camera", &Parser::camera},
            {"sky", &Parser::sky},           {"texture", &Parser::texture}, {"material", &Parser::material},
            {"sphere", &Parser::sphere},     {"quad", &Parser::quad},       {"box", &Parser::box},
            {"triangle", &Parser::triangle},
        };
        const int line = here();
        const std::string name = word();
        const auto found = statements.find(name);
        if (found == statements.end()) throw SceneError(line, "unknown statement '" + name + "'");
        (this->*found->second)();
    }

    void size() {
        scene_.width = positive();
        scene_.height = positive();
    }

    void quality() {
        scene_.samples = positive();
        scene_.bounces = positive();
    }

    void camera() {
        scene_.camera.from = vec();
        scene_.camera.at = vec();
        scene_.camera.field = number();
        scene_.camera.aperture = number();
    }

    void sky() {
        scene_.sky.bottom = vec();
        scene_.sky.top = vec();
    }

    void texture() {
        const std::string name = word();
        const int line = here();
        const std::string kind = word();
        if (kind == "plain") {
            textures_[name] = Plain{vec()};
        } else if (kind == "checker") {
            const Colour even = vec();
            const Colour odd = vec();
            textures_[name] = Checker{even, odd, number()};
        } else if (kind == "gradient") {
            const Colour bottom = vec();
            const Colour top = vec();
            const double from = number();
            textures_[name] = Gradient{bottom, top, from, number()};
        } else {
            throw SceneError(line, "unknown kind of texture '" + kind + "'");
        }
    }

    void material() {
        const std::string name = word();
        const int line = here();
        const std::string kind = word();
        if (kind == "matte") {
            materials_[name] = make_matte(known(textures_, "texture"));
        } else if (kind == "metal") {
            const Texture& surface = known(textures_, "texture");
            materials_[name] = make_metal(surface, number());
        } else if (kind == "glass") {
            materials_[name] = make_glass(number());
        } else if (kind == "light") {
            const Texture& surface = known(textures_, "texture");
            materials_[name] = make_light(surface, number());
        } else {
            throw SceneError(line, "unknown kind of material '" + kind + "'");
        }
    }

    void sphere() {
        const MaterialPtr& surface = known(materials_, "material");
        const Point centre = vec();
        shapes_.push_back(make_sphere(centre, number(), surface));
    }

    void triangle() {
        const MaterialPtr& surface = known(materials_, "material");
        const Point a = vec();
        const Point b = vec();
        shapes_.push_back(make_triangle(a, b, vec(), surface));
    }

    void quad() {
        const MaterialPtr& surface = known(materials_, "material");
        const Point corner = vec();
        const Vec3 u = vec();
        shapes_.push_back(make_quad(corner, u, vec(), surface));
    }

    void box() {
        const MaterialPtr& surface = known(materials_, "material");
        const Point low = vec();
        add_box(shapes_, low, vec(), surface);
    }

    template <typename T>
    const T& known(const std::unordered_map<std::string, T>& names, const char* what) {
        const int line = here();
        const std::string name = word();
        const auto found = names.find(name);
        if (found == names.end()) throw SceneError(line, std::string("no ") + what + " named '" + name + "'");
        return found->second;
    }

    template <typename T>
    const T& take(const char* what) {
        if (next_ == tokens_.size()) throw SceneError(last_line(), std::string("the file ends where ") + what + " is due");
        const Token& token = tokens_[next_++];
        if (const T* value = std::get_if<T>(&token.value)) return *value;
        throw SceneError(token.line, std::string(what) + " is due here");
    }

    const std::string& word() { return take<std::string>("a word"); }
    double number() { return take<double>("a number"); }

    int positive() {
        const int line = here();
        const double value = number();
        if (value < 1 || value > 10000) throw SceneError(line, "a number from 1 to 10000 is due here");
        return static_cast<int>(value);
    }

    Vec3 vec() {
        const double x = number();
        const double y = number();
        return {x, y, number()};
    }

    int here() const { return next_ < tokens_.size() ? tokens_[next_].line : last_line(); }
    int last_line() const { return tokens_.empty() ? 1 : tokens_.back().line; }

    std::vector<Token> tokens_;
    std::size_t next_ = 0;
    Scene scene_;
    Shapes shapes_;
    std::unordered_map<std::string, Texture> textures_;
    std::unordered_map<std::string, MaterialPtr> materials_;
};

}  // namespace

Scene parse_scene(std::string_view text) { return Parser(text).parse(); }

}  // namespace rt
