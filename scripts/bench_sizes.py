"""How mapek's solver grows: answers, time to a first placement and memory from 100 tiers to 10,000.

Called by scripts/bench-solver; the table goes to standard output as Markdown.
"""

import argparse
import json
import math
import subprocess

SIZES = (100, 300, 500, 1000, 3000, 10000)


def run(command, deadline_ms, family, tiers):
    """One run of the solver's own binary, which prints one line of JSON."""
    output = subprocess.run(
        [*command, "--deadline-ms", str(deadline_ms), "--family", family, str(tiers), "1"],
        check=True, capture_output=True, text=True).stdout
    return json.loads(output)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deadline-ms", type=int, default=5000)
    parser.add_argument("command", nargs="+", help="mapek's solver binary")
    options = parser.parse_args()
    print("| family | tiers | VMs now | VMs used | objective | bound | gap | s | memory MB "
          "| first placement s | µs per n·log2 n |")
    print("|---|" + "--:|" * 10)
    for family in ("fresh", "replan"):
        for tiers in SIZES:
            answer = run(options.command, options.deadline_ms, family, tiers)
            # With hardly any time, the first placement is the answer; the quickest of three counts.
            first = min(run(options.command, 1, family, tiers)["solve_ms"] for _ in range(3))
            share = first * 1000 / (tiers * math.log2(tiers))
            print(f"| {family} | {tiers} | {answer['vms']} | {answer['used']} | {answer['objective']} "
                  f"| {answer['bound']} | {answer['gap']:.1%} | {answer['solve_ms'] / 1000:.2f} "
                  f"| {answer['peak_mb']} | {first / 1000:.3f} | {share:.2f} |", flush=True)


if __name__ == "__main__":
    main()
