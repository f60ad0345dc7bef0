from __future__ import annotations

import textwrap

import pytest

from sqlbuild.app.operations import close_project
from sqlbuild.compiler.compile_project import compile_project
from sqlbuild.domain.hooks import RUN_ID_MARK
from sqlbuild.domain.ids import Place
from sqlbuild.domain.nodes import Model
from sqlbuild.errors import ProjectError
from sqlbuild.project.load_project import load_project
from sqlbuild.refs import model
from sqlbuild.state.analysis_cache import InMemoryAnalysisCache

HOOKS = """
from sqlbuild.hooks import hook
from sqlbuild.refs import model


@hook
def notify(ctx, channel="#data"):
    pass


@hook(reads=model("other"))
def refresh(ctx):
    pass
"""


@pytest.fixture
def read(tmp_path):
    """Reads a project with these files, `models/m.sql` among them; gives it."""

    def read(files, environ=None):
        settings = (
            'name = "shop"\n[targets.dev]\nschema = "dev"\n[vars]\nlog = "audit.log"\nn = 3\nyes = true\nlist = [1]\n'
        )
        for name, text in {"sqlbuild_project.toml": settings, "models/other.sql": "SELECT 1 AS one", **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return load_project(str(tmp_path), environ=environ or {})

    yield read
    close_project(str(tmp_path))


def model_of(project):
    return next(each for each in project.declarations if isinstance(each, Model) and each.name == "m")


def header(text):
    return f"MODEL (\n  alias things,\n  {text}\n);\nSELECT 1 AS id\n"


def problems(project):
    return [str(problem) for problem in project.problems]


def test_sql_and_python_stand_in_one_list_in_their_order(read):
    text = """pre_hooks [
    inline_sql("CREATE TABLE IF NOT EXISTS @@log (n INTEGER)"),
    python("notify", channel: "#a"),
  ],
  post_hooks [
    inline_sql(\"\"\"
      INSERT INTO @@log
      SELECT @@n FROM __ref("other") JOIN @@CTX:destination.qualified ON @@yes
    \"\"\"),
    python("notify"),
  ]"""
    project = read({"models/m.sql": header(text), "hooks/python/told.py": HOOKS})
    assert problems(project) == []
    made = model_of(project)
    create, notify = made.pre_hooks
    insert, again = made.post_hooks
    assert (create.sql, create.place) == ("CREATE TABLE IF NOT EXISTS audit.log (n INTEGER)", Place("models/m.sql", 4))
    assert (notify.name, notify.arguments, notify.label) == (
        "notify",
        {"channel": "#a"},
        'pre_hooks[1] python("notify")',
    )
    assert insert.sql == ('INSERT INTO audit.log\n      SELECT 3 FROM __ref("other") JOIN "dev"."things" ON TRUE')
    assert insert.place == Place("models/m.sql", 9)
    assert (again.arguments, again.index) == ({}, 1)
    graph = compile_project(project, InMemoryAnalysisCache())
    node = graph.nodes["model:m"]
    assert node.depends_on == ("model:other",)
    assert node.hooks[2].sql.endswith('SELECT 3 FROM "dev"."other" JOIN "dev"."things" ON TRUE')


def test_what_a_model_is_called_and_who_runs_it_is_known_to_its_hooks(read):
    words = "model.name model.alias model.schema destination.table destination.schema run.target run.id"
    sql = "SELECT '" + " ".join(f"@@CTX:{word}" for word in words.split()) + " @@ENV:ROLE'"
    project = read({"models/m.sql": header(f'post_hooks [inline_sql("{sql}")]')}, {"ROLE": "analyst"})
    (hook,) = model_of(project).post_hooks
    assert hook.sql == f"SELECT 'm things dev things dev dev {RUN_ID_MARK} analyst'"


def test_a_model_waits_for_what_its_python_hooks_read(read):
    project = read({"models/m.sql": header('post_hooks [python("refresh")]'), "hooks/python/told.py": HOOKS})
    graph = compile_project(project, InMemoryAnalysisCache())
    assert graph.nodes["model:m"].depends_on == ("model:other",)
    assert project.hooks["refresh"].depends_on == (model("other"),)


def test_hooks_count_for_the_fingerprint_and_models_without_them_keep_theirs(read):
    def fingerprint(text, code=HOOKS):
        project = read({"models/m.sql": header(text), "hooks/python/told.py": code})
        assert problems(project) == []
        return compile_project(project, InMemoryAnalysisCache()).nodes["model:m"].fingerprint.total

    prints = [
        fingerprint(text)
        for text in (
            "tags [a]",
            'post_hooks [inline_sql("SELECT 1")]',
            'post_hooks [inline_sql("SELECT 2")]',
            'pre_hooks [inline_sql("SELECT 2")]',
            'post_hooks [inline_sql("SELECT 1"), inline_sql("SELECT 2")]',
            'post_hooks [inline_sql("SELECT 2"), inline_sql("SELECT 1")]',
            'post_hooks [python("notify")]',
            'post_hooks [python("notify", channel: "b")]',
        )
    ]
    prints.append(fingerprint('post_hooks [python("notify")]', HOOKS.replace("pass", "print(channel)", 1)))
    assert len(set(prints)) == len(prints)
    assert fingerprint("tags [b]") == prints[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('post_hooks ["GRANT x"]', "models/m.sql:3:15: `post_hooks[0]` is a text, which is no hook\n  help: write inline_sql("),
        ('post_hook [inline_sql("x")]', "did you mean `post_hooks`?"),
        ('post_hooks inline_sql("x")', "[WRONG_TYPE] models/m.sql:3:14: `post_hooks` must be a list"),
        ('post_hooks [inline("x")]', "did you mean `inline_sql`?"),
        ('post_hooks [sql("grant", role: "x")]', "hooks in files of hooks/sql/ are not supported"),
        ("post_hooks [inline_sql(1)]", "does not hold one text, the statement"),
        ('post_hooks [inline_sql("SELECT 1", a: 1)]', "does not hold one text, the statement"),
        ("post_hooks [python()]", 'does not hold the name of a hook: python("notify")'),
        ('post_hooks [inline_sql("SELECT 1; SELECT 2")]', "[STATEMENTS] models/m.sql:3:37: `post_hooks[0]`: a second"),
        ('post_hooks [inline_sql(" -- nothing")]', "[EMPTY_QUERY]"),
        ('post_hooks [inline_sql("SELECT @@CTX:model.nam")]', "there is no @@CTX:model.nam\n  help: did you mean `model.name`"),
        ('post_hooks [inline_sql("SELECT @@CTX:model.database.x")]', "is empty: the database is that of the connection"),
        ('post_hooks [inline_sql("SELECT @@lag")]', "[VARIABLE] models/m.sql:3: `post_hooks[0]`: there is no var lag"),
        ('post_hooks [inline_sql("SELECT @@list")]', "the var list is a list or a table"),
        ('post_hooks [inline_sql("SELECT @@ENV:NOPE")]', "the environment variable NOPE is not set"),
        ('post_hooks [inline_sql("SELECT @py.nope()")]', "[UNKNOWN_MACRO] models/m.sql:3:"),
        ("post_hooks [inline_sql('SELECT * FROM __ref(\"m\")')]", "[CYCLE] models/m.sql:3:41: m depends on itself"),
        ("post_hooks [inline_sql('SELECT * FROM __ref(\"othr\")')]", 'm reads __ref("othr"), but there is no model'),
        ('post_hooks [python("notfy")]', 'post_hooks[0] python("notfy"): there is no such hook\n  help: did you mean `notify`'),
        ('post_hooks [python("notify", chanel: 1)]', "it has no parameter chanel\n  help: it is declared at hooks/python/told.py:6"),
        ('post_hooks [python("below")]', "the hook stands in models/x/_sqlbuild/hooks/python/b.py, not visible here"),
    ],
)  # fmt: skip
def test_mistakes_are_told_at_their_place(read, text, message):
    below = "from sqlbuild.hooks import hook\n@hook\ndef below(ctx): ...\n"
    files = {"models/x/_sqlbuild/hooks/python/b.py": below, "models/x/y.sql": "SELECT 1 AS one"}
    project = read({"models/m.sql": header(text), "hooks/python/told.py": HOOKS, **files})
    with pytest.raises(ProjectError) as raised:
        compile_project(project, InMemoryAnalysisCache())
    assert message in str(raised.value)


