"""G-Eval: a strong model scores every response by four criteria."""
