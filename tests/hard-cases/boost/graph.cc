// std: c++11 c++17
// Graphs, with named parameters.
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <boost/parameter.hpp>
