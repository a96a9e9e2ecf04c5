"""Join the modules of ``onnx_runtime`` into one file, which an export puts beside its graphs.

Users copy one file. Here it is several, because it would have 1,500 lines.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

FOLDER = Path(__file__).parent / "onnx_runtime"
NAME = "maskcast_onnx.py"
MODULES = (
    "prompts",
    "graph_files",
    "resampling",
    "crops",
    "lwl_memory",
    "lwl_absence",
    "lwl",
    "agame",
    "session",
    "program",
)
"""The modules, each after those that it imports."""


def runtime_source() -> str:
    """Return the source of the runtime, which imports nothing of this package."""
    header = (FOLDER / "__init__.py").read_text("utf-8").rstrip()
    modules: set[str] = set()
    names: dict[str, set[str]] = defaultdict(set)
    bodies = []
    for name in MODULES:
        source = (FOLDER / f"{name}.py").read_text("utf-8")
        lines = source.splitlines()
        tree = ast.parse(source)
        for node in tree.body[1:]:
            if isinstance(node, ast.Import):
                modules.add(ast.unparse(node))
            elif isinstance(node, ast.ImportFrom) and not _is_dropped(node):
                names[str(node.module)] |= {alias.name for alias in node.names}
        last_import = max(
            node.end_lineno or 0
            for node in tree.body
            if isinstance(node, ast.Import | ast.ImportFrom)
        )
        bodies.append(f"# {name}\n\n" + "\n".join(lines[last_import:]).strip())
    imports = sorted(modules) + [
        f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names)
    ]
    start = "from __future__ import annotations\n\n" + "\n".join(imports)
    return "\n\n".join(
        [header, start, *bodies, 'if __name__ == "__main__":\n    sys.exit(main())\n']
    )


def _is_dropped(node: ast.ImportFrom) -> bool:
    return node.module == "__future__" or str(node.module).startswith("maskcast.")
