"""Nodes: list, read, drain."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.auth import Owner
from api.context import Here
from api.http.openapi import ALWAYS, problems
from api.parameters import Paging
from api.resources.nodes import Node
from api.resources.pages import Page, page
from core import nodes
from core.db.session import reading, transaction

router = APIRouter(prefix="/v1/nodes", tags=["nodes"], responses=problems(*ALWAYS))

Name = Annotated[str, Path(max_length=255, description="name of the machine")]
WorkerName = Annotated[str, Path(max_length=255, description="`id` of the worker")]


@router.get("", responses=problems(422))
def list_all_nodes(paging: Annotated[Paging, Query()], here: Here, _: Owner) -> Page[Node]:
    """List the machines that have or had workers, by name."""
    with reading(here.engine) as session:
        states = nodes.list_nodes(session)
        following = [state for state in states if state.node.name > (paging.cursor or "")]
        return page(following, paging.limit, Node.of, lambda state: state.node.name)


@router.get("/{name}", responses=problems(404, 422))
def read_node(name: Name, here: Here, _: Owner) -> Node:
    """Return a machine with its workers, its versions and whether it is alive."""
    with reading(here.engine) as session:
        return Node.of(nodes.get_node(session, name))


@router.post("/{name}/drain", responses=problems(403, 404, 422))
def drain_node(name: Name, here: Here, _: Owner) -> Node:
    """Drain a machine: its workers save checkpoints, release their jobs and take no new ones."""
    with transaction(here.engine) as session:
        nodes.drain(session, name)
        return Node.of(nodes.get_node(session, name))


@router.post("/{name}/undrain", responses=problems(403, 404, 422))
def undrain_node(name: Name, here: Here, _: Owner) -> Node:
    """Let the workers of a machine take jobs again."""
    with transaction(here.engine) as session:
        nodes.drain(session, name, on=False)
        return Node.of(nodes.get_node(session, name))


@router.post("/{name}/workers/{worker}/drain", responses=problems(403, 404, 422))
def drain_worker(name: Name, worker: WorkerName, here: Here, _: Owner) -> Node:
    """Drain a worker: it saves checkpoints, releases its jobs and takes no new ones."""
    with transaction(here.engine) as session:
        nodes.drain_worker(session, name, worker)
        return Node.of(nodes.get_node(session, name))


@router.post("/{name}/workers/{worker}/undrain", responses=problems(403, 404, 422))
def undrain_worker(name: Name, worker: WorkerName, here: Here, _: Owner) -> Node:
    """Let a worker take jobs again, unless its machine is drained."""
    with transaction(here.engine) as session:
        nodes.drain_worker(session, name, worker, on=False)
        return Node.of(nodes.get_node(session, name))
