"""Tensors as text and as files: their names in messages, .npz archives, files written whole. Imports no Tensor."""
