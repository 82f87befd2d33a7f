#include "bvh.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace rt {

namespace {

class Node final : public Shape {
public:
    Node(ShapePtr left, ShapePtr right) : left_(std::move(left)), right_(std::move(right)) {
        bounds_.include(left_->bounds());
        bounds_.include(right_->bounds());
    }

    std::optional<Hit> hit(const Ray& ray, Interval range) const override {
        if (!bounds_.is_hit(ray, range)) return std::nullopt;
        const std::optional<Hit> left = left_->hit(ray, range);
        if (left) range.max = left->t;
        const std::optional<Hit> right = right_->hit(ray, range);
        return right ? right : left;
    }

    Bounds bounds() const override { return bounds_; }

private:
    ShapePtr left_;
    ShapePtr right_;
    Bounds bounds_;
};

using Iterator = Shapes::iterator;

ShapePtr build(Iterator first, Iterator last) {
    if (std::distance(first, last) == 1) return std::move(*first);

    Bounds all;
    std::for_each(first, last, [&](const ShapePtr& shape) { all.include(shape->bounds()); });
    const int axis = all.longest_axis();
    // Stable, so that shapes with one centre keep their order with every standard library.
    std::stable_sort(first, last, [axis](const ShapePtr& a, const ShapePtr& b) {
        return a->bounds().centre()[axis] < b->bounds().centre()[axis];
    });
    const Iterator middle = first + std::distance(first, last) / 2;
    return std::make_unique<Node>(build(first, middle), build(middle, last));
}

}  // namespace

ShapePtr make_tree(Shapes shapes) {
    if (shapes.empty()) throw std::invalid_argument("a scene needs at least one shape");
    return build(shapes.begin(), shapes.end());
}

}  // namespace rt
