"""Not here: the import says so."""

from smdebug.core.hook import SENTENCE

raise ImportError(f"smdebug.profiler is not in this image: {SENTENCE}")
