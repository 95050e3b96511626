"""Where does Docker keep everything? A picture of a data root, in which a directory opens."""

from labkit.images.stored import Store
from labkit.show.storage import storage_html, storage_svg, storage_text
from labkit.widgets.live import Drawing

__all__ = ["show_store"]


def show_store(store: Store, other: Store | None = None) -> Drawing:
    """Show a store beside the notes' tree, and beside containerd's store of the same machine where it is given."""
    return Drawing(storage_html(store, other), storage_text(store, other), storage_svg(store, other))
