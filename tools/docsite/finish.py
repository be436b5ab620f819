"""The last touch on the built pages: formulas become MathML, and nothing is loaded from elsewhere.

Runs in the generator's environment. Formulas need no script then, and search works from a folder of files too.
"""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\s*\\([(\[])(.*?)\\[)\]]\s*</\1>', re.DOTALL)
_SHIM = re.compile(r'<script src="[^"]*iframe-worker/shim"[^>]*></script>')
WORKER = "assets/javascripts/file-worker.js"

SCRIPT = """\
// Pages opened from files may start no worker, and the search is one. So the worker's script runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.documentElement.append(frame)
      const inside = frame.contentWindow
      this.waiting = []
      this.send = message => inside.dispatchEvent(new MessageEvent("message", { data: message }))
      inside.postMessage = data => {
        const event = new MessageEvent("message", { data })
        this.dispatchEvent(event)
        if (this.onmessage) this.onmessage(event)
      }
      const script = inside.document.createElement("script")
      script.src = url
      script.onload = () => {
        this.ready = true
        for (const message of this.waiting.splice(0)) this.send(message)
      }
      inside.document.documentElement.append(script)
      this.frame = frame
    }
    postMessage(message) {
      if (this.ready) setTimeout(() => this.send(message))
      else this.waiting.push(message)
    }
    terminate() { this.frame.remove() }
  }
}
"""


def finished(text: str, depth: int) -> str:
    """A built page, so many folders deep, with its formulas as MathML and its own script in place of a foreign one."""
    own = f'<script src="{"../" * depth}{WORKER}"></script>'
    return _FORMULA.sub(_mathml, _SHIM.sub(own, text))


def _mathml(match: re.Match) -> str:
    display = "block" if match[2] == "[" else "inline"
    # A word in italics would come out letter by letter.
    formula = re.sub(r"\\mathit\{(\w+)\}", r"\\text{\1}", html.unescape(match[3]).strip())
    return convert(formula, display=display)


def main(site: Path) -> None:
    """Finish every page below a folder, in place."""
    (site / WORKER).write_text(SCRIPT, encoding="utf-8")
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(finished(text, len(page.relative_to(site).parts) - 1), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
