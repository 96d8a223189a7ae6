"""Text: language models, classification, tags, translation, summaries and answers.

Words or characters as inputs; one output at the end, one at each step, or another sequence.
"""
