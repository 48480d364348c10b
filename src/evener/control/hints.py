"""Say what to do about an error that a library of the worker put into words.

Rules kept here:
- What is looked for are the library's own words (rustls and webpki); an end-to-end test has each.
- Not to know a text is no error: it stands for itself.
"""

#: What stands in the text, and what to do about it.
_HINTS = (
    (
        "CaUsedAsEndEntity",
        "the server's certificate is marked as an authority's (CA:TRUE), which no server may show: "
        "make it with CA:FALSE, see docs/guides/tls.md",
    ),
    (
        "UnknownIssuer",
        "no authority that is trusted has signed it: name its authority's certificate as the "
        "pool's `tls.ca`",
    ),
    (
        "not valid for name",
        "the pool's `tls.server_name` says which name the certificate must have",
    ),
    (
        "InvalidContentType",
        "what answers there speaks no TLS: is it the right port, and `protocol: https` meant?",
    ),
)


def hint(text: str) -> str:
    """What to do about the error in `text`; empty when nothing is known."""
    return next((words for sign, words in _HINTS if sign in text), "")
