"""Every page as each browser sees it: nothing for axe-core to find, nothing in the browser's own log."""

from tests.browser.conftest import Open


def test_home(person: Open) -> None:
    admin = person("admin")
    assert admin.page.get_by_role("heading", name="Home").is_visible()
    assert admin.violations() == []
