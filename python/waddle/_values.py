"""Python values as journal text: numbers, steps, keys, and any parameter."""

from __future__ import annotations

import math
import operator
import os

try:
    from _json import encode_basestring
except ImportError:  # not CPython
    from json.encoder import encode_basestring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional, Tuple

#: Steps beyond this are not exact in JSON readers (and JavaScript), so that two of them could fall together.
MAX_STEP = 2**53

#: An integer metric beyond ±HUGE is infinite: the greatest 64-bit float is a little below it.
HUGE = 2**1024

#: The longest text that stands for a parameter that JSON lacks, in characters.
MAX_REPR = 16_384

#: Parameters nested deeper than this (or into themselves) become text.
MAX_DEPTH = 64


class NotANumber(TypeError):
    """A metric's value that is no number. The message says what it is."""


class BadStep(ValueError):
    """A step that is neither an integer within 2^53 nor a finite float. The message says why."""


def clean_text(text: str) -> str:
    r"""`text` as UTF-8 can hold it: a byte that was not UTF-8 (a surrogate escape) becomes ``\xNN``."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return "".join(map(_clean_character, text))


def _clean_character(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return "\\x%02x" % (code - 0xDC00)
    return "\\u%04x" % code if 0xD800 <= code <= 0xDFFF else character


def to_json(value: Any) -> bytes:
    """`value` (JSON types, as `plain` gives them) as compact UTF-8 JSON; lone surrogates become text."""
    text = _json_text(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _json_text(plain(value)).encode()


def _json_text(value: Any) -> str:
    # Not `json.dumps`: the json package brings in `re` and `enum`, half of what `init` costs.
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return str(encode_basestring(value))
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return _float_text(value).decode()
    if isinstance(value, dict):
        return "{%s}" % ",".join([encode_basestring(key) + ":" + _json_text(item) for key, item in value.items()])
    if isinstance(value, (list, tuple)):
        return "[%s]" % ",".join(map(_json_text, value))
    raise TypeError("%s is not of a JSON type" % type(value).__name__)


def key_text(key: object) -> str:
    """A key as text. Keys should be strings; anything else is written as Python shows it."""
    return clean_text(key if isinstance(key, str) else _text_of(key, str))


def number_text(value: object) -> bytes:
    """
    A metric's value as JSON: any object with ``__float__`` (or ``__index__``: integers keep their digits).

    NaN and the infinities become the strings "NaN", "Infinity" and "-Infinity"; so does an integer beyond what a
    64-bit float holds, as every reader of JSON would read it.

    Raises NotANumber for everything else: None, text, arrays of more than one element.
    """
    if type(value) is int and -MAX_STEP < value < MAX_STEP:
        return b"%d" % value
    if value is None or isinstance(value, (str, bytes, bytearray)):
        raise NotANumber("%s is not a number" % _shown(value))
    if isinstance(value, float):
        return _float_text(float(value))
    try:
        whole = operator.index(value)  # type: ignore[arg-type]
    except Exception:
        pass
    else:
        if -HUGE < whole < HUGE:
            return b"%d" % whole
        return b'"Infinity"' if whole > 0 else b'"-Infinity"'
    try:
        return _float_text(_float_of(value))
    except OverflowError:  # such as Fraction(10**400)
        return b'"Infinity"' if value > 0 else b'"-Infinity"'  # type: ignore[operator]
    except Exception:
        raise NotANumber("%s is not a number" % _shown(value)) from None


def _float_of(value: Any) -> float:
    # A tensor that takes part in a gradient warns when it becomes a number; apart from that it does not.
    return float(value.detach() if hasattr(value, "detach") else value)


def _float_text(value: float) -> bytes:
    if math.isfinite(value):
        return repr(value).encode()
    if value != value:
        return b'"NaN"'
    return b'"Infinity"' if value > 0 else b'"-Infinity"'


def step_number(step: object) -> Any:
    """
    A step as an int or a float.

    Raises BadStep where it is neither an integer within ±2^53 nor a finite float (or convertible to one).
    """
    try:
        whole = operator.index(step)  # type: ignore[arg-type]
    except Exception:
        pass
    else:
        if -MAX_STEP <= whole <= MAX_STEP:
            return int(whole)
        raise BadStep("step %s is beyond 2^53" % _shown(whole))
    if step is None or isinstance(step, (str, bytes, bytearray)):
        raise BadStep("step %s is not a number" % _shown(step))
    try:
        number = _float_of(step)
    except Exception:
        raise BadStep("step %s is not a number" % _shown(step)) from None
    if not math.isfinite(number):
        raise BadStep("step %s is not finite" % number)
    return number


def plain(value: Any, depth: int = 0) -> Any:
    """
    `value` as JSON types: None, bool, int, str, list, dict with text keys, and floats that JSON has.

    NaN and the infinities become strings; NumPy and torch scalars become numbers; paths become text; what JSON lacks
    becomes its ``repr``. Never raises.
    """
    kind = type(value)
    if value is None or kind is bool:
        return value
    if isinstance(value, str):
        return clean_text(str.__str__(value))
    if isinstance(value, int):
        return _plain_int(int(value))
    if isinstance(value, float):
        number = float(value)
        return number if math.isfinite(number) else _float_text(number)[1:-1].decode()
    if isinstance(value, (dict, list, tuple)) and depth < MAX_DEPTH:
        try:
            if isinstance(value, dict):
                return {key_text(key): plain(item, depth + 1) for key, item in list(value.items())}
            return [plain(item, depth + 1) for item in list(value)]
        except Exception:
            return _text_of(value, repr)
    if isinstance(value, os.PathLike):
        try:
            return clean_text(os.fsdecode(value))
        except Exception:
            return _text_of(value, repr)
    return _plain_scalar(value)


def _plain_int(value: int) -> Any:
    try:
        str(value)
    except ValueError:  # CPython 3.11 and later refuse to write more than 4,300 digits
        return hex(value)
    return value


def _plain_scalar(value: Any) -> Any:
    """A number for what says that it is one and has no dimensions; else text."""
    if getattr(value, "shape", ()) == () and not isinstance(value, type):
        if hasattr(value, "dtype") and "bool" in _text_of(value.dtype, str):
            try:
                return bool(value)
            except Exception:
                return _text_of(value, repr)
        try:
            return _plain_int(operator.index(value))
        except Exception:
            pass
        try:
            return plain(_float_of(value)) if hasattr(value, "__float__") else _text_of(value, repr)
        except Exception:
            pass
    return _text_of(value, repr)


def _text_of(value: object, how: Any) -> str:
    try:
        text = clean_text(how(value))
    except Exception:
        text = "<unprintable %s>" % type(value).__name__
    return text if len(text) <= MAX_REPR else text[:MAX_REPR] + "…"


def _shown(value: object) -> str:
    """A value as a warning shows it: short, on one line."""
    text = _text_of(value, repr)
    return text if len(text) <= 60 else text[:57] + "..."


def items_of(values: Any) -> Optional[List[Tuple[Any, Any]]]:
    """
    The items of a mapping, of an ``argparse.Namespace`` or a dataclass, or of pairs; None for anything else.

    Never raises, whatever `values` does.
    """
    try:
        if hasattr(values, "items"):
            return list(values.items())
        if hasattr(values, "__dict__") and not isinstance(values, type) and not callable(values):
            return [(key, item) for key, item in vars(values).items() if not key.startswith("_")]
        return list(dict(values).items())
    except Exception:
        return None
