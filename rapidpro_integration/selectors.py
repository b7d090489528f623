"""Reads: every one takes the owner first, so that another tenant's row is never found."""

from uuid import UUID

from django.db import models
from django.db.models import QuerySet
from django.http import Http404

from rapidpro_integration.models import RapidProToken


def tokens_of(owner_id: int) -> QuerySet[RapidProToken]:
    """Return the owner's tokens by label; a field that was not fetched raises instead of asking the database."""
    return RapidProToken.objects.filter(owner_id=owner_id).fetch_mode(models.FETCH_RAISE)


async def atokens_of(owner_id: int) -> list[RapidProToken]:
    """Return the owner's tokens by label."""
    return [token async for token in tokens_of(owner_id)]


async def aget_token_or_404(owner_id: int, token_id: UUID) -> RapidProToken:
    """Return the owner's token, still sealed. Raises Http404 for an unknown one and for another tenant's alike."""
    token = await tokens_of(owner_id).filter(pk=token_id).afirst()
    if token is None:
        raise Http404
    return token
