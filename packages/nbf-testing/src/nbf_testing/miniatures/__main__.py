"""``python -m nbf_testing.miniatures FOLDER`` writes the published folder tree, filled with miniatures."""

import sys
from pathlib import Path

from nbf_testing.miniatures.tree import write_tree

if len(sys.argv) != 2:
    raise SystemExit("usage: python -m nbf_testing.miniatures FOLDER")
for name, folder in write_tree(Path(sys.argv[1])).items():
    print(f"{name}: {folder}")
