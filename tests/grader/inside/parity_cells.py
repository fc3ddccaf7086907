"""Cells whose outputs have to be those of Jupyter, and what is known to differ.

Run as a script, it runs them in the working folder, in a shell or with ``--jupyter`` in
a kernel, and writes the outputs to ``outputs.json``.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

# Groups of cells; all share one namespace, and run in this order.
TEXT = r"""
# ==== print
print('a')
print('b', end='')
print('c')
# ==== stdout and stderr
import sys
print('out')
print('err', file=sys.stderr)
sys.stdout.write('x')
# ==== result
1 + 1
# ----
x = 3
x
# ----
x;
# ----
None
# ----
'text'
# ----
[1, 2]
{'a': 1}
# ----
_
# ==== history
In[-2], Out[max(Out)], _i, __
# ----
len(In) > 3, _oh is Out
# ==== empty
# only a comment
# ----
pass
# ----
x = 1  # and a comment
# ==== numpy
import numpy as np
np.arange(12).reshape(3, 4) / 7
# ----
np.float64(3)
# ==== torch
import torch
torch.arange(6.0).view(2, 3)
# ----
torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
# ----
net = torch.nn.Linear(2, 1)
net(torch.zeros(1, 2)).sum().backward()
torch.optim.SGD(net.parameters(), lr=0.1)
# ==== torch error
torch.zeros(2, 3) @ torch.zeros(2, 3)
# ==== zero division
def f(x):
    return 1 / x


f(0)
# ==== chained errors
try:
    {}['a']
except KeyError as error:
    raise ValueError('no a') from error
# ----
try:
    {}['a']
except KeyError:
    1 / 0
# ==== own error
class MyError(Exception):
    pass


raise MyError('mine', 3)
# ==== error across cells
def g():
    raise KeyError('deep')
# ----
g()
# ==== long traceback
def f(n):
    return f(n - 1) if n else 1 / 0


f(30)
# ==== recursion
def f(n):
    return f(n + 1)


