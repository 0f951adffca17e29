"""Other queues' sides of the comparisons. These modules run in environments of their own, without polypool."""
