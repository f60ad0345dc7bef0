"""Providers and factories in real projects."""

from __future__ import annotations

import signal

import pytest

CRM = """
    import pathlib

    from pydantic import SecretStr
    from pydantic_settings import SettingsConfigDict
    from sqlbuild.providers import Provider, ProviderContext

    def note(text):
        with open("notes.txt", "a") as file:
            file.write(text + "\\n")

    class CrmClient(Provider):
        model_config = SettingsConfigDict(env_prefix="CRM_")

        token: SecretStr
        port: int = 80

        async def setup(self, ctx: ProviderContext) -> None:
            note(f"crm opened for {ctx.target}")

        async def teardown(self) -> None:
            note("crm closed")

    class Database(Provider):
        def setup(self, ctx):
            note("database opened")

        def teardown(self):
            note("database closed")
    """
NODES = """
    from sqlbuild.factories import factory
    from sqlbuild.tasks import task

    @factory
    def pushes():
        def make(name):
            @task(name=name)
            async def push(ctx, crm_client):
                return crm_client.port
            return push
        return [make("push_a"), make("push_b")]

    @task(depends_on=pushes())
    def store(ctx, database, *, crm_client):
        return ctx.providers.database is database
    """
SET = {"CRM_TOKEN": "very-secret-token", "CRM_PORT": "81"}


@pytest.fixture
def shop(project):
    return project.write({"providers/clients.py": CRM, "tasks/push.py": NODES})


def notes(project) -> list[str]:
    path = project.root / "notes.txt"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_each_is_opened_once_and_closed_in_reverse(shop, backend):
    built = shop.build("--backend", backend, env=SET)
    assert shop.statuses() == {"task:push_a": "succeeded", "task:push_b": "succeeded", "task:store": "succeeded"}
    assert shop.result("push_a")["payload"] == 81
    assert shop.result("store")["payload"] is True
    assert notes(shop) == ["crm opened for dev", "database opened", "database closed", "crm closed"]
    assert "very-secret-token" not in built.everything


def test_what_the_environment_lacks_is_told_before_any_node_runs(shop):
    built = shop.sqb("build", env={"CRM_PORT": "very-secret-port"})
    assert built.code == 2
    assert "error[PROVIDER] providers/clients.py:12: the provider CrmClient: token: Field required" in built.err
    assert "help: set the environment variable CRM_TOKEN" in built.err
    assert "the provider CrmClient: port: Input should be a valid integer" in built.err
    assert "very-secret-port" not in built.everything
    assert notes(shop) == []
    assert not (shop.root / "target" / "run_results.json").exists()


def test_compiling_and_planning_need_no_environment(shop):
    assert shop.sqb("compile").code == 0
    assert shop.sqb("plan").code == 0
    assert "providers   database, crm_client" in shop.sqb("show", "store").out


def test_a_set_up_that_fails_shows_the_authors_line(shop):
    shop.write({"providers/clients.py": CRM.replace('note("database opened")', 'raise ConnectionError("no route")')})
    built = shop.sqb("build", env=SET)
    assert built.code == 1
    assert "ProviderError: the provider database could not be set up: ConnectionError: no route" in built.out
    assert 'raise ConnectionError("no route")' in built.out
    assert notes(shop) == ["crm opened for dev", "crm closed"]


def test_they_are_closed_after_ctrl_c(shop):
    shop.write({
        "tasks/push.py": """
            import anyio
            from sqlbuild.tasks import task

            @task
            async def push(ctx, crm_client):
                print("running", flush=True)
                await anyio.sleep(60)
            """
    })  # fmt: skip
    process = shop.start("build", "--verbose", env=SET)
    for line in process.stdout:
        if "running" in line:
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert notes(shop) == ["crm opened for dev", "crm closed"]


def test_a_node_in_a_process_of_its_own_has_instances_of_its_own(shop):
    shop.write({
        "tasks/push.py": """
            from sqlbuild.factories import factory
            from sqlbuild.tasks import task

            @factory
            async def made():
                for number in range(2):
                    @task(name=f"push_{number}", isolate="process")
                    def push(ctx, crm_client, number=number):
                        return crm_client.port + number
                    yield push
            """
    })  # fmt: skip
    shop.build("--threads", "1", env=SET)
    assert [shop.result(name)["payload"] for name in ("push_0", "push_1")] == [81, 82]
    assert notes(shop) == ["crm opened for dev", "crm closed"]


def test_every_problem_of_factories_and_providers_is_told_at_once(shop):
    shop.write({
        "tasks/push.py": """
            from sqlbuild.factories import factory
            from sqlbuild.tasks import task

            @factory
            def returns_nothing(): ...

            @factory
            async def fails():
                raise ValueError("no list of carriers")

            @task
            def push(ctx, crm_clint): ...
            """
    })  # fmt: skip
    compiled = shop.sqb("compile")
    assert compiled.code == 2
    assert [line for line in compiled.err.splitlines() if line.startswith("error")] == [
        "error[FACTORY] tasks/push.py:5: the factory returns_nothing returned nothing",
        "error[FACTORY] tasks/push.py:10: the factory fails failed: ValueError: no list of carriers",
        "error[PARAMETER] tasks/push.py:12: push: nothing is given to the parameter `crm_clint`",
    ]
    assert "did you mean the provider `crm_client`?" in compiled.err
