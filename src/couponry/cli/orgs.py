"""Orgs, and who may ask for them: tills, OAuth clients and console users."""

import secrets
from typing import Annotated, Any, Final

import msgspec
import typer

from couponry.cli.answers import Refused, answer, now_ms, opened, or_refuse, read_settings
from couponry.core.org_settings import OrgSettings
from couponry.core.problem import Problem
from couponry.core.roles import Role
from couponry.store import passwords, registry

org: Final = typer.Typer(help="Create an org, and change what it may decide for itself.")
till: Final = typer.Typer(help="Create tills.")
client: Final = typer.Typer(help="Create OAuth clients.")
user: Final = typer.Typer(help="Create console users.")

OrgId = Annotated[int, typer.Option("--org", help="Id of the org.")]


@org.command("create")
def create_org(
    name: Annotated[str, typer.Option(help="Name shown to people.")],
    timezone: Annotated[str, typer.Option(help="Time zone, such as Asia/Kolkata.")],
    currency: Annotated[str, typer.Option(help="ISO code of the currency, such as INR.")],
    country_code: Annotated[str, typer.Option(help="Dialling code of mobiles given without one.")] = "91",
) -> None:
    """Create an org; a fresh database is set up first."""
    with opened(upgrade_fresh=True) as database, database.writing() as tx:
        made = registry.create_org(
            tx, name=name, time_zone=timezone, currency=currency, country_code=country_code, now_ms=now_ms()
        )
        org_id = or_refuse(made)
    answer({"orgId": org_id})


@org.command("set")
def change_settings(
    org_id: OrgId,
    changes: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="An empty value sets the default again.")],
) -> None:
    """Change settings of an org; servers take them up within seconds."""
    if without := [change for change in changes if "=" not in change]:
        raise Refused(Problem("invalid", f"{without[0]} has no value; write {without[0]}=VALUE"))
    given = {name: value for name, _, value in (change.partition("=") for change in changes)}
    with opened() as database, database.writing() as tx:
        after = or_refuse(registry.change_settings(tx, org_id, given))
    shown = {row["name"]: row["value"] for row in _listing(after)}
    answer({name: shown[name] for name in given})


@org.command("settings")
def list_settings(
    org_id: Annotated[int | None, typer.Option("--org", help="Id of the org whose values to show.")] = None,
) -> None:
    """List the settings that an org can change, with meaning and default, and their values in one org."""
    if org_id is None:
        answer([{name: row[name] for name in ("name", "meaning", "default")} for row in _listing(OrgSettings())])
        return
    with opened() as database, database.reading() as tx:
        found = or_refuse(registry.read_settings(tx, org_id))
    answer(_listing(found))


@org.command("hook-secret")
def show_hook_secret(org_id: OrgId) -> None:
    """Show what the org's hooks verify signatures with (Standard Webhooks)."""
    from couponry.outbound import Signer

    secret_key = read_settings().secret_key
    if secret_key is None:
        raise Refused(Problem("setting", "COUPONRY_SECRET_KEY must be set: signatures are made with it"))
    with opened() as database, database.reading() as tx:
        or_refuse(registry.read_settings(tx, org_id))
    answer({"secret": Signer(secret_key.encode()).secret_of(org_id)})


def _listing(values: OrgSettings) -> list[dict[str, Any]]:
    """Name, meaning, default and value of each setting."""
    schema = msgspec.json.schema(OrgSettings)["$defs"]["OrgSettings"]["properties"]
    defaults = OrgSettings()
    return [
        {
            "name": field.encode_name,
            "meaning": schema[field.encode_name]["description"],
            "default": _plain(getattr(defaults, field.name)),
            "value": _plain(getattr(values, field.name)),
        }
        for field in msgspec.structs.fields(OrgSettings)
    ]


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value


@till.command("create")
def create_till(
    org_id: OrgId,
    code: Annotated[str, typer.Option(help="Code of the till: its user name, unique over all orgs.")],
    password: Annotated[str, typer.Option(help="Password; the till sends its MD5.")],
    store: Annotated[str | None, typer.Option(help="Code of its store, made if missing; default: the till's code.")] = None,
    zone: Annotated[str | None, typer.Option(help="Code of the store's zone, made if missing.")] = None,
    concept: Annotated[str | None, typer.Option(help="Code of the store's concept, made if missing.")] = None,
) -> None:
    """Create a till that may ask with Basic authentication."""
    if not password:
        raise Refused(Problem("invalid", "the password is empty"))
    password_hash = passwords.hashed(passwords.till_secret(password))
    with opened() as database, database.writing() as tx:
        places = {"store": store, "zone": zone, "concept": concept}
        made = or_refuse(registry.create_till(tx, org_id, code=code, password_hash=password_hash, **places))
    answer(made)


@client.command("create")
def create_client(
    org_id: OrgId,
    name: Annotated[str, typer.Option(help="What the client is for.")],
    till_code: Annotated[str | None, typer.Option("--till", help="Code of the till it acts for by default.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="It may use the admin API.")] = False,
) -> None:
    """Create an OAuth client; its secret is shown this once."""
    key, secret = secrets.token_urlsafe(12), secrets.token_urlsafe(32)
    secret_hash = passwords.hashed(secret)
    with opened() as database, database.writing() as tx:
        made = registry.create_client(tx, org_id, name=name, key=key, secret_hash=secret_hash, till=till_code, is_admin=admin)
        or_refuse(made)
    answer({"key": key, "secret": secret})


@user.command("create")
def create_user(
    org_id: OrgId,
    email: Annotated[str, typer.Option(help="E-mail address: the user name, unique over all orgs.")],
    password: Annotated[str, typer.Option(help="Password.")],
    role: Annotated[Role, typer.Option(help="What the user may do.")],
) -> None:
    """Create a person who may use the console."""
    if not password:
        raise Refused(Problem("invalid", "the password is empty"))
    password_hash = passwords.hashed(password)
    with opened() as database, database.writing() as tx:
        user_id = or_refuse(registry.create_user(tx, org_id, email=email, password_hash=password_hash, role=role))
    answer({"userId": user_id})
