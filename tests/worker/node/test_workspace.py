"""The folder of a slot, and which files in it are its runner's own."""

from pathlib import Path

from worker.node.workspace import Workspace


def test_only_plain_files_in_the_folder_are_owned(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden")
    workspace = Workspace(tmp_path / "work")
    folder = workspace.folder("job-1")
    (folder / "model").write_text("weights")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path)
    owned = ("model", "link", "up/secret", "../../../secret", "../../lock")
    assert [workspace.owns(folder / name) for name in owned] == [True, False, False, False, False]
    assert not workspace.owns(tmp_path / "secret")
    workspace.close()


def test_a_folder_behind_a_link_is_owned_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    workspace = Workspace(tmp_path / "data" / "work")
    assert workspace.owns(workspace.folder("job-1") / "model")
    workspace.close()