f(0)
# ==== long message
raise ValueError('long ' * 200)
# ==== exception group
raise ExceptionGroup('two', [ValueError(1), TypeError(2)])
# ==== failed assert
assert 1 == 2, 'they differ'
# ----
assert []
# ==== numpy assert
np.testing.assert_allclose([1, 2], [1, 3], rtol=1e-6)
# ==== library error
np.zeros((2, 3)) @ np.zeros((2, 3))
# ----
import json
json.loads('{')
# ==== note on an error
e = ValueError('a')
e.add_note('look here')
raise e
# ==== syntax error
def f(:
    pass
# ----
x = = 1
# ----
print 'a'
# ----
for
# ----
'a
# ==== indentation error
def f():
pass
# ----
if True:
    x = 1
  y = 2
# ----
	x = 1
  y
# ==== name error
undefined_name
# ----
lenn([])
# ==== unicode
print('ä€𝄞')
'ä€𝄞'
# ==== carriage return
print('10%\r20%\r30%')
print('a\rb\r\nc\r\r')
# ==== long repr
list(range(2000))
# ----
'x' * 3000
# ----
{i: str(i) for i in range(100)}
# ==== display
display(1, 'two', [3])
# ----
from IPython.display import HTML, Markdown, Math, SVG, JSON, Image, Latex
display(HTML('<b>x</b>'), Markdown('*x*'), Math('x^2'), Latex('$x$'))
# ----
HTML('<i>x</i>')
# ----
display(JSON({'a': [1, None]}))
SVG('<svg xmlns="http://www.w3.org/2000/svg"/>')
# ----
display({'text/plain': 'raw', 'text/html': 'r'}, raw=True)
# ----
display()
# ==== image
import base64
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
Image(base64.b64decode(PNG), width=20)
# ==== rich repr
class R:
    def _repr_html_(self):
        return '<b>r</b>'
    def _repr_latex_(self):
        return '$r$'
    def __repr__(self):
        return 'r'
R()
# ----
class M:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {'text/plain': 'm', 'application/x+json': {'a': (1, 2)}}, {'k': 1}
display(M())
M()
# ----
class P:
    def _repr_pretty_(self, p, cycle):
        p.text('pretty')
P()
# ----
class D:
    def _ipython_display_(self):
        print('shown')
D()
# ----
class B:
    def _repr_html_(self):
        return 1 / 0
B()
# ----
class E:
    def __repr__(self):
        raise ValueError('no repr')
E()
# ==== display ids
handle = display('first', display_id=True)
print('between')
handle.update('second')
# ----
handle.update('third')
# ----
display('a', display_id='twice')
display('b', display_id='twice')
# ----
from IPython.display import update_display
update_display('nowhere', display_id='unknown')
handle.display('again')
# ==== clear_output
from IPython.display import clear_output
print('a')
clear_output()
print('b')
# ----
print('a')
clear_output(wait=True)
print('b')
# ----
print('a')
clear_output(wait=True)
# ----
for i in range(3):
    clear_output(wait=True)
    display(i)
# ----
h = display(1, display_id=True)
clear_output()
h.update(2)
print('c')
# ==== plot
import matplotlib.pyplot as plt
plt.plot([1, 3, 2])
plt.title('$x^2$')
# ----
plt.plot([1, 2]);
# ----
fig, axes = plt.subplots(1, 2, figsize=(6, 2))
axes[0].imshow([[0, 1], [1, 0]], cmap='gray')
axes[1].hist([1, 1, 2])
axes[1].legend(['a'])
None
# ----
len(plt.get_fignums())
# ==== show
plt.plot([1])
plt.show()
print('after')
plt.figure()
plt.plot([2])
plt.show()
# ----
for i in range(2):
    plt.figure(figsize=(1, 1))
    plt.plot([i])
# ----
fig = plt.figure(figsize=(2, 1))
plt.close(fig)
# ----
fig, ax = plt.subplots(figsize=(1, 1))
fig
# ----
fig.show()
# ==== transparent figure
plt.figure(figsize=(1, 1), facecolor='none')
plt.plot([1]);
# ==== failing plot
plt.plot([1, 2])
1 / 0
# ==== figure that cannot be drawn
fig, ax = plt.subplots(figsize=(1, 1))
ax.set_title('$\\nope$')
None
# ==== matplotlib magic
%matplotlib inline
# ----
plt.figure(figsize=(1, 1))
plt.plot([1])
None
# ----
%config InlineBackend.figure_format = 'retina'
# ----
plt.figure(figsize=(1, 1))
plt.plot([1])
None
# ----
%config InlineBackend.figure_formats = ['svg']
# ----
plt.rcParams['svg.hashsalt'] = 'a'
plt.figure(figsize=(1, 1))
fig = plt.gcf()
len(fig.axes)
# ----
%config InlineBackend.figure_formats = ['png']
# ----
from matplotlib_inline.backend_inline import set_matplotlib_formats
set_matplotlib_formats('jpeg')
plt.figure(figsize=(1, 1))
None
# ----
set_matplotlib_formats('png')
# ==== figures kept open
%config InlineBackend.close_figures = False
# ----
plt.figure(figsize=(1, 1))
plt.plot([1])
None
# ----
plt.title('more')
plt.get_fignums()
# ----
%config InlineBackend.close_figures = True
# ----
plt.close('all')
# ==== style
with plt.style.context('ggplot'):
    plt.figure(figsize=(1, 1))
    plt.plot([1])
# ----
plt.rcParams['figure.dpi'] = 50
plt.figure(figsize=(2, 2))
plt.plot([1]);
# ----
plt.rcdefaults()
plt.figure(figsize=(1, 1))
plt.plot([1]);
# ==== another backend
import matplotlib
matplotlib.use('agg')
plt.plot([1])
None
# ----
%matplotlib inline
plt.close('all')
plt.figure(figsize=(1, 1))
None
# ==== interactive off
plt.ioff()
plt.plot([1])
None
# ----
plt.ion()
plt.close('all')
# ==== animation
from matplotlib.animation import FuncAnimation
fig, ax = plt.subplots(figsize=(1, 1))
animation = FuncAnimation(fig, lambda i: ax.plot([i]), frames=2)
plt.close(fig)
len(animation.to_jshtml()) > 1000
# ==== time magic
%time sum(range(1000))
# ----
%%time
y = 1
y
# ----
%timeit -n 2 -r 2 1 + 1
# ==== timeit result
t = %timeit -o -q -n 1 -r 1 pass
t.loops
# ==== shell commands
!echo hi
# ----
!echo err >&2; exit 3
# ----
_exit_code
# ----
files = !printf 'a\nb\n'
files
# ----
name = 'world'
!echo {name} $name
# ----
%%bash
echo out
echo err >&2
# ----
%%bash
exit 4
# ----
%%sh
echo sh
# ----
%%writefile made.py
value = 5
# ----
%run made.py
# ----
value
# ----
import made
made.value
# ----
%%script --no-raise-error false
# ==== magics
%load_ext autoreload
# ----
%autoreload 2
# ----
%%capture caught
print('hidden')
display(3)
plt.figure(figsize=(1, 1))
7
# ----
caught.stdout, len(caught.outputs)
# ----
caught.show()
# ----
%who_ls int
# ----
%no_such_magic
# ----
%%no_such_magic
x
# ----
%pwd
%env FOVEA_NOT_SET
# ----
%precision 2
3.14159
# ----
%precision %r
# ----
%xmode Plain
# ----
1 / 0
# ----
%xmode Context
# ----
%alias_magic t time
# ----
%pinfo print
# ----
print?
# ----
f??
# ----
%history -n 1-2
# ----
%reset_selective -f ^value$
# ----
value
# ----
%config Application
# ----
%lsmagic?
# ----
%%html
<b>h</b>
# ----
%%latex
$x$
# ----
%%javascript
1
# ----
%%markdown
*m*
# ----
%%python
print('python')
# ----
%%time
1 / 0
# ----
%prun -q 1 + 1
# ----
%cd -q .
# ----
%matplotlib --list
# ==== await
import asyncio
async def later(x):
    await asyncio.sleep(0.01)
    return x
# ----
await later(4)
# ----
task = asyncio.create_task(later(5))
# ----
await task
# ----
await asyncio.gather(later(1), later(2))
# ----
coroutine = later(1)
try:
    asyncio.run(coroutine)
finally:
    coroutine.close()
# ----
async with asyncio.timeout(5):
    print(await later(6))
# ----
async for i in (x async for x in None):
    pass
# ----
await asyncio.sleep(0)
1 / 0
# ==== input
input('name? ')
# ----
import getpass
getpass.getpass()
# ==== exit
import sys
print('before')
sys.exit()
# ----
sys.exit(3)
# ----
raise SystemExit('bye')
# ----
exit(keep_kernel=True)
print('after')
# ----
quit(keep_kernel=True)
# ----
print('on it goes')
# ==== keyboard interrupt
raise KeyboardInterrupt
# ----
raise KeyboardInterrupt('me')
# ==== base exception
class Odd(BaseException):
    pass
raise Odd(1)
# ==== generator exit
raise GeneratorExit
# ==== warnings
import warnings
warnings.warn('careful')
# ----
warnings.warn('old', DeprecationWarning)
# ----
np.array([1.0]) / 0
# ----
np.array([1.0]) / 0
# ----
def old():
    warnings.warn('there', stacklevel=2)


old()
# ----
import re
re.compile('[[a]')
# ----
'\d'
# ==== logging
import logging
logging.warning('careful')
logging.info('hidden')
# ----
logging.basicConfig(level=logging.INFO, force=True)
logging.info('seen')
# ----
logging.getLogger('mine').error('wrong')
# ----
try:
    1 / 0
except ZeroDivisionError:
    logging.exception('caught')
# ==== tqdm
from tqdm import tqdm
for i in tqdm(range(3), desc='steps'):
    pass
# ----
from tqdm.auto import tqdm
for i in tqdm(range(3)):
    pass
# ----
from tqdm.notebook import tqdm
for i in tqdm(range(3), desc='n'):
    pass
# ----
from tqdm import trange
for i in trange(2):
    tqdm.write(str(i))
# ==== widgets
import ipywidgets as widgets
slider = widgets.IntSlider(3, description='k')
slider
# ----
display(slider)
slider.value = 5
slider.value
# ----
seen = []
slider.observe(lambda change: seen.append(change.new), 'value')
slider.value = 7
seen
# ----
widgets.HBox([widgets.Button(description='go'), widgets.HTML('<b>x</b>')])
# ==== interact
@widgets.interact(a=(0, 5), b=['x', 'y'])
def show(a=2, b='y'):
    print(a, b)
    return a
# ----
def draw(k=1):
    plt.figure(figsize=(1, 1))
    plt.plot([k])
    plt.show()
widgets.interact(draw, k=(0, 3));
# ----
widgets.interact(lambda a: 1 / 0, a=(0, 1));
# ----
w = widgets.interactive(show, a=(0, 3))
w.children[0].value = 1
w
# ----
widgets.interact_manual(show, a=(0, 5));
# ==== output widget
out = widgets.Output()
with out:
    print('inside')
    display(1)
print('outside')
out
# ----
with out:
    1 / 0
print('next')
# ----
out.clear_output()
print('kept')
# ----
inner = widgets.Output()
with out:
    with inner:
        print('deep')
    print('less deep')
print('surface')
# ==== fovea
import fovea.widgets
def line(ax, slope=1.0):
    'A line.'
    ax.plot([0, slope])
fovea.widgets.explore(line, (2, 1), slope=(0.0, 2.0, 0.5))
# ==== descriptors
# no results: Jupyter reads descriptors in a thread, so that the order would vary
import os
_ = os.write(1, b'written\n')
# ----
_ = os.system('echo from a program')
# ----
import subprocess
_ = subprocess.run(['sh', '-c', 'echo o; echo e >&2'])
# ----
subprocess.run('echo x', shell=True, capture_output=True, text=True).stdout
# ==== streams
sys.stdout.isatty(), sys.stdout.encoding, sys.stdout.writable()
# ----
sys.stdout.buffer
# ----
sys.stdout.write(3)
# ----
sys.stdout.writelines(['a', 'b'])
sys.stdout.flush()
# ----
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()) as s:
    print('to s')
