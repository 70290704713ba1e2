"""Draws the course of a solve: cost and bound over time, as SVG.

    mapek solve … "trace": true … | python3 scripts/solve_course.py TITLE >docs/placement-course.svg

Reads an answer of POST /api/solve that was asked for with "trace": true. Time is on a logarithmic scale.
"""

import json
import math
import sys
from html import escape

WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 40, 50


def main():
    answer = json.load(sys.stdin)
    title = sys.argv[1] if len(sys.argv) > 1 else ""
    steps = answer["trace"]
    end = answer["solve_ms"]
    begin = 10 ** math.floor(math.log10(max(min(step["ms"] for step in steps), 0.01)))
    values = [step.get("objective", step.get("bound")) for step in steps]
    low, high = min(values), max(values)
    room = max((high - low) * 0.08, 1)
    low, high = low - room, high + room

    def x(ms):
        share = math.log(max(ms, begin) / begin) / math.log(end / begin)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(value):
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>',
    ]
    decade = begin
    while decade <= end:
        at = x(decade)
        label = f"{decade:g} ms" if decade < 1000 else f"{decade / 1000:g} s"
        out.append(f'<line x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        out.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{label}</text>')
        decade *= 10
    stride = max(1, round((high - low) / 6))
    value = math.ceil(low / stride) * stride
    while value <= high:
        at = y(value)
        out.append(f'<line x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}" stroke="#eee"/>')
        out.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{value}</text>')
        value += stride
    for kind, colour, side in (("objective", "#b3401f", -8), ("bound", "#1f5fb3", 16)):
        course = [(step["ms"], step[kind], step["by"]) for step in steps if kind in step]
        path, before, seen = [], None, None
        for ms, value, by in course:
            if before is None:
                path.append(f"M{x(ms):.1f},{y(value):.1f}")
            else:
                path.append(f"H{x(ms):.1f}V{y(value):.1f}")
            out.append(f'<circle cx="{x(ms):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>')
            if by != seen:
                late = x(ms) > WIDTH * 0.8
                out.append(
                    f'<text x="{x(ms) + (-6 if late else 6):.1f}" y="{y(value) + side:.1f}" fill="{colour}"'
                    f' text-anchor="{"end" if late else "start"}">{escape(by.replace("_", " "))} {value}</text>'
                )
            before, seen = value, by
        path.append(f"H{x(end):.1f}")
        out.append(f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="2"/>')
    out.append(f'<text x="{LEFT}" y="{HEIGHT - 10}" fill="#b3401f">cost of the best placement, and who found it</text>')
    out.append(f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 10}" fill="#1f5fb3" text-anchor="end">bound, and who proved it</text>')
    out.append("</svg>")
    print("\n".join(out))


main()
