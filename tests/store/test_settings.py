"""Every bad setting stops the hub at its start and is named; the environment is read in one place."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from hub.app import create_app
from hub.core.errors import SetupError
from hub.core.settings import Settings, read_settings, variable


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HUB_DATABASE_URL", "mysql://root@localhost/hub"),
        ("HUB_DATABASE_URL", "postgresql://hub@localhost/hub"),
        ("HUB_REDIS_URL", "localhost:6379"),
        ("HUB_PORT", "eighty"),
        ("HUB_WORKERS", "0"),
        ("HUB_WORKERS", "two"),
        ("HUB_WEB_THREADS", "-1"),
        ("HUB_BATCH_SIZE", "0"),
        ("HUB_CONNECT_TIMEOUT", "0"),
        ("HUB_READ_TIMEOUT", "soon"),
        ("HUB_SLICE", "-5"),
        ("HUB_LEASE", "30"),
        ("HUB_LEASE", "0"),
        ("HUB_NAMESPACE", "My Hub"),
        ("HUB_LANGUAGE", "de"),
        ("HUB_PUBLIC_URL", "hub.example.com"),
        ("HUB_PUBLIC_URL", "ftp://hub.example.com"),
        ("HUB_PUBLIC_URL", "https://[hub"),
        ("HUB_TRUSTED_PROXIES", "-1"),
        ("HUB_SESSION_HOURS", "0"),
        ("HUB_MAIL_URL", "mail.example.com"),
        ("HUB_MAIL_URL", "https://mail.example.com"),
        ("HUB_MAIL_FROM", "the shop"),
        ("HUB_NO_SUCH_THING", "1"),
    ],
)
def test_a_bad_setting_is_named(name: str, text: str) -> None:
    with pytest.raises(SetupError) as caught:
        read_settings({name: text})
    assert caught.value.subject == name
    assert caught.value.cure


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"HUB_MAIL_URL": "smtp://localhost"}, "HUB_MAIL_FROM"),
        ({"HUB_OIDC_ISSUER": "https://login.example.com"}, "HUB_OIDC_CLIENT_ID"),
        ({"HUB_OIDC_CLIENT_ID": "hub", "HUB_OIDC_CLIENT_SECRET": "s"}, "HUB_OIDC_ISSUER"),
        (
            {"HUB_OIDC_ISSUER": "http://login.example.com", "HUB_OIDC_CLIENT_ID": "hub", "HUB_OIDC_CLIENT_SECRET": "s"},
            "HUB_OIDC_ISSUER",
        ),
        ({"HUB_OIDC_ISSUER": "http://[", "HUB_OIDC_CLIENT_ID": "hub", "HUB_OIDC_CLIENT_SECRET": "s"}, "HUB_OIDC_ISSUER"),
    ],
)
def test_settings_that_belong_together(environ: dict[str, str], name: str) -> None:
    with pytest.raises(SetupError) as caught:
        read_settings(environ)
    assert caught.value.subject == name
    assert caught.value.cure


def test_a_database_password_is_in_no_error() -> None:
    with pytest.raises(SetupError) as caught:
        read_settings({"HUB_DATABASE_URL": "mysql://root:hunter2hunter2@localhost/hub"})
    assert "hunter2" not in str(caught.value) + str(caught.value.as_json())


def test_a_broken_key_stops_the_application(tmp_path: Path) -> None:
    settings = read_settings({"HUB_DATA": str(tmp_path), "HUB_SECRET_KEY": "short"})
    with pytest.raises(SetupError) as caught:
        create_app(settings)
    assert caught.value.subject == "HUB_SECRET_KEY"


def test_defaults_and_readings() -> None:
    settings = read_settings({})
    assert settings.sql_url == f"sqlite:///{Path('var/hub.sqlite').resolve()}"
    assert settings.embedded_redis
    given = read_settings(
        {"HUB_WORKERS": " 3 ", "HUB_LEASE": "45.5", "HUB_ALLOW_PRIVATE_HOSTS": "127.0.0.1, Shop.local:8080,", "HUB_PORT": ""},
        workers=5,
        port=None,
    )
    assert (given.workers, given.lease, given.port) == (5, 45.5, settings.port)
    assert given.allow_private_hosts == {"127.0.0.1", "shop.local:8080"}


def test_secrets_do_not_show() -> None:
    hidden = {
        "database_url": "postgresql+psycopg://u:pw-in-here@h/d",
        "redis_url": "redis://:pw-in-here@h",
        "secret_key": "pw-in-here",
    }
    assert "pw-in-here" not in repr(Settings(**hidden))  # type: ignore[arg-type]


def test_each_setting_is_read_from_its_variable() -> None:
    for item in fields(Settings):
        assert item.metadata["meaning"], item.name
        assert variable(item.name) == f"HUB_{item.name.upper()}"
