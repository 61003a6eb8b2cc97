"""Not here: the import says so."""

from smdebug.core.hook import SENTENCE

raise ImportError(f"smdebug.rules is not in this image: {SENTENCE}")
