"""Everything that can be read from a workspace, as methods of RapidProInterface. None of them writes."""

from rapidpro_integration.reads.flows import FlowReads
from rapidpro_integration.reads.messaging import MessagingReads
from rapidpro_integration.reads.people import PeopleReads
from rapidpro_integration.reads.workspace import WorkspaceReads

__all__ = ["FlowReads", "MessagingReads", "PeopleReads", "WorkspaceReads"]
