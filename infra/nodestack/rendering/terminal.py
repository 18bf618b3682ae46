"""Where tables go: the terminal with its colours, or plain text of 100 columns."""

from rich.console import Console, RenderableType

COLUMNS = 100


def show(body: RenderableType) -> None:
    """Print to standard output, at most 100 columns wide, without colour where nobody sees it."""
    console = Console(highlight=False, emoji=False, markup=False)
    console.width = min(console.width, COLUMNS) if console.is_terminal else COLUMNS
    with console.capture() as captured:
        console.print(body)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
