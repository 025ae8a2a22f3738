"""A thousand bodies that are wrong in one place: each is refused, and the column is named."""

import json
import random

import pytest

COUNT = 1000
GOOD = {"p0": 3, "p1": 1.5}

WRONG_CELLS = (
    None, "", "3", "NaN", "three", [], [3], [[3]], {}, {"value": 3},
    float("nan"), float("inf"), float("-inf"), 10**400, "\x00", "3" * 1000,
)  # fmt: skip


def spoiled(chance: random.Random) -> tuple[dict, str]:
    """A body of some rows of which one is wrong in one column, and the path of that."""
    rows = [dict(GOOD) for _ in range(chance.randint(1, 5))]
    place = chance.randrange(len(rows))
    column = chance.choice(list(GOOD))
    match chance.randrange(4):
        case 0:
            del rows[place][column]
        case 1:
            column = chance.choice(["label", "p2", "P0", "p0 ", "ü", "p" * 300])
            rows[place][column] = chance.choice([1, None, "x"])
        case _:
            rows[place][column] = chance.choice(WRONG_CELLS)
    chance.shuffle(rows)
    bad = next(index for index, row in enumerate(rows) if row != GOOD)
    return {"rows": rows}, f"rows[{bad}].{column}"


@pytest.mark.timeout(600)
def test_a_thousand_malformed_bodies(http, pets_model):
    path = f"/v1/jobs/{http.finished(pets_model)}/predict"
    chance = random.Random(7)
    kinds = set()
    for number in range(COUNT):
        body, where = spoiled(chance)
        text = json.dumps(body)
        headers = {"Content-Type": "application/json"}
        answer = http.post(path, content=text, headers=headers)
        assert answer.status_code == 422, (number, text[:300], answer.text)
        problem = answer.json()
        found = [error["path"] for error in problem["errors"]]
        assert where in found, (number, text[:300], problem)
        assert where.partition(".")[2][:40] in problem["detail"], problem
        kinds.add((where.partition(".")[2], problem["errors"][0]["message"][:30]))
    assert len(kinds) > 10
    # What was refused left the model as it was.
    assert http.post(path, {"rows": [GOOD]}).status_code == 200
