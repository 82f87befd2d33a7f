#define LEAF_1 // Another leaf is next.
