import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponry.core.tags import KNOWN, unknown_tags
from couponry.core.templates import render, render_html

VALUES = {"first_name": "Mira", "voucher": "H4TQ9ZKM", "cust_name": 'Mira <b>Rao</b> & "Co"', "full_name": "A\r\nBcc: b@x\0"}


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("Hi {{ first_name }}, {{voucher}}", "Hi Mira, H4TQ9ZKM"),
        ("{{\tfirst_name\n}}", "Mira"),
        ("{{first_name}}{{first_name}}", "MiraMira"),
        ("{{ last_name }}{{ optout }}.", "."),
        ("{{ nope }}{{ first-name }}{{ First_Name }}{{}}.", "."),
        ("{{ first_name.__class__.__mro__ }}{{ 7*7 }}{{ voucher|upper }}{{ self }}.", "."),
        (
            "{% for x in ().__class__ %}{# x #}${voucher}{voucher}%(voucher)s{0.__class__}",
            "{% for x in ().__class__ %}{# x #}${voucher}{voucher}%(voucher)s{0.__class__}",
        ),
        ("{{ {{voucher}} }}", "{{ H4TQ9ZKM }}"),
        ("{{{voucher}}}", "{H4TQ9ZKM}"),
        ("{{ voucher", "{{ voucher"),
        ("{{" * 50_000, "{{" * 50_000),
        ("one\r\ntwo\0three\u2028four\ud800", "one\ntwo three four"),
        ("{{full_name}}", "A Bcc: b@x"),
        ("{{cust_name}}", 'Mira <b>Rao</b> & "Co"'),
    ],
)
def test_only_known_tags_are_evaluated(template: str, shown: str) -> None:
    assert render(template, VALUES) == shown


def test_a_value_is_text_in_html() -> None:
    shown = render_html("<p title='{{cust_name}}'>{{ cust_name }}{{nope}}</p>", VALUES)
    safe = "Mira &lt;b&gt;Rao&lt;/b&gt; &amp; &quot;Co&quot;"
    assert shown == f"<p title='{safe}'>{safe}</p>"


PIECES = st.sampled_from(
    ["{{", "}}", "{", "}", " ", "\n", "x", "voucher", "first_name", "nope", "{{voucher}}", "{{ first_name }}"]
)


def naive(template: str, values: dict[str, str]) -> str:
    """From left to right: what lies between `{{` and the next `}}` without another brace is a tag."""
    shown, at = "", 0
    while at < len(template):
        tag = re.compile(r"\{\{[^{}]{0,64}\}\}").match(template, at)
        shown += values.get(tag.group().strip("{}").strip(), "") if tag else template[at]
        at = tag.end() if tag else at + 1
    return shown.strip()


@given(st.lists(PIECES, max_size=30).map("".join), st.dictionaries(st.sampled_from(["voucher", "first_name"]), PIECES))
def test_renders_like_the_naive_reading(template: str, values: dict[str, str]) -> None:
    """Values that look like tags stay what they are."""
    assert render(template, values) == naive(template, {name: " ".join(value.split()) for name, value in values.items()})


@given(st.text(max_size=60), st.dictionaries(st.sampled_from(sorted(KNOWN)), st.text(max_size=20)))
def test_nothing_that_a_gateway_or_database_cannot_take(template: str, values: dict[str, str]) -> None:
    for text in (render(template + "{{voucher}}", values), render_html("{{voucher}}", values)):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f]", text)
        text.encode()
    assert not re.search("[<>\"']", render_html("{{voucher}}", values))


def test_unknown_tags_render_empty() -> None:
    template = "".join(f"{{{{ {name} }}}}" for name in ("nope", "a b", "x" * 60))
    assert len(unknown_tags(template)) == 3
    assert render(template, dict.fromkeys(KNOWN, "x")) == ""
