"""Where a scan writes: a folder, a file made of one at the end, or the memory of this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlin.errors import InputError, Refusal, Refused
from convlin.scanning.asked import Asked
from convlin.scanning.exports import SUFFIXES, export_of
from convlin.scanning.plan.settings import Settings
from convlin.scanning.store import Store, durable, state_of

__all__ = ["Where"]


@dataclass(frozen=True)
class Where:
    """store: the folder, None in memory; exported: the file that is written of it, or None.

    goes_on: whether the folder's scan is gone on with.
    """

    store: Path | None
    exported: Path | None
    goes_on: bool = False

    @classmethod
    def of(cls, asked: Asked) -> Where:
        """Return where, or refuse what is there already, or has no use there."""
        if asked.out is None:
            _require_nothing_kept(asked)
            return cls(None, None)
        listed = export_of(asked.out) in ("csv", "geojson")
        for field in ("threshold", "top", "points"):
            if getattr(asked, field) not in (None, False) and not listed:
                allowed = "left out: it is for what is written as .csv or .geojson"
                raise Refused(Refusal("scan", field, getattr(asked, field), allowed))
        exported = asked.out if export_of(asked.out) else None
        if not exported and asked.out.suffix.lower() not in ("", ".zarr"):
            raise InputError(f"{asked.out}: the name must end in .zarr, {', '.join(SUFFIXES)}")
        if exported is not None and asked.shard is not None:
            why = "shares of a scan write a folder"
            raise InputError(f"{exported}: {why}; write the file from it with --resume")
        store = asked.out.with_name(f"{asked.out.name}.scan") if exported else asked.out
        with durable.named(store):
            if exported is not None and (exported.exists() or exported.is_symlink()):
                raise InputError(f"{exported}: exists; remove it, or name another file")
            if not store.parent.is_dir():
                raise InputError(f"{store}: no such folder: {store.parent}")
            there = store.exists() or store.is_symlink()
        if there and not asked.resume and asked.shard is None:
            found = state_of(store)
            way_out = "name another"
            if found == "a scan":
                way_out = "go on with it (--resume), or name another"
            raise InputError(f"{store}: exists, {found}; {way_out}")
        if asked.resume and not there:
            raise InputError(f"{store}: there is nothing to go on with; leave --resume out")
        return cls(store, exported, there)

    def settings(self) -> Settings | None:
        """Return the settings of the scan that is gone on with; None of a new one."""
        if self.store is None or not self.goes_on:
            return None
        manifest = Store.open(self.store).manifest
        try:
            return Settings.from_dict(manifest["settings"])
        except (KeyError, TypeError) as error:
            raise InputError(f"{self.store}: is no scan's: its manifest has no settings") from error

    def require_same(self, manifest: dict[str, Any]) -> None:
        """Raise `InputError`, naming what differs, unless the scan gone on with is this one."""
        if self.store is None or not self.goes_on:
            return
        store = Store.open(self.store)
        before, now = store.manifest.get("source", {}), manifest["source"]
        changed = [name for name, value in now.items() if before.get(name) != value]
        if changed:
            raise InputError(
                f"{store.path}: the source has changed since the scan began: {changed[0]} was "
                f"{before.get(changed[0])} and is {now[changed[0]]}; scan it anew"
            )
        store.require_same(manifest)


def _require_nothing_kept(asked: Asked) -> None:
    """Refuse what needs a folder."""
    for field in ("resume", "shard", "threshold", "top"):
        if getattr(asked, field):
            allowed = "a folder or a file"
            raise Refused(Refusal("scan", "out", None, allowed, f"{field} is about what it holds"))
    if asked.engine != "serial":
        why = "other processes cannot write into the memory of this one"
        raise Refused(Refusal("scan", "out", None, "a folder or a file", why))
