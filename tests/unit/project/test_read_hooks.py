from __future__ import annotations

import textwrap

import pytest

from sqlbuild.app.opening import close_project
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

ADMIT = """\
HOOK (description "Let a role read the table");

-- @relation is what the model builds
GRANT SELECT ON @relation TO @role
"""
WRONG_SQL = {
    "hooks/sql/deep/admit.sql": ADMIT.replace("@relation TO", "x TO"),
    "hooks/sql/bare.sql": "HOOK ();\nSELECT 1",
    "hooks/sql/looks.sql": "HOOK ();\n SELECT * FROM __ref('other')",
    "hooks/sql/headless.sql": "SELECT 1",
    "hooks/sql/empty.sql": 'HOOK (description "nothing");\n',
    "hooks/sql/named.sql": "HOOK (name x);\nSELECT 1",
    "hooks/sql/taken/other.sql": "HOOK ();\nSELECT 1",
    "hooks/sql/notify.sql": "HOOK ();\nSELECT 1",
    "hooks/sql/_left_out.sql": "no hook",
    "models/x/_sqlbuild/hooks/sql/inner.sql": "HOOK ();\nSELECT 1",
    "models/x/_sqlbuild/hooks/sql/bare.sql": "HOOK ();\nSELECT 1",
}


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


def test_macros_in_hooks_are_given_what_variables_stand_for_as_python_values(read):
    macros = "def shown(*values):\n    return ' '.join(f'<{each}>' for each in values)"
    sql = """@py.shown(@@CTX:destination.qualified, "@@CTX:destination.qualified", [@@n, @@log], @@yes) -- @@nothing"""
    project = read({"models/m.sql": header(f"post_hooks [inline_sql('{sql}')]"), "macros/python/a.py": macros})
    assert problems(project) == []
    (hook,) = model_of(project).post_hooks
    assert hook.sql == """<"dev"."things"> <"dev"."things"> <[3, 'audit.log']> <True> -- @@nothing"""


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
        ('post_hooks [sql("grant", role: "x")]', '[HOOK] models/m.sql:3:15: `post_hooks[0]` sql("grant"): there is no such hook\n  help: known here: '),
        ('post_hooks [sql("admitt", role: "x")]', "there is no such hook\n  help: did you mean `admit`?"),
        ('post_hooks [sql(admit, "x")]', "`post_hooks[0]`: sql(...) does not hold the name of a hook: sql("),
        ('post_hooks [sql("admit", role: "x", rol: "y")]', "there is no @rol in it\n  help: did you mean `role`?"),
        ('post_hooks [sql("admit")]', '`role` is not given\n  help: add it: sql("admit", role: ...)'),
        ('post_hooks [sql("admit", role: (a b))]', "`role` is a table\n  help: give a text, a number"),
        ('post_hooks [sql("admit", role: [])]', "`role` is a list without values"),
        ('post_hooks [sql("bare", role: "x")]', "there is no @role in it\n  help: hooks/sql/bare.sql has no arguments"),
        ('post_hooks [sql("inner")]', "the hook stands in models/x/_sqlbuild/hooks/sql/inner.sql, not visible here"),
        ('post_hooks [sql("admit", role: "@@rol")]', "[VARIABLE] hooks/sql/deep/admit.sql:4: the hook admit, called in models/m.sql:3:15: there is no var rol"),
        ('post_hooks [sql("admit", role: "a; b")]', "[STATEMENTS] hooks/sql/deep/admit.sql:4: the hook admit, called in models/m.sql:3:15: a second statement"),
        ('post_hooks [sql("looks")]', '[REFERENCE] hooks/sql/looks.sql:2:16: '),
        ('post_hooks [sql("headless")]', "[HEADER_PLACE] hooks/sql/headless.sql:1:1: the file has no HOOK header"),
        ('post_hooks [sql("bare")]', "[EMPTY_QUERY] hooks/sql/empty.sql:2:1: no statement stands behind the header"),
        ('post_hooks [sql("bare")]', "[HOOK] hooks/sql/named.sql:1:7: a hook is called like its file"),
        ('post_hooks [sql("bare")]', "[DUPLICATE_NAME] hooks/sql/taken/other.sql:1:1: the hook other has the name of a node"),
        ('post_hooks [sql("bare"), python("notify")]', "[DUPLICATE_NAME] hooks/sql/notify.sql:1:1: the hook notify has the name of the hook"),
        ('post_hooks [sql("bare")]', "[DUPLICATE_NAME] models/x/_sqlbuild/hooks/sql/bare.sql: the hook bare has the name of the one at hooks/sql/bare.sql"),
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
    if "[sql(" in text:
        files |= WRONG_SQL
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


