import pytest
pytestmark=[pytest.mark.browser]
def test_fetch(lab, page):
    page.evaluate("fetch('https://example.org/x').catch(() => 0)")
def test_error(lab, page):
    page.evaluate("setTimeout(() => { throw new Error('boom') }, 0)")
    page.wait_for_timeout(500)
