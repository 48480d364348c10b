"""One family: whoever catches EvenerError has all that Evener raises on purpose."""

import importlib
import inspect
import pkgutil

import pytest

import evener
from evener import Config, ConfigError, EvenerError, _engine, run

#: What never leaves the folder it is raised in: caught there, and said as a Problem.
WITHIN = {
    "RejectError": "evener.config",
    "StuckError": "evener.policies",
    "UnknownVariableError": "evener.config",
}


def errors() -> dict[str, type[Exception]]:
    """The errors that Evener's modules define, by name; those with an underscore are private."""
    found = {}
    for module in pkgutil.walk_packages(evener.__path__, "evener."):
        if module.name == "evener.cli.__main__" or module.name == _engine.__name__:
            continue
        for name, thing in inspect.getmembers(importlib.import_module(module.name)):
            ours = inspect.isclass(thing) and thing.__module__.startswith("evener.")
            if ours and issubclass(thing, Exception) and name[0] != "_":
                found[name] = thing
    return found


def test_all_errors_are_of_one_family() -> None:
    every = errors()
    assert {"ConfigError", "ControlError", "DataplaneError", "BindError"} < set(every)
    strangers = {name for name, error in every.items() if not issubclass(error, EvenerError)}
    assert strangers == set(WITHIN)
    assert all(every[name].__module__.startswith(place) for name, place in WITHIN.items())


def test_what_cannot_be_run_is_one_family_with_what_cannot_be_read(tmp_path: object) -> None:
    with pytest.raises(EvenerError) as wrong:
        Config({"listeners": {"web": {"bnd": ":80"}}}).check()
    assert isinstance(wrong.value, ConfigError) and wrong.value.remedy == ""
    taken = {"run": f"{tmp_path}/run", "log": {"to": f"{tmp_path}/none/a.log"}}
    listeners = {"web": {"bind": f"unix:{tmp_path}/web", "pool": "app"}}
    with pytest.raises(EvenerError, match=r"evener\.log\.to: .*No such file"):
        run(Config({"evener": taken, "listeners": listeners, "pools": {"app": ["10.0.0.1:80"]}}))
