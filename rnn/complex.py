"""The public name of rnn.language.complex: complex numbers as pairs of real ones."""

from .language.complex import Complex, ComplexSignal, complex_signal

__all__ = ["Complex", "ComplexSignal", "complex_signal"]
