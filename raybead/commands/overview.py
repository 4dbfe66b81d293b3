"""What a run holds, in tables."""

from __future__ import annotations

from typing import Any

from raybead.console import Console
from raybead.errors import RunError
from raybead.events import read_parquet
from raybead.report import board_rows
from raybead.report.numbers import events, sigmas
from raybead.report.provenance import Provenance
from raybead.storage import JOB, MANIFEST, Folder, StageName, is_current, stage_facts


def show_run(run: Folder, console: Console) -> None:
    """Print what a run's stages hold and found.

    Raises:
        RunError: there is no run in the folder.
    """
    if not run.exists(JOB):
        raise RunError(f"{run}: no run in it")
    stages: list[tuple[StageName, ...]] = [
        ("events/background", "events/search"), ("model",), ("scores",), ("hunt",),
    ]  # fmt: skip
    rows = [_stage_row(run, name) for group in stages for name in group]
    # Stages of their own, which a hunt doesn't need.
    more: tuple[StageName, ...] = ("calibration", "reach", "diagnostics", "emd")
    rows += [_stage_row(run, name) for name in more if _done(run, name)]
    console.table(f"Run {run}", ["stage", "holds", "seconds"], rows)
    samples: tuple[StageName, ...] = ("events/background", "events/search")
    current = all(is_current(run, name) for name in samples)
    for note in Provenance.read(run, samples).shared if current else ():
        console.say(f"note: {note}")
    if _done(run, "sweep"):
        _show_sweep(run, console)
    if is_current(run, "emd"):
        console.say(f"learned energy mover's distance: {run}/emd/report.html")
    if is_current(run, "hunt"):
        _show_hunt((run / "hunt").read_json("result.json"), console)
        _show_studies(run, console)
    if is_current(run, "figures") and run.exists("report.html"):
        console.say(f"report: {run}/report.html")


def _stage_row(run: Folder, name: StageName) -> list[str]:
    if not _done(run, name):
        return [name, "not done yet", ""]
    facts = stage_facts(run, name)
    if not is_current(run, name):
        return [name, "done for other settings than the job now has", ""]
    return [name, _in_words(name, facts), f"{facts['seconds']:g}"]


def _in_words(name: StageName, facts: dict[str, Any]) -> str:
    match name:
        case "events/background" | "events/search":
            flow = facts["cutflow"]
            drops = "".join(f", {n} dropped: {cut}" for cut, n in flow["dropped"].items() if n)
            size = facts["bytes"] / max(flow["written"], 1)
            return f"{flow['read']} events read{drops}, {flow['written']} kept ({size:.0f} B each)"
        case "model":
            return (
                f"best of {facts['epochs']} epochs: {facts['best_epoch']},"
                f" validation loss {facts['validation_loss']:.4g}, {facts['workers']} workers"
            )
        case "scores":
            return ", ".join(f"{n} {role} events" for role, n in facts["events"].items())
        case "hunt":
            return (
                f"global p {p_text(facts['conclusion'])} over {facts['conclusion']['looks']} looks"
            )
        case "calibration":
            return f"{facts['sets']} hunts without a signal: {facts['summary']['verdict']}"
        case "reach":
            return f"{len(facts['points'])} signals put into pseudo-data"
        case "diagnostics":
            return _looked_at(facts)
        case "figures":
            return facts["page"]
        case "judged":
            return f"{facts['background']} events to judge by"
        case "sweep":
            return f"{facts['trials']} trials, {facts['done']} finished"
        case "emd":
            found = facts["agreement"]["all"]["learned"]
            return (
                f"correlation {found['pearson']:.4f} with the exact distance,"
                f" {found['pairs']} held-out pairs"
            )


def _looked_at(facts: dict[str, Any]) -> str:
    """What was looked at of the model, and what couldn't be drawn."""
    latent, examples, displays = (facts[name] for name in ("latent", "examples", "displays"))
    held = {"unseen": "held out from training", "validation": "of its validation"}
    parts, lacking = [], {}
    if latent is not None:
        items = ", ".join(f"{n} {role}" for role, n in latent["items"].items())
        parts.append(f"latents of {items} items")
        lacking |= {
            f"{kind} of {space}": why
            for space, found in latent["spaces"].items()
            for kind, why in found["undrawn"].items()
        }
    if examples is not None:
        parts.append(f"{examples['items']} examples")
        lacking |= {f"{part} of examples": why for part, why in examples["undrawn"].items()}
    if displays is not None:
        parts.append(f"{displays['events']} events")
    parts = parts or ["nothing was asked for"]
    told = "".join(f"; no {what}: {why}" for what, why in lacking.items())
    return f"{', '.join(parts)} (background {held[facts['background']]}){told}"


