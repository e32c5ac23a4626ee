import enum
import fractions
import json
import math
import unittest

from waddle import _values


class Scalar:
    """As NumPy and torch scalars: a number by ``__float__`` alone."""

    def __init__(self, value):
        self.value = value

    def __float__(self):
        return self.value


class Index:
    def __index__(self):
        return 2**60 + 1


class Loud:
    def __float__(self):
        raise RuntimeError("a tensor of two elements")

    def __repr__(self):
        raise RuntimeError("not even that")


class Colour(enum.IntEnum):
    RED = 3


class Numbers(unittest.TestCase):
    def test_numbers_keep_their_value_and_integers_their_digits(self):
        for value, text in [
            (0.1, "0.1"),
            (1e-7, "1e-07"),
            (1e22, "1e+22"),
            (-0.0, "-0.0"),
            (3, "3"),
            (True, "1"),
            (False, "0"),
            (2**64 + 1, "18446744073709551617"),
            (Index(), str(2**60 + 1)),
            (Colour.RED, "3"),
            (Scalar(0.5), "0.5"),
            (fractions.Fraction(1, 4), "0.25"),
        ]:
            self.assertEqual(_values.number_text(value).decode(), text)

    def test_what_json_lacks_becomes_a_string(self):
        for value, text in [
            (math.nan, '"NaN"'),
            (math.inf, '"Infinity"'),
            (-math.inf, '"-Infinity"'),
            (Scalar(math.nan), '"NaN"'),
            (10**400, '"Infinity"'),
            (-(10**5000), '"-Infinity"'),
            (fractions.Fraction(10**400), '"Infinity"'),
        ]:
            self.assertEqual(_values.number_text(value).decode(), text)

    def test_everything_else_is_refused(self):
        for value in (None, "1.5", b"1", bytearray(b"1"), [1.0], {}, object(), 1j, Loud()):
            with self.assertRaises(_values.NotANumber):
                _values.number_text(value)

    def test_a_tensor_is_detached_first(self):
        class Tensor:
            def detach(self):
                return Scalar(0.5)

            def __float__(self):
                raise AssertionError("it takes part in a gradient")

        self.assertEqual(_values.number_text(Tensor()), b"0.5")

    def test_steps(self):
        for step, kept in [(0, 0), (-3, -3), (True, 1), (2**53, 2**53), (0.5, 0.5), (Index, None), (1e300, 1e300)]:
            if kept is not None:
                self.assertEqual(_values.step_number(step), kept)
        self.assertIs(type(_values.step_number(True)), int)
        for step in (None, "3", math.nan, math.inf, 2**53 + 1, -(2**53) - 1, Index(), [1], Loud()):
            with self.assertRaises(_values.BadStep):
                _values.step_number(step)


class Params(unittest.TestCase):
    def plain(self, value):
        plain = _values.plain(value)
        self.assertEqual(json.loads(_values.to_json(plain).decode()), plain)
        return plain

    def test_json_types_are_kept(self):
        value = {"a": [1, 2.5, None, True, "text"], "b": {"c": 2**80}}
        self.assertEqual(self.plain(value), value)
        self.assertIs(self.plain(True), True)
        self.assertEqual(self.plain((1, 2)), [1, 2])

    def test_numbers_of_other_libraries_become_numbers(self):
        self.assertEqual(self.plain(Scalar(0.5)), 0.5)
        self.assertEqual(self.plain(Index()), 2**60 + 1)
        self.assertEqual(self.plain({"x": math.nan, "y": [math.inf]}), {"x": "NaN", "y": ["Infinity"]})
        self.assertEqual(self.plain(Colour.RED), 3)

    def test_what_json_lacks_becomes_text(self):
        self.assertEqual(self.plain({1}), "{1}")
        self.assertEqual(self.plain(1j), "1j")
        self.assertEqual(self.plain({3: 1, None: 2}), {"3": 1, "None": 2})
        self.assertEqual(self.plain(Loud()), "<unprintable Loud>")
        self.assertEqual(self.plain(int), "<class 'int'>")
        loop = []
        loop.append(loop)
        self.assertIn("[...]", json.dumps(self.plain(loop)))
        self.assertIn(self.plain(10**5000)[:2], ("10", "0x"))

    def test_text_that_is_not_utf8(self):
        self.assertEqual(self.plain("caf\udce9"), "caf\\xe9")
        self.assertEqual(self.plain("\ud800"), "\\ud800")
        self.assertEqual(self.plain('"\n\0🦆'), '"\n\0🦆')
        self.assertEqual(_values.to_json({"a\udcff": "b"}), b'{"a\\\\xff":"b"}')

    def test_numpy(self):
        try:
            import numpy
        except ImportError:
            self.skipTest("NumPy is not installed")
        self.assertEqual(_values.number_text(numpy.float64(0.25)), b"0.25")
        self.assertEqual(_values.number_text(numpy.int64(2**60 + 1)), str(2**60 + 1).encode())
        self.assertEqual(_values.number_text(numpy.bool_(True)), b"1.0")
        self.assertIs(self.plain(numpy.bool_(True)), True)
        self.assertEqual(self.plain(numpy.int32(40)), 40)
        self.assertEqual(self.plain(numpy.float32(0.5)), 0.5)
        self.assertEqual(self.plain(numpy.array([1, 2])), "array([1, 2])")
        self.assertEqual(_values.step_number(numpy.int64(7)), 7)
        with self.assertRaises(_values.NotANumber):
            _values.number_text(numpy.array([1.0, 2.0]))
