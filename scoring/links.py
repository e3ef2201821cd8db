"""Which bundle is in service: a link beside the bundles, switched atomically, and the one before for the way back."""

from pathlib import Path

from features.errors import BundleError
from scoring.scorer import Scorer
from storage.durable import delivering, put_link


def promote(bundle: Path, name: str) -> Path:
    """Verify a bundle and let the link `name` beside it point to it; the link's former target is kept for `rollback`.

    Raises:
        BundleError: the bundle does not verify, or a file that is no link bears that name.
        DeliveryError: the link could not be written.

    """
    folder = Scorer.open(bundle).bundle.path
    link = check_name(folder.parent, name)
    if link.is_symlink():
        if link.resolve() == folder:
            return link
        _point(_previous(link), link.readlink())
    _point(link, Path(folder.name))
    return link


def check_name(bundles: Path, name: str) -> Path:
    """Return the link of this name.

    Raises:
        BundleError: it is no name, or a file that is no link bears it.

    """
    link = bundles / name
    if link.parent != bundles or not link.name:
        raise BundleError(f"{name!r}: is no name of a link. Expected one without a slash, such as current.")
    if link.exists() and not link.is_symlink():
        raise BundleError(f"{link}: is not a link. Choose another name, or move it away.")
    return link


def rollback(bundles: Path, name: str) -> Path:
    """Exchange the link with the one before, after verifying where that leads; return the bundle now in service.

    Raises:
        BundleError: there is no bundle before this one, or it does not verify.
        DeliveryError: the link could not be written.

    """
    link = bundles / name
    previous = _previous(link)
    if not link.is_symlink():
        raise BundleError(f"{link}: no such link. Name the folder of bundles, and the link that doors start from.")
    if not previous.is_symlink():
        raise BundleError(f"{link}: there is no bundle before this one. Promote one with `credit bundle promote`.")
    now, then = link.readlink(), previous.readlink()
    Scorer.open(bundles / then)
    _point(link, then)
    _point(previous, now)
    return (bundles / then).resolve()


def _previous(link: Path) -> Path:
    return link.with_name(f"{link.name}.previous")


def _point(link: Path, target: Path) -> None:
    """Replace a link in one step, so that a reader finds the old bundle or the new one."""
    with delivering(link, "the link"):
        put_link(link, target)
