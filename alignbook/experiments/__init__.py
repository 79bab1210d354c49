"""One file a question: its parameters, a run that yields tables, one sentence, one prediction.

An experiment knows nothing of charts or widgets, and needs numpy alone: the same file runs in a notebook's
kernel, at the book's build and inside a page. Its picture is the file of the same name in `alignbook.labs`.
"""
