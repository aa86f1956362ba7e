"""Rules that lie: another layer is written in the place of those of a kind."""

from convlin.models.graph.writer import Writer


def instead(target, make):
    """Return what lets every layer of this type be written as another one."""

    def install(monkeypatch):
        honest = Writer.module

        def module(self, name, module, *inputs):
            return honest(self, name, make() if isinstance(module, target) else module, *inputs)

        monkeypatch.setattr(Writer, "module", module)

    return install
