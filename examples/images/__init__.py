"""Images: pictures to sentences.

An image is encoded once; a recurrent decoder describes it.
"""
