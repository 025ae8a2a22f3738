"""Who asks: with a token set, only bearers of it; the owner of everything is then one."""

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, HTTPException, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.context import Here

OWNER = "local"
"""Who owns what is submitted while there is one token for all."""

bearer = HTTPBearer(
    auto_error=False, scheme_name="token", description="CHAINRULE_API_TOKEN of the server"
)


def owner(
    here: Here, given: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> str:
    """The owner that the request acts for. Raises a 401 when the token is missing or wrong."""
    token = here.settings.api_token.get_secret_value()
    if not token:
        return OWNER
    # Digests have one length whatever was sent, so the comparison takes one time.
    sent = hashlib.sha256((given.credentials if given else "").encode()).digest()
    if not hmac.compare_digest(sent, hashlib.sha256(token.encode()).digest()):
        detail = "send the token of this server: Authorization: Bearer <CHAINRULE_API_TOKEN>"
        raise HTTPException(401, detail, {"WWW-Authenticate": 'Bearer realm="chainrule"'})
    return OWNER


Owner = Annotated[str, Depends(owner)]
"""Parameter of an endpoint: who asks."""
