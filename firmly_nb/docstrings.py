"""Docstrings that the source says once and ``help()`` says everywhere.

Functions share arguments: many take the options of an order by name, and a verb that waits has a
twin that is awaited. Their docstrings are completed here, when they are defined.
"""

from __future__ import annotations

import re
from inspect import Parameter, cleandoc, signature
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Call = TypeVar("Call", bound="Callable[..., Any]")
Class = TypeVar("Class", bound=type)

SECTION = re.compile(r"^(\w+)\n-{3,}$", re.MULTILINE)
ORDERED = ("Parameters", "Returns", "Yields", "Raises", "Attributes", "Examples")


def parted(text: str) -> dict[str, str]:
    r"""Return the sections of a docstring by their heading; what comes before them has none.

    Examples
    --------
    >>> parted("Do it.\n\nRaises\n------\nOSError\n    If not.")
    {'': 'Do it.', 'Raises': 'OSError\n    If not.'}
    """
    first, *rest = SECTION.split(cleandoc(text))
    sections = {head: body.strip("\n") for head, body in zip(rest[::2], rest[1::2], strict=True)}
    return {"": first.strip(), **sections}


def joined(sections: Mapping[str, str]) -> str:
    """Return a docstring of these sections."""
    parts = [f"{head}\n{'-' * len(head)}\n{sections[head]}" for head in ORDERED if head in sections]
    return "\n\n".join([sections[""], *parts]) + "\n"


def entries(section: str) -> dict[str, str]:
    r"""Return the meaning of each name of a section, in one paragraph.

    Examples
    --------
    >>> entries("a, b\n    Two\n    of them.\n**more\n    Others.")
    {'a': 'Two of them.', 'b': 'Two of them.', 'more': 'Others.'}
    """
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", section):
        head, _, rest = entry.partition("\n")
        meaning = " ".join(cleandoc(rest).split())
        names = head.partition(" : ")[0].split(",")
        found |= {name.strip().lstrip("*"): meaning for name in names}
    return {name: meaning for name, meaning in found.items() if name}


def meanings_of(*documented: Any) -> dict[str, str]:
    """Return the meaning of each attribute that the docstrings of these classes name."""
    found = [parted(each.__doc__ or "").get("Attributes", "") for each in documented]
    return {name: said for section in found for name, said in entries(section).items()}


def takes_options(
    names: Any, defaults: Mapping[str, Any], meanings: Mapping[str, str]
) -> Callable[[Call], Call]:
    """Let the signature and the docstring of a function name what it takes as ``**options``.

    Parameters
    ----------
    names
        A ``TypedDict`` of the options.
    defaults, meanings
        Of each option.
    """

    def told(function: Call) -> Call:
        asked = signature(function)
        *own, last = asked.parameters.values()
        options = [
            Parameter(
                name,
                Parameter.KEYWORD_ONLY,
                default=defaults.get(name),
                annotation=kind.__forward_arg__,
            )
            for name, kind in names.__annotations__.items()
        ]
        vars(function)["__signature__"] = asked.replace(parameters=[*own, *options])
        if function.__doc__ and f"\n    **{last.name}\n" in function.__doc__.replace(
            "        ", "    "
        ):
            sections = parted(function.__doc__)
            before, _, _ = sections["Parameters"].partition(f"**{last.name}\n")
            said = "\n".join(f"{each.name}\n    {meanings[each.name]}" for each in options)
            function.__doc__ = joined(sections | {"Parameters": f"{before}{said}"})
        return function

    return told


def tells_twins(made: Class) -> Class:
    """Complete the docstrings of a class's twins: ``place_async`` takes and raises as ``place``."""
    for name, twin in vars(made).items():
        verb = name.removesuffix("_async")
        waits = getattr(made, verb, None)
        if verb != name and waits is not None and twin.__doc__ and waits.__doc__:
            own, sections = parted(twin.__doc__), parted(waits.__doc__)
            if own[""].startswith("See :meth:"):
                own[""] = f"{sections[''].partition(chr(10))[0]}\n\nAwaited twin of :meth:`{verb}`."
            # Of a task Ctrl-C makes a cancelled one.
            errors = re.sub(r"KeyboardInterrupt\n(?: .*\n?)+", "", sections.pop("Raises", ""))
            sections |= {"Raises": errors.rstrip()} if errors else {}
            example = awaited(sections.get("Examples", ""), verb)
            twin.__doc__ = joined(sections | own | ({"Examples": example} if example else {}))
    return made


def awaited(example: str, verb: str) -> str:
    r"""Return the example of a twin from that of its verb; as a block, which no doctest runs.

    Examples
    --------
    >>> print(awaited(">>> lab.search('tee')\n2 products", "search"))
    ::
    <BLANKLINE>
        await lab.search_async('tee')
    """
    code = [line.strip() if line.strip() == "::" else line for line in example.splitlines()]
    if ">>> " in example:
        code = [line[4:] for line in code if line.startswith((">>> ", "... "))]
    else:
        code = cleandoc("\n".join(line for line in code if line != "::")).splitlines()
    lines = [
        re.sub(rf"\b(lab|flow|sweep)\.{verb}\(", rf"await \1.{verb}_async(", one) for one in code
    ]
    return "::\n\n" + "\n".join(f"    {line}".rstrip() for line in lines) if lines else ""
