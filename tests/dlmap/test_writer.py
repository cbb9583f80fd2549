from pathlib import Path

import torch

from dlmap.writer import Outcome, ResultWriter, Row, read_rows, write_rows


def test_rows_survive_the_trip_to_disk(tmp_path: Path) -> None:
    row = {"file": 'odd, "name"\n.png', "status": "failed", "error": "why; not"}
    write_rows(tmp_path / "r.csv", [row])
    (back,) = read_rows(tmp_path / "r.csv")
    assert {key: back[key] for key in row} == row and back["seconds"] == ""


class Barrier:
    def barrier(self) -> None: ...


class FakeTrainer:
    """What the writer uses of a trainer: its rank among two processes."""

    def __init__(self, rank: int) -> None:
        self.global_rank, self.world_size, self.is_global_zero, self.strategy = rank, 2, rank == 0, Barrier()


def test_parts_of_all_processes_are_merged_in_order(tmp_path: Path) -> None:
    writer = ResultWriter(tmp_path)
    for rank, names in ((1, ["b.png", "d.png"]), (0, ["a.png", "c.png"])):
        writer.rows = []
        outcomes = [Outcome(Row(name, "ok", seconds=1 / 3), Path(name), torch.zeros(3, 2, 2)) for name in names]
        writer.write_on_batch_end(FakeTrainer(rank), None, outcomes, None, None, 0, 0)  # type: ignore[arg-type]
    writer.on_predict_end(FakeTrainer(0), None)  # type: ignore[arg-type]
    rows = read_rows(tmp_path / "results.csv")
    assert [row["file"] for row in rows] == ["a.png", "b.png", "c.png", "d.png"]
    assert rows[0]["seconds"] == "0.333333"
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["a.png", "b.png", "c.png", "d.png", "results.csv"]
