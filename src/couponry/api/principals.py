"""On whose behalf a request is judged, once its credential has been verified."""

from msgspec import Struct

from couponry.api.people import is_allowed
from couponry.core.model import Org
from couponry.core.roles import Role
from couponry.core.status import Code
from couponry.store.directory import Grant, Identity


class Principal(Struct, frozen=True, gc=False):
    """A verified till, OAuth client or person, who has a `role`. `scope` names the credential, for rate
    limits and idempotency keys.

    `expires_ms` is the end of the token that it came with, 0 for a password.
    """

    identity: Identity
    scope: str
    expires_ms: int = 0
    role: Role | None = None

    @property
    def org_id(self) -> int:
        """The tenant that every query of this request names."""
        return self.identity.login.org_id

    @property
    def org(self) -> Org | None:
        """The tenant, or None when it is misconfigured (795)."""
        return self.identity.org

    def access_refusal(self, path: str, *, is_write: bool) -> Code | None:
        """4000 unless the access group grants the resource that a coupon path belongs to (README 2.4), or it is an admin."""
        identity = self.identity
        if self.role:
            return None if is_allowed(self.role, path, is_write=is_write) else Code.ACCESS_DENIED
        if path.startswith("/admin/"):
            return None if identity.is_admin else Code.ACCESS_DENIED
        is_config = path.startswith(("/v2/coupon/series", "/v3/webHooks", "/coupon/api/v1/upload/"))
        granted = identity.config_access if is_config else identity.data_access
        return None if granted >= (Grant.WRITE if is_write else Grant.READ) else Code.ACCESS_DENIED
