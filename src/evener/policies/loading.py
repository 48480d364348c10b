"""From `module:Class` or `/path/file.py:Class` to a policy that can be asked.

Rules kept here:
- Loaded anew each time, from the text as it is now: a reload takes up an edited policy.
- Whatever is wrong is a `PolicyError` that says what was found, what was expected, and what to do.
- What a text prints or raises is its own; everything is caught here.
Not known here: who wants it.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from evener.policies import Policy, PolicyError

#: What a class looks like; for hints.
EXAMPLE = "class {name}(Policy): def pick(self, servers, request): return servers[0]"
_PICK = "a method `pick(self, servers, request)`"


def load(reference: str) -> Policy:
    """Makes the policy.

    Raises:
        PolicyError: it cannot be made.
    """
    module, name = _module(reference), reference.rpartition(":")[2]
    made = _make(_class(module, name))
    headers: object = made.headers
    listed = isinstance(headers, Iterable) and not isinstance(headers, str)
    if not listed or not all(isinstance(each, str) for each in made.headers):
        got = f"`headers` of `{name}` is {made.headers!r}"
        raise PolicyError(got, "a list of names of headers", '`headers = ["x-user"]`')
    return made


def version(reference: str) -> str:
    """A word for the text that the policy's class is in: another text, another word.

    Raises:
        PolicyError: there is none.
    """
    return hashlib.sha256(_text(reference)[1]).hexdigest()[:16]


def words(error: BaseException) -> str:
    """An exception in a line: what, and where in the user's own text."""
    what = "".join(traceback.format_exception_only(error)).strip().splitlines()
    said = what[-1] if what else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_ours(frame.filename)]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{said} ({error.filename}:{error.lineno})"
    return f"{said} ({own[-1].filename}:{own[-1].lineno})" if own else said


def _is_ours(file: str) -> bool:
    return file.startswith("<frozen ") or Path(file).parent == Path(__file__).parent


def _text(reference: str) -> tuple[str, bytes]:
    """Where the text is, and the text."""
    place = reference.rpartition(":")[0]
    if place.endswith(".py"):
        try:
            return place, Path(place).read_bytes()
        except OSError as error:
            raise PolicyError(
                f"`{place}` cannot be read: {error.strerror}", "a file in Python"
            ) from error
    importlib.invalidate_caches()
    try:
        found = importlib.util.find_spec(place)
    except ModuleNotFoundError:
        found = None
    except Exception as error:  # a package above it runs
        raise PolicyError(f"`{place}` cannot be found: {words(error)}", "a module") from error
    if found is None or not found.origin or not found.origin.endswith(".py"):
        hint = f"install it where Evener is ({sys.prefix}), or name its file: /path/file.py:Class"
        raise PolicyError(f"no module `{place}`", "a module that can be imported", hint)
    return found.origin, Path(found.origin).read_bytes()


def _module(reference: str) -> ModuleType:
    place = reference.rpartition(":")[0]
    file, text = _text(reference)
    name = f"evener_policy_{Path(file).stem}" if place.endswith(".py") else place
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None, "it ends in .py"
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    # Dataclasses and the like look their module up while it runs.
    sys.modules[name] = module
    try:
        # Compiled here: a cached form may be of the text before, when both are of one second.
        exec(compile(text, file, "exec"), module.__dict__)
    except BaseException as error:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        hint = ""
        if isinstance(error, ModuleNotFoundError):
            hint = f"install `{error.name}` where Evener is ({sys.prefix})"
        got = f"`{place}` does not run: {words(error)}"
        raise PolicyError(got, "a module that can be imported", hint) from error
    return module


def _class(module: ModuleType, name: str) -> type[Policy]:
    found = getattr(module, name, None)
    if isinstance(found, type) and issubclass(found, Policy) and found is not Policy:
        return found
    here = [
        each
        for each, thing in vars(module).items()
        if isinstance(thing, type) and issubclass(thing, Policy) and thing is not Policy
    ]
    if found is None:
        near = get_close_matches(name, here, 1) or here[:1]
        hint = f"did you mean `{near[0]}`?" if near else f"write `{EXAMPLE.format(name=name)}`"
        raise PolicyError(f"no `{name}` in `{module.__file__}`", "the name of a class", hint)
    got = f"`{name}` in `{module.__file__}`, which is no Policy"
    hint = f"`from evener.policies import Policy`, and `class {name}(Policy):`"
    raise PolicyError(got, "a class that extends evener.policies.Policy", hint)


def _make(cls: type[Policy]) -> Policy:
    name = cls.__name__
    if inspect.isabstract(cls):
        raise PolicyError(f"`{name}` without `pick`", _PICK)
    _takes(cls, "pick", 2, _PICK)
    _takes(cls, "ended", 2, "a method `ended(self, server, ending)`")
    try:
        inspect.signature(cls).bind()
    except (TypeError, ValueError) as error:
        got = f"`{name}.__init__`, which wants more than it is given: {error}"
        raise PolicyError(got, "one that takes no arguments", "read what it needs in it") from error
    try:
        return cls()
    except BaseException as error:
        raise PolicyError(f"`{name}()` fails: {words(error)}", "an object") from error


def _takes(cls: type[Policy], method: str, count: int, expected: str) -> None:
    function = getattr(cls, method)
    where = f"`{cls.__name__}.{method}`"
    if not callable(function):
        raise PolicyError(f"{where}, which is no method", expected)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        got = f"{where}, which gives a coroutine or generator"
        raise PolicyError(got, expected, "write `def`, without `async` or `yield`")
    try:
        # As it is called: on an object, with so many things.
        inspect.signature(function).bind(*[None] * (count + 1))
    except (TypeError, ValueError) as error:
        raise PolicyError(f"{where}, which cannot be called so: {error}", expected) from error
