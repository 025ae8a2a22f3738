"""What a researcher sees of jobs in MLflow, looked at with a real browser."""

import json
import re
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import PICTURES, RATES, Shown

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def keep(page: Page, name: str) -> None:
    """Keep a picture of what is to be seen, for people to look at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def below(link: str, path: str) -> str:
    """A page below the one that a link of the API opens."""
    place, _, query = link.partition("?")
    return f"{place}{path}?{query}"


def test_a_new_browser_opens_training_without_notices(page: Page, shown: Shown) -> None:
    job = shown.jobs[0]
    for link, text in (
        (shown.home, "Welcome to MLflow"),
        (shown.experiment, job["name"]),
        (job["mlflow_url"], "seen in a browser"),
        (shown.home, "Welcome to MLflow"),
    ):
        page.goto(link)
        expect(page.get_by_text(text).first).to_be_visible()
        expect(page.get_by_role("link", name="Model registry")).to_be_visible()
        for notice in ("Assistant", "telemetry", "usage data"):
            expect(page.get_by_text(notice).filter(visible=True)).to_have_count(0)
        expect(page.get_by_role("dialog")).to_have_count(0)
    keep(page, "home")


def test_a_choice_in_mlflow_stays(page: Page, shown: Shown) -> None:
    page.goto(shown.home)
    expect(page.get_by_role("link", name="Model registry")).to_be_visible()
    page.get_by_role("button", name="GenAI", exact=True).click()
    expect(page.get_by_role("link", name="Model registry")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("link", name="Prompts", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Model registry")).to_have_count(0)


def test_the_list_names_runs_data_and_results(page: Page, shown: Shown) -> None:
    page.goto(below(shown.experiment, "/runs"))
    for rate in RATES:
        expect(page.get_by_text(f"rate {rate}", exact=True).first).to_be_visible()
    expect(page.get_by_text("digits@1").first).to_be_visible()
    for column in ("test/accuracy", "train/loss", "valid/accuracy"):
        expect(page.get_by_role("columnheader", name=column).first).to_be_visible()
    keep(page, "runs")


def test_charts_compare_the_runs(page: Page, shown: Shown) -> None:
    page.goto(f"{below(shown.experiment, '/runs')}&compareRunsMode=CHART")
    expect(page.get_by_role("button", name="Add chart").first).to_be_visible()
    expect(page.locator(".js-plotly-plot").nth(1)).to_be_attached()
    page.mouse.move(900, 600)
    page.mouse.wheel(0, 440)  # to the curves
    page.wait_for_timeout(1500)
    keep(page, "charts")


def test_a_run_tells_what_became_of_a_job(page: Page, shown: Shown) -> None:
    job = shown.jobs[1]
    page.goto(job["mlflow_url"])
    expect(page.get_by_text("Finished").first).to_be_visible()
    expect(page.get_by_text("seen in a browser")).to_be_visible()
    link = page.get_by_role("link", name=f"job {job['id'][:8]}")
    assert str(link.get_attribute("href")).endswith(f"/v1/jobs/{job['id']}")
    expect(page.get_by_text("optimizer.learning_rate")).to_be_visible()
    keep(page, "run")


def test_its_files_are_shown_in_place(page: Page, shown: Shown) -> None:
    page.goto(below(shown.jobs[1]["mlflow_url"], "/artifacts/curves.svg"))
    expect(page.get_by_text("model-summary.txt")).to_be_visible()
    picture = page.locator("img[src^='blob:'], img[src*='curves.svg']").first
    expect(picture).to_be_visible()
    width = picture.evaluate("image => image.naturalWidth")
    assert width > 400
    keep(page, "files")


def test_its_dataset_opens_with_its_columns(page: Page, shown: Shown) -> None:
    page.goto(shown.jobs[1]["mlflow_url"])
    page.get_by_role("button", name=re.compile("^digits@1")).first.click()
    expect(page.get_by_text("p00").first).to_be_visible()
    expect(page.get_by_text("label").first).to_be_visible()
    keep(page, "dataset")


def test_its_model_says_how_it_is_used(page: Page, shown: Shown) -> None:
    page.goto(below(shown.jobs[1]["mlflow_url"], "/artifacts/model"))
    expect(page.get_by_text("MLmodel").first).to_be_visible()
    expect(page.get_by_text("model.onnx").first).to_be_visible()
    keep(page, "model")


def test_a_sweep_is_one_run_with_its_trials_below(page: Page, shown: Shown) -> None:
    page.goto(f"{shown.trials[0]['mlflow_url'].rpartition('/runs/')[0]}/runs")
    expect(page.get_by_text("rates", exact=True).first).to_be_visible()
    best = page.get_by_role("columnheader", name="best/valid/accuracy")
    expect(best.first).to_be_visible()
    keep(page, "sweep")


def test_trials_are_compared_by_their_hyperparameters(page: Page, shown: Shown) -> None:
    root, _, rest = shown.trials[0]["mlflow_url"].partition("#/experiments/")
    runs = json.dumps([one["mlflow_run_id"] for one in shown.trials])
    experiments = json.dumps([rest.partition("/")[0]])
    page.goto(f"{root}#/compare-runs?runs={quote(runs)}&experiments={quote(experiments)}")
    expect(page.get_by_text("Parallel Coordinates Plot").first).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    keep(page, "compared")
