"""What Fovea adds to Jupyter: a page that grades whole classes, and a formgrader whose
autograde button does not freeze the server. ``fovea.json`` turns it on:
installing the course puts that file where Jupyter looks."""

from jinja2 import ChoiceLoader, DictLoader
from jupyter_server.utils import url_path_join

from grader.browser import formgrader, page

NAVIGATION_ENTRY = """<li role="presentation">
<a href="{{ base_url }}/fovea/autograde">Autograde a Class</a></li>
"""


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "grader.browser"}]


def _load_jupyter_server_extension(serverapp) -> None:
    """Add our addresses. Jupyter loads extensions in the order of their names and takes
    the first handler that fits, so ours comes before the one of ``nbgrader``."""
    base = serverapp.web_app.settings["base_url"]
    rules = [*formgrader.RULES, *page.RULES]
    serverapp.web_app.add_handlers(
        ".*$", [(url_path_join(base, path), *rest) for path, *rest in rules]
    )


async def _start_jupyter_server_extension(serverapp) -> None:
    """Link our page from the formgrader, which is loaded by now if it is there."""
    jinja = serverapp.web_app.settings.get("nbgrader_jinja2_env")
    if jinja is not None:
        base, _, _ = jinja.loader.get_source(jinja, "base.tpl")
        linked = base.replace("</ul>", NAVIGATION_ENTRY + "</ul>", 1)
        jinja.loader = ChoiceLoader([DictLoader({"base.tpl": linked}), jinja.loader])