s.getvalue()
# ----
print('x', file=sys.stdout, flush=True)
# ==== main
if __name__ == '__main__':
    print(__name__)
# ----
import __main__
__main__.x is x, hasattr(__main__, '__file__')
# ----
class Point:
    def __init__(self, x):
        self.x = x
import pickle
pickle.loads(pickle.dumps(Point(3))).x, Point
# ----
import inspect
def shown():
    return 1
print(inspect.getsource(shown))
# ----
from dataclasses import dataclass
@dataclass
class Pair:
    a: int
    b: int
Pair(1, 2)
# ----
get_ipython().__class__.__name__, 'IPKernelApp' in get_ipython().config
# ----
get_ipython().run_cell('3 + 3')
None
# ----
get_ipython().system('echo system')
# ----
import traceback
try:
    1 / 0
except ZeroDivisionError:
    traceback.print_exc()
# ----
'' in sys.path, [name for name in globals() if name.startswith('grader')]
# ==== threads
import threading
t = threading.Thread(target=print, args=('in a thread',))
t.start()
t.join()
# ----
t = threading.Thread(target=lambda: 1 / 0)
t.start()
t.join()
# ==== environment
{k: os.environ.get(k) for k in ('TERM', 'FORCE_COLOR', 'PAGER')}
# ==== help
help(shown)
# ----
print(shown.__doc__)
# ==== sklearn
from sklearn.datasets import load_digits
load_digits().images.shape
# ----
from sklearn.linear_model import LogisticRegression
LogisticRegression()
# ==== only in Jupyter
%autosave 60
# ----
stored = 1
%store stored
# ----
%clear
# ----
%connect_info
# ----
import sys
len(sys.argv) > 1
# ----
out = widgets.Output()
with out:
    print('kept')
