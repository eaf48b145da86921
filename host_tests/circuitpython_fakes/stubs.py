# SPDX-License-Identifier: MIT
"""What CircuitPython's modules have, read from the .pyi files of the package circuitpython-stubs.

    api = module(folder, "busio")        names, classes, signatures
    strict_module("busio", api, {"UART": UART})
                                         a module of exactly these names; calls and attributes that
                                         the stub does not have raise, on whatever side they are

Nothing about the modules is written down here, so the fakes cannot say anything else than the
stubs: a fake with a name that its stub does not have is refused when it is made.
"""

import ast
import functools
import inspect
import os
import re
import types

_ANY = inspect.Parameter.empty
_OPTIONAL = object()


class Api:
    """members: name -> Signature (a function), Api (a class), None (a value)."""

    def __init__(self, name, body):
        self.name = name
        self.members = {}
        overloaded = set()
        for node in body:
            if isinstance(node, ast.FunctionDef):
                # Of an overloaded function any call is right.
                if any(getattr(d, "id", "") == "overload" for d in node.decorator_list):
                    overloaded.add(node.name)
                method = isinstance(self, ClassApi) and not any(
                    getattr(d, "id", "") == "staticmethod" for d in node.decorator_list
                )
                self.members[node.name] = signature(node.args, method)
            elif isinstance(node, ast.ClassDef):
                self.members[node.name] = ClassApi(node.name, node.body)
            elif isinstance(node, ast.AnnAssign):
                self.members[node.target.id] = None
        for name in overloaded:
            self.members[name] = None


class ClassApi(Api):
    pass


def signature(args, method):
    Parameter = inspect.Parameter
    plain = args.posonlyargs + args.args
    defaults = [_ANY] * (len(plain) - len(args.defaults)) + [_OPTIONAL] * len(args.defaults)
    found = [
        Parameter(a.arg, Parameter.POSITIONAL_OR_KEYWORD, default=d)
        for a, d in zip(plain, defaults)
    ]
    if method:
        del found[0]
    if args.vararg:
        found.append(Parameter(args.vararg.arg, Parameter.VAR_POSITIONAL))
    for a, d in zip(args.kwonlyargs, args.kw_defaults):
        found.append(
            Parameter(a.arg, Parameter.KEYWORD_ONLY, default=_ANY if d is None else _OPTIONAL)
        )
    return inspect.Signature(found)


def _read(folder, *path):
    with open(os.path.join(folder, *path)) as f:
        # Type parameters: Python 3.11 does not know them yet.
        return re.sub(r"(def \w+)\[\w+\]", r"\1", f.read())


def module(folder, name):
    """folder: site-packages with the stubs."""
    text = _read(folder, name + "-stubs", "__init__.pyi")
    return Api(name, ast.parse(text).body)


def board(folder, board_id):
    """(Api of the module board, names of the modules that this board has)."""
    text = _read(folder, "board_definitions", board_id, "__init__.pyi")
    included = re.search(r"Included modules: (.*)", text).group(1).split(", ")
    return Api("board", ast.parse(text).body), set(included)


# --- Fakes ----------------------------------------------------------------------------------


def _checked(name, wanted, function, method):
    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            wanted.bind(*(args[1:] if method else args), **kwargs)
        except TypeError as e:
            raise TypeError("%s: %s" % (name, e)) from None
        return function(*args, **kwargs)

    return call


def strict_class(fake, api, name):
    """A subclass of a fake: calls are checked, and no attribute can be set that is not there."""
    own = {}
    for key, value in vars(fake).items():
        if key.startswith("_") and (key != "__init__" or key not in api.members):
            continue
        if key not in api.members:
            raise AssertionError("%s.%s is not in the stubs" % (name, key))
        wanted = api.members[key]
        if isinstance(value, types.FunctionType) and isinstance(wanted, inspect.Signature):
            own[key] = _checked("%s.%s" % (name, key), wanted, value, True)

    def set_attribute(self, key, value):
        if not key.startswith("_") and key not in api.members:
            raise AttributeError("%s has no attribute %s" % (name, key))
        fake.__setattr__(self, key, value)

    def get_attribute(self, key):
        if key in api.members:
            raise NotImplementedError("%s.%s has no fake" % (name, key))
        raise AttributeError("%s has no attribute %s" % (name, key))

    own["__setattr__"] = set_attribute
    own["__getattr__"] = get_attribute
    return type(fake.__name__, (fake,), own)


def strict_module(name, api, fakes):
    made = types.ModuleType(name)
    for key, value in fakes.items():
        if key not in api.members:
            raise AssertionError("%s.%s is not in the stubs" % (name, key))
        wanted = api.members[key]
        if isinstance(value, type):
            value = strict_class(value, wanted, "%s.%s" % (name, key))
        elif isinstance(value, types.FunctionType):
            value = _checked("%s.%s" % (name, key), wanted, value, False)
        setattr(made, key, value)

    def missing(key):
        if key in api.members:
            raise NotImplementedError("%s.%s has no fake" % (name, key))
        raise AttributeError("module %s has no attribute %s" % (name, key))

    made.__getattr__ = missing
    return made
