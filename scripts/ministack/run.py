#!/usr/bin/env python3
"""Deploys the stack on ministack, an emulator of AWS that nobody here wrote, with IAM
enforced, by the commands of docs/deploy.md, and compares what comes of them with the
sandboxes of the providers, record by record. What differs from the product for it is in
changes.py. Usage: run.py FOLDER, which is made anew and holds every log."""
import pathlib
import shutil
import signal
import sys
import time

import changes
import job
from emulator import ROOT, Emulator, clone, log
from terminal import Shell, blocks


def main(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started ends
    emulator = Emulator(folder)
    try:
        emulator.start()
        follow(emulator)
    finally:
        emulator.stop()


def follow(emulator):
    """Follows docs/deploy.md to its end."""
    steps = blocks((ROOT / "docs/deploy.md").read_text(encoding="utf-8"))
    shop = emulator.shop = job.Job(emulator, Shell(clone(emulator.folder / "shop"), emulator.env, emulator.folder / "state.sh"))
    hands = [text for kind, text in steps if kind == "by hand"]
    if len(hands) != len(job.BY_HAND):
        raise SystemExit(f"docs/deploy.md has {len(hands)} steps by hand, and this knows {len(job.BY_HAND)}: {hands}")
    by_hand = iter(job.BY_HAND)
    for kind, text in steps:
        started = time.monotonic()
        if kind == "by hand":
            next(by_hand)(shop)
        else:
            shop.block(text)
        log("%4.1f s  %s: %s", time.monotonic() - started, kind, text.strip().splitlines()[0][:90])
    shop.compare()
    section = (ROOT / "docs/operate.md").read_text(encoding="utf-8").split("\n## A second shop\n")[1].split("\n## ")[0]
    ((_, commands),) = blocks(section)
    shop.second(commands)
    shop.operate()
    if denied := emulator.denied():
        raise SystemExit("ministack: denied:\n" + "\n".join(denied[:20]))
    for name, why, *_, needed in changes.ALL:
        if not needed(emulator):
            raise SystemExit(f"ministack: changes.py: {name} is no longer needed ({why}): remove it")
    if not any("user/probe" in line for line in emulator.denied()):
        raise SystemExit("ministack: the log does not name the calls of the probes that were denied, so it names none")
    log("ministack: %d commands of docs/deploy.md, %d steps by hand, 0 calls denied, %d changes for ministack, each still needed",
        shop.ran, len(hands), len(changes.ALL))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