# ----
out.outputs
"""


def read_groups(text: str) -> dict[str, list[str]]:
    """Return the cells of each group."""
    groups = [part.partition("\n") for part in text.split("# ==== ")[1:]]
    return {name: body.rstrip("\n").split("\n# ----\n") for name, _, body in groups}


GROUPS = read_groups(TEXT)

# Cells ("GROUP PLACE") that differ for a reason.
KNOWN = {
    "only in Jupyter 0": "nothing saves a notebook here, so there is no %autosave",
    "only in Jupyter 1": "%store keeps values for other notebooks, which see nothing",
    "only in Jupyter 2": "%clear is for terminals",
    "only in Jupyter 3": "nothing else can connect to a shell without a kernel",
    "only in Jupyter 4": "there are no arguments of a kernel",
    "only in Jupyter 6": "an output widget hides what it gathers, and does not keep it",
}


def run_in_shell() -> dict:
    """Run the cells in a forked child of a warm process; tell about that process."""
    import matplotlib as mpl
    from matplotlib import _pylab_helpers

    from grader.inside.shell import Shell, warm_up

    shell = warm_up()
    fresh = {
        "figures": _pylab_helpers.Gcf.get_all_fig_managers(),
        "rc": {
            key: [value, mpl.rcParamsDefault[key]]
            for key, value in mpl.rcParams.items()
            if key not in ("backend", "backend_fallback", "interactive")
            and value != mpl.rcParamsDefault[key]
        },
        "new names": [n for n in shell.namespace if not n.startswith("_")][6:],
    }
    plot = "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);"
    return {
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "fresh": fresh,
        "plots": [
            in_a_child(lambda: shell.run_cell(plot).outputs),
            in_a_child(lambda: Shell().run_cell(plot).outputs),
        ],
        "groups": in_a_child(lambda: run_groups(shell)),
    }


def run_groups(shell) -> dict[str, list[list[dict]]]:
    groups = {name: [] for name in GROUPS}
    cells = []
    for name, sources in GROUPS.items():
        for source in sources:
            ran = shell.run_cell(source)
            cells.append(ran.outputs)
            groups[name].append(ran.outputs)
            for place, outputs in ran.changed_earlier.items():
                cells[place][:] = outputs
    return groups


def in_a_child(function: Callable):
    """Return what a function returns in a forked process, sent as JSON."""
    read, write = os.pipe()
    if os.fork() == 0:
        with os.fdopen(write, "w") as file:
            json.dump(function(), file)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        result = json.load(file)
    os.wait()
    return result


def run_in_jupyter() -> dict[str, list[list[dict]]]:
    """Run the cells in a kernel."""
    import nbformat
    from nbclient import NotebookClient

    new = nbformat.v4.new_code_cell
    cells = {name: list(map(new, sources)) for name, sources in GROUPS.items()}
    notebook = nbformat.v4.new_notebook(cells=sum(cells.values(), []))
    options = {"kernel_name": "python3", "allow_errors": True, "timeout": 100}
    NotebookClient(notebook, **options).execute()
    return {name: [cell.outputs for cell in group] for name, group in cells.items()}


if __name__ == "__main__":
    result = run_in_jupyter() if "--jupyter" in sys.argv else run_in_shell()
    Path("outputs.json").write_text(json.dumps(result))
