"""The HTTP edge: who is asking (`gate`), what is asked (`v2`), and how it is answered (`envelopes`). It decides nothing."""