def test_a_hook_of_a_file_is_filled_in_with_what_the_model_gives_it(read):
    record = """\
HOOK ();
INSERT INTO @@log (what, who, n, yes, none, '@@log', "@n")
SELECT @'what', @'who', @n, @yes, @none, @py.twice("@n") -- @nothing
FROM __ref("@from") JOIN @schema.@table ON 'it is @n'
"""
    text = """post_hooks [
    sql("admit", relation: "@@CTX:destination.qualified", role: "analyst"),
    sql("record", what: "O'Brien", who: ["a", "b"], n: 2.5, yes: true, none: null, from: "other", schema: "dev", table "t"),
    sql("here"),
  ]"""
    files = {
        "hooks/sql/deep/admit.sql": ADMIT,
        "hooks/sql/record.sql": record,
        "models/m.sql": header(text),
        "models/_sqlbuild/_hooks/sql/here.sql": "HOOK ();\nSELECT 1",
        "macros/python/texts.py": "def twice(x):\n    return f'{x} + {x}'\n",
    }
    project = read(files)
    assert problems(project) == []
    admit, made, here = model_of(project).post_hooks
    assert admit.label == 'post_hooks[0] sql("admit")'
    assert (admit.sql, admit.place.path, admit.place.line) == (
        'GRANT SELECT ON "dev"."things" TO analyst',
        "hooks/sql/deep/admit.sql",
        4,
    )
    assert made.sql == (
        """INSERT INTO audit.log (what, who, n, yes, none, 'audit.log', "2.5")\n"""
        """SELECT 'O''Brien', 'a', 'b', 2.5, TRUE, NULL, 2.5 + 2.5 -- @nothing\n"""
        """FROM __ref("other") JOIN dev.t ON 'it is 2.5'"""
    )
    assert here.sql == "SELECT 1"
    assert compile_project(project, InMemoryAnalysisCache()).nodes["model:m"].depends_on == ("model:other",)


def test_the_fingerprint_of_a_model_knows_the_hooks_of_files_and_what_they_are_given(read):
    def fingerprint(role, text):
        files = {"models/m.sql": header(f'pre_hooks [sql("admit", role: {role})]'), "hooks/sql/admit.sql": text}
        project = read(files)
        assert problems(project) == []
        return compile_project(project, InMemoryAnalysisCache()).nodes["model:m"].fingerprint.total

    given = [fingerprint(role, "HOOK ();\nGRANT x TO @role") for role in ("a", "b")]
    assert len({*given, fingerprint("a", "HOOK ();\nGRANT y TO @role")}) == 3
    assert fingerprint("a", 'HOOK (description "new");\nGRANT x TO @role') == given[0]


def test_what_is_wrong_in_a_hooks_file_is_told_once(read):
    calling = {f"models/{name}.sql": 'MODEL (pre_hooks [sql("lost")]);\nSELECT 1 AS one' for name in "mnp"}
    project = read({**calling, "hooks/sql/lost.sql": "HOOK ();\nSELECT @@lost"})
    (told,) = problems(project)
    assert told.startswith(
        "error[VARIABLE] hooks/sql/lost.sql:2: the hook lost, called in models/m.sql:1:19: there is no var lost"
    )
