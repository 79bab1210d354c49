"""Checks of a reader's answers: one module a topic, one function an exercise, each says *what* is wrong."""
