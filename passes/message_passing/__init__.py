"""Message passing of graph networks, recognized in the operators that exporters write."""