def test_hooks_are_visible_in_their_folder_or_below_it(read):
    def of(name):
        return f"from sqlbuild.hooks import hook\n@hook\ndef {name}(ctx): ...\n"

    files = {
        "models/x/_sqlbuild/hooks/python/b.py": of("below"),
        "models/x/_sqlbuild/_hooks/python/h.py": of("here"),
        "models/x/a.sql": 'MODEL (post_hooks [python("below"), python("here")]);\nSELECT 1 AS one',
        "models/x/y/b.sql": 'MODEL (post_hooks [python("below"), python("here")]);\nSELECT 1 AS one',
        "hooks/python/twice.py": of("below"),
        "hooks/python/taken.py": of("other"),
    }
    told = problems(read(files))
    assert [each.split("\n")[0] for each in told] == [
        "error[DUPLICATE_NAME] hooks/python/taken.py:2: the hook other has the name of a node at models/other.sql:1:1",
        "error[DUPLICATE_NAME] models/x/_sqlbuild/hooks/python/b.py:2: the hook below has the name of the one at "
        "hooks/python/twice.py:2",
        'error[HOOK] models/x/y/b.sql:1:37: b: post_hooks[1] python("here"): the hook stands in '
        "models/x/_sqlbuild/_hooks/python/h.py, not visible here",
    ]
