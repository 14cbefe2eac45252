"""What datasets' own tests import from `tests/utils.py`, which its sdist leaves out; copied there under that name."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest


def for_all_test_methods(*decorators: Any) -> Any:
    """Decorates every test of a class."""

    def decorate(cls: Any) -> Any:
        for name, method in list(vars(cls).items()):
            if callable(method) and name.startswith("test"):
                for decorator in decorators:
                    method = decorator(method)
                setattr(cls, name, method)
        return cls

    return decorate


def xfail_if_500_502_http_error(test: Any) -> Any:
    """Here an error of the server is a failure."""
    return test


def _needs(package: str) -> Any:
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"needs {package}")


require_pil, require_torchcodec = _needs("PIL"), _needs("torchcodec")
