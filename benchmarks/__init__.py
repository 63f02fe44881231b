"""Speed beside named peers: identical data, the same optimum checked, each program in processes of its own."""
