"""Checks that every crate in the tree, development included, is under a licence of the list. Reads `cargo metadata` from standard input."""

import json
import re
import sys

# The list in deny.toml is the same.
ALLOWED = {
    "MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "CDLA-Permissive-2.0", "ISC",
    "Unicode-3.0", "Unlicense", "Zlib",
}


def allowed(expression):
    """Whether an SPDX expression can be met with licences of the list."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def any_of():
        result = all_of()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            result = all_of() | result
        return result

    def all_of():
        result = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            result = one() & result
        return result

    def one():
        token = tokens.pop(0)
        if token == "(":
            result = any_of()
            tokens.pop(0)
            return result
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            token += " WITH " + tokens.pop(0)
        return token in ALLOWED

    return any_of()


assert allowed("(MIT OR GPL-3.0) AND Unicode-3.0") and not allowed("MIT AND GPL-3.0") and allowed("Unlicense/MIT")
packages = json.load(sys.stdin)["packages"]
wrong = [f"{p['name']} {p['version']}: {p['license']}" for p in packages if not allowed(p["license"] or "none")]
print(f"{len(packages)} crates, {len(wrong)} of them under other licences")
print("\n".join(wrong))
sys.exit(bool(wrong))
