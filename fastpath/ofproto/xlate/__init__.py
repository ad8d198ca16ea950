"""Translation: a flow key and the OpenFlow tables in, odp actions and a mask out (``translate``)."""

from fastpath.ofproto.xlate.pipeline import translate

__all__ = ["translate"]