def p_text(found: dict[str, Any]) -> str:
    """A p-value as text; one that no pseudo-experiment reached is a bound."""
    return f"{'<= ' if _is_bound(found) else ''}{found['p']:.2g}"


def _z_text(found: dict[str, Any]) -> str:
    return f"{'>= ' if _is_bound(found) else ''}{sigmas(found['significance'])}"


def _is_bound(found: dict[str, Any]) -> bool:
    return not found.get("resolved", found.get("beyond", 1))


def _show_hunt(result: dict[str, Any], console: Console) -> None:
    rows = [
        [
            cut["key"],
            events(cut["events"]["outliers"]),
            f"{cut['window']['low']:.0f}-{cut['window']['high']:.0f}",
            events(cut["window"]["observed"]),
            f"{cut['window']['expected']:.1f} +- {cut['window']['expected_error']:.1f}",
            sigmas(cut["local"]["significance"]),
            p_text(cut["global"]),
            _z_text(cut["global"]),
            # Where too few events are expected beside the window, nothing was tested.
            f"{agreement['p']:.2f}" if agreement["ndf"] else "-",
        ]
        for cut in result["cuts"]
        for agreement in (cut["background"]["agreement"],)
    ]
    console.table(
        "Bump hunt",
        [
            "cut",
            "outliers",
            "window [GeV]",
            "observed",
            "expected",
            "local Z",
            "global p",
            "global Z",
            "fit p",
        ],
        rows,
    )
    for reason in result["refused"]:
        console.say(f"not hunted at {reason}")
    best = result["conclusion"]
    console.say(
        f"Most significant: {best['window']['low']:.0f}-{best['window']['high']:.0f} GeV,"
        f" global p {p_text(best)} ({_z_text(best)} sigma),"
        f" {best['looks']} looks counted"
    )
    if result["evaluation"] is not None:
        names = {
            "score": "model",
            "control_width": "no learning: jet width",
            "control_constant": "no learning: loss of a constant",
            "control_moment": "no learning: mean (pT dR)^2",
            "control_mass": "no learning: jet mass",
            "control_tau21": "no learning: tau21",
            "control_multiplicity": "no learning: multiplicity",
        }
        console.table(
            f"Evaluation with truth ({events(result['evaluation']['signal'])} signal,"
            f" {events(result['evaluation']['background'])} background); no part in the hunt",
            ["score", "AUC", "max SIC", "model's gain in AUC"],
            [
                [
                    names[name],
                    f"{c['auc']:.4f} +- {c['auc_error']:.4f}",
                    f"{c['sic']:.2f}",
                    # The page's error: of the bootstrap that its p-values are of, too.
                    ""
                    if name == "score"
                    else f"{c['gain']['auc']['value']:+.4f} +- {c['gain']['auc']['error']:.4f}",
                ]
                for name, c in result["evaluation"]["scores"].items()
            ],
        )


def _show_sweep(run: Folder, console: Console) -> None:
    """The best trials of a sweep, and where all are told of."""
    found, board = stage_facts(run, "sweep"), (run / "sweep").read("leaderboard.parquet")
    table = read_parquet(board, f"{run}/sweep/leaderboard.parquet")
    by = found["objective"] if isinstance(found["objective"], str) else "a sum"
    headers, rows = board_rows(table)
    title = f"Sweep: {found['done']} of {found['trials']} trials finished, by {by}"
    console.table(title, headers, rows)
    if found["by_truth"]:
        console.say(f"the best was chosen by truth ({', '.join(found['by_truth'])})")
    console.say(f"all trials: {run}/sweep/leaderboard.html")


def _show_studies(run: Folder, console: Console) -> None:
    """Whether the hunt is calibrated, and what it would find."""
    if is_current(run, "calibration"):
        console.say(stage_facts(run, "calibration")["summary"]["words"])
    else:
        console.say("not calibrated with these settings: see raybead calibrate")
    if is_current(run, "reach"):
        console.table(
            "Signals put into pseudo-data",
            ["mass [GeV]", "S/B", "global p < 0.01", "at its mass", "passing", "fitted"],
            [
                [
                    f"{point['mass']:.0f}",
                    f"{100 * point['strength']:g} %",
                    f"{point['found']:.2f}",
                    f"{point['covered']:.2f}",
                    f"{point['injected']:.1f}",
                    f"{point['fitted']:.1f} +- {point['fitted_error']:.1f}",
                ]
                for point in stage_facts(run, "reach")["points"]
            ],
        )


def _done(run: Folder, name: StageName) -> bool:
    return (run / name).exists(MANIFEST)
