"""Evaluates Jinja expressions as a playbook of ansible-core would.

evaluate.py FILE...: each a YAML file with `variables` and `expressions`. Prints a JSON mapping of file names to lists, for
each expression `{"value": ...}` or `{"error": "..."}`. Values keep their types; what JSON does not know is written down
in the nearest type that it knows.
"""

import datetime
import json
import math
import os
import sys
from collections.abc import Mapping

from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from ansible.utils.display import Display
from jinja2.runtime import Undefined


class Probe:
    """Takes the value of an expression as it is, before it is made a text."""

    def __init__(self):
        self.value = None

    def __call__(self, value):
        self.value = value
        return ""


def plain(value):
    """The value as JSON knows it."""
    if isinstance(value, Undefined):
        str(value)  # An error that names it.
        raise ValueError("undefined")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value).encode(errors="replace").decode()
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (datetime.date, datetime.timedelta)):
        return str(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [plain(item) for item in value]
    if hasattr(value, "__iter__"):
        return [plain(item) for item in value]
    return str(value)


def evaluate(expression, variables):
    templar = Templar(loader=DataLoader(), variables=variables)
    probe = Probe()
    templar.environment.globals["the_probe"] = probe
    try:
        templar.do_template("{{ the_probe((" + expression + ")) }}")
        return {"value": plain(probe.value)}
    except Exception as error:  # Whatever goes wrong is the answer.
        return {"error": " ".join(str(error).split()) or type(error).__name__}


def main():
    init_plugin_loader([])
    Display().warning = lambda *_, **__: None
    Display().deprecated = lambda *_, **__: None
    answers = {}
    for file in sys.argv[1:]:
        content = DataLoader().load_from_file(file)
        answers[os.path.basename(file)] = [
            evaluate(str(entry["expression"] if isinstance(entry, Mapping) else entry), content.get("variables") or {})
            for entry in content["expressions"]
        ]
    json.dump(answers, sys.stdout)


main()
