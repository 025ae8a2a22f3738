"""Authentication: one bearer token for the whole server, if the server has one."""

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, HTTPException, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.context import Here

OWNER = "local"
"""The owner of every resource, because all clients share one token."""

bearer = HTTPBearer(
    auto_error=False, scheme_name="token", description="CHAINRULE_API_TOKEN of the server"
)


def owner(
    here: Here, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> str:
    """The owner that a request acts for. Raises a 401 if the token is missing or wrong."""
    token = here.settings.api_token.get_secret_value()
    if not token:
        return OWNER
    # Digests have equal lengths, so the comparison takes constant time.
    sent = hashlib.sha256((credentials.credentials if credentials else "").encode()).digest()
    if not hmac.compare_digest(sent, hashlib.sha256(token.encode()).digest()):
        detail = "send the token of this server: Authorization: Bearer <CHAINRULE_API_TOKEN>"
        raise HTTPException(401, detail, {"WWW-Authenticate": 'Bearer realm="chainrule"'})
    return OWNER


Owner = Annotated[str, Depends(owner)]
"""Parameter of an endpoint: the owner that the request acts for."""
