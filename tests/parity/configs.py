"""Writes what Keras 3.15.1 says of layers in `get_config()`, beside the arguments that they were made with: `configs.json`.

Of each class there is the case with the fewest arguments and the one with the most, out of `cases/*.py`.
"""

import importlib
import os
import sys

import kit
from kit import *

sys.path.insert(0, HERE)


def plain(value):
    """JSON out of what Keras gives."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value.item() if hasattr(value, "item") else value


def main():
    families = sorted(f[:-3] for f in os.listdir(os.path.join(HERE, "cases")) if f.endswith(".py"))
    of_class = {}
    for family in families:
        kit.CASES.clear()
        importlib.import_module(f"cases.{family}")
        for c in kit.CASES:
            of_class.setdefault(c["layer"], []).append(c["config"])
    entries = []
    for name, configs in sorted(of_class.items()):
        configs.sort(key=lambda config: len(str(described(dict(config)))))
        for config in [configs[0]] + configs[-1:]:
            keras.backend.clear_session()
            keras.config.set_floatx("float32")
            keras.config.set_dtype_policy("float32")
            layer = L(name, **config).build()
            arguments = {k: described(v) for k, v in config.items()}
            entry = {"layer": name, "arguments": arguments, "config": plain(layer.get_config())}
            if entry not in entries:
                entries.append(entry)
    text = "[\n" + ",\n".join(json.dumps(e, separators=(",", ":"), sort_keys=True) for e in entries) + "\n]\n"
    with open(os.path.join(HERE, "configs.json"), "w") as f:
        f.write(text)
    print(f"{len(entries)} configurations, {len(text)} bytes")


if __name__ == "__main__":
    main()
